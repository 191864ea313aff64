"""RFC 6749 section 4.4: a client that acts for itself."""

import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(issuer):
    return await issuer.service(scope="stock:read stock:write", audiences=("warehouse",), roles=("SERVICE",))


async def ask(client, **parameters: str):
    return await client.post(grant_type="client_credentials", **parameters)


@pytest.mark.spec("RFC 6749", "4.4.3", "SHOULD NOT")
async def test_a_client_gets_an_access_token_of_its_own_and_nothing_else(issuer, service, claims):
    answer = await ask(service)
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope"}
    said = claims(answer.json()["access_token"])
    assert said["sub"] == said["client_id"] == service.client_id
    assert (said["aud"], said["scope"], said["roles"]) == ("warehouse", "stock:read stock:write", ("SERVICE",))
    assert not {"sid", "auth_time", "amr", "acr"} & set(said)
    assert "." not in said["jti"]


async def test_a_client_may_ask_for_less(service):
    assert (await ask(service, scope="stock:read")).json()["scope"] == "stock:read"


@pytest.mark.spec("RFC 6749", "5.2", "MUST")
async def test_a_client_gets_no_scope_that_it_is_not_registered_for(service):
    answer = await ask(service, scope="stock:read admin")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("scope", ["openid", "profile", "email", "offline_access"])
async def test_a_client_is_no_person(issuer, scope):
    client = await issuer.service(scope=f"{scope} stock:read")
    assert (await ask(client)).json()["scope"] == "stock:read"
    assert (await ask(client, scope=scope)).json()["error"] == "invalid_scope"


async def test_a_client_may_ask_for_some_of_its_resources(issuer, claims):
    client = await issuer.service(audiences=("warehouse", "https://orders.example/"))
    narrowed = await ask(client, resource="https://orders.example/")
    assert claims(narrowed.json()["access_token"])["aud"] == "https://orders.example/"
    refused = await ask(client, resource="https://invoices.example/")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")


@pytest.mark.spec("RFC 6749", "5.2", "MUST")
async def test_a_client_that_is_not_registered_for_a_grant_is_not_given_it(issuer):
    app = await issuer.register()
    answer = await ask(app)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.spec("RFC 6749", "4.4", "MUST")
async def test_a_public_client_has_no_credentials(issuer):
    """Registration refuses it; the grant does not count on that."""
    from msgspec.structs import replace

    public = await issuer.public()
    client = public.registered.client
    await issuer.desk.store.clients.replace(client, replace(client, grant_types=("client_credentials",)))
    answer = await ask(public)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_a_removed_client_has_no_tokens_any_more(issuer, service):
    from carnet.issuer.clients import remove

    token = (await ask(service)).json()["access_token"]
    watching = await issuer.service(receives=("warehouse",))
    assert await watching.active(token)
    await remove(issuer.desk, service.client_id, actor="test")
    assert not await watching.active(token)
    assert (await ask(service)).status_code == 401


@pytest.mark.parametrize("grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:unheard-of", "CODE"])
async def test_other_grants_are_not_supported(service, grant_type):
    answer = await service.post(grant_type=grant_type, username="ann@example.com", password="x")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


async def test_a_grant_type_is_required(service):
    answer = await service.post(scope="stock:read")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
