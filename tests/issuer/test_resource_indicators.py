"""RFC 8707: which resource servers an access token is for."""

import pytest

pytestmark = pytest.mark.anyio

ORDERS, STOCK = "https://orders.example/", "urn:stock"


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(audiences=(ORDERS, STOCK))


def sent_back(answer, app) -> str:
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(app.redirect_uri)
    return app.query(answer)["error"]


async def ask_twice(app, *resources: str):
    """A request of one client for several resources at once."""
    parameters = [*app.request(scope="profile").items(), *(("resource", resource) for resource in resources)]
    return await app.issuer.http.get("/authorize", params=parameters)


@pytest.mark.spec("RFC 8707", "2", "SHOULD")
async def test_a_token_is_for_the_resource_that_was_asked_for(app, claims):
    assert claims((await app.tokens(scope="profile", resource=ORDERS))["access_token"])["aud"] == ORDERS


@pytest.mark.spec("RFC 8707", "2", "MAY")
async def test_resource_may_be_repeated_and_no_other_parameter(app, claims):
    code = app.query(await ask_twice(app, STOCK, ORDERS))["code"]
    token = (await app.redeem(code)).json()["access_token"]
    assert claims(token)["aud"] == (STOCK, ORDERS)
    repeated = await app.issuer.http.get(
        "/authorize", params=[*app.request().items(), ("scope", "openid"), ("resource", ORDERS)]
    )
    assert repeated.status_code == 400


async def test_a_resource_that_is_named_twice_is_meant_once(app, claims):
    code = app.query(await ask_twice(app, ORDERS, ORDERS))["code"]
    assert claims((await app.redeem(code)).json()["access_token"])["aud"] == ORDERS


@pytest.mark.spec("RFC 8707", "2", "MUST")
@pytest.mark.parametrize(
    "resource",
    ["https://invoices.example/", "https://orders.example", f"{ORDERS}#part", "HTTPS://orders.example/", "orders"],
)
async def test_a_resource_that_the_client_may_not_reach_is_an_invalid_target(app, resource):
    assert sent_back(await app.authorize(resource=resource), app) == "invalid_target"
    assert sent_back(await ask_twice(app, ORDERS, resource), app) == "invalid_target"
    code = await app.code(scope="profile")
    refused = await app.redeem(code, resource=resource)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert refused.headers["cache-control"] == "no-store"


@pytest.mark.spec("RFC 8707", "2.2", "MUST")
async def test_a_refused_resource_costs_nothing(app):
    code = await app.code(scope="profile", resource=ORDERS)
    assert (await app.redeem(code, resource=STOCK)).json()["error"] == "invalid_target"
    assert (await app.redeem(code)).status_code == 200


@pytest.mark.spec("RFC 8707", "2.2", "SHOULD")
async def test_a_refresh_narrows_one_token_and_not_the_approval(app, claims):
    first = await app.tokens(scope="profile")
    assert set(claims(first["access_token"])["aud"]) == {ORDERS, STOCK}
    narrowed = (await app.refresh(first["refresh_token"], resource=STOCK)).json()
    assert claims(narrowed["access_token"])["aud"] == STOCK
    again = (await app.refresh(narrowed["refresh_token"])).json()
    assert set(claims(again["access_token"])["aud"]) == {ORDERS, STOCK}


async def test_a_refresh_never_reaches_beyond_the_approval(app):
    first = await app.tokens(scope="profile", resource=ORDERS)
    refused = await app.refresh(first["refresh_token"], resource=STOCK)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert (await app.refresh(first["refresh_token"])).status_code == 200


async def test_a_client_of_its_own_account_narrows_its_resources_too(issuer, claims):
    service = await issuer.service(audiences=(ORDERS, STOCK))
    both = await service.post(grant_type="client_credentials")
    assert set(claims(both.json()["access_token"])["aud"]) == {ORDERS, STOCK}
    one = await service.post(grant_type="client_credentials", resource=STOCK)
    assert claims(one.json()["access_token"])["aud"] == STOCK
    refused = await service.post(grant_type="client_credentials", resource="urn:other")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")


async def test_the_resources_outlive_a_sign_in_on_the_way(issuer, claims):
    await issuer.person()
    app = await issuer.register(audiences=(ORDERS, STOCK))
    answer = await issuer.follow(await issuer.enter(await ask_twice(app, STOCK)))
    token = (await app.redeem(app.query(answer)["code"])).json()["access_token"]
    assert claims(token)["aud"] == STOCK


@pytest.fixture
async def choosing(issuer):
    """A client that has to say which of its audiences it wants."""
    await issuer.sign_in()
    return await issuer.register(
        scope="openid orders:read",
        audiences=("orders", "stock"),
        require_resource=True,
        grant_types=("authorization_code", "refresh_token", "client_credentials"),
    )


@pytest.mark.spec("RFC 8707", "2", "MAY")
async def test_a_client_that_must_say_which_resource_gets_no_token_for_all(choosing, claims):
    answer = await choosing.authorize(scope="orders:read")
    assert choosing.query(answer)["error"] == "invalid_target"
    tokens = await choosing.tokens(scope="orders:read", resource="orders")
    assert claims(tokens["access_token"])["aud"] == "orders"
    refreshed = await choosing.refresh(tokens["refresh_token"], resource="stock")
    assert refreshed.json()["error"] == "invalid_target"


async def test_to_sign_people_in_it_need_not_say_and_then_may_reach_no_resource(choosing, claims):
    tokens = await choosing.tokens(scope="openid orders:read")
    assert claims(tokens["access_token"])["aud"] == "http://127.0.0.1:8080"
    refreshed = await choosing.refresh(tokens["refresh_token"], resource="orders")
    assert refreshed.json()["error"] == "invalid_target"


async def test_for_itself_it_says_so_at_the_token_endpoint(choosing, claims):
    answer = await choosing.post(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    answer = await choosing.post(grant_type="client_credentials", resource="stock")
    assert claims(answer.json()["access_token"])["aud"] == "stock"


async def test_a_setting_has_every_client_say(issuer, monkeypatch):
    from msgspec.structs import replace

    await issuer.sign_in()
    app = await issuer.register(scope="orders:read", audiences=("orders",))
    assert "code" in app.query(await app.authorize(scope="orders:read"))
    object.__setattr__(issuer.desk, "config", replace(issuer.desk.config, require_resource=True))
    assert app.query(await app.authorize(scope="orders:read"))["error"] == "invalid_target"
