"""Fetch, "CORS protocol": which scripts may read an answer."""

import pytest

pytestmark = pytest.mark.anyio

HOME = "https://app.example"
ELSEWHERE = "https://evil.example"


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.public()


def readable(answer) -> str | None:
    assert "access-control-allow-credentials" not in answer.headers
    return answer.headers.get("access-control-allow-origin")


async def ask(issuer, app, origin: str, path: str = "/token", **parameters: str):
    given = {"client_id": app.client_id} | parameters
    return await issuer.direct.post(path, data=given, headers={"Origin": origin})


async def test_an_apps_own_scripts_read_its_tokens_and_its_errors(issuer, app):
    code = await app.code()
    redeem = {"grant_type": "authorization_code", "code": code, "code_verifier": app.verifier}
    assert readable(await ask(issuer, app, HOME, **redeem)) == HOME
    failed = await ask(issuer, app, HOME, **redeem)
    assert (failed.status_code, readable(failed)) == (400, HOME)
    assert failed.headers["access-control-expose-headers"] == "WWW-Authenticate, DPoP-Nonce"
    assert "origin" in failed.headers["vary"].lower()


@pytest.mark.parametrize(
    "origin", [ELSEWHERE, "null", "http://app.example", "https://app.example:8443", "https://app.example.evil.example"]
)
async def test_no_other_scripts_do(issuer, app, origin):
    assert readable(await ask(issuer, app, origin, grant_type="refresh_token", refresh_token="x")) is None


async def test_nobodys_scripts_read_the_answer_to_a_client_that_is_not_known(issuer):
    answer = await issuer.direct.post("/token", data={"client_id": "nobody"}, headers={"Origin": HOME})
    assert readable(answer) is None


async def test_userinfo_is_read_by_the_scripts_of_the_tokens_own_client(issuer, app):
    token = (await app.tokens())["access_token"]
    assert readable(await app.userinfo(token, Origin=HOME)) == HOME
    assert readable(await app.userinfo(token, Origin=ELSEWHERE)) is None


@pytest.mark.spec("RFC 6750", "3", "MUST")
@pytest.mark.parametrize("authorization", [None, "Bearer expired", "DPoP expired"])
async def test_a_script_learns_that_its_token_is_not_good_any_more(issuer, authorization):
    headers = {"Origin": HOME} | ({} if authorization is None else {"Authorization": authorization})
    answer = await issuer.direct.get("/userinfo", headers=headers)
    assert (answer.status_code, readable(answer)) == (401, HOME)
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


async def test_an_app_revokes_its_tokens_from_a_script(issuer, app):
    assert readable(await ask(issuer, app, HOME, "/revoke", token="x")) == HOME


async def test_introspection_is_for_no_script(issuer):
    service = await issuer.register()
    answer = await issuer.direct.post("/introspect", data={"token": "x"}, auth=service.auth, headers={"Origin": HOME})
    assert (answer.status_code, readable(answer)) == (200, None)
    assert (await issuer.direct.options("/introspect")).status_code == 405


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
async def test_what_is_public_is_read_by_everybody(issuer, path):
    assert readable(await issuer.direct.get(path, headers={"Origin": ELSEWHERE})) == "*"


@pytest.mark.parametrize("path", ["/token", "/userinfo", "/revoke"])
async def test_a_preflight_lets_an_authorization_header_come(issuer, path):
    asked = {"Origin": HOME, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = await issuer.direct.options(path, headers=asked)
    assert answer.status_code == 204
    assert readable(answer) == HOME
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", ["/authorize", "/consent", "/login", "/end_session", "/account"])
async def test_pages_are_read_by_no_script_of_another_origin(issuer, path):
    answer = await issuer.http.get(path, headers={"Origin": HOME})
    assert readable(answer) is None
    assert (await issuer.http.options(path)).status_code == 405
