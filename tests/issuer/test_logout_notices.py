"""OpenID Connect Back-Channel Logout and Front-Channel Logout, with a relying party that listens."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from carnet.issuer.accounts import people
from carnet.issuer.clients import ClientError
from carnet.issuer.envelope import ENCS
from carnet.issuer.logout_notices import EVENT, PAUSES, tell
from carnet.jose import JoseError
from carnet.jose.encryption_keys import DecryptionKey
from carnet.jose.nested_jwt import decrypt_then_verify
from carnet.jose.profiles import LOGOUT_TOKEN
from carnet.testing.programs import PATIENCE

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
FRAME = "https://app.example/logged-out"


@dataclass
class Listener:
    """A second relying party: a small HTTP server that takes logout tokens."""

    status: int = 200
    url: str = ""
    heard: asyncio.Queue[tuple[str, str]] = field(default_factory=asyncio.Queue)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.search(r"content-length: (\d+)", head, re.IGNORECASE)[1])
        body = (await reader.readexactly(length)).decode()
        writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        self.heard.put_nowait((head, body))

    async def token(self) -> str:
        head, body = await asyncio.wait_for(self.heard.get(), 20)
        assert head.startswith("POST /logout HTTP/1.1")
        assert "application/x-www-form-urlencoded" in head.lower()
        [token] = parse_qs(body, strict_parsing=True)["logout_token"]
        return token

    @property
    def silent(self) -> bool:
        return self.heard.empty()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    listener.url = f"http://127.0.0.1:{port}/logout"
    async with server:
        yield listener


@pytest.fixture
async def app(issuer, listener):
    await issuer.sign_in()
    return await issuer.register(backchannel_logout_uri=listener.url, client_name="The App")


async def sign_out(issuer, **parameters: str):
    page = await issuer.http.get("/end_session", params=parameters)
    return await issuer.submit("/end_session", issuer.fields(page))


async def everyone_told(issuer) -> None:
    """Until nobody is due any more: the issuer's own round may be at work at the same time."""
    while await tell(issuer.desk):
        pass


async def until(condition) -> None:
    """Let the issuer go on with its own round until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0)


@pytest.mark.spec("OpenID Connect Back-Channel Logout", "2.5", "MUST")
async def test_a_client_is_told_that_the_session_has_ended(issuer, app, listener, claims):
    tokens = await app.tokens()
    session = claims(tokens["id_token"])
    await sign_out(issuer)
    token = await listener.token()
    verifier = LOGOUT_TOKEN.verifier(
        keys=await issuer.desk.keyring.key_set(),
        algorithms=("ES256",),
        issuer=ISSUER,
        audience=app.client_id,
    )
    said = verifier.verify(token, at=issuer.clock.ambient.now()).claims
    assert (said["sub"], said["sid"]) == (session["sub"], session["sid"])
    assert said["events"] == {EVENT: {}}
    assert "nonce" not in said
    assert said["exp"] - said["iat"] <= 120
    await everyone_told(issuer)
    assert listener.silent


@pytest.mark.spec("OpenID Connect Back-Channel Logout", "2.6", "MUST")
async def test_a_logout_token_is_signed_and_encrypted_as_the_clients_id_tokens_are(issuer, listener):
    await issuer.sign_in()
    key = DecryptionKey.generate("ECDH-ES", kid="mine")
    app = await issuer.register(
        backchannel_logout_uri=listener.url,
        jwks={"keys": [key.public().to_jwk()]},
        id_token_signed_response_alg="RS256",
        id_token_encrypted_response_alg="ECDH-ES",
    )
    await app.tokens()
    await sign_out(issuer)
    verifier = LOGOUT_TOKEN.verifier(
        keys=await issuer.desk.keyring.key_set(), algorithms=("RS256",), issuer=ISSUER, audience=app.client_id
    )
    said = decrypt_then_verify(
        await listener.token(), [key], enc=ENCS[:1], verifier=verifier, at=issuer.clock.ambient.now()
    )
    assert said.claims["events"] == {EVENT: {}}


async def test_a_client_without_a_key_is_told_when_it_has_one(issuer, listener):
    await issuer.sign_in()
    key = DecryptionKey.generate("ECDH-ES", kid="mine")
    app = await issuer.register(
        backchannel_logout_uri=listener.url, jwks_uri="http://127.0.0.1:1/jwks", id_token_signed_response_alg="RS256"
    )
    await app.tokens(scope="openid")
    keyless = replace(app.registered.client, id_token_encrypted_response_alg="ECDH-ES")
    await issuer.desk.store.clients.replace(app.registered.client, keyless)
    await sign_out(issuer)
    await everyone_told(issuer)
    assert listener.silent
    found = replace(keyless, jwks={"keys": [key.public().to_jwk()]}, jwks_uri=None)
    await issuer.desk.store.clients.replace(keyless, found)
    issuer.clock.advance(PAUSES[0])
    assert len((await listener.token()).split(".")) == 5


@pytest.mark.spec("OpenID Connect Back-Channel Logout", "2.4", "REQUIRED")
async def test_a_logout_token_is_no_other_token(issuer, app, listener):
    tokens = await app.tokens()
    await sign_out(issuer)
    token = await listener.token()
    assert (await app.userinfo(token)).status_code == 401
    assert (await issuer.http.get("/end_session", params={"id_token_hint": token})).status_code == 400
    with pytest.raises(JoseError):
        LOGOUT_TOKEN.verifier(
            keys=await issuer.desk.keyring.key_set(),
            algorithms=("ES256",),
            issuer=ISSUER,
            audience=app.client_id,
        ).verify(tokens["id_token"], at=issuer.clock.ambient.now())


async def everywhere(issuer):
    await people.sign_out_everywhere(issuer.desk, issuer.accounts["ann@example.com"].subject, by=people.CLI)


async def disable(issuer):
    account = await issuer.desk.store.accounts.get(issuer.accounts["ann@example.com"].subject)
    now = issuer.clock.ambient.now()
    await issuer.desk.store.accounts.replace(account, replace(account, disabled_at=now))


async def delete(issuer):
    await people.remove(issuer.desk, issuer.accounts["ann@example.com"].subject, by=people.CLI)


async def on_the_account_page(issuer):
    page = await issuer.http.get("/account")
    await issuer.submit("/account/sign-out-everywhere", issuer.fields(page))


@pytest.mark.spec("OpenID Connect Back-Channel Logout", "2.5", "MUST")
@pytest.mark.parametrize("end", [sign_out, everywhere, disable, delete, on_the_account_page])
async def test_however_the_session_ends(issuer, app, listener, claims, end):
    tokens = await app.tokens()
    await end(issuer)
    assert claims(await listener.token())["sid"] == claims(tokens["id_token"])["sid"]


async def test_each_client_of_the_session_is_told_and_no_other(issuer, app, listener, claims):
    other = await issuer.register(backchannel_logout_uri=listener.url)
    await issuer.register(backchannel_logout_uri=listener.url)
    for client in (app, other):
        await client.tokens()
    await sign_out(issuer)
    heard = {claims(await listener.token())["aud"], claims(await listener.token())["aud"]}
    assert heard == {app.client_id, other.client_id}
    await everyone_told(issuer)
    assert listener.silent


async def test_a_client_with_offline_access_learns_of_the_end_too(issuer, app, listener, claims):
    """Back-Channel Logout section 2.7: its refresh token lives on, and its own session ends."""
    tokens = await app.tokens(scope="openid offline_access")
    await sign_out(issuer)
    assert claims(await listener.token())["sid"] == claims(tokens["id_token"])["sid"]
    assert (await app.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_client_is_told_of_every_name_that_it_has_heard_of_the_session(issuer, app, listener, claims):
    first = await app.tokens()
    page = await app.authorize(prompt="login")
    await issuer.enter(page)
    second = (await app.refresh(first["refresh_token"])).json()
    assert listener.silent
    names = {claims(tokens["id_token"])["sid"] for tokens in (first, second)}
    assert len(names) == 2
    await sign_out(issuer)
    assert {claims(await listener.token())["sid"] for _ in names} == names


@pytest.mark.spec("OpenID Connect Back-Channel Logout", "2.5", "SHOULD")
async def test_a_client_that_does_not_answer_is_told_again(issuer, app, listener, claims):
    await app.tokens()
    listener.status = 503
    await sign_out(issuer)
    first = claims(await listener.token())
    await everyone_told(issuer)
    assert listener.silent
    issuer.clock.advance(PAUSES[0])
    listener.status = 204
    second = claims(await listener.token())
    assert second["sid"] == first["sid"]
    assert second["jti"] != first["jti"]

    async def noted() -> bool:
        return not await issuer.desk.store.participants.of(first["sid"])

    await until(noted)
    issuer.clock.advance(sum(PAUSES))
    await everyone_told(issuer)
    assert listener.silent


async def test_a_client_that_never_answers_is_given_up(issuer, app, listener):
    await app.tokens()
    listener.status = 400
    await sign_out(issuer)
    for pause in PAUSES:
        await listener.token()
        issuer.clock.advance(pause)
    await listener.token()

    async def given_up() -> bool:
        return "logout.not_told" in await issuer.events()

    await until(given_up)
    issuer.clock.advance(100_000)
    await everyone_told(issuer)
    assert listener.silent


async def test_signing_out_does_not_wait_for_a_client_that_hangs(issuer, app, monkeypatch):
    monkeypatch.setattr("carnet.issuer.egress.SECONDS", 3)
    hung, left = asyncio.Event(), asyncio.Event()

    async def hang(reader, writer):
        hung.set()
        await reader.read()
        writer.close()
        left.set()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    slow = await issuer.register(backchannel_logout_uri=url)
    await slow.tokens()
    assert (await sign_out(issuer)).status_code == 200
    await asyncio.wait_for(hung.wait(), PATIENCE)
    await asyncio.wait_for(left.wait(), PATIENCE)  # it has had its three seconds
    server.close()


async def test_a_client_that_wants_to_know_nothing_is_not_remembered(issuer):
    await issuer.sign_in()
    app = await issuer.register()
    await app.tokens()
    [session] = await issuer.desk.store.sessions.of(issuer.accounts["ann@example.com"].subject, at=0)
    assert await issuer.desk.store.participants.of(session.sid) == []


@pytest.mark.spec("OpenID Connect Front-Channel Logout", "3", "MUST")
async def test_the_page_after_a_sign_out_shows_the_clients_pages_in_frames(issuer, claims):
    await issuer.sign_in()
    app = await issuer.register(frontchannel_logout_uri=FRAME, client_name="The App")
    other = await issuer.register(
        redirect_uris=("https://other.example/cb",), frontchannel_logout_uri="https://other.example/out?x=1"
    )
    sid = claims((await app.tokens())["id_token"])["sid"]
    await other.tokens()
    page = await sign_out(issuer)
    assert page.status_code == 200
    frames = {unescape(source) for source in re.findall(r'<iframe[^>]* src="([^"]+)"', page.text)}
    assert len(frames) == 2
    for frame in frames:
        given = parse_qs(urlsplit(frame).query, strict_parsing=True)
        assert (given["iss"], given["sid"]) == ([ISSUER], [sid])
    assert any(frame.startswith("https://other.example/out?x=1&") for frame in frames)
    policy = page.headers["content-security-policy"]
    assert "frame-src https:;" in policy
    assert "frame-ancestors 'none'" in policy


async def test_with_frames_the_browser_goes_on_when_they_have_had_their_time(issuer):
    await issuer.sign_in()
    afterwards = "https://app.example/bye"
    app = await issuer.register(
        frontchannel_logout_uri=FRAME, post_logout_redirect_uris=(afterwards,), client_name="The App"
    )
    hint = (await app.tokens())["id_token"]
    given = {"id_token_hint": hint, "post_logout_redirect_uri": afterwards, "state": "a&b"}
    page = await issuer.http.get("/end_session", params=given)
    assert page.status_code == 200
    assert '<meta http-equiv="refresh" content="3;url=https://app.example/bye?state=a%26b">' in page.text
    assert 'href="https://app.example/bye?state=a%26b"' in page.text
    assert "<iframe" in page.text
    again = await issuer.http.get("/end_session", params=given)
    assert again.headers["location"] == "https://app.example/bye?state=a%26b"


async def test_without_frames_no_frame_is_allowed(issuer):
    await issuer.sign_in()
    page = await sign_out(issuer)
    assert "frame-src" not in page.headers["content-security-policy"]


@pytest.mark.spec("OpenID Connect Front-Channel Logout", "2", "MUST")
@pytest.mark.parametrize(
    "metadata",
    [
        {"frontchannel_logout_uri": "https://other.example/logged-out"},
        {"frontchannel_logout_uri": "http://app.example/logged-out"},
        {"frontchannel_logout_uri": "https://app.example:8443/logged-out"},
        {"frontchannel_logout_uri": "javascript:alert(1)"},
        {"frontchannel_logout_uri": f"{FRAME}#x"},
        {"frontchannel_logout_uri": "https://[x"},
        {"frontchannel_logout_uri": FRAME, "redirect_uris": ("https://[x",)},
        {"backchannel_logout_uri": "https://[x"},
        {"backchannel_logout_uri": "http://app.example/logout"},
        {"backchannel_logout_uri": "https://app.example/logout#x"},
        {"backchannel_logout_uri": "file:///etc/passwd"},
        {"backchannel_logout_uri": "https://user@app.example/"},
    ],
    ids=str,
)
async def test_a_uri_that_is_not_right_is_not_registered(issuer, metadata):
    with pytest.raises(ClientError):
        await issuer.register(**metadata)


@pytest.mark.spec("OpenID Connect Back-Channel Logout", "2.1", "OPTIONAL")
async def test_discovery_says_so(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    for channel in ("back", "front"):
        assert document[f"{channel}channel_logout_supported"] is True
        assert document[f"{channel}channel_logout_session_supported"] is True
