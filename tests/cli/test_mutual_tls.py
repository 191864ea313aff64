"""RFC 8705 in whole processes: `carnet serve` with a port for certificates, and behind nginx with `carnet gateway` beside it."""

import json
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.certificates import Authority, Shown, certificate
from tests.guard.gateway.test_proxies import NGINX, PATH

from carnet.cli import main
from carnet.jose import base64url
from carnet.testing.ports import free_port
from carnet.testing.programs import Quiet, await_port, running_program, serving
from carnet.testing.running import carnet, running_issuer

EXAMPLE = Path(__file__).parents[2] / "examples/mutual-tls/nginx.conf"
SUBJECT = "CN=billing,OU=Back office,O=Acme\\, Inc."
AUTHORITY = Authority()
BILLING, FALSE = AUTHORITY.issue(SUBJECT), Authority().issue(SUBJECT)
SELF = certificate("CN=self")
FORGED = {"SSL-Client-Cert": BILLING.escaped, "Client-Cert": BILLING.byte_sequence, "X-Forwarded-For": "127.0.0.1"}


@dataclass
class Place:
    """The files of an issuer that clients with certificates reach by TLS."""

    chain: Path
    settings: Path = field(init=False)

    def __post_init__(self) -> None:
        self.settings = self.chain.with_name("carnet.toml")
        self.chain.with_name("authorities.pem").write_bytes(AUTHORITY.pem)

    def set(self, **settings: object) -> None:
        """JSON of plain values is TOML."""
        settings |= {"data": "data", "tls_client_ca": "authorities.pem"}
        self.settings.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))

    def register(self) -> None:
        """Two clients: one by its name, one by its certificate."""
        own = self.chain.with_name("self.pem")
        own.write_bytes(SELF.pem)
        bound = (
            "--certificate-bound",
            "--audience",
            "orders",
            "--scope",
            "orders:read",
            "--config",
            str(self.settings),
        )
        carnet("client", "create", "Billing", "--client-id", "billing", "--tls-subject-dn", SUBJECT, *bound)
        carnet("client", "create", "Self", "--client-id", "self", "--tls-certificate", str(own), *bound)

    def client(self, shown: Shown | None = None) -> httpx2.Client:
        context = ssl.create_default_context(cafile=self.chain)
        if shown is not None:
            file = self.chain.with_name("client.pem")
            file.write_bytes(shown.pem + shown.key_pem)
            context.load_cert_chain(file)
        return httpx2.Client(verify=context, trust_env=False)

    def ask(self, url: str, shown: Shown | None, client_id: str, **headers: str) -> httpx2.Response:
        with self.client(shown) as http:
            return http.post(url, data={"grant_type": "client_credentials", "client_id": client_id}, headers=headers)

    def check(self, url: str) -> None:
        """Whoever shows a certificate gets tokens that are bound to it, and whoever only says so gets none."""
        for client_id, shown in (("billing", BILLING), ("self", SELF)):
            answer = self.ask(url, shown, client_id, **dict.fromkeys(FORGED, FALSE.escaped))
            assert answer.status_code == 200, answer.text
            payload = answer.json()["access_token"].split(".")[1]
            assert json.loads(base64url.decode(payload.encode()))["cnf"] == {"x5t#S256": shown.thumbprint}
        for shown in (None, FALSE, SELF):
            answer = self.ask(url, shown, "billing", **FORGED)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.spec("RFC 8705", "5", "MUST")
def test_clients_with_certificates_are_served_on_a_port_of_their_own(
    tmp_path: Path, certificate_for: Callable[[str], Path]
) -> None:
    place, port, mtls = Place(certificate_for("127.0.0.1")), free_port(), free_port()
    url = f"https://127.0.0.1:{port}"
    place.set(issuer=url, tls_cert="chain.pem", tls_key="key.pem", mtls_port=mtls)
    with running_issuer(tmp_path / "data", port=port, options=("--config", str(place.settings))) as issuer:
        assert issuer.process.stdout is not None
        assert issuer.process.stdout.readline() == f"Clients with certificates find it at https://127.0.0.1:{mtls}\n"
        place.register()
        with place.client() as http:
            aliases = http.get(f"{url}/.well-known/openid-configuration").json()["mtls_endpoint_aliases"]
            assert http.get(f"https://127.0.0.1:{mtls}/login").status_code == 421
        assert aliases["token_endpoint"] == f"https://127.0.0.1:{mtls}/token"
        place.check(aliases["token_endpoint"])
        assert place.ask(f"{url}/token", BILLING, "billing").status_code == 401, "the other port asks nobody for one"


def test_a_client_that_cannot_be_meant_so_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.pem").write_bytes(SELF.pem)
    (tmp_path / "garbage.pem").write_text("garbage")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [SELF.jwk]}))
    for options, sentence in (
        (["--tls-certificate", "own.pem", "--jwks", "keys.json"], "do not go together"),
        (["--tls-certificate", "none.pem"], "No such file"),
        (["--tls-certificate", "garbage.pem"], "not an X.509 certificate"),
        (["--tls-certificate", "own.pem"], "the settings tls_client_ca and mtls_port turn it on"),
        (["--tls-san-dns", "billing.example"], "the settings tls_client_ca and mtls_port turn it on"),
        (["--certificate-bound"], "no certificate of a client reaches this issuer"),
    ):
        with pytest.raises(SystemExit) as ended:
            sys.exit(main(["client", "create", "Billing", *options]))
        assert ended.value.code == 2, options
        assert sentence in capsys.readouterr().err


class Service(Quiet):
    """Behind the gateway: it says what reached it."""

    def do_GET(self) -> None:
        self.answer(200, json.dumps(dict(self.headers.items())).encode())


@dataclass
class Ingress:
    place: Place
    token_url: str
    plain_url: str
    orders: str
    host: str
    """Of the issuer, for which the other server passes requests on."""


@pytest.fixture
def ingress(tmp_path: Path, certificate_for: Callable[[str], Path]) -> Iterator[Ingress]:
    """nginx with the example, in which only ports and files are others, before `carnet serve` and `carnet gateway`."""
    nginx = shutil.which("nginx", path=PATH)
    if nginx is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx).")
    place, issuer, gateway, plain, mtls, orders = Place(certificate_for("127.0.0.1")), *(free_port() for _ in range(5))
    url = f"http://127.0.0.1:{issuer}"
    place.set(
        issuer=url,
        trusted_proxies=["127.0.0.1/32"],
        client_certificate_header="nginx",
        mtls_origin=f"https://127.0.0.1:{mtls}",
    )
    (tmp_path / "gateway.toml").write_text(
        f'issuer = "{url}"\naudience = "orders"\nproxy = "nginx"\ntrusted_proxies = ["127.0.0.1/32"]\n'
        'client_certificate_header = "nginx"\n[[rules]]\npath = "/"\nscope = "orders:read"\n'
    )
    with ExitStack() as stack:
        stack.enter_context(running_issuer(tmp_path / "data", port=issuer, options=("--config", str(place.settings))))
        place.register()
        command = (sys.executable, "-m", "carnet.cli", "gateway", "--config", "gateway.toml", "--port", str(gateway))
        answering = stack.enter_context(running_program(*command, folder=tmp_path, stdout=subprocess.PIPE))
        assert answering.stdout is not None
        assert answering.stdout.readline()
        service = stack.enter_context(serving(Service))
        text = EXAMPLE.read_text("utf-8").replace("/etc/ssl/id.example", str(tmp_path))
        for written, meant in (
            ("8080", issuer),
            ("8060", gateway),
            ("8001", service),
            ("8443", plain),
            ("8444", mtls),
            ("8445", orders),
        ):
            assert written in text
            text = text.replace(f":{written}", f":{meant}")
        (tmp_path / "nginx.conf").write_text(text)
        (tmp_path / "main.conf").write_text(NGINX.format(folder=tmp_path, example=tmp_path / "nginx.conf"))
        options = ("-p", str(tmp_path), "-c", str(tmp_path / "main.conf"), "-e", "stderr")
        await_port(mtls, stack.enter_context(running_program(nginx, *options, folder=tmp_path)), tmp_path / "nginx.log")
        yield Ingress(
            place,
            f"https://127.0.0.1:{mtls}/token",
            f"https://127.0.0.1:{plain}/token",
            f"https://127.0.0.1:{orders}/orders",
            f"127.0.0.1:{issuer}",
        )


@pytest.mark.spec("RFC 8705", "3", "MUST")
def test_nginx_passes_certificates_and_nobody_else_does(ingress: Ingress) -> None:
    place = ingress.place
    place.check(ingress.token_url)
    for shown in (None, BILLING):
        answer = place.ask(ingress.plain_url, shown, "billing", Host=ingress.host, **FORGED)
        assert answer.status_code == 401, "where nobody is asked for a certificate, none is passed"

    token = place.ask(ingress.token_url, BILLING, "billing").json()["access_token"]

    def orders(shown: Shown | None, **headers: str) -> httpx2.Response:
        with place.client(shown) as http:
            return http.get(ingress.orders, headers={"Authorization": f"Bearer {token}"} | headers)

    answer = orders(BILLING)
    assert answer.status_code == 200, answer.text
    assert "SSL-Client-Cert" not in answer.json()
    for shown in (None, FALSE, SELF):
        assert orders(shown).status_code == 401
        assert orders(shown, **FORGED).status_code == 401, "what the client writes is overwritten"
        assert orders(shown, SSL_Client_Cert=BILLING.escaped).status_code == 401
        assert orders(shown, Connection="SSL-Client-Cert").status_code == 401
