"""RFC 8705 section 3: services that receive tokens which are bound to the certificate of their callers."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.certificates import Shown, certificate

from carnet.guard import Checkpoint, RefusedRequestError, asgi, wsgi
from carnet.guard.certificate_source import CertificateSource
from carnet.jose import SigningKey, sign_jwt
from carnet.oauth.dpop import token_hash
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio

SHOWN, OTHER = certificate("CN=front-end"), certificate("CN=front-end")
BOUND = {"x5t#S256": SHOWN.thumbprint}
PROXY, STRANGER = "10.0.0.7", "203.0.113.9"
PASSED = {"SSL-Client-Cert": SHOWN.escaped}
KEY = SigningKey.generate("ES256")


class Service:
    """A service behind a guard, over ASGI or WSGI, and what reaches it."""

    def __init__(self, kind: str, issuer: FakeIssuer, clock: Clock, **settings: Any) -> None:
        settings |= {"issuer": issuer.issuer, "audience": "orders", "ambient": clock.ambient}
        self.kind, self.issuer, self.clock, self.made = kind, issuer, clock, 0
        self.guard: Any = (asgi if kind == "asgi" else wsgi).Guard(**settings, transport=issuer.transport)

    async def get(
        self,
        *,
        token: str | None = None,
        shown: Shown | None = None,
        peer: str = STRANGER,
        headers: Any = (),
        scheme: str = "Bearer",
    ) -> httpx2.Response:
        """A request; `shown` is what the server says of its handshake, `peer` who makes it."""
        token = self.issuer.token(cnf=BOUND) if token is None else token
        sent = [*dict(headers).items()] if isinstance(headers, dict) else [*headers]
        request = httpx2.Request(
            "GET", "http://service.test/orders", headers=[("authorization", f"{scheme} {token}"), *sent]
        )
        if self.kind == "asgi":
            return await self._over_asgi(request, shown, peer)
        return self._over_wsgi(request, shown, peer)

    async def _over_asgi(self, request: httpx2.Request, shown: Shown | None, peer: str) -> httpx2.Response:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": asgi.principal_in(scope).subject.encode()})

        protected = self.guard.protect(application)

        async def server(scope: Any, receive: Any, send: Any) -> None:
            chain = [] if shown is None else [shown.pem.decode()]
            await protected(scope | {"extensions": {"tls": {"client_cert_chain": chain}}}, receive, send)

        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(server, client=(peer, 1))) as http:
            return await http.send(request)

    def _over_wsgi(self, request: httpx2.Request, shown: Shown | None, peer: str) -> httpx2.Response:
        """What comes twice is joined, as servers do it."""

        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return [wsgi.principal_in(environ).subject.encode()]

        protected = self.guard.protect(application)

        def server(environ: Any, start_response: Any) -> Any:
            given = {} if shown is None else {"SSL_CLIENT_CERT": shown.pem.decode()}
            return protected(environ | given | {"REMOTE_ADDR": peer}, start_response)

        joined = {name: request.headers[name] for name in request.headers}
        answer = httpx2.WSGITransport(server).handle_request(httpx2.Request("GET", request.url, headers=joined))
        return httpx2.Response(answer.status_code, headers=answer.headers, content=b"".join(answer.stream))

    def proof(self, token: str) -> str:
        self.made += 1
        claims = {"jti": f"{self.made}", "htm": "GET", "htu": "http://service.test/orders", "iat": self.clock.now()}
        return sign_jwt(
            claims | {"ath": token_hash(token)}, KEY, typ="dpop+jwt", headers={"jwk": KEY.public().to_jwk()}
        )

    async def stop(self) -> None:
        stopped = self.guard.checkpoint.stop()
        if self.kind == "asgi":
            await stopped


@pytest.fixture(params=["asgi", "wsgi"])
async def direct(request: pytest.FixtureRequest, issuer: FakeIssuer, clock: Clock) -> AsyncIterator[Service]:
    """A service whose own server has the handshakes."""
    service = Service(request.param, issuer, clock)
    yield service
    await service.stop()


@pytest.fixture(params=["asgi", "wsgi"])
async def behind(request: pytest.FixtureRequest, issuer: FakeIssuer, clock: Clock) -> AsyncIterator[Service]:
    """A service behind a proxy that passes certificates."""
    settings = {"client_certificate_header": "nginx", "trusted_proxies": ("10.0.0.0/24",)}
    service = Service(request.param, issuer, clock, **settings)
    yield service
    await service.stop()


def refused(answer: httpx2.Response, code: str, log: pytest.LogCaptureFixture) -> bool:
    logged = [record.carnet_code for record in log.records if hasattr(record, "carnet_code")]
    log.clear()
    challenge = answer.headers["www-authenticate"]
    return (answer.status_code, logged) == (401, [code]) and 'error="invalid_token"' in challenge


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "carnet.guard")


@pytest.mark.spec("RFC 8705", "3", "MUST")
async def test_a_token_is_let_through_with_the_certificate_that_it_is_bound_to(direct: Service, caplog: Any) -> None:
    answer = await direct.get(shown=SHOWN)
    assert (answer.status_code, answer.text) == (200, "alice")
    assert refused(await direct.get(shown=OTHER), "other_certificate", caplog)
    missing = "certificate_missing" if direct.kind == "asgi" else "unprovable"
    assert refused(await direct.get(), missing, caplog)


async def test_a_bearer_token_needs_no_certificate_and_may_come_with_one(direct: Service) -> None:
    for shown in (None, SHOWN):
        assert (await direct.get(token=direct.issuer.token(), shown=shown)).status_code == 200


async def test_without_the_setting_no_header_is_believed(direct: Service, caplog: Any) -> None:
    missing = "certificate_missing" if direct.kind == "asgi" else "unprovable"
    for peer in (PROXY, STRANGER, "127.0.0.1"):
        assert refused(await direct.get(headers=PASSED, peer=peer), missing, caplog)
    assert refused(await direct.get(headers=PASSED, shown=OTHER), "other_certificate", caplog)


async def test_a_trusted_proxys_header_is_believed_and_nobody_elses(behind: Service, caplog: Any) -> None:
    assert (await behind.get(headers=PASSED, peer=PROXY)).status_code == 200
    assert (await behind.get(headers=PASSED, peer=f"::ffff:{PROXY}")).status_code == 200
    missing = "certificate_missing" if behind.kind == "asgi" else "unprovable"
    for peer in (STRANGER, "10.0.1.7", "unix", ""):
        assert refused(await behind.get(headers=PASSED, peer=peer), missing, caplog)
    forwarded = {"X-Forwarded-For": PROXY, "Forwarded": f"for={PROXY}"}
    assert refused(await behind.get(headers=PASSED | forwarded, peer=STRANGER), missing, caplog)


async def test_the_proxys_own_handshake_is_not_its_clients(behind: Service, caplog: Any) -> None:
    assert refused(await behind.get(shown=SHOWN, peer=PROXY), "certificate_missing", caplog)
    assert (await behind.get(shown=OTHER, headers=PASSED, peer=PROXY)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("SSL-Client-Cert", SHOWN.escaped), ("SSL-Client-Cert", SHOWN.escaped)],
        [("SSL-Client-Cert", SHOWN.escaped), ("SSL-Client-Cert", OTHER.escaped)],
        [("SSL-Client-Cert", SHOWN.escaped + OTHER.escaped)],
        [("SSL-Client-Cert", "garbage")],
        [("SSL-Client-Cert", SHOWN.escaped + "%20" * 6_000)],
    ],
    ids=["the same twice", "two", "two in one", "garbage", "oversized"],
)
async def test_what_is_not_one_certificate_is_refused(behind: Service, headers: Any, caplog: Any) -> None:
    assert refused(await behind.get(headers=headers, peer=PROXY), "certificate_unreadable", caplog)
    assert (await behind.get(token=behind.issuer.token(), headers=headers, peer=PROXY)).status_code == 200


@pytest.mark.parametrize(
    "cnf", [{"x5t#S256": 1}, {"x5t#S256": ""}, {**BOUND, "jkt": "x"}, {**BOUND, "x5u": "x"}, {"x5u": "x"}]
)
async def test_a_token_that_is_bound_to_more_than_is_proved_is_refused(direct: Service, cnf: Any) -> None:
    answer = await direct.get(token=direct.issuer.token(cnf=cnf), shown=SHOWN)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


async def test_a_token_that_is_bound_to_a_key_and_a_certificate_needs_both(direct: Service, caplog: Any) -> None:
    token = direct.issuer.token(cnf=BOUND | {"jkt": KEY.public().thumbprint()})

    async def asked(**given: Any) -> httpx2.Response:
        return await direct.get(token=token, scheme="DPoP", headers={"DPoP": direct.proof(token)}, **given)

    assert (await asked(shown=SHOWN)).status_code == 200
    assert refused(await asked(shown=OTHER), "other_certificate", caplog)
    assert refused(await asked(), "certificate_missing", caplog)
    assert refused(await direct.get(token=token, shown=SHOWN), "bound_token", caplog)


async def test_a_guard_that_does_not_learn_of_handshakes_refuses_bound_tokens(issuer: FakeIssuer, clock: Clock) -> None:
    checkpoint = Checkpoint(issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport)
    with pytest.raises(RefusedRequestError) as refusal:
        await checkpoint.admit([f"Bearer {issuer.token(cnf=BOUND)}".encode()])
    assert refusal.value.refused.code == "unprovable"
    await checkpoint.stop()


def test_a_header_needs_the_networks_that_it_is_believed_from() -> None:
    for networks in ((), ("0.0.0.0/0",), ("::/0",), ("example",)):
        with pytest.raises(ValueError):
            CertificateSource("nginx", networks)
