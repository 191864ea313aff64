"""RFC 6750, RFC 8705 for gRPC: interceptors for servers of asyncio and of threads; the token is in the metadata `authorization`.

guard = Guard(issuer="https://id.example", audience="orders", methods={"/orders.Orders/Cancel": require(role="ADMIN")})
server = grpc.aio.server(interceptors=[guard])

async def Cancel(self, request, context):
    principal = guard.principal()
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import isasyncgenfunction, iscoroutinefunction
from types import MappingProxyType
from typing import Any, Final, TypeAlias, Unpack

import grpc
import grpc.aio
import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.bearer import needs_proof
from carnet.guard.challenge import answer
from carnet.guard.checkpoint import BlockingCheckpoint, Checkpoint, Settings, log
from carnet.guard.possession import Possession
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused, RefusedRequestError, invalid_token
from carnet.guard.requirement import ANY_PRINCIPAL, Requirement

Methods: TypeAlias = Mapping[str, Requirement | None]
"""What methods ask for, by their full names, such as `/orders.Orders/Read`. Those that are not named ask for a valid token;
None lets everybody in, for a health check."""

_NO_METHODS: Final[Methods] = MappingProxyType({})
_STATUS: Final = {403: grpc.StatusCode.PERMISSION_DENIED, 503: grpc.StatusCode.UNAVAILABLE}
_SHAPES: Final = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
_principal: ContextVar[Principal] = ContextVar("carnet.principal")


class _Guarding:
    """What both interceptors offer to the methods of a service."""

    _methods: Methods

    def _asked_by(self, method: str) -> Requirement | None:
        return self._methods.get(method, ANY_PRINCIPAL)

    def principal(self) -> Principal:
        """Whom the call that is under way speaks for.

        Raises:
            LookupError: no guard has admitted it: the method asks for nothing.
        """
        return _principal.get()


class Guard(_Guarding, grpc.aio.ServerInterceptor):
    """For `grpc.aio.server`."""

    def __init__(
        self,
        *,
        methods: Methods = _NO_METHODS,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        """`settings` are those of `carnet.guard.checkpoint.Settings`."""
        self._methods = methods
        self.checkpoint = Checkpoint(ambient=ambient, transport=transport, **settings)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Called by the server for each call."""
        requirement = self._asked_by(handler_call_details.method)
        if requirement is None:
            return await continuation(handler_call_details)
        authorizations = _authorizations(handler_call_details.invocation_metadata)
        try:
            await self._admit(authorizations, requirement, _handshake_to_come)
        except RefusedRequestError as error:
            return _refusing(await continuation(handler_call_details), error.refused)
        except _HandshakeToComeError:
            return self._proving(await continuation(handler_call_details), authorizations, requirement)
        return self._holding(await continuation(handler_call_details), authorizations, requirement)

    async def _admit(
        self, authorizations: list[bytes], requirement: Requirement, certificate: Callable[[], bytes | None]
    ) -> None:
        possession = _possession(authorizations, certificate)
        _principal.set(await self.checkpoint.admit(authorizations, requirement, possession=possession))

    def _proving(self, handler: Any, authorizations: list[bytes], requirement: Requirement) -> Any:
        """RFC 8705 section 3: a token that is bound to a certificate is held against it once the call is there to ask.

        A method that is no coroutine is called in a thread, where nobody can ask: its caller is refused.
        """
        if handler is None:
            return None
        method, held = _method_of(handler), _method_of(self._holding(handler, authorizations, requirement))
        if not (iscoroutinefunction(method) or isasyncgenfunction(method)):
            refused = invalid_token(
                "unprovable", "The token is bound to a certificate, and the method is no coroutine."
            )
            log(refused)
            return _refusing(handler, refused)

        async def admitted(context: grpc.aio.ServicerContext[Any, Any]) -> None:
            try:
                await self._admit(authorizations, requirement, lambda: _shown(context))
            except RefusedRequestError as error:
                await context.abort(*_told(error.refused))

        async def answers(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            await admitted(context)
            return await held(request, context)

        async def streams(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            await admitted(context)
            async for message in held(request, context):
                yield message

        return _like(handler, streams if isasyncgenfunction(method) else answers)

    def _holding(self, handler: Any, authorizations: list[bytes], requirement: Requirement) -> Any:
        """A method that yields its answers: each is sent only if the call would still be let in."""
        if handler is None or requirement.long_answers == "finish" or not isasyncgenfunction(_method_of(handler)):
            return handler
        method = _method_of(handler)

        async def streams(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            async for message in method(request, context):
                try:
                    await self.checkpoint.readmit(authorizations, requirement)
                except RefusedRequestError as error:
                    await context.abort(*_told(error.refused))
                yield message

        return _like(handler, streams)


class BlockingGuard(_Guarding, grpc.ServerInterceptor):
    """For `grpc.server`."""

    def __init__(
        self,
        *,
        methods: Methods = _NO_METHODS,
        ambient: Ambient = SYSTEM,
        transport: httpx2.BaseTransport | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        """`settings` are those of `carnet.guard.checkpoint.Settings`."""
        self._methods = methods
        self.checkpoint = BlockingCheckpoint(ambient=ambient, transport=transport, **settings)

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Called by the server for each call, in the thread that all calls come in by: so the waiting is left to the method's."""
        handler = continuation(handler_call_details)
        requirement = self._asked_by(handler_call_details.method)
        if handler is None or requirement is None:
            return handler
        method = _method_of(handler)

        def answers(request: Any, context: grpc.ServicerContext) -> Any:
            with self._admitted(context, requirement):
                return method(request, context)

        def streams(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._admitted(context, requirement):
                for message in method(request, context):
                    if requirement.long_answers == "cut":
                        self._readmit(context, requirement)
                    yield message

        return _like(handler, streams if handler.response_streaming else answers)

    @contextmanager
    def _admitted(self, context: grpc.ServicerContext, requirement: Requirement) -> Iterator[None]:
        with _aborting(context):
            authorizations = _authorizations(context.invocation_metadata())
            possession = _possession(authorizations, lambda: _shown(context))
            principal = self.checkpoint.admit(authorizations, requirement, possession=possession)
        token = _principal.set(principal)
        try:
            yield
        finally:
            _principal.reset(token)

    def _readmit(self, context: grpc.ServicerContext, requirement: Requirement) -> None:
        with _aborting(context):
            self.checkpoint.readmit(_authorizations(context.invocation_metadata()), requirement)


@contextmanager
def _aborting(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except RefusedRequestError as error:
        code, details, metadata = _told(error.refused)
        context.set_trailing_metadata(metadata)
        context.abort(code, details)


class _HandshakeToComeError(Exception):
    """The token is bound to a certificate, and the call that could say which one was shown is not there yet."""


def _handshake_to_come() -> bytes | None:
    raise _HandshakeToComeError


def _shown(context: Any) -> bytes | None:
    """The certificate, in PEM, that the caller has shown in the handshake; None: it has shown none."""
    return next(iter(context.auth_context().get("x509_pem_cert", ())), None)


def _possession(authorizations: list[bytes], certificate: Callable[[], bytes | None]) -> Possession | None:
    """What a call proves: nothing for a DPoP proof to name, which knows of HTTP alone; and the certificate."""
    if needs_proof(authorizations):
        return None
    return Possession(method="POST", url="", proofs=(), certificate=certificate)


def _authorizations(metadata: Any) -> list[bytes]:
    values = [value for name, value in metadata or () if name == "authorization"]
    return [value.encode("latin-1", "replace") if isinstance(value, str) else value for value in values]


def _told(refused: Refused) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    """What the caller learns: a status, a sentence, and the challenge as trailing metadata."""
    told = tuple(pair for pair in answer(refused).headers if pair[0] in {"www-authenticate", "retry-after"})
    return _STATUS.get(refused.status, grpc.StatusCode.UNAUTHENTICATED), refused.description, told


def _refusing(handler: Any, refused: Refused) -> Any:
    """A method of the same shape that only refuses; None for a method that the service does not have."""
    code, details, metadata = _told(refused)

    async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(code, details, metadata)

    return None if handler is None else _like(handler, refuse)


def _method_of(handler: Any) -> Callable[..., Any]:
    methods: tuple[Callable[..., Any] | None, ...] = (
        handler.unary_unary,
        handler.unary_stream,
        handler.stream_unary,
        handler.stream_stream,
    )
    return next(method for method in methods if method is not None)


def _like(handler: Any, method: Callable[..., Any]) -> Any:
    make: Any = _SHAPES[handler.request_streaming, handler.response_streaming]
    return make(method, handler.request_deserializer, handler.response_serializer)
