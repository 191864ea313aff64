"""RFC 7009, RFC 7662, Token Status List: whatever takes a token back shows in the feed, in introspection and in the status list."""

import zlib

import pytest

from carnet.feed.epoch_map import EpochMap, TokenNames
from carnet.feed.messages import feed_verifier, read_snapshot
from carnet.issuer import clients
from carnet.issuer.accounts import people
from carnet.issuer.revocation.status_lists import AGE
from carnet.jose import base64url

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
AUDIENCE = "orders"


async def sign_out(issuer, app, tokens, subject):
    page = await issuer.http.get("/end_session")
    await issuer.submit("/end_session", issuer.fields(page))


async def sign_out_everywhere(issuer, app, tokens, subject):
    await people.sign_out_everywhere(issuer.desk, subject, by=people.CLI)


async def another_password(issuer, app, tokens, subject):
    await people.set_password(issuer.desk, subject, "umber lantern under tide", by=people.CLI)


async def disabled_account(issuer, app, tokens, subject):
    await people.disable(issuer.desk, subject, by=people.CLI)


async def deleted_account(issuer, app, tokens, subject):
    await people.remove(issuer.desk, subject, by=people.CLI)


async def deleted_client(issuer, app, tokens, subject):
    await clients.remove(issuer.desk, app.client_id, actor="test")


async def withdrawn_consent(issuer, app, tokens, subject):
    await people.revoke_app(issuer.desk, subject, app.client_id, by=people.CLI)


async def revoked_refresh_token(issuer, app, tokens, subject):
    await app.post("/revoke", token=tokens["refresh_token"])


async def revoked_access_token(issuer, app, tokens, subject):
    await app.post("/revoke", token=tokens["access_token"])


async def compromised_key(issuer, app, tokens, subject):
    await issuer.desk.keyring.retire((await issuer.desk.keyring.signing_key()).kid, compromised=True)


WAYS = (
    *(sign_out, sign_out_everywhere, another_password, disabled_account, deleted_account, deleted_client),
    *(withdrawn_consent, revoked_refresh_token, revoked_access_token, compromised_key),
)


async def in_the_feed(issuer, token, claims, kid):
    """Whether guards refuse it."""
    now = issuer.clock.ambient.now()
    keys = await issuer.desk.keyring.key_set()
    verifier = feed_verifier(keys, issuer=ISSUER, algorithms=("ES256",))
    snapshot = read_snapshot((await issuer.direct.get("/revocations/snapshot")).content, verifier, at=now)
    said = claims(token)
    names = TokenNames(
        subject=said["sub"],
        client_id=said["client_id"],
        jti=said["jti"],
        kid=kid,
        sid=said.get("sid"),
        epoch=said.get("sep", 0),
    )
    return EpochMap(snapshot.packed, key=snapshot.key).refuses(names.marks(snapshot.key))


async def in_introspection(service, token):
    answer = await service.post("/introspect", token=token)
    return answer.json() == {"active": False}


async def in_the_list(issuer, token, claims):
    reference = claims(token)["status"]["status_list"]
    listed = claims((await issuer.direct.get(reference["uri"])).text)["status_list"]
    bits = zlib.decompress(base64url.decode(listed["lst"].encode()))
    return bool(bits[reference["idx"] // 8] >> reference["idx"] % 8 & 1)


@pytest.mark.spec("RFC 7662", "2.2", "MUST")
@pytest.mark.spec("Token Status List", "7.1", "MUST")
@pytest.mark.parametrize("take_back", WAYS, ids=lambda way: way.__name__)
async def test_the_feed_introspection_and_status_lists_say_the_same(issuer, claims, take_back):
    account = await issuer.sign_in()
    app = await issuer.register(audiences=(AUDIENCE,), access_token_status_list=True)
    service = await issuer.service(client_id=AUDIENCE)
    kid = (await issuer.desk.keyring.signing_key()).kid
    tokens = await app.tokens()
    token = tokens["access_token"]

    async def said():
        return (
            await in_the_feed(issuer, token, claims, kid),
            await in_introspection(service, token),
            await in_the_list(issuer, token, claims),
        )

    assert await said() == (False, False, False)
    await take_back(issuer, app, tokens, account.subject)
    issuer.clock.advance(AGE)
    assert await said() == (True, True, True)
