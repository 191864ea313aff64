"""OpenID Connect Core section 5.3, RFC 6750: the userinfo endpoint."""

from uuid import UUID

import pytest

from carnet.issuer.accounts import people
from carnet.issuer.config import Config
from carnet.issuer.definition import ClaimDefinition, Defined, ScopeDefinition

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(audiences=("orders",), scope="openid profile email roles orders:read offline_access")


def refused(answer, error: str, status: int) -> bool:
    challenge = answer.headers["www-authenticate"]
    return (
        (answer.status_code, answer.json()["error"]) == (status, error)
        and challenge.startswith('Bearer realm="http://127.0.0.1:8080", ')
        and f'error="{error}"' in challenge
        and answer.headers["cache-control"] == "no-store"
    )


@pytest.mark.spec("OpenID Connect Core", "5.4", "MUST")
@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        ("openid", {"sub"}),
        ("openid profile", {"sub", "name", "updated_at"}),
        ("openid email", {"sub", "email", "email_verified"}),
        ("openid roles", {"sub", "roles"}),
    ],
)
async def test_each_scope_value_shows_its_claims_and_no_others(issuer, app, scope, shown):
    tokens = await app.tokens(scope=scope)
    answer = await app.userinfo(tokens["access_token"])
    assert answer.status_code == 200
    assert set(answer.json()) == shown
    assert answer.json()["sub"] == issuer.accounts["ann@example.com"].subject
    assert answer.headers["cache-control"] == "no-store"


ADDRESS = {"formatted": "1 Way\nBonn", "street_address": "1 Way", "locality": "Bonn", "country": "DE"}


class TestWithAddresses:
    @pytest.fixture
    def config(self, tmp_path) -> Config:
        scopes = (ScopeDefinition(name="address", claims=("address",)),)
        define = Defined(scopes=scopes, claims=(ClaimDefinition(name="address", attribute="address"),))
        return Config(issuer="http://127.0.0.1:8080", data=tmp_path, define=define)

    @pytest.mark.spec("OpenID Connect Core", "5.1.1", "MUST")
    async def test_an_address_is_an_object(self, issuer):
        await issuer.person(attributes={"address": ADDRESS})
        await issuer.sign_in()
        app = await issuer.register(scope="openid address")
        tokens = await app.tokens(scope="openid address")
        assert (await app.userinfo(tokens["access_token"])).json()["address"] == ADDRESS


async def test_what_is_shown_is_what_is_true_now(issuer, app):
    tokens = await app.tokens(scope="openid profile email offline_access")
    assert (await app.userinfo(tokens["access_token"])).json() == {
        "sub": issuer.accounts["ann@example.com"].subject,
        "name": "Ann",
        "updated_at": issuer.clock.now(),
        "email": "ann@example.com",
        "email_verified": False,
    }


@pytest.mark.spec("OpenID Connect Core", "5.3.1", "MUST")
async def test_it_takes_get_and_post(issuer, app):
    token = (await app.tokens())["access_token"]
    answer = await issuer.direct.post("/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


@pytest.mark.spec("RFC 6750", "3.1", "SHOULD NOT")
@pytest.mark.spec("FAPI 1.0 Baseline", "6.2.1", "SHALL")
async def test_each_answer_has_the_name_that_the_client_gave_the_request_or_a_new_one(issuer, app):
    token = (await app.tokens())["access_token"]

    async def named(given=None):
        headers = {"Authorization": f"Bearer {token}"} | ({} if given is None else {"x-fapi-interaction-id": given})
        return (await issuer.http.get("/userinfo", headers=headers)).headers["x-fapi-interaction-id"]

    own = "C770AEF3-6784-41f7-8e0e-ff5f97bddb3a"
    assert await named(own) == own
    fresh = [await named(), await named("no UUID"), await named(own + own)]
    assert len({*fresh, own}) == 4
    assert {str(UUID(name)) for name in fresh} == set(fresh)


async def test_a_request_without_a_token_is_challenged_and_told_nothing_of_errors(issuer):
    answer = await issuer.direct.get("/userinfo")
    assert answer.status_code == 401
    bearer, dpop = answer.headers["www-authenticate"].split(", DPoP ")
    assert bearer.startswith('Bearer realm="http://127.0.0.1:8080"')
    assert dpop.startswith('algs="ES256 ')
    assert "error" not in answer.headers["www-authenticate"]
    assert answer.content == b""


@pytest.mark.spec("RFC 6750", "3.1", "SHOULD NOT")
@pytest.mark.parametrize("header", ["Basic eDp5", "Digest a", "abc"])
async def test_whoever_authenticates_in_another_way_is_challenged_and_told_nothing_of_errors(issuer, header):
    answer = await issuer.direct.get("/userinfo", headers={"Authorization": header})
    nothing = await issuer.direct.get("/userinfo")
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == nothing.headers["www-authenticate"]


@pytest.mark.spec("RFC 9700", "4.3.2", "MUST NOT")
async def test_a_token_in_the_query_is_not_looked_at(issuer, app):
    token = (await app.tokens())["access_token"]
    assert (await issuer.direct.get("/userinfo", params={"access_token": token})).status_code == 401
    assert (await issuer.direct.post("/userinfo", params={"access_token": token})).status_code == 401


@pytest.mark.spec("RFC 6750", "2.2", "MAY")
async def test_a_token_may_come_in_a_form_and_in_one_place_alone(issuer, app):
    token = (await app.tokens())["access_token"]
    answer = await issuer.direct.post("/userinfo", data={"access_token": token})
    assert (answer.status_code, answer.json()["sub"]) == (200, issuer.accounts["ann@example.com"].subject)
    both = await issuer.direct.post(
        "/userinfo", data={"access_token": token}, headers={"Authorization": f"Bearer {token}"}
    )
    assert refused(both, "invalid_request", 400)
    twice = await issuer.direct.post("/userinfo", data={"access_token": [token, token]})
    assert refused(twice, "invalid_request", 400)
    assert (await issuer.direct.post("/userinfo", data={"access_token": "x"})).status_code == 401
    json = await issuer.direct.post("/userinfo", json={"access_token": token})
    assert json.status_code == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Bearer ü", "Bearer ."])
async def test_what_is_no_bearer_token_is_refused(issuer, header):
    answer = await issuer.direct.get("/userinfo", headers={"Authorization": header.encode()})
    assert refused(answer, "invalid_token", 401)


async def test_two_authorization_headers_are_refused(issuer, app):
    token = (await app.tokens())["access_token"]
    header = ("Authorization", f"Bearer {token}")
    answer = await issuer.direct.get("/userinfo", headers=[header, header])
    assert refused(answer, "invalid_request", 400)


async def test_other_tokens_of_ours_are_refused(app):
    tokens = await app.tokens(scope="openid offline_access")
    for kind in ("id_token", "refresh_token"):
        assert refused(await app.userinfo(tokens[kind]), "invalid_token", 401)


async def test_a_token_for_another_audience_is_refused(app):
    tokens = await app.tokens(scope="orders:read profile")
    assert refused(await app.userinfo(tokens["access_token"]), "invalid_token", 401)


async def test_a_token_for_the_issuer_without_openid_does_not_suffice(issuer, app):
    plain = await issuer.register(audiences=())
    tokens = await plain.tokens(scope="profile")
    answer = await plain.userinfo(tokens["access_token"])
    assert refused(answer, "insufficient_scope", 403)
    assert 'scope="openid"' in answer.headers["www-authenticate"]


async def test_a_clients_own_token_shows_nobody(issuer):
    service = await issuer.service()
    token = (await service.post(grant_type="client_credentials")).json()["access_token"]
    assert refused(await service.userinfo(token), "insufficient_scope", 403)


async def test_an_expired_token_is_refused(issuer, app):
    tokens = await app.tokens()
    issuer.clock.advance(300)
    assert refused(await app.userinfo(tokens["access_token"]), "invalid_token", 401)


async def test_an_altered_token_is_refused(app):
    head, payload, signature = (await app.tokens())["access_token"].split(".")
    altered = "A" if signature[0] != "A" else "B"
    assert refused(await app.userinfo(f"{head}.{payload}.{altered}{signature[1:]}"), "invalid_token", 401)


async def test_a_token_of_a_session_that_has_ended_is_refused(issuer, app):
    tokens = await app.tokens()
    await issuer.http.get("/end_session", params={"id_token_hint": tokens["id_token"]})
    assert refused(await app.userinfo(tokens["access_token"]), "invalid_token", 401)


async def test_a_token_of_a_disabled_account_is_refused(issuer, app):
    tokens = await app.tokens()
    await people.disable(issuer.desk, issuer.accounts["ann@example.com"].subject, by=people.CLI)
    assert refused(await app.userinfo(tokens["access_token"]), "invalid_token", 401)
