"""RFC 6749 sections 3.1 and 4.1, RFC 9700 section 4.1, RFC 9207: what may be asked, and where the answer goes."""

from urllib.parse import urlencode

import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(audiences=("https://api.example/", "orders"))


def page(answer, code: str, status: int = 400) -> bool:
    """An error page, and no redirect."""
    return answer.status_code == status and "location" not in answer.headers and code in answer.text


def sent_back(app, answer, error: str) -> bool:
    """A redirect to the app's own URI, with the error, the state and the issuer."""
    got = app.query(answer)
    return (
        answer.status_code == 303
        and answer.headers["location"].startswith(f"{app.redirect_uri}?")
        and (got["error"], got["state"], got["iss"]) == (error, "a state", "http://127.0.0.1:8080")
        and "code" not in got
    )


@pytest.mark.spec("RFC 9207", "2", "MUST")
async def test_the_answer_has_the_code_the_state_and_the_issuer(app):
    answer = await app.authorize()
    assert answer.status_code == 303
    got = app.query(answer)
    assert set(got) == {"code", "state", "iss"}
    assert got["state"] == "a state"
    assert got["iss"] == "http://127.0.0.1:8080"
    assert answer.headers["cache-control"] == "no-store"


async def test_without_a_state_the_answer_has_none(app):
    assert "state" not in app.query(await app.authorize(state=None))


@pytest.mark.spec("RFC 6749", "3.1.2", "MUST")
async def test_the_query_of_the_redirect_uri_is_kept(issuer, app):
    other = await issuer.register(redirect_uris=("https://app.example/callback?tenant=7",))
    assert (await other.authorize()).headers["location"].startswith("https://app.example/callback?tenant=7&code=")


@pytest.mark.spec("RFC 9700", "4.1.3", "MUST")
@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/callback",
        "https://app.example/callback/",
        "https://app.example/callback?x=1",
        "https://app.example/Callback",
        "https://APP.example/callback",
        "http://app.example/callback",
        "https://app.example:443/callback",
        "https://app.example/callback#",
        "https://app.example/other/../callback",
        "https://app.example@evil.example/callback",
        "https://app.example/callback%00",
        "https://app.example.evil.example/callback",
        "javascript:alert(1)",
        "//app.example/callback",
        " https://app.example/callback",
        None,
    ],
)
async def test_an_unregistered_redirect_uri_gets_a_page_and_no_redirect(app, uri):
    assert page(await app.authorize(redirect_uri=uri), "foreign_redirect_uri")


@pytest.mark.parametrize("client_id", ["nobody", None, "' OR 1=1 --", "x" * 5000])
async def test_an_unknown_client_gets_a_page_and_no_redirect(app, client_id):
    assert page(await app.authorize(client_id=client_id), "unknown_client")


@pytest.mark.spec("RFC 8252", "7.3", "MUST")
@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
        ("http://127.0.0.1:1234/cb", "http://127.0.0.1:51004/cb"),
        ("http://[::1]/cb", "http://[::1]:51004/cb"),
    ],
)
async def test_a_native_app_may_listen_on_any_port_of_a_loopback_address(issuer, app, registered, asked):
    native = await issuer.public(redirect_uris=(registered,))
    answer = await native.authorize(redirect_uri=asked)
    assert answer.headers["location"].startswith(f"{asked}?code=")
    redeemed = await native.redeem(native.query(answer)["code"], redirect_uri=asked)
    assert redeemed.status_code == 200


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("http://localhost:3000/cb", "http://localhost:3001/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/other"),
        ("http://127.0.0.1/cb", "http://127.0.0.2:51004/cb"),
        ("http://127.0.0.1/cb", "http://localhost:51004/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004@evil.example/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1:51004/cb"),
    ],
)
async def test_nothing_but_the_port_of_a_loopback_address_may_differ(issuer, app, registered, asked):
    native = await issuer.public(redirect_uris=(registered,))
    assert page(await native.authorize(redirect_uri=asked), "foreign_redirect_uri")


@pytest.mark.spec("RFC 6749", "3.1", "MUST NOT")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "code_challenge", "unheard_of"])
async def test_a_repeated_parameter_gets_a_page(issuer, app, name):
    repeated = urlencode([*app.request(unheard_of="1").items(), (name, "again")])
    assert page(await issuer.http.get(f"/authorize?{repeated}"), "bad_request")


@pytest.mark.spec("RFC 6749", "3.1", "MUST")
async def test_an_empty_parameter_is_as_good_as_none(issuer, app):
    got = app.query(await issuer.http.get(f"/authorize?{urlencode(app.request())}&prompt=&max_age=&scope="))
    assert "code" in got


async def test_unknown_parameters_are_ignored(app):
    assert "code" in app.query(await app.authorize(utm_source="mail"))


@pytest.mark.parametrize("query", ["client_id=%zz", "client_id=%ff", "client_id=a%00b", "client_id=%0d%0aSet-Cookie:x"])
async def test_a_malformed_query_gets_a_page(issuer, query):
    assert page(await issuer.http.get(f"/authorize?{query}"), "bad_request")


async def test_a_query_that_is_too_long_gets_a_page(issuer, app):
    assert page(await app.authorize(state="s" * 20_000), "bad_request")


@pytest.mark.spec("RFC 9700", "2.1.1", "MUST")
@pytest.mark.parametrize(
    "change",
    [
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge_method": "s256"},
        {"code_challenge": "short"},
        {"code_challenge": "x" * 44},
        {"code_challenge": "x" * 42 + "="},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["register", "public"])
async def test_every_client_needs_pkce_with_s256(issuer, app, kind, change):
    client = await getattr(issuer, kind)()
    assert sent_back(client, await client.authorize(**change), "invalid_request")


@pytest.mark.parametrize("response_type", ["token", "id_token", "code token", "code id_token", "none", "CODE"])
async def test_the_only_response_type_is_code(app, response_type):
    assert sent_back(app, await app.authorize(response_type=response_type), "unsupported_response_type")


async def test_a_response_type_is_required(app):
    assert sent_back(app, await app.authorize(response_type=None), "invalid_request")


async def test_an_unknown_response_mode_is_refused(app):
    assert sent_back(app, await app.authorize(response_mode="web_message"), "invalid_request")


async def test_the_response_mode_query_may_be_named(app):
    assert "code" in app.query(await app.authorize(response_mode="query"))


@pytest.mark.spec("RFC 6749", "4.1.2.1", "MUST")
@pytest.mark.parametrize("scope", ["openid admin", 'openid "x"', "openid a\\b", "openid " + "x" * 101])
async def test_a_scope_that_the_client_may_not_have_is_refused(app, scope):
    assert sent_back(app, await app.authorize(scope=scope), "invalid_scope")


async def test_without_a_scope_a_client_gets_what_it_may_have_short_of_identity_and_offline_access(app):
    assert (await app.tokens(scope=None))["scope"] == "profile email roles"


@pytest.mark.spec("OAuth 2.1", "4.1.1", "OPTIONAL")
async def test_the_only_redirect_uri_need_not_be_said(issuer, app):
    answer = await app.authorize(redirect_uri=None, scope="profile")
    assert answer.headers["location"].startswith(f"{app.redirect_uri}?")
    assert (await app.redeem(app.query(answer)["code"], redirect_uri="")).status_code == 200
    assert sent_back(app, await app.authorize(redirect_uri=None, scope="admin"), "invalid_scope")
    page = await issuer.follow(await app.authorize(redirect_uri=None, scope="profile", prompt="login"))
    assert "form-action 'self' https:;" in page.headers["content-security-policy"]
    assert "code" in app.query(await issuer.follow(await issuer.enter(page)))
    foreign = app.query(await app.authorize(redirect_uri=None, scope="profile"))["code"]
    assert (await app.redeem(foreign, redirect_uri="https://evil.example/")).json()["error"] == "invalid_grant"


async def test_of_two_redirect_uris_one_is_said(issuer, app):
    two = await issuer.register(redirect_uris=(app.redirect_uri, "https://app.example/other"))
    assert (await two.authorize(redirect_uri=None, scope="profile")).status_code == 400


@pytest.mark.spec("OpenID Connect Core", "11", "MUST")
async def test_offline_access_is_ignored_for_a_client_without_the_refresh_grant(issuer, app):
    other = await issuer.register(grant_types=("authorization_code",))
    assert (await other.tokens(scope="openid offline_access"))["scope"] == "openid"


@pytest.mark.spec("OpenID Connect Core", "3.1.2.6", "MUST")
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("request", "invalid_request_object"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ],
)
async def test_what_is_not_supported_is_said_to_be_so(app, name, error):
    assert sent_back(app, await app.authorize(**{name: "something"}), error)


@pytest.mark.parametrize("max_age", ["-1", "soon", "1.5", "١", "9" * 30])
async def test_a_max_age_that_is_no_number_is_refused(app, max_age):
    assert sent_back(app, await app.authorize(max_age=max_age), "invalid_request")


@pytest.mark.parametrize("prompt", ["none login", "none consent", "create", "LOGIN"])
async def test_a_prompt_that_makes_no_sense_is_refused(app, prompt):
    assert sent_back(app, await app.authorize(prompt=prompt), "invalid_request")


async def test_an_id_token_hint_that_is_not_ours_is_refused(app):
    tokens = await app.tokens()
    assert sent_back(app, await app.authorize(id_token_hint=tokens["access_token"]), "invalid_request")
    assert sent_back(app, await app.authorize(id_token_hint="no token"), "invalid_request")


@pytest.mark.spec("RFC 8707", "2.1", "MUST")
async def test_a_client_may_ask_for_some_of_its_resources_and_for_no_others(app, claims):
    narrowed = await app.tokens(scope="profile", resource="https://api.example/")
    assert claims(narrowed["access_token"])["aud"] == "https://api.example/"
    assert claims((await app.tokens(scope="profile"))["access_token"])["aud"] == ("https://api.example/", "orders")
    assert sent_back(app, await app.authorize(resource="https://other.example/"), "invalid_target")


async def test_a_token_request_narrows_the_resources_further_and_never_widens_them(app, claims):
    code = await app.code(scope="profile", resource="orders")
    refused = await app.redeem(code, resource="https://api.example/")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    both = (await app.redeem(await app.code(scope="profile"))).json()
    narrowed = (await app.refresh(both["refresh_token"], resource="orders")).json()
    assert claims(narrowed["access_token"])["aud"] == "orders"
    widened = (await app.refresh(narrowed["refresh_token"])).json()
    assert claims(widened["access_token"])["aud"] == ("https://api.example/", "orders")


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MUST")
async def test_a_request_by_post_is_made_again_by_get(issuer, app):
    answer = await issuer.http.post("/authorize", data=app.request(), headers={"Origin": "https://app.example"})
    assert answer.status_code == 303
    assert "code" in app.query(await issuer.follow(answer))


async def test_a_post_that_is_no_form_gets_a_page(issuer):
    assert page(await issuer.http.post("/authorize", json={}), "bad_request")


@pytest.mark.spec("OAuth 2.1", "3.1", "MUST NOT")
async def test_no_script_of_another_origin_reads_an_answer_of_the_authorization_endpoint(issuer, app):
    for origin in ("https://app.example", "https://evil.example"):
        answer = await issuer.http.get("/authorize", params=app.request(), headers={"Origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert (await issuer.http.options("/authorize")).status_code == 405


@pytest.mark.spec("RFC 9700", "4.12", "MUST NOT")
async def test_redirects_are_by_303(issuer, app):
    assert (await app.authorize()).status_code == 303
    assert (await app.authorize(prompt="login")).status_code == 303
    assert (await app.authorize(scope="admin")).status_code == 303


async def test_a_code_that_could_not_be_kept_is_not_handed_out(issuer, app):
    """The session ends between the look at it and the writing of the code."""
    account = issuer.accounts["ann@example.com"]
    put = issuer.desk.store.artifacts.put

    class Late:
        def __getattr__(self, name):
            return getattr(artifacts, name)

        async def put(self, artifact):
            [session] = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
            await issuer.desk.store.sessions.end(session.sid, at=issuer.clock.now())
            return await put(artifact)

    artifacts = issuer.desk.store.artifacts
    issuer.desk.store.artifacts = Late()
    assert sent_back(app, await app.authorize(scope="openid"), "login_required")
