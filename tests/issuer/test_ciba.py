"""OpenID CIBA Core, poll mode: an app asks somebody who is elsewhere, on that person's own page."""

import asyncio

import pytest

from carnet.issuer.backchannel_requests import LIFETIME, LONGEST, MOST_WAITING, REMEMBERED
from carnet.issuer.clients import ClientError
from carnet.issuer.decisions import INTERVAL
from carnet.issuer.grants.ciba import GRANT_TYPE

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bank(issuer):
    await issuer.sign_in()
    return await issuer.register(
        client_name="The Bank", redirect_uris=(), grant_types=(GRANT_TYPE, "refresh_token"), audiences=("accounts",)
    )


async def post(bank, **changes: str):
    given = {"scope": "openid profile", "login_hint": "ann@example.com"} | changes
    return await bank.post("/backchannel_authentication", **given)


async def ask(bank, **changes: str):
    answer = await post(bank, **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(bank, error: str, **changes: str) -> None:
    answer = await post(bank, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text


async def poll(bank, asked, **changes: str):
    bank.issuer.clock.advance(INTERVAL)
    return await bank.post(**({"grant_type": GRANT_TYPE, "auth_req_id": asked["auth_req_id"]} | changes))


async def decide(issuer, decision: str = "allow", page=None):
    page = page or await issuer.http.get("/approvals")
    return await issuer.submit("/approvals", issuer.fields(page) | {"decision": decision})


@pytest.mark.spec("OpenID CIBA Core", "7.3", "REQUIRED")
async def test_an_app_gets_a_name_for_its_request_and_polls_until_the_person_has_decided(issuer, bank, claims):
    answer = await post(bank)
    assert answer.headers["cache-control"] == "no-store"
    asked = answer.json()
    assert asked == {"auth_req_id": asked["auth_req_id"], "expires_in": LIFETIME, "interval": INTERVAL}
    assert len(asked["auth_req_id"]) == 43
    pending = await poll(bank, asked)
    assert (pending.status_code, pending.json()["error"]) == (400, "authorization_pending")
    done = await decide(issuer)
    assert done.status_code == 303
    assert "You have allowed it" in (await issuer.follow(done)).text
    tokens = (await poll(bank, asked)).json()
    said = claims(tokens["id_token"])
    assert (said["sub"], said["aud"]) == (issuer.accounts["ann@example.com"].subject, bank.client_id)
    assert (await bank.refresh(tokens["refresh_token"])).status_code == 200
    assert "backchannel_request.allowed" in await issuer.events()


async def test_the_page_shows_who_asks_for_what_and_the_words_to_compare(issuer, bank):
    await ask(bank, binding_message="W4-SCT <b>", scope="openid email")
    page = await issuer.http.get("/approvals")
    for sentence in ("The Bank", "W4-SCT &lt;b&gt;", "See your email address", "ann@example.com"):
        assert sentence in page.text
    await decide(issuer, page=page)
    assert "No app asks for anything now" in (await issuer.http.get("/approvals")).text


@pytest.mark.spec("OpenID CIBA Core", "11", "REQUIRED")
async def test_a_person_may_say_no(issuer, bank):
    asked = await ask(bank)
    await decide(issuer, "deny")
    assert (await poll(bank, asked)).json()["error"] == "access_denied"
    assert "backchannel_request.denied" in await issuer.events()


@pytest.mark.spec("OpenID CIBA Core", "11", "REQUIRED")
async def test_an_app_that_polls_too_fast_is_slowed_down(issuer, bank):
    asked = await ask(bank)
    await poll(bank, asked)
    fast = await bank.post(grant_type=GRANT_TYPE, auth_req_id=asked["auth_req_id"])
    assert fast.json()["error"] == "slow_down"


@pytest.mark.spec("OpenID CIBA Core", "11", "REQUIRED")
async def test_a_request_expires_and_the_app_is_told_so(issuer, bank):
    asked = await ask(bank, requested_expiry="60")
    assert asked["expires_in"] == 60
    page = await issuer.http.get("/approvals")
    issuer.clock.advance(60)
    assert (await poll(bank, asked)).json()["error"] == "expired_token"
    assert (await decide(issuer, page=page)).status_code == 400
    assert "The Bank" not in (await issuer.http.get("/approvals")).text
    issuer.clock.advance(REMEMBERED)
    assert (await poll(bank, asked)).json()["error"] == "invalid_grant"


async def test_no_request_waits_longer_than_may_be_asked_for(bank):
    assert (await ask(bank, requested_expiry="99999"))["expires_in"] == LONGEST
    for wrong in ("0", "-1", "x", "1.5", "٣"):
        await refused(bank, "invalid_request", requested_expiry=wrong)


async def test_of_many_decisions_and_many_polls_one_counts(issuer, bank, monkeypatch):
    asked = await ask(bank)
    page = await issuer.http.get("/approvals")
    answers = await asyncio.gather(*(decide(issuer, "allow", page) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 7

    async def first(*_: object, **__: object) -> int:
        return 1

    monkeypatch.setattr(issuer.desk.store.throttle, "hit", first)
    form = {"grant_type": GRANT_TYPE, "auth_req_id": asked["auth_req_id"]}
    polls = await asyncio.gather(*(bank.post(**form) for _ in range(8)))
    assert sorted(answer.status_code for answer in polls) == [200] + [400] * 7


@pytest.mark.spec("OpenID CIBA Core", "11", "MUST")
async def test_a_second_redemption_ends_what_the_first_has_bought(issuer, bank):
    asked = await ask(bank)
    await decide(issuer)
    tokens = (await poll(bank, asked)).json()
    at_once = await bank.post(grant_type=GRANT_TYPE, auth_req_id=asked["auth_req_id"])
    assert at_once.json()["error"] == "invalid_grant"
    assert (await bank.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_nobody_decides_for_somebody_else(issuer, bank):
    asked = await ask(bank)
    page = await issuer.http.get("/approvals")
    mine = issuer.fields(page)
    await issuer.sign_in("eve@example.com")
    hers = await issuer.http.get("/approvals")
    assert "The Bank" not in hers.text
    await ask(bank, login_hint="eve@example.com")
    forged = issuer.fields(await issuer.http.get("/approvals")) | {"request": mine["request"], "decision": "allow"}
    assert (await issuer.submit("/approvals", forged)).status_code == 400
    assert (await issuer.submit("/approvals", mine | {"decision": "allow"})).status_code == 403
    assert (await poll(bank, asked)).json()["error"] == "authorization_pending"


async def test_no_other_site_can_press_the_button(issuer, bank):
    await ask(bank)
    form = issuer.fields(await issuer.http.get("/approvals")) | {"decision": "allow"}
    answer = await issuer.http.post("/approvals", data=form, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert (await issuer.submit("/approvals", form | {"decision": "perhaps"})).status_code == 400


async def test_whoever_is_not_signed_in_signs_in_first(issuer, bank):
    issuer.http.cookies.clear()
    page = await issuer.http.get("/approvals")
    assert page.status_code == 303
    assert (await issuer.enter(page)).headers["location"].endswith("/approvals")


@pytest.mark.spec("OpenID CIBA Core", "7.1", "REQUIRED")
async def test_exactly_one_hint_says_who_is_asked(issuer, bank):
    app = await issuer.register()
    hint = (await app.tokens())["id_token"]
    assert (await ask(bank, login_hint="", id_token_hint=hint))["auth_req_id"]
    await refused(bank, "invalid_request", login_hint="")
    await refused(bank, "invalid_request", id_token_hint=hint)
    await refused(bank, "invalid_request", login_hint="", login_hint_token="x")
    await refused(bank, "invalid_request", login_hint="", id_token_hint="x")


@pytest.mark.spec("OpenID CIBA Core", "13", "REQUIRED")
async def test_what_is_not_right_is_refused(issuer, bank):
    await refused(bank, "unknown_user_id", login_hint="nobody@example.com")
    await refused(bank, "invalid_binding_message", binding_message="x" * 101)
    await refused(bank, "invalid_binding_message", binding_message="a\u202eb")
    await refused(bank, "invalid_request", scope="")
    await refused(bank, "invalid_scope", scope="profile")
    await refused(bank, "invalid_scope", scope="openid admin")
    await refused(bank, "invalid_target", resource="elsewhere")
    missing = await bank.post(grant_type=GRANT_TYPE)
    assert missing.json()["error"] == "invalid_request"


async def test_a_request_is_its_app_s_alone(issuer, bank):
    asked = await ask(bank)
    await decide(issuer)
    other = await issuer.register(redirect_uris=(), grant_types=(GRANT_TYPE,))
    assert (await poll(other, asked)).json()["error"] == "invalid_grant"
    assert (await poll(bank, {"auth_req_id": "x" * 43})).json()["error"] == "invalid_grant"
    assert (await poll(bank, asked)).status_code == 200


@pytest.mark.spec("OpenID CIBA Core", "7.1", "MUST")
async def test_only_a_client_that_authenticates_and_is_registered_for_it_may_ask(issuer, bank):
    app = await issuer.register()
    assert (await post(app)).json()["error"] == "unauthorized_client"
    wrong = await issuer.direct.post(
        "/backchannel_authentication", data={"scope": "openid", "login_hint": "x"}, auth=(bank.client_id, "wrong")
    )
    assert wrong.status_code == 401
    with pytest.raises(ClientError):
        await issuer.public(redirect_uris=(), grant_types=(GRANT_TYPE,))


async def test_the_account_page_says_that_something_waits(issuer, bank):
    assert "/approvals" not in (await issuer.http.get("/account")).text
    await ask(bank)
    assert 'href="/approvals"' in (await issuer.http.get("/account")).text


async def test_nobody_is_worn_down(issuer, bank):
    for _ in range(MOST_WAITING):
        await ask(bank)
    assert (await post(bank)).status_code == 429
    await decide(issuer, "deny")
    await ask(bank)


async def test_signing_out_everywhere_leaves_nothing_waiting(issuer, bank):
    asked = await ask(bank)
    account = issuer.accounts["ann@example.com"]
    await issuer.desk.store.sessions.end_all(account.subject, at=issuer.clock.ambient.now(), lifetime=4_000)
    assert (await poll(bank, asked)).json()["error"] == "invalid_grant"


async def test_discovery_names_the_endpoint_and_the_mode(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert document["backchannel_authentication_endpoint"] == "http://127.0.0.1:8080/backchannel_authentication"
    assert document["backchannel_token_delivery_modes_supported"] == ["poll"]
    assert document["backchannel_user_code_parameter_supported"] is False
    assert GRANT_TYPE in document["grant_types_supported"]
