"""`carnet serve` with TLS and an empty database, and the people, clients and keys that the suite's plans ask for."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from browsing import EMAIL, PASSWORD
from tests.certificates import Authority

from carnet.jose import SigningKey
from carnet.testing.running import free_port

GRACE = 20
ATTRIBUTES: dict[str, Any] = {
    "given_name": "Conny",
    "family_name": "Formance",
    "middle_name": "M.",
    "nickname": "Con",
    "preferred_username": "conny",
    "profile": "https://conny.example/",
    "picture": "https://conny.example/me.png",
    "website": "https://conny.example/blog",
    "gender": "female",
    "birthdate": "2000-02-29",
    "zoneinfo": "Europe/Berlin",
    "locale": "en",
    "phone_number": "+4930123456",
    "phone_number_verified": True,
    "address": {"formatted": "1 Way\nBonn", "street_address": "1 Way", "locality": "Bonn", "country": "DE"},
}
"""All standard claims (OpenID Connect Core section 5.1) that an account has no member for."""
SCOPES = ("openid", "profile", "email", "address", "phone", "offline_access")


@dataclass(frozen=True)
class Files:
    """What the issuer shows, and whom it believes when it calls the suite."""

    certificate: Path
    key: Path
    trusted: Path | None


@dataclass(frozen=True)
class Issuer:
    url: str
    mtls_url: str
    directory: Path
    environment: Mapping[str, str]
    authority: Authority

    def command(self, *arguments: str, given: str | None = None) -> Any:
        """Run a command of Carnet's on this issuer's data."""
        command = (sys.executable, "-m", "carnet.cli", *arguments, "--config", str(self._file), "--json")
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=self.environment)
        if done.returncode:
            raise SystemExit(done.stderr)
        return msgspec.json.decode(done.stdout)

    @property
    def _file(self) -> Path:
        return self.directory / "carnet.toml"

    def people(self, number: int) -> None:
        """So many, of whom everything is known."""
        details = [f"{name}={msgspec.json.encode(value).decode()}" for name, value in ATTRIBUTES.items()]
        attributes = [option for one in details for option in ("--attribute", one)]
        for email in (EMAIL.format(number=one) for one in range(number)):
            named = ("--name", "Conny M. Formance", "--role", "USER")
            self.command("user", "create", email, *named, "--password-stdin", given=f"{PASSWORD}\n")
            self.command("user", "change", email, *attributes)

    def client(self, name: str, *options: str, scopes: tuple[str, ...] = SCOPES) -> dict[str, str]:
        """Register one; the answer is what a plan's form asks for."""
        made = self.command(
            "client", "create", name, *options, *(option for one in scopes for option in ("--scope", one))
        )
        return {member: made[member] for member in ("client_id", "client_secret") if made.get(member)}

    def key(self, name: str, algorithm: str) -> tuple[str, dict[str, Any]]:
        """A client's key: the file of its public half, and the key set that the suite gets."""
        key = SigningKey.generate(algorithm, kid=name)
        file = self.directory / f"{name}.json"
        file.write_bytes(msgspec.json.encode({"keys": [key.public().to_jwk()]}))
        return str(file), {"keys": [key.to_jwk() | {"alg": algorithm, "use": "sig"}]}

    def certificate(self, name: str) -> dict[str, str]:
        """A client's certificate, as `CN=name`, with its key."""
        shown = self.authority.issue(f"CN={name}")
        return {"cert": shown.pem.decode(), "key": shown.key_pem.decode()}


@contextmanager
def running(directory: Path, settings: str, files: Files) -> Iterator[Issuer]:
    """Run one until the block is left."""
    port, mtls_port, authority = free_port(), free_port(), Authority()
    issuer, believed = f"https://localhost:{port}", directory / "authority.pem"
    believed.write_bytes(authority.pem)
    own = (
        f'issuer = "{issuer}"\nport = {port}\nmtls_port = {mtls_port}\ndata = "{directory / "data"}"\n'
        f'tls_cert = "{files.certificate}"\ntls_key = "{files.key}"\ntls_client_ca = "{believed}"\n'
    )
    (directory / "carnet.toml").write_text(own + settings)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    if files.trusted is not None:
        environment["SSL_CERT_FILE"] = str(files.trusted)
    command = (sys.executable, "-m", "carnet.cli", "serve", "--config", str(directory / "carnet.toml"))
    with (
        (directory / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        try:
            if not (process.stdout and process.stdout.readline()):
                raise SystemExit((directory / "log").read_text())
            yield Issuer(issuer, f"https://localhost:{mtls_port}", directory, environment, authority)
        finally:
            process.terminate()
            process.communicate(timeout=GRACE)
