"""draft-ietf-oauth-client-id-metadata-document: clients that nobody has registered, and what they may not."""

import asyncio
import json
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace

from carnet.issuer import client_directory
from carnet.issuer.admission import AdmissionError, ClientDocuments, check
from carnet.issuer.client_directory import AT_ONCE, LEAST, LONGEST, MOST, MOST_BYTES, PER_MINUTE, USUAL, freshness
from carnet.issuer.clients import ClientError, Registered, change, remove
from carnet.issuer.config import Config
from carnet.issuer.storage.records import Client
from carnet.jose import SigningKey, base64url, sign_jwt
from carnet.oauth.client_id import ClientIdError
from carnet.oauth.client_id import check as check_client_id

pytestmark = pytest.mark.anyio

DRAFT = "draft-ietf-oauth-client-id-metadata-document"
ISSUER = "http://127.0.0.1:8080"
CLIENT_ID = "https://app.example/client.json"
CALLBACK = "https://app.example/callback"
DOCUMENT = {
    "client_id": CLIENT_ID,
    "client_name": "The App",
    "redirect_uris": [CALLBACK, "http://127.0.0.1/callback", "http://localhost:3000/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "none",
    "scope": "openid profile email offline_access files:read files:write",
}


IMPOSSIBLE = [
    {"client_id": "https://app.example/other.json"},
    {"client_id": "https://APP.example/client.json"},
    {"client_id": ...},
    {"token_endpoint_auth_method": "client_secret_basic"},
    {"token_endpoint_auth_method": "client_secret_post"},
    {"token_endpoint_auth_method": "client_secret_jwt"},
    {"token_endpoint_auth_method": "private_key_jwt"},  # without keys
    {"client_secret": "x"},
    {"client_secret_expires_at": 0},
    {"redirect_uris": []},
    {"redirect_uris": ...},
    {"redirect_uris": "https://app.example/callback"},
    {"redirect_uris": ["https://elsewhere.example/callback"]},
    {"redirect_uris": ["https://app.example:8443/callback"]},
    {"redirect_uris": ["http://app.example/callback"]},
    {"redirect_uris": ["javascript:alert(1)"]},
    {"redirect_uris": ["https://app.example/callback#x"]},
    {"id_token_signed_response_alg": "HS256"},
    {"id_token_encrypted_response_alg": "RSA-OAEP"},  # without keys
    {"grant_types": ["client_credentials"]},
    {"grant_types": "authorization_code"},
    {"response_types": ["token"]},
    {"jwks": {"keys": [SigningKey.generate("ES256").to_jwk()]}},
    {"client_name": "x" * 101},
    {"client_name#de": "x" * 101},
    {"scope": 'a"b'},
]

NO_URLS = [
    "http://app.example/client.json",
    "HTTPS://app.example/client.json",
    "https://app.example",
    "https://app.example/",
    "https://app.example/a/../client.json",
    "https://app.example/a/./client.json",
    "https://app.example/a/%2E%2e/client.json",
    "https://app.example/..",
    "https://app.example/client.json#x",
    "https://user@app.example/client.json",
    "https://user:pass@app.example/client.json",
    "https:///client.json",
    "https://*.example/client.json",
    "https://app.example/cli ent.json",
    "https://app.example/\\client.json",
    "https://app.example:99999/client.json",
    "ftp://app.example/client.json",
    "https://app.example/" + "x" * 2_000,
]


class Unread(httpx2.AsyncByteStream):
    """A body as it comes over a network."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self):
        yield self._content


@dataclass
class Web:
    """What stands at URLs, and who has asked for it."""

    pages: dict[str, httpx2.Response] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = "93.184.215.14"

    def put(self, document: Any, url: str = CLIENT_ID, *, status: int = 200, **headers: str) -> None:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.pages[url] = httpx2.Response(
            status, content=content, headers={"content-type": "application/json"} | headers
        )

    async def resolve(self, host: str, port: int) -> list[str]:
        return [self.address]

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        url = f"https://{request.headers['host']}{request.url.raw_path.decode()}"
        self.asked.append(url)
        page = self.pages.get(url)
        if page is None:
            return httpx2.Response(404, stream=Unread(b""))
        return httpx2.Response(page.status_code, headers=page.headers, stream=Unread(page.content))


@pytest.fixture
def config(tmp_path) -> Config:
    setting = ClientDocuments(
        hosts=("*",),
        scopes=("openid", "profile", "email", "offline_access", "files:read"),
        audiences=("https://files.example/mcp", "mail"),
    )
    return Config(issuer=ISSUER, data=tmp_path, client_documents=setting)


@pytest.fixture
def web(issuer, monkeypatch) -> Web:
    web = Web()
    web.put(DOCUMENT)
    monkeypatch.setattr(issuer.desk.egress, "_resolve", web.resolve)
    monkeypatch.setattr(issuer.desk.egress, "_transport", httpx2.MockTransport(web.answer))
    return web


@pytest.fixture
async def app(issuer, web):
    """An app that nobody has registered, as the other tests' apps are used."""
    kind = type(await issuer.register())
    client = Client(client_id=CLIENT_ID, client_name="The App", created_at=0, updated_at=0)
    return kind(issuer, Registered(client, None), CALLBACK)


async def allow(issuer, app, **changes):
    """Sign in, allow what the app asks for, and redeem the code."""
    await issuer.sign_in()
    page = await issuer.follow(await app.authorize(**changes))
    assert page.status_code == 200, page.text
    answer = await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
    code = app.query(await issuer.follow(answer))["code"]
    answer = await app.redeem(code, **({"redirect_uri": changes["redirect_uri"]} if "redirect_uri" in changes else {}))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def turned_away(issuer, app, **changes) -> str:
    """The page that an authorization request gets in the place of an answer."""
    answer = await app.authorize(**changes)
    assert answer.status_code == 400, answer.headers
    return answer.text


@pytest.mark.spec(DRAFT, "4", "SHOULD")
async def test_a_client_is_its_document(issuer, app, web, claims):
    tokens = await allow(
        issuer, app, scope="openid email files:read offline_access", resource="https://files.example/mcp"
    )
    said = claims(tokens["access_token"])
    assert said["client_id"] == CLIENT_ID
    assert said["aud"] == ("https://files.example/mcp", ISSUER)
    assert said["scope"] == "openid email files:read offline_access"
    refreshed = await app.refresh(tokens["refresh_token"])
    assert refreshed.status_code == 200, refreshed.text
    assert (await app.userinfo(tokens["access_token"])).json()["email"] == "ann@example.com"
    assert web.asked == [CLIENT_ID]
    kept = await issuer.desk.store.clients.get(CLIENT_ID)
    assert (kept.from_document, kept.first_party, kept.roles, kept.audiences) == (
        True, False, (), ("https://files.example/mcp", "mail"),
    )  # fmt: skip
    assert kept.scope == "openid profile email offline_access files:read"  # what is beyond the setting is left out


async def test_a_visitor_who_allows_nothing_leaves_no_trace_of_it(issuer, app):
    await issuer.sign_in()
    page = await issuer.follow(await app.authorize(resource="mail"))
    assert page.status_code == 200
    await issuer.submit("/consent", issuer.fields(page) | {"decision": "deny"})
    assert await issuer.desk.store.clients.get(CLIENT_ID) is None


@pytest.mark.spec(DRAFT, "6.4", "SHOULD")
async def test_the_page_shows_the_host_of_the_client_id_and_who_vouches_for_the_rest(issuer, app):
    await issuer.sign_in()
    text = unescape((await issuer.follow(await app.authorize(resource="mail"))).text)
    assert "<b>app.example</b> asks for access to your account" in text
    assert "It asks for access at <b>mail</b>" in text
    assert "what is certain is its address: <b>app.example</b>" in text
    assert "called <b>The App</b>" in text
    assert "a program on this very computer" not in text


@pytest.mark.spec(DRAFT, "6.4", "SHOULD")
@pytest.mark.parametrize("known", [False, True])
async def test_nobody_signs_in_for_a_name_that_a_stranger_has_chosen(issuer, app, known):
    """Whoever has allowed it something, so that the store has its document: what it calls itself proves nothing."""
    if known:
        await allow(issuer, app, resource="mail")
        issuer.http.cookies.clear()
    page = unescape((await issuer.follow(await app.authorize(resource="mail"))).text)
    assert "app.example" in page
    assert "The App" not in page


@pytest.mark.spec("MCP authorization", "Localhost Redirect URI Risks", "SHOULD")
@pytest.mark.parametrize("uri", ["http://127.0.0.1:49152/callback", "http://localhost:3000/callback"])
async def test_an_answer_that_goes_to_this_computer_is_warned_of_and_allowed_each_time(issuer, app, uri):
    await allow(issuer, app, resource="mail", redirect_uri=uri)
    answer = await app.authorize(resource="mail", redirect_uri=uri)
    text = (await issuer.follow(answer)).text
    assert "a program on this very computer" in text
    assert uri.split("/")[2] in text


@pytest.mark.spec("RFC 9700", "2.1", "MUST")
async def test_the_port_of_this_computer_is_the_app_s_to_choose_and_nothing_else(issuer, app):
    """Rule O1. Documents have `localhost` without a port: their apps take whichever is free."""
    await issuer.sign_in()
    for uri in ("http://localhost:49152/callback", "http://127.0.0.1:1/callback"):
        answer = await app.authorize(resource="mail", redirect_uri=uri)
        assert answer.headers["location"].startswith(f"{ISSUER}/consent?"), uri
    for uri in (
        "http://localhost:3000/other", "http://localhost:99999/callback", "http://localhost.evil.example/callback",
        "https://localhost:3000/callback", "http://[::1]/callback", "https://app.example:8443/callback",
    ):  # fmt: skip
        assert "not its own" in await turned_away(issuer, app, resource="mail", redirect_uri=uri), uri


async def test_what_was_allowed_at_an_https_address_is_remembered(issuer, app):
    await allow(issuer, app, resource="mail")
    assert "code" in app.query(await app.authorize(resource="mail"))


@pytest.mark.spec(DRAFT, "4.1", "MUST")
async def test_a_document_that_says_what_cannot_be_is_refused(issuer, app, web):
    for changes in IMPOSSIBLE:
        issuer.clock.advance(60)
        web.put({name: value for name, value in (DOCUMENT | changes).items() if value is not ...})
        assert "not known" in await turned_away(issuer, app, resource="mail"), changes


async def test_what_is_no_json_object_is_refused(issuer, app, web):
    for document in [
        b"",
        b"[]",
        b"{",
        b'{"client_id": "https://app.example/client.json", "client_id": "x"}',
        b"x" * 100,
        b"\xff{}",
    ]:
        web.put(document)
        await turned_away(issuer, app, resource="mail")


@pytest.mark.spec(DRAFT, "6.6", "SHOULD")
async def test_a_document_has_its_length(issuer, app, web):
    web.put(DOCUMENT | {"x": "y" * MOST_BYTES})
    await turned_away(issuer, app)
    web.put(DOCUMENT | {"x": "y" * (MOST_BYTES - 600)})
    assert (await app.authorize(resource="mail")).status_code == 303


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("text/html", False),
        ("application/x+json; charset=utf-8", True),
        ("application/json;x", True),
        ("application/jsonx", False),
    ],
)
async def test_a_document_is_served_as_json(issuer, app, web, kind, taken):
    web.put(DOCUMENT, **{"content-type": kind})
    assert (await app.authorize(resource="mail")).status_code == (303 if taken else 400)


@pytest.mark.spec(DRAFT, "4", "MUST")
async def test_any_status_but_200_is_an_error_and_no_redirect_is_followed(issuer, app, web):
    statuses = [201, 204, 301, 302, 307, 401, 404, 500]
    for status in statuses:
        web.put(DOCUMENT, status=status, location="https://app.example/elsewhere.json")
        await turned_away(issuer, app, resource="mail")
    assert web.asked == [CLIENT_ID] * len(statuses)


@pytest.mark.spec(DRAFT, "6.5", "MUST")
async def test_a_document_inside_is_never_fetched(issuer, app, web, monkeypatch):
    monkeypatch.setattr(issuer.desk.egress, "_development", False)
    for web.address in ["10.0.0.1", "169.254.169.254", "::1%lo", "fd00::1", "100.64.0.1", "0.0.0.0"]:
        await turned_away(issuer, app, resource="mail")
    assert web.asked == []


@pytest.mark.spec(DRAFT, "3", "MUST")
async def test_a_client_id_that_is_no_such_url_is_not_fetched(issuer, app, web):
    for client_id in NO_URLS:
        with pytest.raises(ClientIdError):
            check_client_id(client_id)
        assert "not known" in await turned_away(issuer, app, client_id=client_id), client_id
    assert web.asked == []


async def test_a_port_a_query_and_dots_inside_a_segment_are_no_harm(issuer, app, web):
    for client_id in (
        "https://app.example:8443/a/client.json?x=1",
        "https://app.example/.well-known/client..json",
        "https://app.example/..x/y",
    ):
        check_client_id(client_id)
        host = client_id.split("/")[2]
        web.put(DOCUMENT | {"client_id": client_id, "redirect_uris": [f"https://{host}/callback"]}, client_id)
        answer = await app.authorize(client_id=client_id, redirect_uri=f"https://{host}/callback", resource="mail")
        assert answer.status_code == 303, client_id


@pytest.mark.spec(DRAFT, "4.3", "MUST")
async def test_neither_failures_nor_refused_documents_are_kept(issuer, app, web):
    web.put(DOCUMENT, status=503)
    await turned_away(issuer, app)
    web.put({"client_id": "x"})
    await turned_away(issuer, app)
    web.put(DOCUMENT)
    assert (await app.authorize(resource="mail")).status_code == 303
    assert len(web.asked) == 3


@pytest.mark.spec(DRAFT, "4.3", "SHOULD")
@pytest.mark.parametrize(
    ("control", "seconds"),
    [
        ("max-age=600", 600),
        ("public, max-age=1200, immutable", 1200),
        ("max-age=1", LEAST),
        ("max-age=999999", LONGEST),
        ("no-store", LEAST),
        ("no-cache, max-age=3000", LEAST),
        ("", USUAL),
        ("s-max-age=5000", USUAL),
        ("max-age=x", USUAL),
    ],
)
async def test_a_document_is_kept_for_as_long_as_http_says_within_bounds(issuer, app, web, control, seconds):
    assert freshness({"cache-control": control}) == seconds
    web.put(DOCUMENT, **{"cache-control": control})
    await app.authorize(resource="mail")
    issuer.clock.advance(seconds - 1)
    await app.authorize(resource="mail")
    assert len(web.asked) == 1
    issuer.clock.advance(1)
    await app.authorize(resource="mail")
    assert len(web.asked) == 2


async def test_all_that_wait_for_one_document_share_one_fetch(issuer, app, web):
    await asyncio.gather(*(app.authorize(resource="mail") for _ in range(20)))
    assert len(web.asked) == 1


async def test_all_that_wait_for_a_document_share_its_failure_too(issuer, app, web):
    web.pages.clear()
    answers = await asyncio.gather(*(app.authorize(resource="mail") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {400}
    assert len(web.asked) == 1
    await turned_away(issuer, app, resource="mail")
    assert len(web.asked) == 2


async def test_a_host_is_asked_so_often_in_a_minute_and_no_more(issuer, app, web):
    for number in range(PER_MINUTE + 5):
        await turned_away(issuer, app, client_id=f"https://app.example/{number}.json")
    assert len(web.asked) == PER_MINUTE
    await turned_away(issuer, app)
    await turned_away(issuer, app, client_id="https://other.example/client.json")
    assert len(web.asked) == PER_MINUTE + 1
    issuer.clock.advance(60)
    assert (await app.authorize(resource="mail")).status_code == 303


async def test_made_up_client_ids_keep_nobody_out_who_has_been_here(issuer, app, web):
    """Rule O13: what strangers have the host asked for counts for no client that somebody has allowed something."""
    await allow(issuer, app, resource="mail")
    await fill(issuer, app)
    issuer.clock.advance(USUAL)
    await fill(issuer, app)
    assert (await app.authorize(resource="mail")).status_code == 303
    fetched = len(web.asked)
    web.put(DOCUMENT, status=503)
    issuer.clock.advance(LONGEST)
    for _ in range(PER_MINUTE + 5):
        await turned_away(issuer, app)
    assert len(web.asked) == fetched + PER_MINUTE, "its own requests are counted too"


async def fill(issuer, app) -> None:
    for number in range(PER_MINUTE):
        await turned_away(issuer, app, client_id=f"https://app.example/{number}.json")


async def test_made_up_client_ids_keep_nobody_from_a_document_that_was_read_before(issuer, app):
    """Rule O13: also before anybody has allowed its client anything."""
    assert (await app.authorize(resource="mail")).status_code == 303
    issuer.clock.advance(USUAL)
    await fill(issuer, app)
    await turned_away(issuer, app, client_id="https://app.example/another.json")
    assert (await app.authorize(resource="mail")).status_code == 303


async def test_a_host_that_was_away_for_a_moment_has_its_document_known_as_before(issuer, app, web):
    assert (await app.authorize(resource="mail")).status_code == 303
    issuer.clock.advance(USUAL)
    web.put(DOCUMENT, status=503)
    await turned_away(issuer, app)
    web.put(DOCUMENT)
    await fill(issuer, app)
    assert (await app.authorize(resource="mail")).status_code == 303


@pytest.mark.parametrize("known", [True, False])
async def test_hosts_that_do_not_answer_keep_nobody_waiting(issuer, app, web, monkeypatch, known):
    """Whether somebody has allowed the client something, or it is as new as theirs."""
    if known:
        await allow(issuer, app, resource="mail")
        issuer.clock.advance(USUAL)
    answering, waiting = asyncio.Event(), 0

    async def slow(host: str, port: int) -> list[str]:
        nonlocal waiting
        if host != "app.example":
            waiting += 1
            await answering.wait()
        return [web.address]

    monkeypatch.setattr(issuer.desk.egress, "_resolve", slow)
    strangers = [
        asyncio.create_task(app.authorize(client_id=f"https://host{number}.example/client.json"))
        for number in range(AT_ONCE + 5)
    ]
    while waiting < len(strangers) or sum(stranger.done() for stranger in strangers) < 5:
        await asyncio.sleep(0)
    assert [stranger.result().status_code for stranger in strangers[:5]] == [400] * 5, "the oldest made room"
    assert not any(stranger.done() for stranger in strangers[5:])
    assert (await app.authorize(resource="mail")).status_code == 303
    while sum(stranger.done() for stranger in strangers) < (5 if known else 6):
        await asyncio.sleep(0)
    answering.set()
    await asyncio.gather(*strangers)


async def test_what_is_remembered_of_documents_and_hosts_has_bounds(issuer, app, web, monkeypatch):
    monkeypatch.setattr(client_directory, "MOST", 3)
    for number in range(6):
        host = f"app{number}.example"
        client_id = f"https://{host}/client.json"
        web.put(DOCUMENT | {"client_id": client_id, "redirect_uris": [f"https://{host}/callback"]}, client_id)
        answer = await app.authorize(client_id=client_id, redirect_uri=f"https://{host}/callback", resource="mail")
        assert answer.status_code == 303
    assert MOST > 3
    directory = issuer.desk.directory
    assert (len(directory._held), len(directory._fetches)) == (3, 3)


async def test_where_the_setting_is_off_nothing_is_fetched_and_discovery_says_so(issuer, app, web, monkeypatch):
    assert issuer.desk.metadata["client_id_metadata_document_supported"] is True
    tokens = await allow(issuer, app, resource="mail", scope="openid offline_access")
    monkeypatch.setattr(issuer.desk.directory, "_config", replace(issuer.desk.config, client_documents=None))
    web.asked.clear()
    await turned_away(issuer, app)
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_client"
    assert web.asked == []


async def test_hosts_that_are_not_in_the_setting_are_not_asked(issuer, app, web, monkeypatch):
    setting = ClientDocuments(hosts=("good.example",), audiences=("mail",))
    monkeypatch.setattr(issuer.desk.directory, "_config", replace(issuer.desk.config, client_documents=setting))
    await turned_away(issuer, app)
    await turned_away(issuer, app, client_id="https://good.example.evil.example/client.json")
    assert web.asked == []
    client_id = "https://good.example/client.json"
    web.put(DOCUMENT | {"client_id": client_id, "redirect_uris": ["https://good.example/cb"]}, client_id)
    answer = await app.authorize(client_id=client_id, redirect_uri="https://good.example/cb", resource="mail")
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "hosts", [(), ("App.example",), ("https://app.example",), ("app.example/x",), ("*.example",), ("",)]
)
async def test_a_setting_without_a_usable_host_is_refused(hosts):
    with pytest.raises(AdmissionError):
        check(ClientDocuments(hosts=hosts), {}, ())


@pytest.mark.spec("RFC 9700", "4.11.2", "MUST")
async def test_nobody_is_sent_to_a_stranger_s_address_by_an_error(issuer, app):
    """Rule O5: else anybody with a web server could make a redirector of this issuer."""
    for changes in (
        {"response_type": "token"},
        {"prompt": "none"},
        {"scope": "nonsense"},
        {"request": "x", "redirect_uri": CALLBACK},
    ):
        text = await turned_away(issuer, app, **({"resource": "mail"} | changes))
        assert "location" not in text
    await issuer.sign_in()
    assert "asked for something that cannot be" in await turned_away(issuer, app, prompt="none", resource="mail")


async def test_whoever_has_allowed_the_client_before_is_sent_back_with_the_error(issuer, app):
    await allow(issuer, app, resource="mail")
    answer = await app.authorize(response_type="token")
    assert app.query(answer)["error"] == "unsupported_response_type"


@pytest.mark.spec("RFC 8707", "2", "MAY")
async def test_it_says_which_resource_a_token_is_for_or_gets_one_for_none(issuer, app, claims):
    await allow(issuer, app, resource="mail", scope="files:read")
    answer = await app.authorize(scope="files:read")
    assert app.query(answer)["error"] == "invalid_target"
    answer = await app.authorize(scope="files:read", resource="bank")
    assert app.query(answer)["error"] == "invalid_target"
    tokens = await allow(issuer, app, scope="openid")
    assert claims(tokens["access_token"])["aud"] == ISSUER


async def test_a_client_with_keys_authenticates(issuer, app, web, claims):
    key = SigningKey.generate("ES256")
    keys = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/jwks.json"}
    web.put(DOCUMENT | keys | {"pkce": "optional"})
    web.put({"keys": [key.public().to_jwk()]}, "https://app.example/jwks.json")
    await issuer.sign_in()
    page = await issuer.follow(await app.authorize(resource="mail"))
    answer = await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
    code = app.query(await issuer.follow(answer))["code"]
    assert (await app.redeem(code)).json()["error"] == "invalid_client"
    now = issuer.clock.ambient.now()
    said = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": "1"}
    proof = {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": sign_jwt(said, key, typ="client-authentication+jwt"),
    }
    answer = await app.redeem(code, **proof)
    assert answer.status_code == 200, answer.text
    assert claims(answer.json()["access_token"])["client_id"] == CLIENT_ID


async def test_a_client_gets_its_answers_signed_as_its_document_says(issuer, app, web):
    web.put(DOCUMENT | {"id_token_signed_response_alg": "RS256", "userinfo_signed_response_alg": "PS256"})
    tokens = await allow(issuer, app, scope="openid email", resource="mail")
    userinfo = await app.userinfo(tokens["access_token"])
    algorithms = [
        json.loads(base64url.decode(token.split(".")[0].encode()))["alg"]
        for token in (tokens["id_token"], userinfo.text, tokens["access_token"])
    ]
    assert algorithms == ["RS256", "PS256", "ES256"]


async def test_a_host_that_is_away_signs_nobody_out_but_lets_nobody_new_in(issuer, app, web):
    tokens = await allow(issuer, app, resource="mail", scope="openid offline_access")
    web.pages.clear()
    issuer.clock.advance(USUAL)
    answer = await app.refresh(tokens["refresh_token"])
    assert answer.status_code == 200, answer.text
    await turned_away(issuer, app, resource="mail")


async def test_while_its_host_is_away_a_client_has_no_more_than_the_settings_give_by_now(
    issuer, app, web, claims, monkeypatch
):
    tokens = await allow(issuer, app, resource="mail", scope="openid files:read offline_access")
    setting = ClientDocuments(hosts=("*",), scopes=("openid", "offline_access"), audiences=("other",))
    monkeypatch.setattr(issuer.desk.directory, "_config", replace(issuer.desk.config, client_documents=setting))
    web.pages.clear()
    issuer.clock.advance(USUAL)
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_target"
    setting = replace(setting, audiences=("mail",))
    monkeypatch.setattr(issuer.desk.directory, "_config", replace(issuer.desk.config, client_documents=setting))
    refreshed = (await app.refresh(tokens["refresh_token"])).json()
    assert claims(refreshed["access_token"])["scope"] == "openid offline_access"


@pytest.mark.spec(DRAFT, "6.3", "SHOULD")
async def test_what_a_document_takes_back_is_gone_and_what_it_adds_must_be_allowed(issuer, app, web):
    await allow(issuer, app, resource="mail", scope="openid")
    web.put(DOCUMENT | {"redirect_uris": ["https://app.example/new"], "client_name": "Renamed"})
    issuer.clock.advance(USUAL)
    await turned_away(issuer, app, resource="mail", scope="openid")
    answer = await app.authorize(redirect_uri="https://app.example/new", resource="mail", scope="openid email")
    assert "Renamed" in (await issuer.follow(answer)).text
    assert (await issuer.desk.store.clients.get(CLIENT_ID)).client_name == "The App"
    answer = await app.authorize(redirect_uri="https://app.example/new", resource="mail", scope="openid")
    assert "code" in app.query(answer)
    assert (await issuer.desk.store.clients.get(CLIENT_ID)).client_name == "Renamed"


async def test_a_client_that_was_deleted_is_refused_for_as_long_as_its_tokens_are(issuer, app):
    await allow(issuer, app, resource="mail")
    assert await remove(issuer.desk, CLIENT_ID, actor="test")
    page = await issuer.follow(await app.authorize(resource="mail"))
    answer = await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
    assert answer.status_code == 400
    issuer.clock.advance(5_000)
    assert await allow(issuer, app, resource="mail")


@pytest.mark.spec(DRAFT, "6.10", "MAY")
async def test_a_url_that_an_administrator_has_registered_is_never_fetched(issuer, app, web):
    known = await issuer.register(
        client_id=CLIENT_ID, redirect_uris=("https://app.example/registered",), token_endpoint_auth_method="none"
    )
    await issuer.sign_in()
    assert await known.code()
    assert web.asked == []


async def test_a_document_client_may_push_its_request(issuer, app):
    answer = await app.post("/par", **app.request(resource="mail"))
    assert answer.status_code == 201, answer.text
    await issuer.sign_in()
    pushed = {"client_id": CLIENT_ID, "request_uri": answer.json()["request_uri"]}
    page = await issuer.follow(await issuer.http.get("/authorize", params=pushed))
    assert "app.example" in page.text
    assert await issuer.desk.store.clients.get(CLIENT_ID) is None


async def test_an_administrator_does_not_change_what_a_document_says(issuer, app):
    await allow(issuer, app, resource="mail")
    kept = await issuer.desk.store.clients.get(CLIENT_ID)
    with pytest.raises(ClientError, match="document"):
        await change(issuer.desk, kept, replace(kept, first_party=True), actor="test")


async def test_the_account_page_names_the_host_of_whom_nobody_knows(issuer, app):
    await allow(issuer, app, resource="mail")
    assert "The App (app.example)" in (await issuer.http.get("/account")).text


async def test_of_the_addresses_that_it_names_people_are_shown_those_at_its_own_host(issuer, app, web):
    own = {"policy_uri": "https://app.example/privacy", "tos_uri": "https://elsewhere.example/terms"}
    web.put(DOCUMENT | own | {"client_uri": "javascript:alert(1)", "logo_uri": "https://app.example.evil.example/x"})
    await allow(issuer, app, resource="mail")
    kept = await issuer.desk.store.clients.get(CLIENT_ID)
    assert kept.metadata == {"policy_uri": "https://app.example/privacy"}


@pytest.mark.spec("OpenID Connect Core", "11", "MUST")
async def test_offline_access_that_it_may_not_have_is_ignored_and_costs_it_nothing(
    issuer, app, web, claims, monkeypatch
):
    """Apps add it wherever discovery has it."""
    setting = ClientDocuments(hosts=("*",), scopes=("files:read",), audiences=("mail",))
    monkeypatch.setattr(issuer.desk.directory, "_config", replace(issuer.desk.config, client_documents=setting))
    tokens = await allow(issuer, app, resource="mail", scope="files:read offline_access")
    assert claims(tokens["access_token"])["scope"] == "files:read"


async def test_what_was_allowed_at_one_resource_is_asked_again_for_another(issuer, app):
    await allow(issuer, app, resource="mail", scope="openid files:read")
    assert "code" in app.query(await app.authorize(resource="mail", scope="openid files:read"))
    other = "https://files.example/mcp"
    page = await issuer.follow(await app.authorize(resource=other, scope="openid files:read"))
    assert f"It asks for access at <b>{other}</b>" in page.text
    await allow(issuer, app, resource=other, scope="openid files:read")
    for resource in ("mail", other):
        assert "code" in app.query(await app.authorize(resource=resource, scope="openid files:read"))
