"""RFC 8628: the device grant: a device that cannot show a browser, and the person who decides in one elsewhere (rule O14)."""

import asyncio
import re

import pytest

from carnet.issuer.decisions import INTERVAL
from carnet.issuer.device_codes import LIFETIME
from carnet.issuer.endpoints.device import TRIES, TRIES_FROM_ADDRESS, WINDOW
from carnet.issuer.endpoints.device_authorization import MOST
from carnet.issuer.grants.device_code import GRANT_TYPE
from carnet.oauth import user_code

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tv(issuer):
    return await issuer.public(
        client_name="The TV", redirect_uris=(), grant_types=(GRANT_TYPE, "refresh_token"), first_party=True
    )


async def ask(tv, **parameters: str):
    answer = await tv.post("/device_authorization", **({"scope": "openid profile"} | parameters))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def poll(issuer, tv, asked, **changes: str):
    """As a device does: never sooner than it may."""
    issuer.clock.advance(INTERVAL)
    return await tv.post(**({"grant_type": GRANT_TYPE, "device_code": asked["device_code"]} | changes))


async def enter(issuer, code: str):
    page = await issuer.http.get("/device")
    assert page.status_code == 200, page.text
    return await issuer.submit("/device", issuer.fields(page) | {"user_code": code})


async def decide(issuer, page, decision: str = "allow"):
    return await issuer.submit("/device", issuer.fields(page) | {"decision": decision})


async def connect(issuer, tv, **parameters: str):
    asked = await ask(tv, **parameters)
    page = await enter(issuer, asked["user_code"])
    assert (await decide(issuer, page)).status_code == 200
    return asked


@pytest.mark.spec("RFC 8628", "3.2", "REQUIRED")
async def test_a_device_gets_two_codes_and_the_address_of_the_page(issuer, tv):
    answer = await tv.post("/device_authorization", scope="openid")
    assert answer.headers["cache-control"] == "no-store"
    asked = answer.json()
    assert set(asked) == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert len(asked["device_code"]) == 43
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", asked["user_code"])
    assert asked["verification_uri"] == "http://127.0.0.1:8080/device"
    assert asked["verification_uri_complete"] == f"http://127.0.0.1:8080/device?user_code={asked['user_code']}"
    assert (asked["expires_in"], asked["interval"]) == (LIFETIME, INTERVAL)
    assert asked["expires_in"] <= 600


@pytest.mark.spec("RFC 8628", "6.1", "RECOMMENDED")
def test_a_code_is_read_however_it_is_typed_and_its_letters_are_drawn_evenly():
    assert user_code.read("wdjb-mjht") == user_code.read(" WDJB MJHT") == user_code.read("wd.jb_mjht") == "WDJBMJHT"
    for wrong in ("", "WDJBMJH", "WDJBMJHTX", "WDJBMJHA", "WDJBMJH1", "WDJBMJHß"):
        assert user_code.read(wrong) is None
    drawn = iter([bytes(range(236, 244)), bytes([240, 255] * 4), bytes(range(8))])
    assert user_code.fresh(lambda _: next(drawn)) == "VWXZ" + "BCDF"


@pytest.mark.spec("RFC 8628", "3.1", "MUST")
async def test_a_client_authenticates_as_at_the_token_endpoint(issuer):
    app = await issuer.register(grant_types=(GRANT_TYPE,), redirect_uris=())
    refused = await issuer.direct.post("/device_authorization", data={"client_id": app.client_id})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert (await ask(app))["user_code"]


async def test_a_client_that_is_not_registered_for_the_grant_gets_no_codes(issuer):
    app = await issuer.register()
    answer = await app.post("/device_authorization", scope="openid")
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert (await app.post(grant_type=GRANT_TYPE, device_code="x")).json()["error"] == "unauthorized_client"


async def test_a_device_asks_for_no_more_than_it_is_registered_for(issuer, tv):
    for parameters, error in (({"scope": "openid admin"}, "invalid_scope"), ({"resource": "orders"}, "invalid_target")):
        answer = await tv.post("/device_authorization", **parameters)
        assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.spec("RFC 8628", "3.5", "MUST")
async def test_a_device_waits_until_its_person_has_decided(issuer, tv, claims):
    account = await issuer.sign_in()
    asked = await ask(tv)
    pending = await poll(issuer, tv, asked)
    assert (pending.status_code, pending.json()["error"]) == (400, "authorization_pending")
    page = await enter(issuer, asked["user_code"].lower().replace("-", " "))
    assert (await poll(issuer, tv, asked)).json()["error"] == "authorization_pending"
    done = await decide(issuer, page)
    assert done.status_code == 200
    assert "The TV" in done.text
    answer = await poll(issuer, tv, asked)
    assert answer.status_code == 200
    tokens = answer.json()
    assert set(tokens) >= {"access_token", "refresh_token", "id_token", "expires_in", "scope"}
    said = claims(tokens["id_token"])
    assert (said["sub"], said["aud"]) == (account.subject, tv.client_id)
    assert said["auth_time"] <= issuer.clock.ambient.now()
    assert (await tv.refresh(tokens["refresh_token"])).status_code == 200
    assert "device.allowed" in await issuer.events()


async def test_the_page_shows_who_asks_for_what_and_from_where(issuer, tv):
    await issuer.sign_in()
    page = await enter(issuer, (asked := await ask(tv, scope="openid email"))["user_code"])
    assert page.status_code == 200
    for sentence in ("The TV", asked["user_code"], "See your email address", "127.0.0.1", "ann@example.com"):
        assert sentence in page.text
    assert "form-action 'self';" in page.headers["content-security-policy"]


@pytest.mark.spec("RFC 8628", "5.4", "SHOULD")
async def test_a_first_party_app_on_a_device_is_asked_for_too(issuer, tv):
    await issuer.sign_in()
    asked = await ask(tv)
    await enter(issuer, asked["user_code"])
    assert (await poll(issuer, tv, asked)).json()["error"] == "authorization_pending"


@pytest.mark.spec("RFC 8628", "3.3.1", "SHOULD")
async def test_a_link_with_the_code_only_fills_it_in(issuer, tv):
    await issuer.sign_in()
    asked = await ask(tv)
    page = await issuer.http.get(asked["verification_uri_complete"])
    assert f'value="{asked["user_code"]}"' in page.text
    assert (await poll(issuer, tv, asked)).json()["error"] == "authorization_pending"
    assert "The TV" not in page.text


async def test_whoever_is_not_signed_in_signs_in_first_and_comes_back_with_the_code(issuer, tv):
    await issuer.person()
    asked = await ask(tv)
    page = await issuer.http.get(asked["verification_uri_complete"])
    assert page.status_code == 303
    back = await issuer.enter(page)
    assert back.headers["location"] == asked["verification_uri_complete"]


async def test_a_link_with_something_else_than_a_code_takes_nothing_along(issuer):
    page = await issuer.http.get("/device", params={"user_code": "https://evil.example/"})
    await issuer.person()
    assert (await issuer.enter(page)).headers["location"] == "http://127.0.0.1:8080/device"


@pytest.mark.spec("RFC 8628", "3.5", "MUST")
async def test_a_person_may_say_no(issuer, tv):
    await issuer.sign_in()
    asked = await ask(tv)
    done = await decide(issuer, await enter(issuer, asked["user_code"]), "deny")
    assert done.status_code == 200
    answer = await poll(issuer, tv, asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")
    assert "device.denied" in await issuer.events()


@pytest.mark.spec("RFC 8628", "3.5", "MUST")
async def test_a_device_that_polls_too_fast_is_slowed_down(issuer, tv):
    await issuer.sign_in()
    asked = await connect(issuer, tv)
    issuer.clock.advance(INTERVAL)
    form = {"grant_type": GRANT_TYPE, "device_code": (await ask(tv))["device_code"]}
    assert (await tv.post(**form)).json()["error"] == "authorization_pending"
    issuer.clock.advance(INTERVAL - 1)
    fast = await tv.post(**form)
    assert (fast.status_code, fast.json()["error"]) == (400, "slow_down")
    issuer.clock.advance(INTERVAL)
    assert (await tv.post(**form)).json()["error"] == "authorization_pending"
    assert (await poll(issuer, tv, asked)).status_code == 200


@pytest.mark.spec("RFC 8628", "3.5", "MUST")
async def test_a_code_expires_and_the_device_is_told_so(issuer, tv):
    await issuer.sign_in()
    asked = await ask(tv)
    late = await ask(tv)
    page = await enter(issuer, late["user_code"])
    issuer.clock.advance(LIFETIME)
    answer = await poll(issuer, tv, asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "expired_token")
    assert (await enter(issuer, asked["user_code"])).status_code == 422
    assert (await decide(issuer, page)).status_code == 400
    issuer.clock.advance(LIFETIME)
    assert (await poll(issuer, tv, asked)).json()["error"] == "invalid_grant"


@pytest.mark.spec("RFC 8628", "3.4", "REQUIRED")
async def test_a_device_code_is_its_clients_alone(issuer, tv):
    await issuer.sign_in()
    asked = await connect(issuer, tv)
    other = await issuer.public(redirect_uris=(), grant_types=(GRANT_TYPE,))
    assert (await poll(issuer, other, asked)).json()["error"] == "invalid_grant"
    assert (await poll(issuer, tv, asked, device_code="x" * 43)).json()["error"] == "invalid_grant"
    missing = await tv.post(grant_type=GRANT_TYPE)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    assert (await poll(issuer, tv, asked)).status_code == 200


async def test_a_device_code_is_redeemed_once_and_a_second_time_ends_what_it_bought(issuer, tv):
    await issuer.sign_in()
    asked = await connect(issuer, tv)
    tokens = (await poll(issuer, tv, asked)).json()
    again = await poll(issuer, tv, asked)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await tv.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert "decision.reused" in await issuer.events()


async def test_of_many_polls_at_once_one_wins(issuer, tv, monkeypatch):
    """Even where the interval would let them all in."""

    async def first(*_: object, **__: object) -> int:
        return 1

    await issuer.sign_in()
    asked = await connect(issuer, tv)
    monkeypatch.setattr(issuer.desk.store.throttle, "hit", first, raising=True)
    form = {"grant_type": GRANT_TYPE, "device_code": asked["device_code"]}
    answers = await asyncio.gather(*(tv.post(**form) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15


async def test_a_code_that_one_session_has_entered_is_worth_nothing_in_another(issuer, tv):
    """Rule O14: who has seen the code over a shoulder cannot approve, nor can the page of another session."""
    await issuer.sign_in()
    asked = await ask(tv)
    page = await enter(issuer, asked["user_code"])
    mine = dict(issuer.http.cookies)
    await issuer.sign_in("eve@example.com")
    assert (await enter(issuer, asked["user_code"])).status_code == 422
    stolen = issuer.fields(await issuer.http.get("/device")) | {"user_code": asked["user_code"], "decision": "allow"}
    assert (await issuer.submit("/device", stolen)).status_code == 400
    assert (await decide(issuer, page)).status_code == 403  # the form is the other session's
    issuer.http.cookies.clear()
    issuer.http.cookies.update(mine)
    assert (await decide(issuer, page)).status_code == 200
    assert (await poll(issuer, tv, asked)).status_code == 200


async def test_the_same_session_may_enter_the_code_again(issuer, tv):
    await issuer.sign_in()
    asked = await ask(tv)
    await enter(issuer, asked["user_code"])
    again = await enter(issuer, asked["user_code"])
    assert again.status_code == 200
    assert (await decide(issuer, again)).status_code == 200
    assert (await decide(issuer, again, "deny")).status_code == 400
    assert (await poll(issuer, tv, asked)).status_code == 200


async def test_no_decision_is_taken_without_the_code_having_been_entered(issuer, tv):
    await issuer.sign_in()
    asked = await ask(tv)
    form = issuer.fields(await issuer.http.get("/device")) | {"user_code": asked["user_code"]}
    assert (await issuer.submit("/device", form | {"decision": "allow"})).status_code == 400
    assert (await issuer.submit("/device", form | {"decision": "perhaps"})).status_code == 400
    assert (await poll(issuer, tv, asked)).json()["error"] == "authorization_pending"


@pytest.mark.spec("RFC 8628", "5.1", "MUST")
async def test_codes_cannot_be_guessed(issuer, tv):
    await issuer.sign_in()
    asked = await ask(tv)
    for _ in range(TRIES):
        assert (await enter(issuer, "BBBB-BBBB")).status_code == 422
    refused = await enter(issuer, asked["user_code"])
    assert (refused.status_code, refused.headers["retry-after"]) == (429, str(WINDOW))
    await issuer.sign_in("bob@example.com")
    assert (await enter(issuer, asked["user_code"])).status_code == 200


async def test_codes_cannot_be_guessed_with_many_accounts_either(issuer, tv):
    for number in range(TRIES_FROM_ADDRESS // TRIES):
        await issuer.sign_in(f"{number}@example.com")
        for _ in range(TRIES):
            await enter(issuer, "BBBB-BBBB")
    await issuer.sign_in("last@example.com")
    assert (await enter(issuer, (await ask(tv))["user_code"])).status_code == 429


async def test_a_client_does_not_fill_the_store_from_one_address(issuer, tv):
    for _ in range(MOST):
        await ask(tv)
    answer = await tv.post("/device_authorization", scope="openid")
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    other = await issuer.public(redirect_uris=(), grant_types=(GRANT_TYPE,))
    await ask(other)
    issuer.clock.advance(LIFETIME)
    await ask(tv)


@pytest.mark.spec("RFC 8628", "5.4", "SHOULD")
async def test_no_other_site_can_press_the_button(issuer, tv):
    await issuer.sign_in()
    asked = await ask(tv)
    form = issuer.fields(await enter(issuer, asked["user_code"])) | {"decision": "allow"}
    assert (await issuer.http.post("/device", data=form, headers={"Origin": "https://evil.example"})).status_code == 403
    assert (await issuer.submit("/device", form | {"csrf": "x"})).status_code == 403
    assert (await poll(issuer, tv, asked)).json()["error"] == "authorization_pending"


async def test_signing_out_before_the_device_asks_leaves_it_nothing(issuer, tv):
    await issuer.sign_in()
    asked = await connect(issuer, tv)
    page = await issuer.http.get("/end_session")
    await issuer.submit("/end_session", issuer.fields(page))
    assert (await poll(issuer, tv, asked)).status_code == 400


async def test_a_device_with_offline_access_outlives_the_session(issuer, tv, claims):
    await issuer.sign_in()
    tokens = (await poll(issuer, tv, await connect(issuer, tv, scope="openid offline_access"))).json()
    assert "sid" not in claims(tokens["access_token"])
    page = await issuer.http.get("/end_session")
    await issuer.submit("/end_session", issuer.fields(page))
    assert (await tv.refresh(tokens["refresh_token"])).status_code == 200


async def test_the_account_page_lists_the_device_and_takes_its_access_back(issuer, tv):
    await issuer.sign_in()
    await poll(issuer, tv, await connect(issuer, tv))
    assert "The TV" in (await issuer.http.get("/account")).text


async def test_the_picture_shows_the_page_and_nothing_that_is_no_code(issuer):
    plain = await issuer.http.get("/device/qr")
    assert plain.headers["content-type"] == "image/svg+xml"
    assert plain.text.startswith("<svg")
    assert (await issuer.http.get("/device/qr", params={"user_code": "https://evil.example"})).text == plain.text
    assert (await issuer.http.get("/device/qr", params={"user_code": "BBBB-BBBB"})).text != plain.text


@pytest.mark.spec("RFC 8628", "4", "OPTIONAL")
async def test_discovery_names_the_endpoint_and_the_grant(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert document["device_authorization_endpoint"] == "http://127.0.0.1:8080/device_authorization"
    assert GRANT_TYPE in document["grant_types_supported"]
