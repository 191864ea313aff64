"""RFC 7591: what policies let clients register, and what software statements (sections 2.3 and 3.1.1) are worth."""

import asyncio

import httpx2
import pytest
from msgspec import structs

from carnet.issuer import clients
from carnet.issuer.admission import DEMANDS, AdmissionError, RegistrationPolicy, StatementIssuer, check
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.config import check as check_config
from carnet.issuer.registration import PER_HOUR, initial_token
from carnet.jose import SigningKey, sign_jwt

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
CALLBACK = "https://app.example/cb"
TRUST = "https://trust.example"
KEY = SigningKey.generate("ES256")
STATED = {
    "iss": TRUST,
    "software_id": "4NRB1-0XZABZI9E6-5SM3R",
    "client_name": "Stated App",
    "redirect_uris": [CALLBACK],
    "scope": "openid orders:read",
}
BANKS = RegistrationPolicy(scopes=("openid", "orders:read"), audiences=("orders",), hosts=("app.example",))


@pytest.fixture
def config(tmp_path) -> Config:
    jwks = {"keys": [KEY.public().to_jwk()]}
    return Config(
        issuer=ISSUER,
        data=tmp_path,
        client_registration=True,
        registration_policies={"banks": BANKS},
        software_statement_issuers=(
            StatementIssuer(issuer=TRUST, jwks=jwks, policy="banks", admits=True),
            StatementIssuer(issuer="https://plain.example", jwks=jwks),
        ),
    )


@pytest.fixture
async def token(issuer) -> str:
    return await made(issuer, RegistrationPolicy(uses=None))


async def made(issuer, policy: RegistrationPolicy) -> str:
    return (await initial_token(issuer.desk, policy)).secret.value


async def ask(issuer, token: str | None, **metadata) -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    given = {name: value for name, value in ({"redirect_uris": [CALLBACK]} | metadata).items() if value is not ...}
    return await issuer.direct.post("/register", json=given, headers=headers)


async def change(issuer, client, **metadata) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    given = {"client_id": client["client_id"], "redirect_uris": [CALLBACK]} | metadata
    return await issuer.direct.put(client["registration_client_uri"], json=given, headers=headers)


async def kept(issuer, answer: httpx2.Response):
    assert answer.status_code == 201, answer.text
    return await issuer.desk.store.clients.get(answer.json()["client_id"])


def statement(key: SigningKey = KEY, *, typ: str = "JWT", **changes) -> str:
    claims = {name: value for name, value in (STATED | changes).items() if value is not ...}
    return sign_jwt(claims, key, typ=typ)


def refused(answer: httpx2.Response, error: str, status: int = 400) -> bool:
    return (answer.status_code, answer.json().get("error")) == (status, error)


@pytest.mark.spec("RFC 7592", "2.2", "MAY")
async def test_what_a_policy_demands_is_so_whatever_its_clients_say_now_and_later(issuer):
    policy = RegistrationPolicy(demands=("dpop_bound_access_tokens", "require_pushed_authorization_requests"))
    answer = await ask(issuer, await made(issuer, policy), dpop_bound_access_tokens=False)
    stored = await kept(issuer, answer)
    assert (stored.dpop_bound_access_tokens, stored.require_pushed_authorization_requests) == (True, True)
    assert answer.json()["dpop_bound_access_tokens"] is True
    changed = await change(issuer, answer.json(), require_pushed_authorization_requests=False)
    assert changed.json()["require_pushed_authorization_requests"] is True
    stored = await issuer.desk.store.clients.get(stored.client_id)
    assert (stored.dpop_bound_access_tokens, stored.require_pushed_authorization_requests) == (True, True)
    assert not stored.require_signed_request_object


@pytest.mark.spec("RFC 7592", "2.2", "MAY")
@pytest.mark.parametrize("name", DEMANDS)
async def test_what_makes_a_client_safer_only_an_administrator_takes_away(issuer, name):
    keys = {"jwks": {"keys": [KEY.public().to_jwk()]}, "token_endpoint_auth_method": "private_key_jwt"}
    config = structs.replace(issuer.desk.config, client_certificate_header="Client-Cert", trusted_proxies=("10.0.0.1",))
    object.__setattr__(issuer.desk, "config", config)
    answer = await ask(issuer, await made(issuer, RegistrationPolicy()), **keys)
    client = await kept(issuer, answer)
    assert not getattr(client, name)
    demanded = await clients.change(issuer.desk, client, structs.replace(client, **{name: True}), actor="ada")
    changed = await change(issuer, answer.json(), **keys, **{name: False})
    assert (changed.status_code, changed.json()[name]) == (200, True)
    stored = await issuer.desk.store.clients.get(client.client_id)
    assert stored == structs.replace(demanded, updated_at=stored.updated_at)
    loosened = await clients.change(issuer.desk, stored, structs.replace(stored, **{name: False}), actor="ada")
    assert not getattr(loosened, name)
    assert name not in (await change(issuer, changed.json(), **keys)).json()


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.1", "SHALL")
async def test_a_policy_with_a_profile_takes_only_clients_that_can_keep_to_it(issuer):
    policy = RegistrationPolicy(profile="fapi2", uses=None)
    token = await made(issuer, policy)
    assert refused(await ask(issuer, token), "invalid_client_metadata")
    keys = {"jwks": {"keys": [KEY.public().to_jwk()]}, "token_endpoint_auth_method": "private_key_jwt"}
    answer = await ask(issuer, token, **keys)
    client = await kept(issuer, answer)
    assert (client.profile, client.dpop_bound_access_tokens) == ("fapi2", True)
    assert refused(await change(issuer, answer.json()), "invalid_client_metadata")
    assert (await change(issuer, answer.json(), **keys)).status_code == 200
    assert (await issuer.desk.store.clients.get(client.client_id)).profile == "fapi2"


async def test_a_policy_says_what_its_clients_may_have(issuer):
    given = await made(issuer, BANKS)
    client = await kept(issuer, await ask(issuer, given, scope="openid orders:read orders:write email"))
    assert client.scope == "openid orders:read"
    assert (client.audiences, client.require_resource) == (("orders",), False)
    several = await made(issuer, RegistrationPolicy(audiences=("orders", "stock"), receives=("mail",)))
    client = await kept(issuer, await ask(issuer, several))
    assert (client.audiences, client.receives, client.require_resource) == (("orders", "stock"), ("mail",), True)


async def test_the_grants_of_a_policy_and_no_others(issuer):
    services = await made(issuer, RegistrationPolicy(grant_types=("client_credentials",), audiences=("orders",)))
    assert refused(await ask(issuer, services), "invalid_client_metadata")
    client = await kept(
        issuer, await ask(issuer, services, grant_types=["client_credentials"], response_types=[], redirect_uris=...)
    )
    assert client.grant_types == ("client_credentials",)


async def test_the_hosts_of_a_policy_hold_for_changes_too(issuer):
    given = await made(issuer, BANKS)
    for uri in ("https://elsewhere.example/cb", "https://app.example.evil.example/cb", "https://app.example:8443/cb"):
        assert refused(await ask(issuer, given, redirect_uris=[uri]), "invalid_redirect_uri"), uri
    client = (await ask(issuer, given, post_logout_redirect_uris=["https://app.example/out"])).json()
    assert refused(await change(issuer, client, redirect_uris=["https://elsewhere.example/cb"]), "invalid_redirect_uri")
    answer = await change(issuer, client, redirect_uris=["https://app.example/new"], scope="openid email")
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "openid"
    again = await change(issuer, answer.json(), redirect_uris=["https://elsewhere.example/cb"])
    assert refused(again, "invalid_redirect_uri")  # the next token has the policy as well
    stored = await issuer.desk.store.clients.get(client["client_id"])
    assert stored.audiences == ("orders",)


async def test_a_token_is_good_for_as_many_clients_as_it_says(issuer):
    given = await made(issuer, RegistrationPolicy(uses=3, lifetime=10 * 86_400))
    assert refused(await ask(issuer, given, redirect_uris=["javascript:x"]), "invalid_redirect_uri")
    answers = await asyncio.gather(*(ask(issuer, given) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [401] * 3
    issuer.clock.advance(9 * 86_400)
    assert refused(await ask(issuer, given), "invalid_token", 401)


async def test_a_token_is_listed_until_as_many_clients_have_registered(issuer):
    given = await made(issuer, RegistrationPolicy(uses=2))
    listed = issuer.desk.store.artifacts.ownerless
    for left in (1, 0):
        assert (await ask(issuer, given)).status_code == 201
        assert len(await listed("registration_token", at=issuer.clock.now())) == left


@pytest.mark.parametrize(
    "policy",
    [
        RegistrationPolicy(uses=0),
        RegistrationPolicy(lifetime=0),
        RegistrationPolicy(grant_types=()),
        RegistrationPolicy(scopes=("a b",)),
        RegistrationPolicy(scopes=("a", "a")),
        RegistrationPolicy(hosts=("https://app.example",)),
    ],
)
async def test_a_policy_that_means_nothing_is_refused(issuer, policy):
    with pytest.raises(AdmissionError):
        await initial_token(issuer.desk, policy)
    with pytest.raises(ConfigError, match="registration_policies"):
        check_config(Config(registration_policies={"x": policy}))


@pytest.mark.parametrize(
    "trusted",
    [
        StatementIssuer(issuer=TRUST),
        StatementIssuer(issuer="", jwks={"keys": [KEY.public().to_jwk()]}),
        StatementIssuer(issuer=TRUST, jwks={"keys": [KEY.public().to_jwk()]}, jwks_uri="https://trust.example/jwks"),
        StatementIssuer(issuer=TRUST, jwks={"keys": []}),
        StatementIssuer(issuer=TRUST, jwks={}),
        StatementIssuer(issuer=TRUST, jwks_uri="file:///etc/passwd"),
        StatementIssuer(issuer=TRUST, jwks_uri="https://trust.example/jwks", policy="unheard-of"),
        StatementIssuer(issuer=TRUST, jwks_uri="https://trust.example/jwks", admits=True),
    ],
)
async def test_an_issuer_of_statements_has_keys_and_a_policy_that_is_there(trusted):
    with pytest.raises(AdmissionError):
        check(None, {"banks": BANKS}, (trusted,))
    with pytest.raises(AdmissionError, match="once"):
        check(None, {}, (StatementIssuer(issuer=TRUST, jwks_uri="https://a.example/"),) * 2)


@pytest.mark.spec("RFC 7591", "2.3", "MUST")
@pytest.mark.spec("RFC 7591", "3.2.1", "MUST")
async def test_what_a_statement_says_goes_before_what_the_client_says_and_is_answered_as_it_came(issuer, token):
    text = statement()
    answer = await ask(
        issuer, token, software_statement=text, client_name="Its own name", redirect_uris=["https://evil.example/"],
        client_uri="https://app.example/", software_id="another",
    )  # fmt: skip
    client = await kept(issuer, answer)
    told = answer.json()
    assert told["software_statement"] == text
    assert (told["client_name"], told["redirect_uris"]) == ("Stated App", [CALLBACK])
    assert (told["client_uri"], told["software_id"]) == ("https://app.example/", STATED["software_id"])
    assert "iss" not in told
    assert client.scope == "openid orders:read"
    assert client.audiences == ("orders",)  # by its issuer's policy, not by the token's


@pytest.mark.spec("RFC 7591", "2.3", "MUST")
async def test_a_client_takes_no_name_in_another_language_beside_the_one_that_is_stated(issuer, token):
    own = {"client_name#de": "Ihre Bank", "client_name#fr": "Votre banque"}
    told = (await ask(issuer, token, software_statement=statement(**{"client_name#de": "App"}), **own)).json()
    assert {name: value for name, value in told.items() if name.startswith("client_name")} == {
        "client_name": "Stated App",
        "client_name#de": "App",
    }
    nameless = statement(client_name=..., software_id="another")
    told = (await ask(issuer, token, software_statement=nameless, client_name="Bank", **own)).json()
    assert own.items() <= told.items()


async def test_no_statement_spares_a_client_pkce(issuer, token):
    client = await kept(issuer, await ask(issuer, token, software_statement=statement(pkce="optional")))
    assert client.pkce == "required"


async def test_an_issuer_without_a_policy_grants_what_the_token_grants(issuer, token):
    answer = await ask(issuer, token, software_statement=statement(iss="https://plain.example"))
    client = await kept(issuer, answer)
    assert (client.scope, client.audiences) == ("openid", ())


async def test_a_statement_stands_for_a_token_where_the_settings_say_so(issuer):
    await kept(issuer, await ask(issuer, None, software_statement=statement()))
    plain = await ask(issuer, None, software_statement=statement(iss="https://plain.example"))
    assert refused(plain, "invalid_token", 401)
    assert refused(await ask(issuer, None), "invalid_token", 401)
    assert refused(await ask(issuer, "x" * 43, software_statement=statement()), "invalid_token", 401)
    elsewhere = await ask(issuer, None, software_statement=statement(redirect_uris=["https://elsewhere.example/cb"]))
    assert refused(elsewhere, "invalid_redirect_uri")


async def test_the_statements_of_one_issuer_register_so_many_clients_in_an_hour(issuer, monkeypatch):
    monkeypatch.setattr("carnet.issuer.registration.PER_HOUR", 2)
    assert PER_HOUR > 2
    answers = [await ask(issuer, None, software_statement=statement()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    issuer.clock.advance(3_600)
    await kept(issuer, await ask(issuer, None, software_statement=statement()))


@pytest.mark.spec("RFC 7591", "3.2.2", "MUST")
async def test_the_statement_of_somebody_unknown_is_unapproved(issuer, token):
    for name in ("https://evil.example", TRUST + "/", ..., 7):
        answer = await ask(issuer, token, software_statement=statement(iss=name))
        assert refused(answer, "unapproved_software_statement"), name


@pytest.mark.spec("RFC 7591", "3.2.2", "MUST")
async def test_a_statement_that_cannot_be_verified_is_invalid(issuer, token):
    now = issuer.clock.now()
    own = statement()
    for text in (
        statement(SigningKey.generate("ES256")),
        statement(SigningKey.from_secret(b"k" * 32, alg="HS256")),
        statement(SigningKey.generate("ES384")),
        own[:-4] + "AAAA",
        own + ".",
        "a.b.c",
        "x",
        "",
        "ü.ü.ü",
        7,
        ["a"],
        statement(exp=now - 61),
        statement(nbf=now + 61),
        statement(iat=now + 61),
        statement(exp="tomorrow"),
        statement(aud="https://other.example"),
        statement(software_id=...),
        statement(sub="somebody"),
        statement(client_id="chosen"),
        statement(client_secret="chosen"),
        statement(nonce="x"),
        statement(typ="at+jwt"),
        statement(typ="client-authentication+jwt"),
        sign_jwt(STATED, KEY, typ="id+jwt"),
        "A" * 17_000,
    ):
        answer = await ask(issuer, token, software_statement=text)
        assert refused(answer, "invalid_software_statement"), str(text)[:100]
    assert await issuer.desk.store.clients.list() == []
    for text in (
        own,
        statement(exp=now - 59, aud=[ISSUER, "x"], iat=now, jti="1"),
        statement(typ="software-statement+jwt"),
    ):
        await kept(issuer, await ask(issuer, token, software_statement=text))


async def test_keys_of_an_issuer_that_are_away_refuse_its_statements(issuer, token, monkeypatch):
    from carnet.issuer.egress import EgressError

    async def away(*_):
        raise EgressError("away")

    monkeypatch.setattr(type(issuer.desk.client_keys), "key_set", away)
    assert refused(await ask(issuer, token, software_statement=statement()), "invalid_software_statement")


async def test_what_a_statement_asserts_must_be_right_as_well(issuer, token):
    for changes in (
        {"redirect_uris": "x"},
        {"grant_types": ["client_credentials"]},
        {"jwks": {"keys": [KEY.to_jwk()]}},
    ):
        answer = await ask(issuer, token, software_statement=statement(**changes))
        assert refused(answer, "invalid_client_metadata"), changes


@pytest.mark.spec("RFC 7592", "2.2", "MUST")
async def test_a_client_of_a_statement_brings_one_to_change(issuer, token):
    text = statement()
    client = (await ask(issuer, token, software_statement=text)).json()
    assert refused(await change(issuer, client, client_name="Free at last"), "invalid_client_metadata")
    answer = await change(issuer, client, software_statement=text, client_name="Free at last")
    assert answer.status_code == 200, answer.text
    assert answer.json()["client_name"] == "Stated App"
    newer = statement(client_name="Renamed by those who vouch")
    answer = await change(issuer, answer.json(), software_statement=newer)
    assert (answer.json()["client_name"], answer.json()["software_statement"]) == ("Renamed by those who vouch", newer)
    shown = await issuer.direct.get(
        client["registration_client_uri"],
        headers={"Authorization": f"Bearer {answer.json()['registration_access_token']}"},
    )
    assert shown.json()["software_statement"] == newer
