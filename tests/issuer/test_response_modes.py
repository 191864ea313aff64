"""Form Post Response Mode, JARM: the ways in which an answer comes back to its client."""

import re
from html import unescape
from urllib.parse import parse_qsl

import pytest

from carnet.issuer.response_modes.jwt import LIFETIME
from carnet.jose import JoseError, JwtVerifier, KeySet

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register()


def form(app, page) -> dict[str, str]:
    """The fields of the form that goes to the app."""
    assert page.status_code == 200
    [action] = re.findall(r'<form method="post" action="([^"]*)">', page.text)
    assert unescape(action) == app.redirect_uri
    return app.issuer.fields(page)


async def opened(app, response: str) -> dict:
    """What a signed answer says, verified as clients do it."""
    keys = KeySet.from_jwks((await app.issuer.direct.get("/jwks")).content, algorithms=("ES256",))
    verifier = JwtVerifier(
        keys=keys, algorithms=("ES256",), issuer=ISSUER, audience=app.client_id, typ="JWT", required=("exp",)
    )
    return dict(verifier.verify(response, at=app.issuer.clock.now()).claims)


@pytest.mark.spec("OAuth 2.0 Form Post Response Mode", "2", "MUST")
async def test_the_answer_comes_in_a_form(app):
    page = await app.authorize(response_mode="form_post")
    got = form(app, page)
    assert set(got) == {"code", "state", "iss"}
    assert (got["state"], got["iss"]) == ("a state", ISSUER)
    assert (await app.redeem(got["code"])).status_code == 200


async def test_the_form_is_sent_by_one_script_and_to_one_place(app):
    page = await app.authorize(response_mode="form_post")
    policy = page.headers["content-security-policy"]
    assert "form-action https:;" in policy
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    from base64 import b64encode
    from hashlib import sha256

    [script] = re.findall(r"<script>(.*?)</script>", page.text)
    assert b64encode(sha256(script.encode()).digest()).decode() in policy


@pytest.mark.parametrize("state", ['"><script>alert(1)</script>', "'", "&amp;", "<!--", "ä", " "])
async def test_nothing_of_the_request_becomes_markup(app, state):
    page = await app.authorize(response_mode="form_post", state=state)
    assert form(app, page)["state"] == state
    assert page.text.count("<script>") == 1


async def test_errors_come_in_a_form_too(app):
    got = form(app, await app.authorize(response_mode="form_post", scope="openid admin"))
    assert (got["error"], got["state"], got["iss"]) == ("invalid_scope", "a state", ISSUER)
    assert "code" not in got


async def test_the_mode_outlives_a_sign_in_on_the_way(issuer):
    await issuer.person()
    app = await issuer.register()
    page = await issuer.follow(await issuer.enter(await app.authorize(response_mode="form_post")))
    assert "code" in form(app, page)


async def test_a_refusal_on_the_consent_page_keeps_the_mode(issuer):
    await issuer.sign_in()
    app = await issuer.register(first_party=False)
    page = await issuer.follow(await app.authorize(response_mode="form_post"))
    answer = await issuer.submit("/consent", issuer.fields(page) | {"decision": "deny"})
    assert form(app, answer)["error"] == "access_denied"


def fragment(app, answer) -> dict[str, str]:
    """The parameters behind the `#` of the URL that a redirect goes to."""
    there, _, parameters = answer.headers["location"].partition("#")
    assert (answer.status_code, there) == (303, app.redirect_uri)
    return dict(parse_qsl(parameters, strict_parsing=True))


@pytest.mark.spec("OAuth 2.0 Multiple Response Type Encoding Practices", "2.1", "MUST")
async def test_the_answer_comes_in_the_fragment(app):
    got = fragment(app, await app.authorize(response_mode="fragment"))
    assert set(got) == {"code", "state", "iss"}
    assert (got["state"], got["iss"]) == ("a state", ISSUER)
    assert (await app.redeem(got["code"])).status_code == 200


async def test_errors_come_in_the_fragment_too(app):
    got = fragment(app, await app.authorize(response_mode="fragment", scope="openid admin"))
    assert (got["error"], got["state"], got["iss"]) == ("invalid_scope", "a state", ISSUER)


async def test_the_query_of_the_redirect_uri_stays_before_the_fragment(issuer):
    await issuer.sign_in()
    app = await issuer.register(redirect_uris=("https://app.example/callback?a=b",))
    assert "code" in fragment(app, await app.authorize(response_mode="fragment"))


@pytest.mark.spec("JWT Secured Authorization Response Mode", "2.3.2", "MUST")
async def test_a_signed_answer_comes_in_the_fragment_too(app):
    got = fragment(app, await app.authorize(response_mode="fragment.jwt"))
    assert set(got) == {"response"}
    assert "code" in await opened(app, got["response"])


@pytest.mark.spec("JWT Secured Authorization Response Mode", "2.1", "MUST")
@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
async def test_the_answer_comes_signed(app, mode):
    answer = await app.authorize(response_mode=mode)
    assert set(app.query(answer)) == {"response"}
    said = await opened(app, app.query(answer)["response"])
    assert set(said) == {"code", "state", "iss", "aud", "exp"}
    assert said["state"] == "a state"
    assert said["exp"] == app.issuer.clock.now() + LIFETIME
    assert (await app.redeem(said["code"])).status_code == 200


async def test_a_signed_answer_comes_in_a_form_too(app):
    got = form(app, await app.authorize(response_mode="form_post.jwt"))
    assert set(got) == {"response"}
    assert "code" in await opened(app, got["response"])


@pytest.mark.spec("JWT Secured Authorization Response Mode", "2.1", "MUST")
async def test_errors_come_signed(app):
    answer = await app.authorize(response_mode="jwt", scope="openid admin")
    said = await opened(app, app.query(answer)["response"])
    assert (said["error"], said["state"]) == ("invalid_scope", "a state")


async def test_a_signed_answer_is_its_clients_alone_and_of_now(app):
    other = await app.issuer.register()
    response = app.query(await app.authorize(response_mode="jwt"))["response"]
    with pytest.raises(JoseError):
        await opened(other, response)
    app.issuer.clock.advance(LIFETIME)
    with pytest.raises(JoseError):
        await opened(app, response)


async def test_a_signed_answer_is_no_token(app):
    response = app.query(await app.authorize(response_mode="jwt"))["response"]
    assert (await app.userinfo(response)).status_code == 401
    assert app.query(await app.authorize(id_token_hint=response))["error"] == "invalid_request"


@pytest.mark.parametrize("mode", ["web_message", "#", "Fragment", "QUERY", "query.JWT", "."])
async def test_another_mode_is_refused(app, mode):
    assert app.query(await app.authorize(response_mode=mode))["error"] == "invalid_request"


async def test_discovery_says_so(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert document["response_modes_supported"] == [
        "query",
        "form_post",
        "fragment",
        "query.jwt",
        "form_post.jwt",
        "fragment.jwt",
        "jwt",
    ]
    assert document["authorization_signing_alg_values_supported"][0] == "ES256"
