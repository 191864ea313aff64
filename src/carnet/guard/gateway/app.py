"""RFC 6750, rule A3 (fail-open): answers a proxy's question. 2xx for an explicit allow alone; whatever goes wrong refuses."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.asgi import Receive, Scope, Send, refuse
from carnet.guard.certificate_source import trusted
from carnet.guard.challenge import Answer, answer
from carnet.guard.checkpoint import Checkpoint, log
from carnet.guard.gateway import identity
from carnet.guard.gateway.config import GatewayConfig
from carnet.guard.gateway.original_request import told_by
from carnet.guard.gateway.proxies import CHECK
from carnet.guard.gateway.rules import Rule
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused, RefusedRequestError, unready
from carnet.jose import KeySet
from carnet.jose.strict_json import encode_object

_log = logging.getLogger("carnet.gateway")

_STATUS: Final = "x-carnet-status"
"""The answer's status once more: nginx makes 500 of all but 401 and 403, and can look here for what was meant."""


class Gateway:
    """An ASGI application: `/check` (and below it, for Envoy), `/jwks`, `/health/live`, `/health/ready`."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport` replaces the network in tests."""
        self._config = config
        self._ambient = ambient
        self._proxy = config.asking
        self._networks = config.networks
        self._claims = config.claims
        self._rules = config.policy()
        self._key = config.signing_key()
        self.checkpoint = Checkpoint(ambient=ambient, transport=transport, **config.guard_settings())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every ASGI server's entry."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await _send(await self._answer(scope), send)
        else:
            await refuse(RefusedRequestError(_stranger("A WebSocket asks.")), scope, receive, send)

    async def _answer(self, scope: Scope) -> Answer:
        target: bytes = scope.get("raw_path") or scope["path"].encode()
        path = target.decode("latin-1").partition("?")[0]
        try:
            if path == CHECK or (self._proxy.target is None and path.startswith(f"{CHECK}/")):
                return await self._check(scope, target)
        except RefusedRequestError as error:
            return _refusal(error.refused)
        except Exception as error:  # noqa: BLE001 - CVE-2026-25748: whatever fails must not let anybody through
            place = traceback.extract_tb(error.__traceback__)[-1]
            why = f"The decision raised {type(error).__name__} in {place.name}, line {place.lineno}."
            refused = unready(why, retry_after=1, code="decision_failed")
            log(refused)
            return _refusal(refused)
        return self._other(path)

    async def _check(self, scope: Scope, target: bytes) -> Answer:
        peer = (scope.get("client") or ("",))[0]
        try:
            self._refuse_strangers(peer)
            query: bytes = scope.get("query_string", b"")
            asked = told_by(
                self._proxy,
                method=scope["method"],
                target=target.partition(b"?")[0] + (b"?" + query if query else b""),
                headers=scope["headers"],
                claims=self._claims,
            )
            rule = self._rules.find(asked)
        except RefusedRequestError as error:
            log(error.refused)
            raise
        if rule.requirement is None:
            return _allowed(identity.anonymous())
        try:
            principal = await self.checkpoint.admit(
                asked.authorizations,
                rule.requirement,
                query=asked.query,
                possession=asked.possession(
                    self._config.origin, partial(self.checkpoint.certificates.passed, scope["headers"])
                ),
            )
        except RefusedRequestError as error:
            _log.info("%s %s on %s: %s by %s", asked.method, asked.sent_path, asked.host, error.refused.code, rule.name)
            raise
        return _allowed(self._said_of(principal, rule))

    def _refuse_strangers(self, peer: str) -> None:
        if not trusted(peer, self._networks):
            raise RefusedRequestError(_stranger(f"{peer or 'Somebody'} asks, who is in no trusted network."))

    def _said_of(self, principal: Principal, rule: Rule) -> dict[str, str]:
        settings = self._config.identity
        if settings is None or self._key is None:
            return identity.described(principal)
        audience = rule.audience or settings.audience or ""
        return identity.vouched(
            principal, issuer=settings.issuer, audience=audience, key=self._key, ambient=self._ambient
        )

    def _other(self, path: str) -> Answer:
        if path == "/jwks":
            keys = KeySet([] if self._key is None else [self._key.public()])
            headers = (("content-type", "application/jwk-set+json"), ("cache-control", "public, max-age=300"))
            return Answer(200, headers, encode_object(keys.to_jwks()))
        if path == "/health/live":
            return _plain(200)
        if path == "/health/ready":
            return _plain(200 if self.checkpoint.ready else 503)
        return _plain(404)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The keys are fetched, and the feed followed, from the start to the end of the server."""
        steps: dict[str, Callable[[], Awaitable[None]]] = {"startup": self._start, "shutdown": self.checkpoint.stop}
        for step, act in steps.items():
            await receive()
            await act()
            await send({"type": f"lifespan.{step}.complete"})

    async def _start(self) -> None:
        self.checkpoint.start()


def _allowed(headers: dict[str, str]) -> Answer:
    return Answer(200, (("cache-control", "no-store"), (_STATUS, "200"), *headers.items()), b"")


def _refusal(refused: Refused) -> Answer:
    made = answer(refused)
    return Answer(made.status, (*made.headers, (_STATUS, str(made.status))), made.body)


def _plain(status: int) -> Answer:
    return Answer(status, (("cache-control", "no-store"),), b"")


def _stranger(why: str) -> Refused:
    return Refused(403, "proxy_untrusted", "insufficient_scope", "The access token does not allow this.", why=why)


async def _send(made: Answer, send: Send) -> None:
    headers: Iterable[tuple[str, str]] = made.headers
    if "content-length" not in dict(made.headers):
        headers = (*made.headers, ("content-length", str(len(made.body))))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": made.status, "headers": encoded})
    await send({"type": "http.response.body", "body": made.body})
