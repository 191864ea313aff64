"""Model Context Protocol, "Authorization": a guard for MCP servers, which asks more of some tools than of others.

guard = Guard(issuer="https://id.example", audience="https://files.example/mcp", resource=Resource(scopes=["files:read"]))
app = guard.protect(server.streamable_http_app(), require(scope="files:read"), tools={"write_file": require(scope="files:write")})

A client that has never heard of the server learns from its 401 where it gets a token, and from its 403 which scope a tool needs
besides ("Scope Challenge Handling"). Tools are named in the body of a request, so it is read before the server gets it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from carnet.guard import asgi
from carnet.guard.refusal import Refused, RefusedRequestError
from carnet.guard.requirement import ANY_PRINCIPAL, Requirement

MOST_BYTES = 4 * 1024 * 1024
"""Of a request's body."""


class Guard(asgi.Guard):
    """Guards an MCP server that is an ASGI application, with the transport "Streamable HTTP"."""

    def protect(
        self,
        app: asgi.App,
        requirement: Requirement = ANY_PRINCIPAL,
        *,
        tools: Mapping[str, Requirement] | None = None,
    ) -> asgi.App:
        """An application that lets nothing through to `app` that does not meet the requirement, and in calls of tools theirs too.

        A tool's `when_stale` has no say: what is done about a stale feed is the whole server's business.
        """
        asked = dict(tools or {})

        async def called(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
            if scope["type"] != "http" or scope["method"] != "POST":
                await app(scope, receive, send)
                return
            principal = asgi.principal_in(scope)
            try:
                body = await _body(receive)
                for tool in _tools(body):
                    if tool in asked:
                        self.checkpoint.permit(principal, asked[tool], after=requirement)
            except RefusedRequestError as error:
                await asgi.refuse(error, scope, receive, send)
                return
            await app(scope, _again(body, receive), send)

        return super().protect(called if asked else app, requirement)


async def _body(receive: asgi.Receive) -> bytes:
    """All of it.

    Raises:
        RefusedRequestError: it is too long, or its sender has gone.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedRequestError(_unread("The request ended before its body did."))
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise RefusedRequestError(_unread(f"The body has more than {MOST_BYTES} bytes."))
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: asgi.Receive) -> asgi.Receive:
    """The body once more, and then whatever comes after it."""
    given = False

    async def replay() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _tools(body: bytes) -> Iterator[str]:
    """The tools that the messages of a body call.

    What could be read in two ways is refused: else the server might read of another tool than its guard.

    Raises:
        RefusedRequestError: it is not JSON, or names a member twice.
    """
    try:
        read = json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise RefusedRequestError(_unread(f"The body is not JSON: {type(error).__name__}.")) from None
    for message in read if isinstance(read, list) else [read]:
        if isinstance(message, dict) and message.get("method") == "tools/call":
            params = message.get("params")
            name = params.get("name") if isinstance(params, dict) else None
            if not isinstance(name, str):
                raise RefusedRequestError(_unread("A call names no tool."))
            yield name


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members


def _unread(why: str) -> Refused:
    return Refused(
        400, "unreadable_message", "invalid_request", "Send one JSON-RPC message, in which no member stands twice.", why
    )
