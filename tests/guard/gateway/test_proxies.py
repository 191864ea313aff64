"""Rule A3 against real proxies, each with its own file of examples/gateway: what it lets through to a service, and as what.

nginx and Caddy are always tested; Envoy and Traefik, which Debian does not package, where they are in the PATH.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from carnet.ambient import SYSTEM
from carnet.guard.gateway.identity import IDENTITY_HEADERS, gateway_token_verifier
from carnet.guard.gateway.original_request import normal_form
from carnet.jose import KeySet, SigningKey
from carnet.jose.strict_json import encode_object
from carnet.testing.issuer import FakeIssuer
from carnet.testing.ports import free_port
from carnet.testing.programs import PATIENCE, Quiet, await_port, running_program, serving

EXAMPLES = Path(__file__).parents[3] / "examples/gateway"
FILES = {
    "nginx": ("nginx.conf",),
    "caddy": ("Caddyfile",),
    "envoy": ("envoy.yaml",),
    "traefik": ("traefik.yml", "traefik-routes.yml"),
}
PATH = f"{os.environ['PATH']}:/usr/sbin"
"""Debian has nginx where only root's path leads."""
TESTED = ["nginx", "caddy", *(name for name in ("envoy", "traefik") if shutil.which(name, path=PATH))]

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr crit;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {example};
}}
"""
"""What a distribution's nginx.conf has around the files of conf.d."""


class Issuing(Quiet):
    """An issuer's metadata and keys over HTTP."""

    issuer: FakeIssuer

    def do_GET(self) -> None:
        made = self.issuer.answer(httpx2.Request("GET", f"{self.issuer.issuer}{self.path}"))
        self.answer(made.status_code, made.content)


class Echo(Quiet):
    """The service: it remembers what reaches it, and says it."""

    seen: list[dict]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = {"method": self.command, "path": self.path, "headers": self.headers.items()}
        self.seen.append(request)
        self.answer(200, json.dumps(request).encode())

    def do_POST(self) -> None:
        self.do_GET()


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes = field(repr=False)

    def told(self) -> dict[str, str]:
        """What the service was told of who asks, by the normal forms of the names."""
        sent = json.loads(self.body)["headers"]
        return {
            normal_form(name).removeprefix("x-carnet-"): value
            for name, value in sent
            if normal_form(name) in IDENTITY_HEADERS and value
        }


@dataclass
class Ingress:
    """A proxy in front of a service, with the gateway beside it."""

    name: str
    port: int
    issuer: FakeIssuer
    seen: list[dict]

    def ask(self, target="/orders/7", *headers: str, method="GET", host="shop.example", token=None) -> Answer:
        """Send a request exactly as it stands here."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        return self.send("".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"))

    def send(self, raw: bytes) -> Answer:
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(raw)
            answer = http.client.HTTPResponse(connection, method=raw.partition(b" ")[0].decode())
            answer.begin()
            with answer:
                return Answer(answer.status, answer.headers, answer.read())

    def reader(self) -> str:
        return self.issuer.token("alice", scope="orders:read", roles="CLERK")


@contextmanager
def gateway(folder: Path, proxy: str, issuer: str, further: str = "") -> Iterator[int]:
    """`carnet gateway` with the example's settings for this proxy and this issuer; the answer is its port."""
    settings = (EXAMPLES / "gateway.toml").read_text("utf-8")
    assert 'issuer = "https://id.example"' in settings
    settings = settings.replace('"https://id.example"', f'"{issuer}"').replace('proxy = "nginx"', f'proxy = "{proxy}"')
    (folder / "gateway.toml").write_text(settings + further)
    port = free_port()
    command = (sys.executable, "-m", "carnet.cli", "gateway", "--config", "gateway.toml", "--port", str(port))
    with running_program(*command, folder=folder, stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == f"Carnet answers {proxy} at http://127.0.0.1:{port}/check\n".encode()
        yield port


@contextmanager
def proxying(folder: Path, name: str, *, gateway: int, service: int) -> Iterator[int]:
    """The proxy with its example, in which only the ports are others; the answer is its port."""
    program = shutil.which(name, path=PATH)
    if program is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {name}).")
    port = free_port()
    texts = {file: (EXAMPLES / file).read_text("utf-8") for file in FILES[name]}
    for written, meant in (("8060", gateway), ("8001", service), ("8088", port)):
        assert any(written in text for text in texts.values())
        texts = {file: text.replace(written, str(meant)) for file, text in texts.items()}
    for file, text in texts.items():
        (folder / file).write_text(text)
    log = folder / f"{name}.log"
    (folder / "main.conf").write_text(NGINX.format(folder=folder, example=folder / "nginx.conf"))
    options = {
        "nginx": ["-p", str(folder), "-c", str(folder / "main.conf"), "-e", "stderr"],
        "caddy": ["run", "--config", "Caddyfile", "--adapter", "caddyfile"],
        "envoy": ["-c", "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"],
        "traefik": [],
    }[name]
    with running_program(program, *options, folder=folder) as running:
        await_port(port, running, log)
        yield port


@pytest.fixture(scope="module", params=TESTED)
def ingress(request, tmp_path_factory) -> Iterator[Ingress]:
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    issuer, seen = FakeIssuer(audience="orders"), []
    with ExitStack() as stack:
        issuer.issuer = f"http://127.0.0.1:{stack.enter_context(serving(Issuing, issuer=issuer))}"
        service = stack.enter_context(serving(Echo, seen=seen))
        asked = stack.enter_context(gateway(folder, name, issuer.issuer))
        port = stack.enter_context(proxying(folder, name, gateway=asked, service=service))
        ingress = Ingress(name, port, issuer, seen)
        _await_routes(ingress)
        yield ingress


def _await_routes(ingress: Ingress) -> None:
    """Traefik listens before it has its routes: 404 until then, which nobody else of these answers."""
    deadline = time.monotonic() + PATIENCE
    while ingress.ask("/public").status == 404:
        assert time.monotonic() < deadline


@pytest.fixture(autouse=True)
def nothing_seen(request) -> None:
    if "ingress" in request.fixturenames:
        request.getfixturevalue("ingress").seen.clear()


def test_a_good_token_reaches_the_service_which_is_told_who_asks(ingress):
    answer = ingress.ask("/orders/7?expand=1", token=ingress.reader())
    assert answer.status == 200
    assert answer.told() == {
        "issuer": ingress.issuer.issuer,
        "subject": "alice",
        "client": "front-end",
        "roles": "CLERK",
        "scope": "orders:read",
    }
    (request,) = ingress.seen
    assert (request["method"], request["path"]) == ("GET", "/orders/7?expand=1")


def test_a_body_reaches_the_service_though_the_gateway_never_sees_it(ingress):
    token = ingress.issuer.token(scope="orders:write")
    lines = ["POST /orders HTTP/1.1", "Host: shop.example", "Connection: close", "Content-Length: 5"]
    raw = "\r\n".join([*lines, f"Authorization: Bearer {token}", "", "12345"]).encode()
    assert ingress.send(raw).status == 200
    assert {name.lower(): value for name, value in ingress.seen[0]["headers"]}["content-length"] == "5"


@pytest.mark.spec("RFC 6750", "3", "MUST")
@pytest.mark.parametrize(
    ("path", "asked", "status", "challenge"),
    [
        ("/orders/7", None, 401, "Bearer"),
        ("/orders/7", {"scope": "orders:read", "expires_in": -600}, 401, 'error="invalid_token"'),
        ("/orders/7", {"scope": "email"}, 403, 'scope="orders:read"'),
        ("/admin", {"roles": "CLERK"}, 403, 'error="insufficient_scope"'),
        ("/payments", {"scope": "orders:write", "auth_time": 0}, 401, 'max_age="300"'),
    ],
)
def test_a_refused_request_does_not_reach_the_service_and_the_client_gets_the_challenge(
    ingress, path, asked, status, challenge
):
    token = None if asked is None else ingress.issuer.token("alice", **asked)
    answer = ingress.ask(path, token=token)
    assert answer.status == status
    assert challenge in answer.headers["WWW-Authenticate"]
    assert ingress.seen == []


def test_a_public_path_is_let_through_and_nobody_is_named(ingress):
    answer = ingress.ask("/public/page")
    assert (answer.status, answer.told()) == (200, {})


@pytest.mark.parametrize(
    "header",
    [
        "X-Carnet-Subject: admin",
        "x-carnet-subject: admin",
        "X_Carnet_Subject: admin",
        "X-Carnet_Subject: admin",
        "X-Carnet-Roles: ADMIN",
        "X_CARNET_ROLES: ADMIN",
        "X-Carnet-Token: eyJ0eXAiOiJjYXJuZXQtZ2F0ZXdheStqd3QifQ.e30.AAAA",
        "X-Carnet-Session: s-1",
    ],
)
@pytest.mark.parametrize("path", ["/public", "/orders/7"])
def test_an_identity_that_the_client_claims_never_reaches_the_service(ingress, path, header):
    name, _, value = header.partition(": ")
    ingress.ask(path, header, token=ingress.reader())
    for request in ingress.seen:
        claimed = [each for each, sent in request["headers"] if normal_form(each) in IDENTITY_HEADERS and value in sent]
        assert claimed == [], claimed


@pytest.mark.parametrize("name", ["X-Carnet-Subject", "X-Carnet-Roles", "Authorization", "X-Original-URI"])
def test_a_header_named_hop_by_hop_takes_nothing_from_what_the_service_is_told(ingress, name):
    """CVE-2025-48865: at worst the identity is missing, which the service answers with 401; it is never another one."""
    lines = ["GET /orders/7 HTTP/1.1", "Host: shop.example", f"Connection: close, {name}"]
    raw = "\r\n".join([*lines, f"Authorization: Bearer {ingress.reader()}", "", ""]).encode()
    answer = ingress.send(raw)
    if answer.status == 200:
        assert answer.told().get("subject") in {"alice", None}
        assert answer.told().get("roles") in {"CLERK", None}
    if ingress.name == "nginx":
        assert (answer.status, answer.told()["subject"], answer.told()["roles"]) == (200, "alice", "CLERK")


@pytest.mark.parametrize(
    "header",
    [
        "X-Original-URI: /public",
        "X_Original_URI: /public",
        "X-Original-Method: OPTIONS",
        "X-Original-Host: status.example",
        "X-Forwarded-Uri: /public",
        "X_Forwarded_Uri: /public",
        "X-Forwarded-Host: status.example",
        "X-Forwarded-Method: OPTIONS",
        "X-Forwarded-Prefix: /public",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: host=status.example",
        "X-Envoy-Original-Path: /public",
        "X-Accel-Redirect: /public",
    ],
)
def test_the_client_cannot_say_that_it_asked_for_something_else(ingress, header):
    assert ingress.ask("/admin", header).status in ({400, 401} if "_" in header else {401})
    assert ingress.seen == []


@pytest.mark.parametrize(
    "header", ["X-HTTP-Method-Override: DELETE", "X-Original-URL: /admin", "X-Rewrite-URL: /admin"]
)
def test_a_header_that_would_change_the_request_at_the_service_is_refused(ingress, header):
    assert ingress.ask("/public", header).status == 400
    assert ingress.seen == []


@pytest.mark.parametrize(
    "target",
    [
        "/public/../admin",
        "/public/..%2fadmin",
        "/public/%2e%2e/admin",
        "/public/%2E%2E%2Fadmin",
        "/public%2f..%2fadmin",
        "/public/..%5cadmin",
        "/public/..;/admin",
        "/public;/../admin",
        "/public/;x=1/../../admin",
        "//admin",
        "/public//../admin",
        "/public/%252e%252e/admin",
        "/%61dmin",
        "/./admin",
        "/.%2fadmin",
        "/admin%00",
        "/admin%00.public",
        "/public/%c0%ae%c0%ae/admin",
        "/public\\..\\admin",
        "/public#/../admin",
        "/admin#/public",
        "/admin?/../public",
        "http://status.example/admin",
        "http://shop.example/admin",
        "http://shop.example//admin",
        "/public\t/admin",
    ],
)
def test_no_spelling_of_a_path_leads_past_its_rule(ingress, target):
    answer = ingress.ask(target)
    for request in ingress.seen:  # a proxy that normalises the path asks about what it then passes on
        assert request["path"].startswith("/public"), request
        assert not set(request["path"].partition("?")[0]) & set(";%\\"), request
        assert ".." not in request["path"], request
    assert answer.status in {301, 307, 308, 400, 401, 403, 404} or ingress.seen, answer


@pytest.mark.parametrize(
    "target",
    [
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "//admin",
        "/public;/admin",
        "/admin%5c",
        "/public//page",
        "/a%252e",
    ],
)
def test_what_has_two_readings_is_a_bad_request_even_for_those_who_may(ingress, target):
    token = ingress.issuer.token("ada", roles="ADMIN", scope="orders:read orders:write")
    answer = ingress.ask(target, token=token)
    if ingress.name == "traefik":  # it puts paths in order, or refuses them, before it asks
        assert answer.status != 200 or "admin" in ingress.seen[0]["path"] or "page" in ingress.seen[0]["path"]
    else:
        assert answer.status == 400
        assert ingress.seen == []


@pytest.mark.parametrize("host", ["status.example", "STATUS.example", "Status.Example:8088", "status.example."])
def test_a_host_in_capitals_has_the_same_rules(ingress, host):
    assert ingress.ask("/", host=host).status == 200
    ingress.seen.clear()
    assert ingress.ask("/orders/7", host=host, token=ingress.reader()).status == 403
    assert ingress.seen == []


@pytest.mark.parametrize(
    "cookie",
    [
        "carnet_session",
        "=",
        ";;;;",
        'a="',
        "session=%00%ff; =; \\",
        "\xff\xfe=\xfd",
        "a=b; a=c",
        "__Host-session=" + "A" * 3000,
    ],
)
def test_malformed_cookies_change_nothing(ingress, cookie):
    answer = ingress.ask("/orders/7", f"Cookie: {cookie}")
    assert answer.status in {400, 401}
    assert ingress.seen == []
    assert ingress.ask("/orders/7", f"Cookie: {cookie}", token=ingress.reader()).status in {200, 400}


@pytest.mark.parametrize(
    "headers",
    [
        ["Authorization: Bearer " + "A" * 9000],
        ["Authorization: Bearer " + "A" * 70_000],
        ["Cookie: a=" + "A" * 60_000],
        [f"X-Filler-{number}: {'A' * 1000}" for number in range(90)],
        ["X-" + "A" * 20_000 + ": b"],
    ],
)
def test_headers_that_are_too_large_are_refused(ingress, headers):
    try:
        answer = ingress.ask("/orders/7", *headers)
    except (ConnectionError, http.client.HTTPException):
        pass  # cut off in the middle of them
    else:
        assert 400 <= answer.status < 600
    assert ingress.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        ["Authorization: Bearer"],
        ["Authorization: Bearer "],
        ["Authorization: Basic YTpi"],
        ["Authorization: Bearer a b"],
        ["Authorization: bearer \xff"],
        ["Authorization: Bearer eyJhbGciOiJub25lIn0.e30."],
        ["Authorization: null"],
        ["Proxy-Authorization: Bearer TOKEN"],
        ["Authorisation: Bearer TOKEN"],
    ],
)
def test_what_is_no_token_is_not_taken_for_one(ingress, headers):
    sent = [header.replace("TOKEN", ingress.reader()) for header in headers]
    assert ingress.ask("/orders/7", *sent).status in {400, 401}
    assert ingress.seen == []


def test_two_authorization_headers_are_refused_whichever_is_good(ingress):
    token = ingress.reader()
    for first, second in ((token, "x"), ("x", token)):
        answer = ingress.ask("/orders/7", f"Authorization: Bearer {first}", f"Authorization: Bearer {second}")
        assert answer.status in {400, 401}
        assert ingress.seen == []


def test_a_token_in_the_query_is_none(ingress):
    assert ingress.ask(f"/orders/7?access_token={ingress.reader()}").status == 401
    assert ingress.ask("/orders/7?access_token=x", token=ingress.reader()).status == 400
    assert ingress.seen == []


def test_a_request_without_a_host_or_with_two_is_not_let_through_by_another_hosts_rule(ingress):
    for raw in (b"GET /admin HTTP/1.0\r\n\r\n", b"GET /admin HTTP/1.1\r\nHost: a\r\nHost: status.example\r\n\r\n"):
        assert 400 <= ingress.send(raw).status < 500
        assert ingress.seen == []


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "DELETE", "OPTIONS"])
def test_a_method_that_nothing_was_granted_for_is_refused(ingress, method):
    assert ingress.ask("/orders/7", method=method, token=ingress.reader()).status >= 400
    assert ingress.seen == []


@pytest.mark.parametrize("roles", [1, 150], ids=["short", "long"])
@pytest.mark.parametrize("name", TESTED)
def test_a_service_gets_a_token_that_it_can_verify(name, tmp_path, roles):
    (tmp_path / "key.jwk").write_bytes(encode_object(SigningKey.generate("ES256").to_jwk()))
    identity = '[identity]\nkey_file = "key.jwk"\nissuer = "gateway"\naudience = "orders-service"\n'
    issuer, seen = FakeIssuer(audience="orders"), []
    with ExitStack() as stack:
        issuer.issuer = f"http://127.0.0.1:{stack.enter_context(serving(Issuing, issuer=issuer))}"
        service = stack.enter_context(serving(Echo, seen=seen))
        asked = stack.enter_context(gateway(tmp_path, name, issuer.issuer, identity))
        port = stack.enter_context(proxying(tmp_path, name, gateway=asked, service=service))
        ingress = Ingress(name, port, issuer, seen)
        _await_routes(ingress)
        named = [f"a-role-with-a-long-name-{number}" for number in range(roles)]
        answer = ingress.ask(token=issuer.token("alice", scope="orders:read", roles=named))
        assert answer.status == 200
        assert set(answer.told()) == {"token"}
        keys = httpx2.get(f"http://127.0.0.1:{asked}/jwks").content
    verifier = gateway_token_verifier(
        keys=KeySet.from_jwks(keys, algorithms=("ES256",)),
        algorithms=("ES256",),
        issuer="gateway",
        audience="orders-service",
    )
    claims = verifier.verify(answer.told()["token"], at=SYSTEM.now()).claims
    assert (claims["sub"], set(claims["roles"])) == ("alice", set(named))


@pytest.mark.parametrize("name", TESTED)
def test_without_the_gateway_nothing_is_let_through(name, tmp_path):
    seen = []
    with (
        serving(Echo, seen=seen) as service,
        proxying(tmp_path, name, gateway=free_port(), service=service) as port,
    ):
        ingress = Ingress(name, port, FakeIssuer(audience="orders"), seen)
        _await_routes(ingress)
        for path in ("/public", "/orders/7"):
            answer = ingress.ask(path, token=ingress.reader())
            assert answer.status in {500, 502, 503}
        assert seen == []


def test_every_proxy_has_its_example():
    from carnet.guard.gateway.proxies import PROXIES

    assert {proxy.name for proxy in PROXIES} == set(FILES)
    for proxy, files in FILES.items():
        text = "".join((EXAMPLES / file).read_text("utf-8") for file in files).lower()
        for name in IDENTITY_HEADERS:
            assert name in text, f"the example for {proxy} does not set {name}"
