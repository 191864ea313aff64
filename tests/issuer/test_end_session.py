"""OpenID Connect RP-Initiated Logout 1.0."""

import pytest

pytestmark = pytest.mark.anyio

AFTERWARDS = "https://app.example/goodbye"


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(
        post_logout_redirect_uris=(AFTERWARDS, "https://app.example/bye?x=1"), client_name="The App"
    )


async def end(issuer, **parameters: str):
    return await issuer.http.get("/end_session", params=parameters)


async def signed_in(app) -> bool:
    return "code" in app.query(await app.authorize(prompt="none"))


@pytest.mark.spec("RP-Initiated Logout", "2", "MUST")
async def test_with_a_hint_at_this_session_nobody_is_asked(issuer, app):
    tokens = await app.tokens()
    answer = await end(
        issuer, id_token_hint=tokens["id_token"], post_logout_redirect_uri=AFTERWARDS, state="a state &c"
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{AFTERWARDS}?state=a+state+%26c"
    assert not await signed_in(app)
    assert "session.ended" in await issuer.events()


async def test_signing_out_takes_the_tokens_back(issuer, app):
    tokens = await app.tokens()
    await end(issuer, id_token_hint=tokens["id_token"])
    assert not await app.active(tokens["access_token"])
    assert not await app.active(tokens["refresh_token"])


async def test_without_a_redirect_uri_a_page_says_that_it_is_done(issuer, app):
    answer = await end(issuer, id_token_hint=(await app.tokens())["id_token"])
    assert answer.status_code == 200
    assert "location" not in answer.headers


async def test_without_a_state_there_is_none(issuer, app):
    hint = (await app.tokens())["id_token"]
    answer = await end(issuer, id_token_hint=hint, post_logout_redirect_uri="https://app.example/bye?x=1")
    assert answer.headers["location"] == "https://app.example/bye?x=1"


@pytest.mark.spec("RP-Initiated Logout", "2", "SHOULD")
async def test_an_expired_hint_is_good_enough(issuer, app):
    hint = (await app.tokens())["id_token"]
    issuer.clock.advance(3_600)
    assert (await end(issuer, id_token_hint=hint, post_logout_redirect_uri=AFTERWARDS)).status_code == 303
    assert not await signed_in(app)


async def test_a_hint_whose_key_has_been_retired_is_good_enough(issuer, app):
    hint = (await app.tokens())["id_token"]
    await issuer.desk.keyring.rotate()
    issuer.clock.advance(10_000)
    assert len((await issuer.direct.get("/jwks")).json()["keys"]) == 1
    assert (await end(issuer, id_token_hint=hint, post_logout_redirect_uri=AFTERWARDS)).status_code == 303
    assert not await signed_in(app)


async def test_a_hint_whose_key_was_compromised_ends_nothing(issuer, app):
    hint = (await app.tokens())["id_token"]
    await issuer.desk.keyring.retire((await issuer.desk.keyring.signing_key()).kid, compromised=True)
    assert (await end(issuer, id_token_hint=hint)).status_code == 400
    assert await signed_in(app)


@pytest.mark.spec("RP-Initiated Logout", "2", "MUST")
async def test_without_a_hint_the_person_is_asked(issuer, app):
    page = await end(issuer, client_id=app.client_id, post_logout_redirect_uri=AFTERWARDS, state="s")
    assert page.status_code == 200
    assert "The App" in page.text
    assert "form-action 'self' https:;" in page.headers["content-security-policy"]
    assert await signed_in(app)
    answer = await issuer.submit("/end_session", issuer.fields(page))
    assert answer.headers["location"] == f"{AFTERWARDS}?state=s"
    assert not await signed_in(app)


async def test_without_any_parameter_the_person_is_asked_too(issuer, app):
    page = await end(issuer)
    assert await signed_in(app)
    assert (await issuer.submit("/end_session", issuer.fields(page))).status_code == 200
    assert not await signed_in(app)


@pytest.mark.spec("RP-Initiated Logout", "2", "MUST")
async def test_a_hint_at_another_session_does_not_end_this_one_unasked(issuer, app):
    tokens = await app.tokens()
    await issuer.sign_in("bob@example.com")
    assert (await end(issuer, id_token_hint=tokens["id_token"])).status_code == 200
    assert await signed_in(app)


async def test_who_is_not_signed_in_is_just_sent_on(issuer, app):
    hint = (await app.tokens())["id_token"]
    issuer.http.cookies.clear()
    answer = await end(issuer, id_token_hint=hint, post_logout_redirect_uri=AFTERWARDS)
    assert answer.headers["location"] == AFTERWARDS


@pytest.mark.spec("RP-Initiated Logout", "3", "MUST NOT")
@pytest.mark.parametrize(
    "uri", ["https://evil.example/", AFTERWARDS + "/", "https://app.example/callback", "javascript:alert(1)", "//x"]
)
@pytest.mark.parametrize("known_by", ["hint", "client_id", "nothing"])
async def test_an_unregistered_uri_gets_a_page_and_ends_nothing(issuer, app, uri, known_by):
    known = {
        "hint": {"id_token_hint": (await app.tokens())["id_token"]},
        "client_id": {"client_id": app.client_id},
        "nothing": {},
    }
    answer = await end(issuer, post_logout_redirect_uri=uri, **known[known_by])
    assert (answer.status_code, "location" in answer.headers) == (400, False)
    assert await signed_in(app)


async def test_a_hint_that_is_not_ours_ends_nothing(issuer, app):
    tokens = await app.tokens()
    head, payload, _ = tokens["id_token"].split(".")
    for hint in ("x", tokens["access_token"], f"{head}.{payload}.{'A' * 86}"):
        assert (await end(issuer, id_token_hint=hint)).status_code == 400
    assert await signed_in(app)


@pytest.mark.spec("RP-Initiated Logout", "2", "MUST")
async def test_a_client_id_that_is_not_the_hints_ends_nothing(issuer, app):
    other = await issuer.register()
    answer = await end(issuer, id_token_hint=(await app.tokens())["id_token"], client_id=other.client_id)
    assert answer.status_code == 400
    assert await signed_in(app)


async def test_an_unknown_client_gets_a_page(issuer, app):
    assert (await end(issuer, client_id="nobody")).status_code == 400


@pytest.mark.spec("RP-Initiated Logout", "2", "MUST")
async def test_a_request_by_post_is_made_again_by_get(issuer, app):
    given = {"id_token_hint": (await app.tokens())["id_token"], "post_logout_redirect_uri": AFTERWARDS}
    answer = await issuer.http.post("/end_session", data=given, headers={"Origin": "https://app.example"})
    assert answer.status_code == 303
    assert (await issuer.follow(answer)).headers["location"] == AFTERWARDS


async def test_a_foreign_site_cannot_press_the_button(issuer, app):
    form = issuer.fields(await end(issuer))
    answer = await issuer.http.post("/end_session", data=form, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    forged = await issuer.submit("/end_session", form | {"csrf": "x"})
    assert forged.status_code == 403
    assert await signed_in(app)
