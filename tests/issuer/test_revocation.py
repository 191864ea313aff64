"""RFC 7009: a client gives a token back."""

import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register()


async def revoke(client, token: str, **parameters: str):
    return await client.post("/revoke", token=token, **parameters)


@pytest.mark.spec("RFC 7009", "2.1", "MUST")
async def test_with_a_refresh_token_the_whole_family_ends(issuer, app):
    tokens = await app.tokens()
    refreshed = (await app.refresh(tokens["refresh_token"])).json()
    answer = await revoke(app, refreshed["refresh_token"])
    assert (answer.status_code, answer.content) == (200, b"")
    assert not await app.active(refreshed["refresh_token"])
    assert not await app.active(refreshed["access_token"])
    assert not await app.active(tokens["access_token"])
    assert (await app.refresh(refreshed["refresh_token"])).json()["error"] == "invalid_grant"
    assert "refresh_token.revoked" in await issuer.events()


async def test_a_spent_refresh_token_ends_its_family_too(app):
    tokens = await app.tokens()
    refreshed = (await app.refresh(tokens["refresh_token"])).json()
    await revoke(app, tokens["refresh_token"])
    assert not await app.active(refreshed["access_token"])


async def test_another_family_lives_on(app):
    one, other = await app.tokens(), await app.tokens()
    await revoke(app, one["refresh_token"])
    assert await app.active(other["access_token"])
    assert await app.active(other["refresh_token"])


async def test_an_access_token_is_taken_back_alone_and_guards_are_told(issuer, app, claims):
    tokens = await app.tokens()
    await revoke(app, tokens["access_token"])
    assert not await app.active(tokens["access_token"])
    assert await app.active(tokens["refresh_token"])
    jti = claims(tokens["access_token"])["jti"]
    entry = await issuer.desk.store.revocations.find("token", jti, at=issuer.clock.now())
    assert entry is not None
    assert entry.expires_at > claims(tokens["access_token"])["exp"]
    assert "access_token.revoked" in await issuer.events()


@pytest.mark.spec("RFC 7009", "2.2", "MUST")
@pytest.mark.parametrize("token", ["unknown", "A" * 43, "a.b.c"])
async def test_an_unknown_token_is_as_good_as_revoked(app, token):
    assert (await revoke(app, token)).status_code == 200


async def test_revoking_twice_is_as_good_as_once(app):
    tokens = await app.tokens()
    for kind in ("refresh_token", "access_token"):
        assert (await revoke(app, tokens[kind])).status_code == 200
        assert (await revoke(app, tokens[kind])).status_code == 200


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unheard_of"])
async def test_a_wrong_hint_misleads_nobody(app, hint):
    tokens = await app.tokens()
    await revoke(app, tokens["refresh_token"], token_type_hint=hint)
    assert not await app.active(tokens["refresh_token"])


@pytest.mark.spec("RFC 7009", "2.1", "MUST")
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_another_clients_token_is_not_taken_back(issuer, app, kind):
    tokens = await app.tokens()
    other = await issuer.register()
    answer = await revoke(other, tokens[kind])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert await app.active(tokens[kind])


@pytest.mark.spec("RFC 7009", "2.1", "MUST")
async def test_a_confidential_client_authenticates(issuer, app):
    tokens = await app.tokens()
    answer = await issuer.direct.post("/revoke", data={"client_id": app.client_id, "token": tokens["refresh_token"]})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert await app.active(tokens["refresh_token"])


async def test_a_public_client_gives_back_its_own_tokens(issuer, app):
    public = await issuer.public()
    tokens = await public.tokens()
    assert (await revoke(public, tokens["refresh_token"])).status_code == 200
    assert not await app.active(tokens["access_token"])


async def test_a_token_is_required(app):
    answer = await app.post("/revoke", token_type_hint="access_token")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
