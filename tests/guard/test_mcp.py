"""Model Context Protocol, "Authorization", and RFC 9728: what an MCP server tells clients that have never heard of it."""

import json
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import httpx2
import pytest
from fastapi import FastAPI
from litestar import Litestar
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from carnet.guard import MetadataError, Resource, asgi, mcp, require, wsgi
from carnet.guard import fastapi as fastapi_guard
from carnet.guard import litestar as litestar_guard
from carnet.guard import starlette as starlette_guard
from carnet.guard.mcp import MOST_BYTES
from carnet.guard.starlette import published
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio

FILES = "https://files.example/mcp"
METADATA = "https://files.example/.well-known/oauth-protected-resource/mcp"
RESOURCE = Resource(name="Files", scopes=("files:read", "files:write"), documentation="https://files.example/docs")
TOOLS = {"write_file": require(scope="files:write"), "format_disk": require(role="ADMIN")}


@pytest.fixture
def issuer(clock: Clock) -> FakeIssuer:
    return FakeIssuer("https://issuer.test", audience=FILES, ambient=clock.ambient)


async def server(scope: Any, receive: Any, send: Any) -> None:
    """An MCP server that answers what it was sent."""
    body = await Request(scope, receive).body()
    await JSONResponse({"path": scope["path"], "sent": body.decode("latin-1")})(scope, receive, send)


@pytest.fixture
async def client(issuer, clock):
    guard = mcp.Guard(
        issuer=issuer.issuer, audience=FILES, resource=RESOURCE, ambient=clock.ambient, transport=issuer.transport
    )
    app = guard.protect(server, require(scope="files:read"), tools=TOOLS)
    transport = httpx2.ASGITransport(app)
    async with (
        guard.lifespan(),
        httpx2.AsyncClient(transport=transport, base_url="https://files.example") as client,
    ):
        yield client


@pytest.fixture
def token(issuer) -> Callable[..., str]:
    return lambda scope="files:read", **claims: issuer.token(scope=scope, **claims)


async def call(client, token: str, message: Any, **headers: str):
    content = message if isinstance(message, bytes) else json.dumps(message).encode()
    return await client.post("/mcp", content=content, headers={"Authorization": f"Bearer {token}"} | headers)


def calling(tool: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {"name": "a"}}}


def parameters(answer) -> dict[str, str]:
    scheme, _, rest = answer.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(part.split("=", 1) for part in rest.replace('"', "").split(", "))


@pytest.mark.spec("RFC 9728", "3.2", "MUST")
@pytest.mark.spec("MCP authorization", "Authorization Server Location", "MUST")
async def test_the_server_says_who_gives_tokens_for_it(client):
    answer = await client.get("/.well-known/oauth-protected-resource/mcp")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    document = answer.json()
    assert document.pop("dpop_signing_alg_values_supported")
    assert document == {
        "resource": FILES,
        "authorization_servers": ["https://issuer.test"],
        "scopes_supported": ["files:read", "files:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Files",
        "resource_documentation": "https://files.example/docs",
    }
    head = await client.head("/.well-known/oauth-protected-resource/mcp")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.spec("RFC 9728", "5.1", "MAY")
@pytest.mark.spec("MCP authorization", "Protected Resource Metadata Discovery Requirements", "MUST")
async def test_a_401_says_where_that_stands_and_which_scope_is_needed(client):
    answer = await client.post("/mcp", json={})
    assert answer.status_code == 401
    assert parameters(answer) == {"scope": "files:read", "resource_metadata": METADATA}
    answer = await call(client, "e30.e30.e30", {})
    assert answer.status_code == 401
    assert parameters(answer) | {"error_description": ""} == {
        "error": "invalid_token", "error_description": "", "scope": "files:read", "resource_metadata": METADATA,
    }  # fmt: skip


@pytest.mark.spec("MCP authorization", "Token Audience Binding and Validation", "MUST")
async def test_a_token_for_another_server_is_refused(client, issuer):
    token = issuer.token(scope="files:read", audience="https://other.example/mcp")
    assert (await call(client, token, {})).status_code == 401


@pytest.mark.spec("MCP authorization", "Runtime Insufficient Scope Errors", "SHOULD")
async def test_a_403_names_all_the_scope_that_the_call_needs(client, token):
    answer = await call(client, token(), calling("write_file"))
    assert answer.status_code == 403
    said = parameters(answer)
    assert (said["error"], said["scope"]) == ("insufficient_scope", "files:read files:write")
    assert said["resource_metadata"] == METADATA
    allowed = await call(client, token("files:read files:write"), calling("write_file"))
    assert json.loads(allowed.json()["sent"]) == calling("write_file")


async def test_what_no_scope_can_mend_asks_for_none(client, token):
    answer = await call(client, token(), calling("format_disk"))
    assert answer.status_code == 403
    assert "scope" not in parameters(answer)


@pytest.mark.parametrize(
    "message",
    [
        calling("read_file"),
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "result": {"method": "tools/call", "params": {"name": "write_file"}}},
        [],
        "tools/call",
    ],
)
async def test_other_messages_pass_with_what_the_server_asks_for(client, token, message):
    answer = await call(client, token(), message)
    assert json.loads(answer.json()["sent"]) == message


@pytest.mark.parametrize(
    "message",
    [
        b'{"method": "tools/list", "method": "tools/call", "params": {"name": "write_file"}}',
        b'{"method": "tools/call", "params": {"name": "read_file", "name": "write_file"}}',
        b'{"method": "tools/call", "params": {"name": "read_file"}, "params": {"name": "write_file"}}',
        b'{"method": "tools/call"}',
        b'{"method": "tools/call", "params": []}',
        b'{"method": "tools/call", "params": {"name": 1}}',
        b'\xef\xbb\xbf{"method": "tools/call", "params": {"name": "write_file"}}',
        '{"method": "tools/call", "params": {"name": "write_file"}}'.encode("utf-16"),
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff",
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(client, token, message):
    """Rule A3: else the server might read of another tool than its guard."""
    answer = await call(client, token(), message)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_batch_is_let_in_if_each_of_its_calls_is(client, token):
    assert (await call(client, token(), [calling("read_file"), calling("write_file")])).status_code == 403
    assert (await call(client, token(), [calling("read_file"), calling("read_file")])).status_code == 200


async def test_a_body_has_its_length(client, token):
    answer = await call(client, token(), b'"' + b"x" * MOST_BYTES + b'"')
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await call(client, token(), b'"' + b"x" * (MOST_BYTES - 2) + b'"')).status_code == 200


async def test_streams_and_their_ends_pass_unread(client, token):
    headers = {"Authorization": f"Bearer {token()}"}
    assert (await client.get("/mcp", headers=headers)).json() == {"path": "/mcp", "sent": ""}
    assert (await client.delete("/mcp", headers=headers)).json() == {"path": "/mcp", "sent": ""}
    assert (await client.get("/mcp")).status_code == 401


async def test_a_tool_s_refusal_is_challenged_in_the_scheme_of_a_bound_token(issuer, clock):
    guard = mcp.Guard(
        issuer=issuer.issuer, audience=FILES, resource=RESOURCE, ambient=clock.ambient, transport=issuer.transport
    )
    async with guard.lifespan():
        await guard.checkpoint.source.load()
        bound = guard.checkpoint.verifier.verify(
            issuer.token(scope="files:read", cnf={"jkt": "x" * 43}),
            at=clock.now(),
            keys=guard.checkpoint.source.held(),
        )
        with pytest.raises(asgi.RefusedRequestError) as caught:
            guard.checkpoint.permit(bound, TOOLS["write_file"])
    assert caught.value.refused.scheme == "DPoP"


@pytest.mark.parametrize(
    ("audience", "path"),
    [
        ("https://files.example/mcp", "/.well-known/oauth-protected-resource/mcp"),
        ("https://files.example/a/mcp/", "/.well-known/oauth-protected-resource/a/mcp"),
        ("https://files.example", "/.well-known/oauth-protected-resource"),
        ("http://127.0.0.1:9000/mcp", "/.well-known/oauth-protected-resource/mcp"),
    ],
)
async def test_the_well_known_part_is_inserted_before_the_path(issuer, audience, path):
    guard = asgi.Guard(issuer=issuer.issuer, audience=audience, resource=Resource())
    assert guard.checkpoint.published.path == path


@pytest.mark.parametrize(
    "audience", ["files", "http://files.example/mcp", "https://files.example/mcp?x=1", "https://files.example/#x"]
)
async def test_a_resource_is_named_by_its_url(issuer, audience):
    with pytest.raises(MetadataError):
        asgi.Guard(issuer=issuer.issuer, audience=audience, resource=Resource())


async def test_all_issuers_are_named_and_challenge_alike(issuer, clock):
    other = FakeIssuer("https://other.test", audience="files", ambient=clock.ambient)
    guard = asgi.Guard(
        issuer=issuer.issuer,
        audience=FILES,
        resource=RESOURCE,
        also=[{"issuer": other.issuer, "audience": "files"}],
        ambient=clock.ambient,
        transport=httpx2.MockTransport(
            lambda request: (other if request.url.host == "other.test" else issuer).answer(request)
        ),
    )
    assert json.loads(guard.checkpoint.published.document)["authorization_servers"] == [issuer.issuer, other.issuer]
    app = guard.protect(server, require(scope="files:read"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://files.example") as client:
        answer = await call(client, other.token(scope="files:write"), {})
    assert answer.status_code == 403
    assert parameters(answer)["resource_metadata"] == METADATA
    await guard.checkpoint.stop()


async def test_frameworks_publish_by_a_route(issuer, clock):
    settings = {"issuer": issuer.issuer, "audience": FILES, "resource": RESOURCE, "ambient": clock.ambient}
    starlette = starlette_guard.Guard(transport=issuer.transport, **settings)
    fastapi = fastapi_guard.Guard(transport=issuer.transport, **settings)
    plugin = litestar_guard.Guard(transport=issuer.transport, **settings)
    for app in (
        Starlette(routes=[published(starlette)]),
        FastAPI(routes=[published(fastapi)]),
        Litestar(plugins=[plugin]),
    ):
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://files.example") as client:
            answer = await client.get("/.well-known/oauth-protected-resource/mcp")
        assert answer.json()["resource"] == FILES
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "public, max-age=300"


def test_django_publishes_by_an_entry_of_its_urls(issuer, clock):
    settings = pytest.importorskip("django.conf").settings
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"])
    from django.test import RequestFactory

    from carnet.guard.django import Guard

    guard = Guard(issuer=issuer.issuer, audience=FILES, resource=RESOURCE, ambient=clock.ambient)
    entry = guard.published()
    found = entry.resolve(".well-known/oauth-protected-resource/mcp")
    answer = found.func(RequestFactory().get("/"))
    assert json.loads(answer.content)["resource"] == FILES
    with pytest.raises(LookupError, match="resource"):
        Guard(issuer=issuer.issuer, audience="files").published()


async def test_a_guard_that_publishes_nothing_has_no_route(issuer):
    guard = starlette_guard.Guard(issuer=issuer.issuer, audience="files")
    with pytest.raises(LookupError, match="resource"):
        published(guard)
    with pytest.raises(LookupError, match="resource"):
        await guard.publish({"method": "GET"}, None, None)


def test_a_wsgi_application_publishes_too(issuer, clock):
    guard = wsgi.Guard(issuer=issuer.issuer, audience=FILES, resource=RESOURCE, ambient=clock.ambient)
    app = guard.protect(lambda environ, start_response: [])
    environ: dict[str, Any] = {"PATH_INFO": "/.well-known/oauth-protected-resource/mcp"}
    setup_testing_defaults(environ)
    started: list[Any] = []
    [body] = app(environ, lambda *answer: started.append(answer))
    assert started[0][0] == "200 OK"
    assert json.loads(body)["resource"] == FILES
