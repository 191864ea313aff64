"""RFC 8693: token exchange: who may, for what, and that it only narrows (rule O20)."""

import pytest

from carnet.issuer.clients import ClientError
from carnet.issuer.grants.token_exchange import ACCESS_TOKEN, DEEPEST, JWT
from carnet.issuer.storage.records import TokenExchange
from carnet.issuer.token_policies import EXCHANGE

pytestmark = pytest.mark.anyio

DELEGATION = TokenExchange(kind="delegation", receives=("orders",))
IMPERSONATION = TokenExchange(kind="impersonation", receives=("orders",))


@pytest.fixture
async def shop(issuer):
    """The app that a person uses; its tokens are for three services."""
    await issuer.sign_in()
    return await issuer.register(
        scope="openid profile offline_access stock:read stock:write", audiences=("orders", "stock", "mail")
    )


@pytest.fixture
async def token(shop):
    return (await shop.tokens(scope="openid stock:read stock:write"))["access_token"]


async def service(issuer, policy=DELEGATION, **metadata):
    return await issuer.service(
        **(
            {
                "client_name": "Orders",
                "grant_types": (EXCHANGE, "client_credentials"),
                "scope": "stock:read stock:write",
                "audiences": ("stock", "mail", "bank"),
                "token_exchange": policy,
            }
            | metadata
        )
    )


@pytest.fixture
async def orders(issuer):
    return await service(issuer)


async def exchange(client, token: str, **changes: str):
    return await client.post(
        **({"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN} | changes)
    )


async def refused(client, token: str, error: str, **changes: str) -> None:
    answer = await exchange(client, token, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text


@pytest.mark.spec("RFC 8693", "2.2.1", "REQUIRED")
async def test_the_answer_says_what_was_issued_and_holds_an_access_token_alone(orders, token):
    answer = await exchange(orders, token)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
    assert answer.json()["issued_token_type"] == ACCESS_TOKEN
    assert answer.json()["token_type"] == "Bearer"


@pytest.mark.spec("RFC 8693", "4.1", "REQUIRED")
async def test_in_delegation_the_token_is_the_person_s_and_says_who_acts(issuer, orders, token, claims):
    before = claims(token)
    after = claims((await exchange(orders, token)).json()["access_token"])
    for name in ("sub", "sid", "auth_time", "amr", "roles", "sep"):
        assert after[name] == before[name], name
    assert after["client_id"] == orders.client_id
    assert after["act"] == {"sub": orders.client_id}
    assert after["jti"] != before["jti"]
    assert "token.exchanged" in await issuer.events()


@pytest.mark.spec("RFC 8693", "1.1", "MUST")
async def test_in_impersonation_nobody_sees_who_acts(issuer, token, claims):
    impersonating = await service(issuer, IMPERSONATION)
    after = claims((await exchange(impersonating, token)).json()["access_token"])
    assert "act" not in after
    assert after["sub"] == claims(token)["sub"]
    own = (await impersonating.post(grant_type="client_credentials")).json()["access_token"]
    await refused(impersonating, token, "invalid_request", actor_token=own, actor_token_type=ACCESS_TOKEN)


@pytest.mark.spec("RFC 8693", "4.1", "OPTIONAL")
async def test_actors_stand_behind_one_another_and_not_too_many(issuer, orders, token, claims):
    stock = await service(issuer, TokenExchange(kind="delegation", receives=("stock",)))
    first = (await exchange(orders, token)).json()["access_token"]
    second = (await exchange(stock, first)).json()["access_token"]
    assert claims(second)["act"] == {"sub": stock.client_id, "act": {"sub": orders.client_id}}
    for _ in range(DEEPEST - 2):
        second = (await exchange(stock, second)).json()["access_token"]
    await refused(stock, second, "invalid_request")


@pytest.mark.spec("RFC 8693", "2.1", "OPTIONAL")
async def test_an_actor_is_named_by_a_token_of_the_client_s_own(issuer, orders, token, claims):
    own = (await orders.post(grant_type="client_credentials")).json()["access_token"]
    answer = await exchange(orders, token, actor_token=own, actor_token_type=ACCESS_TOKEN)
    assert claims(answer.json()["access_token"])["act"] == {"sub": orders.client_id}
    other = await issuer.service(scope="stock:read", audiences=("stock",))
    foreign = (await other.post(grant_type="client_credentials")).json()["access_token"]
    for bad in (foreign, token, "x", own[:-4] + "AAAA"):
        await refused(orders, token, "invalid_request", actor_token=bad, actor_token_type=ACCESS_TOKEN)


async def test_it_narrows_the_scope_and_never_widens_it(issuer, orders, token, shop, claims):
    answer = await exchange(orders, token)
    assert answer.json()["scope"] == "stock:read stock:write"
    assert claims(answer.json()["access_token"])["scope"] == "stock:read stock:write"
    assert (await exchange(orders, token, scope="stock:read")).json()["scope"] == "stock:read"
    await refused(orders, token, "invalid_scope", scope="stock:read admin")
    little = (await shop.tokens(scope="openid stock:read"))["access_token"]
    await refused(orders, little, "invalid_scope", scope="stock:write")
    reader = await service(issuer, scope="stock:read")
    assert (await exchange(reader, token)).json()["scope"] == "stock:read"


async def test_what_is_exchanged_is_no_identity(orders, token, claims, shop):
    answer = (await exchange(orders, token)).json()
    assert "http://127.0.0.1:8080" not in claims(answer["access_token"])["aud"]
    assert (await shop.userinfo(answer["access_token"])).status_code == 401
    await refused(orders, token, "invalid_scope", scope="openid")


@pytest.mark.spec("RFC 8693", "2.2.2", "SHOULD")
async def test_it_narrows_the_audience_and_never_widens_it(issuer, orders, token, claims):
    def audience(answer):
        return claims(answer.json()["access_token"])["aud"]

    assert audience(await exchange(orders, token)) == ("stock", "mail")
    assert audience(await exchange(orders, token, audience="stock")) == "stock"
    assert audience(await exchange(orders, token, resource="mail")) == "mail"
    for beyond in ("bank", "orders", "http://127.0.0.1:8080"):  # not the token's; not the client's; the issuer's
        await refused(orders, token, "invalid_target", audience=beyond)
        await refused(orders, token, "invalid_target", resource=beyond)
    await refused(await service(issuer, audiences=("bank",)), token, "invalid_target")
    await refused(await service(issuer, audiences=()), token, "invalid_target")


async def test_it_never_lives_longer_than_what_it_comes_of(issuer, orders, token, claims):
    issuer.clock.advance(200)
    answer = await exchange(orders, token)
    assert answer.json()["expires_in"] == 100
    assert claims(answer.json()["access_token"])["exp"] == claims(token)["exp"]
    issuer.clock.advance(100)
    await refused(orders, token, "invalid_request")


@pytest.mark.spec("RFC 8693", "2.2.2", "MUST")
async def test_what_is_no_live_access_token_of_ours_is_refused(issuer, shop, orders, token):
    tokens = await shop.tokens(scope="openid stock:read")
    for bad in ("x", token[:-4] + "AAAA", tokens["id_token"], tokens["refresh_token"]):
        await refused(orders, bad, "invalid_request")
    await shop.post("/revoke", token=token)
    await refused(orders, token, "invalid_request")


async def test_what_ends_the_original_ends_what_came_of_it(issuer, shop, orders):
    tokens = await shop.tokens(scope="openid stock:read")
    derived = (await exchange(orders, tokens["access_token"])).json()["access_token"]
    assert await orders.active(derived)
    await shop.post("/revoke", token=tokens["refresh_token"])
    assert not await orders.active(derived)
    await refused(orders, derived, "invalid_request")


async def test_signing_out_ends_what_came_of_the_session(issuer, shop, orders, token):
    derived = (await exchange(orders, token)).json()["access_token"]
    page = await issuer.http.get("/end_session")
    await issuer.submit("/end_session", issuer.fields(page))
    assert not await orders.active(derived)
    await refused(orders, token, "invalid_request")


async def test_a_token_for_others_is_worth_nothing_to_a_service_that_got_hold_of_it(issuer, shop, orders):
    for_mail = (await shop.tokens(scope="stock:read", resource="mail"))["access_token"]
    await refused(orders, for_mail, "invalid_request")


async def test_a_service_s_own_token_is_nobody_s_to_exchange(orders):
    own = (await orders.post(grant_type="client_credentials")).json()["access_token"]
    await refused(orders, own, "invalid_request")


@pytest.mark.spec("RFC 8693", "4.4", "OPTIONAL")
async def test_a_token_that_says_who_may_act_lets_nobody_else(issuer, orders, claims):
    await issuer.sign_in()
    metadata = {"scope": "openid stock:read", "audiences": ("orders", "stock")}
    for_orders = await issuer.register(**metadata, may_act=orders.client_id)
    token = (await for_orders.tokens(scope="openid stock:read"))["access_token"]
    assert claims(token)["may_act"] == {"sub": orders.client_id}
    derived = (await exchange(orders, token)).json()["access_token"]
    assert claims(derived)["may_act"] == {"sub": orders.client_id}
    for_mail = await issuer.register(**metadata, may_act="mail")
    token = (await for_mail.tokens(scope="openid stock:read"))["access_token"]
    await refused(orders, token, "invalid_request")
    await refused(await service(issuer, IMPERSONATION), token, "invalid_request")


@pytest.mark.spec("RFC 8693", "2.1", "REQUIRED")
async def test_the_types_of_the_tokens_are_named_and_known(orders, token):
    assert (await exchange(orders, token, subject_token_type=JWT, requested_token_type=ACCESS_TOKEN)).status_code == 200
    await refused(orders, "", "invalid_request")
    saml = "urn:ietf:params:oauth:token-type:saml2"
    own = (await orders.post(grant_type="client_credentials")).json()["access_token"]
    for changes in (
        {"subject_token_type": ""},
        {"subject_token_type": saml},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token": own},
        {"actor_token_type": ACCESS_TOKEN},
        {"actor_token": own, "actor_token_type": saml},
    ):
        await refused(orders, token, "invalid_request", **changes)


@pytest.mark.spec("RFC 8693", "2.1", "SHOULD")
async def test_by_default_no_client_may(issuer, shop, token):
    await refused(shop, token, "unauthorized_client")
    for metadata in (
        {"token_exchange": None},
        {"grant_types": ("client_credentials",)},
        {"token_exchange": TokenExchange(kind="delegation", receives=())},
        {"token_endpoint_auth_method": "none", "grant_types": (EXCHANGE,)},
    ):
        with pytest.raises(ClientError):
            await service(issuer, **metadata)


async def test_the_grant_does_not_count_on_the_registration(issuer, orders, token):
    from msgspec.structs import replace

    client = orders.registered.client
    await issuer.desk.store.clients.replace(client, replace(client, token_exchange=None))
    await refused(orders, token, "unauthorized_client")


async def test_a_disabled_person_is_spoken_for_by_nobody(issuer, orders, token):
    from msgspec.structs import replace

    account = issuer.accounts["ann@example.com"]
    await issuer.desk.store.accounts.replace(account, replace(account, disabled_at=1))
    await refused(orders, token, "invalid_request")


async def test_a_token_from_before_a_step_up_is_exchanged_until_the_session_that_followed_ends(
    issuer, shop, orders, token, claims
):
    issuer.clock.advance(10)
    await issuer.follow(await issuer.enter(await shop.authorize(scope="openid stock:read", prompt="login")))
    derived = (await exchange(orders, token)).json()["access_token"]
    assert claims(derived)["sid"] == claims(token)["sid"]
    page = await issuer.http.get("/end_session")
    await issuer.submit("/end_session", issuer.fields(page))
    assert not await orders.active(derived)
    await refused(orders, token, "invalid_request")
