"""RFC 9126: authorization requests that are pushed before a browser brings their name."""

import asyncio

import pytest

from carnet.issuer.pushed_requests import KEPT, LIFETIME, PREFIX

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(audiences=("orders", "stock"))


async def push(app, **changes):
    parameters = {name: value for name, value in app.request(**changes).items() if name != "client_id"}
    return await app.post("/par", **parameters)


async def pushed(app, **changes) -> str:
    answer = await push(app, **changes)
    assert answer.status_code == 201, answer.text
    return answer.json()["request_uri"]


async def bring(app, request_uri: str, **parameters):
    given = {"client_id": app.client_id, "request_uri": request_uri} | parameters
    return await app.issuer.http.get("/authorize", params={name: value for name, value in given.items() if value})


def page(answer, code: str) -> bool:
    return answer.status_code == 400 and "location" not in answer.headers and code in answer.text


def refused(answer, error: str, status: int = 400) -> bool:
    return (answer.status_code, answer.json()["error"], answer.headers["cache-control"]) == (status, error, "no-store")


@pytest.mark.spec("RFC 9126", "2.2", "MUST")
async def test_a_pushed_request_gets_a_name_that_lives_for_a_minute(app):
    answer = await push(app)
    assert answer.status_code == 201
    assert answer.json()["expires_in"] == LIFETIME == 60
    assert answer.json()["request_uri"].startswith(PREFIX)
    assert len(answer.json()["request_uri"]) == len(PREFIX) + 43
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["request_uri"] != await pushed(app)


@pytest.mark.spec("RFC 9126", "4", "MUST")
async def test_what_was_pushed_is_what_is_asked(app, claims):
    answer = await bring(app, await pushed(app, scope="openid", resource="orders", state="pushed"))
    got = app.query(answer)
    assert got["state"] == "pushed"
    tokens = (await app.redeem(got["code"])).json()
    assert tokens["scope"] == "openid"
    assert "orders" in claims(tokens["access_token"])["aud"]


@pytest.mark.spec("RFC 9101", "6.3", "MUST")
async def test_nothing_beside_the_name_counts(app):
    answer = await bring(
        app,
        await pushed(app, scope="openid"),
        scope="openid email",
        state="other",
        redirect_uri="https://evil.example/",
    )
    assert answer.headers["location"].startswith(app.redirect_uri)
    got = app.query(answer)
    assert got["state"] == "a state"
    assert (await app.redeem(got["code"])).json()["scope"] == "openid"


@pytest.mark.spec("RFC 9126", "4", "SHOULD")
async def test_a_name_gives_one_code(app):
    request_uri = await pushed(app)
    assert "code" in app.query(await bring(app, request_uri))
    assert page(await bring(app, request_uri), "stale_flow")


async def test_of_many_browsers_at_once_one_gets_a_code(app):
    request_uri = await pushed(app)
    answers = await asyncio.gather(*(bring(app, request_uri) for _ in range(8)))
    codes = [answer for answer in answers if answer.status_code == 303 and "code" in app.query(answer)]
    assert len(codes) == 1


@pytest.mark.spec("RFC 9126", "4", "MUST")
async def test_a_name_that_has_run_out_is_refused(app):
    request_uri = await pushed(app)
    app.issuer.clock.advance(LIFETIME - 1)
    assert (await bring(app, request_uri)).status_code == 303
    late = await pushed(app)
    app.issuer.clock.advance(LIFETIME)
    assert page(await bring(app, late), "stale_flow")


async def test_a_sign_in_on_the_way_does_not_break_it_however_long_it_takes(issuer):
    await issuer.person()
    app = await issuer.register()
    to_page = await bring(app, await pushed(app, state="kept"))
    issuer.clock.advance(600)
    answer = await issuer.follow(await issuer.enter(to_page))
    got = app.query(answer)
    assert got["state"] == "kept"
    assert (await app.redeem(got["code"])).status_code == 200


async def test_loading_the_page_again_spends_nothing(issuer):
    await issuer.person()
    app = await issuer.register()
    request_uri = await pushed(app)
    first, second = await bring(app, request_uri), await bring(app, request_uri)
    assert "code" in app.query(await issuer.follow(await issuer.enter(second)))
    back = await issuer.http.get(first.headers["location"])
    resumed = await issuer.http.get("/authorize", params={"flow": app.query(first)["flow"]})
    assert back.status_code in {200, 303}
    assert app.query(resumed)["error"] == "invalid_request_uri"
    assert "code" not in app.query(resumed)


async def test_consent_on_the_way_does_not_break_it(issuer):
    await issuer.sign_in()
    app = await issuer.register(first_party=False)
    page = await issuer.follow(await bring(app, await pushed(app)))
    answer = await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
    assert "code" in app.query(await issuer.follow(answer))


@pytest.mark.spec("RFC 9126", "2", "MUST")
async def test_a_client_is_authenticated(issuer, app):
    parameters = app.request()
    assert refused(await issuer.direct.post("/par", data=parameters), "invalid_client", 401)
    wrong = await issuer.direct.post("/par", data=parameters, auth=(app.client_id, "wrong"))
    assert refused(wrong, "invalid_client", 401)


async def test_a_public_client_may_push_too(issuer):
    await issuer.sign_in()
    app = await issuer.public()
    assert "code" in app.query(await bring(app, await pushed(app)))


@pytest.mark.spec("RFC 9126", "4", "MUST")
async def test_a_name_is_its_clients_own(issuer, app):
    other = await issuer.register()
    request_uri = await pushed(app)
    assert page(await bring(other, request_uri), "stale_flow")
    assert page(await bring(app, request_uri, client_id=""), "stale_flow")
    assert "code" in app.query(await bring(app, request_uri))


async def test_the_client_of_the_request_is_the_one_that_authenticates(issuer, app):
    other = await issuer.register()
    assert refused(await app.post("/par", **other.request()), "invalid_request")


@pytest.mark.spec("RFC 9126", "2.1", "MUST")
async def test_a_request_uri_is_not_pushed(app):
    assert refused(await push(app, request_uri=await pushed(app)), "invalid_request")


@pytest.mark.spec("RFC 9126", "2.3", "MUST")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"resource": "elsewhere"}, "invalid_target"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"response_mode": "smoke_signal"}, "invalid_request"),
        ({"nonce": "n" * 8_192}, "invalid_request"),
    ],
)
async def test_a_request_that_is_not_right_is_refused_when_it_is_pushed(app, changes, error):
    assert refused(await push(app, **changes), error)


async def test_a_repeated_parameter_is_refused(issuer, app):
    answer = await issuer.direct.post(
        "/par",
        content="response_type=code&response_type=code",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=app.auth,
    )
    assert refused(answer, "invalid_request")


async def test_it_takes_post_alone(issuer):
    assert (await issuer.direct.get("/par")).status_code == 405


@pytest.mark.parametrize("request_uri", ["https://app.example/request", "urn:example:x", "file:///etc/passwd"])
async def test_another_request_uri_is_not_supported_and_not_fetched(app, request_uri):
    assert page(await bring(app, request_uri), "bad_request")
    answer = await bring(app, request_uri, redirect_uri=app.redirect_uri, state="s")
    assert app.query(answer)["error"] == "request_uri_not_supported"
    assert app.query(answer)["state"] == "s"


@pytest.mark.parametrize("name", ["", "x", "a" * 43])
async def test_a_made_up_name_is_refused(app, name):
    assert page(await bring(app, PREFIX + name), "stale_flow")
    foreign = await bring(app, PREFIX + name, redirect_uri="https://evil.example/")
    assert page(foreign, "foreign_redirect_uri")
    answer = await bring(app, PREFIX + name, redirect_uri=app.redirect_uri)
    assert app.query(answer)["error"] == "invalid_request_uri"


@pytest.mark.spec("RFC 9126", "6", "MUST")
async def test_a_client_that_is_registered_to_push_must(issuer):
    await issuer.sign_in()
    app = await issuer.register(require_pushed_authorization_requests=True)
    answer = await app.authorize()
    assert app.query(answer)["error"] == "invalid_request"
    assert "code" in app.query(await bring(app, await pushed(app)))


async def test_a_client_that_must_push_may_sign_its_person_in_on_the_way(issuer):
    await issuer.person()
    app = await issuer.register(require_pushed_authorization_requests=True)
    answer = await issuer.follow(await issuer.enter(await bring(app, await pushed(app))))
    assert "code" in app.query(answer)


async def test_what_a_client_authenticates_with_is_not_kept(issuer):
    await issuer.sign_in()
    app = await issuer.register(token_endpoint_auth_method="client_secret_post")
    answer = await issuer.direct.post("/par", data=app.request() | {"client_secret": app.secret})
    assert answer.status_code == 201
    from hashlib import sha256

    name = answer.json()["request_uri"].removeprefix(PREFIX)
    found = await issuer.desk.store.artifacts.get(
        "pushed_request", sha256(name.encode()).digest(), at=issuer.clock.now()
    )
    assert app.secret.encode() not in found.document
    assert name.encode() not in found.document


async def test_discovery_says_so(issuer):
    document = (await issuer.direct.get("/.well-known/oauth-authorization-server")).json()
    assert document["pushed_authorization_request_endpoint"] == "http://127.0.0.1:8080/par"
    assert document["require_pushed_authorization_requests"] is False


async def test_strangers_do_not_fill_the_store_with_what_public_clients_could_push(issuer, app, monkeypatch):
    monkeypatch.setattr("carnet.issuer.endpoints.par.MOST_UNPROVED", 3)
    apps = [await issuer.public() for _ in range(4)]
    answers = [await push(one) for one in apps]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert answers[3].json()["error"] == "temporarily_unavailable"
    await pushed(app)  # one that authenticates is not counted
    issuer.clock.advance(KEPT)
    await pushed(apps[0])
