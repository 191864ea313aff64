"""RFC 7523 section 2.1: assertions of issuers that a client is registered to bring."""

import asyncio

import pytest

from carnet.issuer.clients import ClientError
from carnet.issuer.grants.jwt_bearer import LEEWAY, LONGEST_LIFE
from carnet.issuer.storage.records import AssertionIssuer
from carnet.issuer.token_policies import ASSERTION
from carnet.jose import SigningKey, sign_jwt

pytestmark = pytest.mark.anyio

HERE = "http://127.0.0.1:8080"
THERE = "https://ci.example"

KEY = SigningKey.generate("ES256", kid="there")
OTHER = SigningKey.generate("ES256", kid="there")
JWKS = {"keys": [KEY.public().to_jwk()]}


@pytest.fixture
async def ann(issuer):
    return await issuer.person(roles=("CLERK",))


async def brings(at, **trusted):
    return await at.service(
        grant_types=(ASSERTION,),
        scope="openid stock:read stock:write",
        audiences=("stock",),
        assertion_issuers=(AssertionIssuer(**({"issuer": THERE, "jwks": JWKS} | trusted)),),
    )


@pytest.fixture
async def client(issuer, ann):
    return await brings(issuer, subjects={"build-7": ann.subject})


@pytest.fixture
def assertion(issuer):
    def made(key=KEY, typ="JWT", **changes):
        now = issuer.clock.ambient.now()
        claims = {"iss": THERE, "sub": "build-7", "aud": HERE, "exp": now + 120, "iat": now, "jti": "1"} | changes
        return sign_jwt({name: value for name, value in claims.items() if value is not None}, key, typ=typ)

    return made


async def bring(client, token: str, **parameters: str):
    return await client.post(grant_type=ASSERTION, assertion=token, **parameters)


async def refused(client, token: str, error: str = "invalid_grant", **parameters: str) -> None:
    answer = await bring(client, token, **parameters)
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text


@pytest.mark.spec("RFC 7523", "2.1", "MUST")
async def test_an_assertion_gets_an_access_token_for_the_account_that_it_stands_for(client, ann, assertion, claims):
    answer = await bring(client, assertion())
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope"}
    said = claims(answer.json()["access_token"])
    assert (said["sub"], said["client_id"], said["aud"]) == (ann.subject, client.client_id, "stock")
    assert said["roles"] == ("CLERK",)
    assert not {"sid", "auth_time", "amr"} & set(said)


@pytest.mark.spec("RFC 7521", "4.1", "SHOULD NOT")
async def test_the_token_lives_no_longer_than_the_assertion(issuer, client, assertion):
    now = issuer.clock.ambient.now()
    assert (await bring(client, assertion(exp=now + 20))).json()["expires_in"] == 20
    assert (await bring(client, assertion(exp=now + 3_000, jti="2"))).json()["expires_in"] == 300


async def test_the_scope_is_the_client_s_short_of_an_identity(client, assertion):
    assert (await bring(client, assertion())).json()["scope"] == "stock:read stock:write"
    assert (await bring(client, assertion(jti="2"), scope="stock:read")).json()["scope"] == "stock:read"
    await refused(client, assertion(jti="3"), "invalid_scope", scope="admin")
    await refused(client, assertion(jti="4"), "invalid_scope", scope="openid")


@pytest.mark.spec("RFC 7523", "3", "MUST")
@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None}, {"aud": "https://other.example"}, {"aud": f"{HERE}/token"}, {"aud": f"{HERE}/"},
        {"sub": None}, {"sub": "build-8"}, {"exp": None}, {"jti": None}, {"jti": 7},
        {"iss": None}, {"iss": "https://evil.example"}, {"iss": THERE + "/"},
        {"key": OTHER}, {"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"nonce": "n"}, {"events": {}},
    ],
    ids=str,
)  # fmt: skip
async def test_an_assertion_that_is_not_right_is_refused(client, assertion, changes):
    await refused(client, assertion(**changes))
    assert (await bring(client, assertion())).status_code == 200


@pytest.mark.spec("RFC 7523", "3", "MUST")
async def test_an_assertion_has_its_time(issuer, client, assertion):
    now = issuer.clock.ambient.now()
    await refused(client, assertion(exp=now - LEEWAY))
    await refused(client, assertion(nbf=now + LEEWAY + 1))
    await refused(client, assertion(exp=now + LONGEST_LIFE + LEEWAY + 1))
    await refused(client, assertion(exp=now - 1))  # within the leeway, and nothing could be given for it


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "é.é.é"])
async def test_what_is_no_assertion_is_refused(client, token):
    await refused(client, token)


async def test_an_assertion_is_required(client):
    answer = await client.post(grant_type=ASSERTION)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.spec("RFC 7523", "3", "MAY")
async def test_an_assertion_is_good_once(issuer, client, assertion):
    token = assertion()
    answers = await asyncio.gather(*(bring(client, token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    issuer.clock.advance(119)
    await refused(client, token)


async def test_an_issuer_is_trusted_for_the_clients_that_are_registered_so_alone(issuer, client, assertion):
    elsewhere = await brings(issuer, issuer="https://other.example", jwks={"keys": [OTHER.public().to_jwk()]})
    await refused(elsewhere, assertion())
    await refused(elsewhere, assertion(iss="https://other.example"))
    app = await issuer.register()
    await refused(app, assertion(), "unauthorized_client")


async def test_an_issuer_may_speak_of_the_accounts_own_subjects(issuer, ann, assertion, claims):
    client = await brings(issuer)
    answer = await bring(client, assertion(sub=ann.subject))
    assert claims(answer.json()["access_token"])["sub"] == ann.subject
    await refused(client, assertion(sub="nobody", jti="2"))
    await refused(client, assertion(sub=ann.email, jti="3"))


async def test_a_disabled_account_gets_nothing(issuer, client, ann, assertion):
    from msgspec.structs import replace

    await issuer.desk.store.accounts.replace(ann, replace(ann, disabled_at=1))
    await refused(client, assertion())


async def test_signing_out_everywhere_takes_it_back(issuer, client, ann, assertion):
    token = (await bring(client, assertion())).json()["access_token"]
    watching = await issuer.service(receives=("stock",))
    assert await watching.active(token)
    await issuer.desk.store.sessions.end_all(ann.subject, at=issuer.clock.ambient.now(), lifetime=4_000)
    assert not await watching.active(token)


@pytest.mark.parametrize(
    "metadata",
    [
        {"assertion_issuers": ()},
        {"grant_types": ("client_credentials",)},
        {"token_endpoint_auth_method": "none"},
        {"assertion_issuers": (AssertionIssuer(issuer=THERE, jwks=JWKS),) * 2},
        *(
            {"assertion_issuers": (AssertionIssuer(**({"issuer": THERE, "jwks": JWKS} | wrong)),)}
            for wrong in (
                {"issuer": ""},
                {"issuer": "http://ci.example"},
                {"jwks": None},
                {"jwks_uri": "https://ci.example/jwks"},
                {"jwks": None, "jwks_uri": "http://ci.example/jwks"},
                {"jwks": None, "jwks_uri": "file:///etc/passwd"},
                {"jwks": {"keys": []}},
                {"jwks": {}},
                {"subjects": {"": "x"}},
                {"subjects": {"x": ""}},
            )
        ),
    ],
)
async def test_what_cannot_be_trusted_is_not_registered(issuer, metadata):
    asked = {
        "grant_types": (ASSERTION,),
        "assertion_issuers": (AssertionIssuer(issuer=THERE, jwks=JWKS),),
    } | metadata
    with pytest.raises(ClientError):
        await issuer.service(**asked)
