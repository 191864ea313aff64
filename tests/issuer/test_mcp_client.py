"""Model Context Protocol, "Authorization": the official SDK's client and server, with `carnet serve` between them, over TCP."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
import pytest
import uvicorn
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from carnet.guard import Resource, require
from carnet.guard.mcp import Guard
from carnet.testing.http_browser import HttpBrowser
from carnet.testing.ports import free_port
from carnet.testing.running import RunningIssuer, running_issuer

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

EMAIL, PASSWORD = "ann@example.com", "ochre lantern under tidal glass"
CALLBACK = "http://127.0.0.1/callback"


@dataclass
class Publisher:
    """An app's web server: what it says of itself at its client_id."""

    client_id: str = ""
    asked: int = 0


@pytest.fixture
def publisher(certificate_for, monkeypatch) -> Iterator[Publisher]:
    publisher = Publisher()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.asked += 1
            body = msgspec.json.encode(
                {
                    "client_id": publisher.client_id,
                    "client_name": "Desk",
                    "redirect_uris": [CALLBACK],
                    "grant_types": ["authorization_code", "refresh_token"],
                    "token_endpoint_auth_method": "none",
                }
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the tests' output is for their failures."""

    chain = certificate_for("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, chain.with_name("key.pem"))
    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    publisher.client_id = f"https://127.0.0.1:{server.server_port}/desk.json"
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def files() -> str:
    """The URL of an MCP server that is about to run."""
    return f"http://127.0.0.1:{free_port()}/mcp"


@pytest.fixture
def issuer(tmp_path, publisher, files) -> Iterator[RunningIssuer]:
    host = urlsplit(publisher.client_id).netloc
    (tmp_path / "carnet.toml").write_text(
        f'[client_documents]\nhosts = ["{host}"]\n'
        'scopes = ["openid", "offline_access", "files:read", "files:write"]\n'
        f'audiences = ["{files}", "https://other.example/mcp"]\n'
    )
    with running_issuer(tmp_path / "data", options=("--config", str(tmp_path / "carnet.toml"))) as issuer:
        issuer.command("user", "create", EMAIL, "--name", "Ann", "--password-stdin", given=PASSWORD)
        yield issuer


@pytest.fixture
async def running(issuer, files) -> AsyncIterator[None]:
    """The MCP server, guarded as docs/how-to/protect-an-mcp-server.md says."""
    server = MCPServer("Files")

    @server.tool()
    def read_file(name: str) -> str:
        return f"what stands in {name}"

    @server.tool()
    def write_file(name: str, text: str) -> str:
        return f"{len(text)} characters are in {name}"

    guard = Guard(
        issuer=issuer.url, audience=files, resource=Resource(name="Files", scopes=["files:read", "files:write"])
    )
    app = guard.protect(
        server.streamable_http_app(),
        require(scope="files:read"),
        tools={"write_file": require(scope="files:write")},
    )
    config = uvicorn.Config(app, port=urlsplit(files).port, log_level="error", ws="none")
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run)
    thread.start()
    while not served.started:
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        served.should_exit = True
        await asyncio.to_thread(thread.join)


@dataclass
class Person:
    """Somebody at a browser, and what the app remembers between two starts."""

    browser: HttpBrowser
    asked: list[dict[str, str]] = field(default_factory=list)
    """The parameters of the authorization requests."""
    pages: list[str] = field(default_factory=list)
    """The consent pages."""
    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    def visit(self, url: str) -> None:
        self.asked.append(dict(parse_qsl(urlsplit(url).query)))
        self.browser.open(url)
        if any("/login" in form.action for form in self.browser.forms):
            self.browser.submit(to="/login", email=EMAIL, password=PASSWORD)
        self.pages.append(self.browser.page.text)
        self.browser.submit(to="/consent", decision="allow")

    async def redirect(self, url: str) -> None:
        await asyncio.to_thread(self.visit, url)

    async def callback(self) -> AuthorizationCodeResult:
        assert self.browser.stopped_at is not None, self.browser.page.text
        return AuthorizationCodeResult(**dict(parse_qsl(urlsplit(self.browser.stopped_at).query)))

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client: OAuthClientInformationFull) -> None:
        self.client = client


@pytest.mark.spec("MCP authorization", "Client ID Metadata Documents", "SHOULD")
@pytest.mark.spec("MCP authorization", "Scope Challenge Handling", "SHOULD")
async def test_the_sdk_s_client_finds_the_issuer_is_let_in_by_its_document_and_steps_up(
    publisher, files, issuer, running
):
    with HttpBrowser(stop=lambda url: url.startswith(CALLBACK)) as browser:
        person = Person(browser)
        auth = OAuthClientProvider(
            server_url=files,
            client_metadata=OAuthClientMetadata(client_name="Desk", redirect_uris=[CALLBACK]),
            storage=person,
            redirect_handler=person.redirect,
            callback_handler=person.callback,
            client_metadata_url=publisher.client_id,
        )
        async with (
            httpx2.AsyncClient(auth=auth, timeout=20, trust_env=False) as http,
            Client(streamable_http_client(files, http_client=http)) as client,
        ):
            assert {tool.name for tool in (await client.list_tools()).tools} == {"read_file", "write_file"}
            read = await client.call_tool("read_file", {"name": "a"})
            assert read.content[0].text == "what stands in a"
            assert len(person.asked) == 1
            written = await client.call_tool("write_file", {"name": "a", "text": "abc"})
            assert written.content[0].text == "3 characters are in a"
        first, second = person.asked
        assert (first["client_id"], first["resource"]) == (publisher.client_id, files)
        assert set(first["scope"].split()) == {"files:read", "offline_access"}
        assert set(second["scope"].split()) == {"files:read", "files:write", "offline_access"}
        assert urlsplit(publisher.client_id).netloc in person.pages[0]
        assert "a program on this very computer" in person.pages[0]
        assert publisher.asked == 1
        assert person.tokens is not None
        assert person.tokens.refresh_token
