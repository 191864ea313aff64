"""RFC 6750, RFC 9728 for any ASGI application: nothing is let through without an access token."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, Unpack
from urllib.parse import quote

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard import held_socket
from carnet.guard.bearer import needs_proof
from carnet.guard.challenge import answer
from carnet.guard.checkpoint import Checkpoint, Settings
from carnet.guard.held_answer import LongAnswers, hold
from carnet.guard.held_socket import HeldSocket
from carnet.guard.possession import Possession
from carnet.guard.principal import Principal
from carnet.guard.refusal import RefusedRequestError
from carnet.guard.requirement import ANY_PRINCIPAL, Requirement
from carnet.guard.resource import HEADERS
from carnet.oauth.mtls import handshake_certificates

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = held_socket.Receive
Send: TypeAlias = held_socket.Send
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY_VIOLATION = held_socket.POLICY_VIOLATION

_PRINCIPAL = "carnet.principal"
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Guard:
    """Guards any ASGI application, over HTTP and WebSocket; the adapters of frameworks build on it."""

    def __init__(
        self,
        *,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        """`settings` are those of `carnet.guard.checkpoint.Settings`."""
        self.checkpoint = Checkpoint(ambient=ambient, transport=transport, **settings)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Fetch the keys and follow the revocation feed while the application runs: pass it as `lifespan`, or use it in yours.

        The application need not wait for the first keys; until they are there, requests are answered with 503. If `app` is one
        of Starlette's or FastAPI's, its long answers are held from then on (`carnet.guard.held_answer`).
        """
        self.checkpoint.start()
        stack = getattr(app, "middleware_stack", None)
        if app is not None and stack is not None and not isinstance(stack, LongAnswers):
            app.middleware_stack = LongAnswers(stack)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            await self.checkpoint.stop()

    async def admit(self, scope: Scope, requirement: Requirement = ANY_PRINCIPAL) -> Principal:
        """Admit an HTTP request or a WebSocket's handshake, and note the principal in its scope.

        Raises:
            RefusedRequestError: it may not pass, and why.
        """
        authorizations = _authorizations(scope)
        possession = self._possession(scope) if self._proves(scope, authorizations) else None
        principal = await self.checkpoint.admit(
            authorizations, requirement, query=scope.get("query_string", b""), possession=possession
        )
        scope[_PRINCIPAL] = principal
        if scope["type"] == "http" and requirement.long_answers == "cut":
            hold(scope, lambda: self.checkpoint.readmit(authorizations, requirement))
        return principal

    def held(self, scope: Scope, receive: Receive, send: Send, requirement: Requirement) -> HeldSocket:
        """An admitted WebSocket, which ends when its token expires or is taken back."""
        authorizations = _authorizations(scope)
        return HeldSocket(receive, send, lambda: self.checkpoint.readmit(authorizations, requirement))

    def _proves(self, scope: Scope, authorizations: Sequence[bytes]) -> bool:
        """Whether what the request proves is worth gathering."""
        by_handshake = "tls" in (scope.get("extensions") or {})
        return by_handshake or self.checkpoint.certificates.speaks(_peer(scope)) or needs_proof(authorizations)

    def _possession(self, scope: Scope) -> Possession:
        """What a DPoP proof names, the request's method (a WebSocket begins with a GET) and its URL; and the certificate."""
        headers = scope["headers"]
        host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
        scheme = _SCHEMES.get(scope.get("scheme", "http"), "http")
        path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0].decode("latin-1")
        return Possession(
            method=scope.get("method", "GET"),
            url=f"{self.checkpoint.origin or f'{scheme}://{host}'}{path}",
            proofs=tuple(value for name, value in headers if name == b"dpop"),
            certificate=lambda: self._certificate(scope),
        )

    def _certificate(self, scope: Scope) -> bytes | None:
        """Where a trusted proxy asks, what it has passed; else what the caller has shown to the server itself."""
        if self.checkpoint.certificates.speaks(_peer(scope)):
            return self.checkpoint.certificates.passed(scope["headers"])
        return next(iter(handshake_certificates(scope)), None)

    def protect(self, app: App, requirement: Requirement = ANY_PRINCIPAL) -> App:
        """An application that lets nothing through to `app` that does not meet the requirement."""

        async def protected(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                async with self.lifespan():
                    await app(scope, receive, send)
                return
            if self.publishes(scope):
                await self.publish(scope, receive, send)
                return
            try:
                await self.admit(scope, requirement)
            except RefusedRequestError as error:
                await refuse(error, scope, receive, send)
                return
            if scope["type"] == "websocket":
                socket = self.held(scope, receive, send, requirement)
                receive, send = socket.receive, socket.send
            await app(scope, receive, send)

        return LongAnswers(protected)

    def publishes(self, scope: Scope) -> bool:
        """Whether a request is for what the service publishes of itself (RFC 9728 section 3)."""
        published = self.checkpoint.published
        return (
            published is not None
            and scope["type"] == "http"
            and scope["path"] == published.path
            and scope["method"] in {"GET", "HEAD"}
        )

    async def publish(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what the service publishes of itself: an ASGI application for the path `checkpoint.published.path`.

        Raises:
            LookupError: the guard has no setting `resource`.
        """
        published = self.checkpoint.published
        if published is None:
            raise LookupError("The guard publishes nothing: give it the setting resource.")
        headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": published.document if scope["method"] == "GET" else b""})


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _authorizations(scope: Scope) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == b"authorization"]


def principal_in(scope: Mapping[str, Any]) -> Principal:
    """Whom an admitted request speaks for.

    Raises:
        LookupError: no guard has admitted it: the route has no requirement.
    """
    principal: Principal | None = scope.get(_PRINCIPAL)
    if principal is None:
        raise LookupError("No guard has admitted this request: put a requirement on its route.")
    return principal


def answerable(scope: Mapping[str, Any]) -> bool:
    """Whether an HTTP answer can be given; a WebSocket can only be closed where the server does not offer more."""
    return scope["type"] == "http" or "websocket.http.response" in (scope.get("extensions") or {})


async def refuse(error: RefusedRequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a refused request; a WebSocket is refused before it is accepted."""
    if scope["type"] == "websocket":
        await receive()
    if not answerable(scope):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": error.refused.error or ""})
        return
    kind = "http" if scope["type"] == "http" else "websocket.http"
    refusal = answer(error.refused)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers]
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": refusal.body})
