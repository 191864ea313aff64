"""RFC 7591, RFC 7592: clients that register themselves, and what they may not (rule O5)."""

import asyncio
import dataclasses

import pytest
from msgspec.structs import replace

from carnet.issuer.admission import RegistrationPolicy
from carnet.issuer.client_names import name_in
from carnet.issuer.clients import Registered
from carnet.issuer.config import Config
from carnet.issuer.grants.device_code import GRANT_TYPE as DEVICE_CODE
from carnet.issuer.opaque import Opaque
from carnet.issuer.registration import PER_HOUR, asked_client, counted, initial_token
from carnet.jose import SigningKey
from carnet.jose.header import parse_header
from carnet.oauth.errors import InvalidClientMetadataError, OAuthError

from .conftest import App, fields

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
CALLBACK = "https://app.example/cb"
PRIVATE = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}
"""RFC 7515 appendix A.3: a key that whoever has it could sign with."""


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(issuer=ISSUER, data=tmp_path, client_registration=True)


@pytest.fixture
async def token(issuer) -> str:
    return (await initial_token(issuer.desk, RegistrationPolicy(uses=None))).secret.value


async def ask(issuer, token: str | None, **metadata):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    given = {"redirect_uris": [CALLBACK], "client_name": "The App"} | metadata
    given = {name: value for name, value in given.items() if value is not ...}
    return await issuer.direct.post("/register", json=given, headers=headers)


async def registered(issuer, token: str, **metadata):
    answer = await ask(issuer, token, **metadata)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def manage(issuer, method: str, client, given=None, *, token: str | None = None):
    headers = {"Authorization": f"Bearer {token or client['registration_access_token']}"}
    return await issuer.direct.request(method, client["registration_client_uri"], json=given, headers=headers)


@pytest.mark.spec("RFC 7591", "2.2", "MAY")
async def test_a_client_registers_its_name_in_several_languages(issuer, token):
    names = {"client_name": "Printer", "client_name#de": "Drucker", "client_name#ja-Jpan-JP": "印刷機"}
    client = await registered(issuer, token, **names)
    assert names.items() <= client.items()
    stored = await issuer.desk.store.clients.get(client["client_id"])
    assert [name_in(stored, asked) for asked in (("de-AT",), ("ja",), ("fr",), ())] == [
        "Drucker",
        "印刷機",
        "Printer",
        "Printer",
    ]
    changed = await manage(
        issuer,
        "PUT",
        client,
        {"client_id": client["client_id"], "redirect_uris": [CALLBACK]} | {"client_name#fr": "Imprimante"},
    )
    assert (changed.status_code, "client_name#de" in changed.json()) == (200, False)
    for wrong in ({"client_name#de_DE": "Drucker"}, {"client_name#de": ""}, {"client_name#de": ["Drucker"]}):
        refused = await ask(issuer, token, **wrong)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata"), wrong


@pytest.mark.spec("OpenID Connect Registration", "2", "OPTIONAL")
async def test_a_client_that_does_not_say_how_its_id_tokens_are_signed_counts_on_rs256(issuer, token):
    await issuer.sign_in()
    client = await registered(issuer, token, token_endpoint_auth_method="none")
    app = App(issuer, Registered(await issuer.desk.store.clients.get(client["client_id"]), None), CALLBACK)
    page = await issuer.follow(await app.authorize(scope="openid"))
    allowed = await issuer.submit("/consent", fields(page) | {"decision": "allow"})
    tokens = (await app.redeem(app.query(await issuer.follow(allowed))["code"])).json()
    alg = [parse_header(tokens[name].partition(".")[0].encode())["alg"] for name in ("id_token", "access_token")]
    assert alg == ["RS256", "ES256"]


@pytest.mark.spec("RFC 7591", "3.2.1", "REQUIRED")
async def test_a_client_that_brings_a_token_is_registered_and_told_all(issuer, token):
    answer = await ask(issuer, token, grant_types=["authorization_code", "refresh_token"], scope="openid email")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    client = answer.json()
    assert client["client_id"]
    assert len(client["client_secret"]) == 43
    assert client["client_secret_expires_at"] == 0
    assert client["client_id_issued_at"] == issuer.clock.ambient.now()
    assert client["registration_client_uri"] == f"{ISSUER}/register/{client['client_id']}"
    for name, value in (
        ("client_name", "The App"),
        ("redirect_uris", [CALLBACK]),
        ("grant_types", ["authorization_code", "refresh_token"]),
        ("response_types", ["code"]),
        ("token_endpoint_auth_method", "client_secret_basic"),
        ("scope", "openid email"),
        ("id_token_signed_response_alg", "RS256"),
        ("subject_type", "public"),
    ):
        assert client[name] == value, name
    assert "client.registered" in await issuer.events()


async def test_a_client_that_registered_itself_works_and_people_are_asked(issuer, token):
    await issuer.sign_in()
    client = await registered(issuer, token)
    kept = await issuer.desk.store.clients.get(client["client_id"])
    other = await issuer.register()
    app = type(other)(issuer, Registered(kept, Opaque(client["client_secret"])), CALLBACK)
    answer = await app.authorize()
    assert answer.headers["location"].startswith(f"{ISSUER}/consent?")
    page = await issuer.follow(answer)
    assert "The App" in page.text
    answer = await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
    tokens = await app.redeem(app.query(await issuer.follow(answer))["code"])
    assert tokens.status_code == 200
    assert "refresh_token" not in tokens.json()


@pytest.mark.spec("RFC 7591", "2", "OPTIONAL")
async def test_what_is_left_out_has_the_defaults_of_the_specification(issuer, token):
    client = await registered(issuer, token, client_name=...)
    assert client["grant_types"] == ["authorization_code"]
    assert client["response_types"] == ["code"]
    assert client["token_endpoint_auth_method"] == "client_secret_basic"
    assert client["client_name"] == "app.example"
    assert client["scope"] == "openid profile email offline_access roles"


@pytest.mark.spec("RFC 7591", "2", "MUST")
async def test_what_is_not_known_is_left_out_and_what_only_an_administrator_gives_is_too(issuer, token):
    client = await registered(
        issuer,
        token,
        first_party=True,
        roles=["ADMIN"],
        audiences=["orders"],
        client_id="chosen",
        client_secret="chosen",
        may_act="x",
        pkce="optional",
        access_token_lifetime=3600,
        token_exchange={"kind": "impersonation", "receives": ["orders"]},
        unheard_of=1,
    )
    kept = await issuer.desk.store.clients.get(client["client_id"])
    assert (kept.first_party, kept.roles, kept.audiences, kept.may_act) == (False, (), (), None)
    assert (kept.access_token_lifetime, kept.token_exchange, kept.pkce) == (None, None, "required")
    assert "chosen" not in (client["client_id"], client["client_secret"])
    assert not {"first_party", "roles", "audiences", "unheard_of"} & set(client)


async def test_the_scope_is_clamped_to_what_any_client_may_have(issuer, token):
    assert (await registered(issuer, token, scope="openid admin stock:write"))["scope"] == "openid"


async def test_what_a_client_says_about_itself_is_kept(issuer, token):
    about = {
        "client_uri": "https://app.example/",
        "logo_uri": "https://app.example/logo.png",
        "policy_uri": "https://app.example/policy",
        "tos_uri": "https://app.example/tos",
        "contacts": ["ada@app.example"],
        "software_id": "4NRB1-0XZABZI9E6-5SM3R",
        "software_version": "2.1",
        "application_type": "web",
    }
    client = await registered(issuer, token, **about)
    assert {name: client[name] for name in about} == about


async def test_keys_secrets_that_sign_and_no_secret_at_all(issuer, token):
    jwks = {"keys": [SigningKey.generate("ES256").public().to_jwk()]}
    with_keys = await registered(issuer, token, token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    assert "client_secret" not in with_keys
    assert with_keys["jwks"] == jwks
    public = await registered(issuer, token, token_endpoint_auth_method="none")
    assert "client_secret" not in public
    signing = await registered(issuer, token, token_endpoint_auth_method="client_secret_jwt")
    assert len(signing["client_secret"]) == 43


async def test_native_apps_and_devices(issuer, token):
    app = await registered(
        issuer,
        token,
        token_endpoint_auth_method="none",
        application_type="native",
        redirect_uris=["com.example.app:/cb", "http://127.0.0.1/cb"],
    )
    assert app["application_type"] == "native"
    device = await registered(
        issuer, token, token_endpoint_auth_method="none", grant_types=[DEVICE_CODE], redirect_uris=...
    )
    assert device["response_types"] == []


@pytest.mark.spec("RFC 7591", "3", "SHOULD")
async def test_without_a_token_nobody_registers(issuer, token):
    for bad in (None, "x", token[:-1], "x" * 43):
        answer = await ask(issuer, bad)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_is_good_once_and_a_refusal_does_not_cost_it(issuer):
    once = (await initial_token(issuer.desk)).secret.value
    assert (await ask(issuer, once, redirect_uris=["http://evil.example/"])).status_code == 400
    answers = await asyncio.gather(*(ask(issuer, once) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 7
    assert (await ask(issuer, once)).status_code == 401
    assert len(await issuer.desk.store.clients.list()) == 1


async def test_a_token_expires(issuer):
    once = (await initial_token(issuer.desk)).secret.value
    many = (await initial_token(issuer.desk, RegistrationPolicy(uses=None, lifetime=2 * 86_400))).secret.value
    issuer.clock.advance(86_400)
    assert (await ask(issuer, once)).status_code == 401
    assert (await ask(issuer, many)).status_code == 201


async def test_a_token_that_is_good_for_many_is_not_good_for_too_many(issuer, token):
    for _ in range(PER_HOUR):
        key = counted(Opaque(token).digest)
        await issuer.desk.store.throttle.hit(key, at=issuer.clock.ambient.now(), window=3_600)
    answer = await ask(issuer, token)
    assert answer.status_code == 429
    assert answer.headers["retry-after"]


@pytest.mark.spec("RFC 7591", "3.2.2", "MUST")
@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        *(
            ({"redirect_uris": [uri]}, "invalid_redirect_uri")
            for uri in (
                "javascript:alert(1)", "data:text/html,x", "http://app.example/cb", "https://app.example/cb#f", "file:///x",
                "https://user@app.example/", "https://*.example/", "", "com.example.app:/cb", "app.example/cb", "https:///x",
            )
        ),
        ({"redirect_uris": ["https://[x"], "client_name": ...}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example:99999/cb"], "client_name": ...}, "invalid_redirect_uri"),
        ({"post_logout_redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        *(
            (metadata, "invalid_client_metadata")
            for metadata in (
                {"redirect_uris": ...},
                {"redirect_uris": []},
                {"redirect_uris": CALLBACK},
                {"redirect_uris": [1]},
                {"redirect_uris": [CALLBACK, CALLBACK]},
                {"client_name": 7},
                {"client_name": "a\u202eb"},
                {"client_name": "x" * 101},
                {"grant_types": ["client_credentials"], "redirect_uris": ...},
                {"grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"]},
                {"grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"]},
                {"grant_types": ["implicit"]},
                {"grant_types": []},
                {"response_types": ["code", "token"]},
                {"response_types": ["id_token"]},
                {"response_types": []},
                {"token_endpoint_auth_method": "tls"},
                {"token_endpoint_auth_method": "private_key_jwt"},
                {"application_type": "other"},
                {"scope": 'a"b'},
                {"subject_type": "other"},
                {
                    "subject_type": "pairwise",
                    "redirect_uris": [CALLBACK, "https://other.example/cb"],
                },
                {"subject_type": "pairwise", "grant_types": ["authorization_code", DEVICE_CODE]},
                {"id_token_signed_response_alg": "none"},
                {"id_token_signed_response_alg": "HS256"},
                {"userinfo_signed_response_alg": "HS256"},
                {"id_token_encrypted_response_alg": "RSA-OAEP"},
                {"userinfo_encrypted_response_alg": "dir"},
                {"sector_identifier_uri": "http://app.example/x"},
                {"jwks": {"keys": [PRIVATE]}},
                {"jwks_uri": "http://app.example/jwks"},
                {"jwks_uri": "file:///etc/passwd"},
                {"backchannel_logout_uri": "http://app.example/out"},
                {"frontchannel_logout_uri": "https://other.example/out"},
                {"logo_uri": "javascript:alert(1)"},
                {"tos_uri": "http://app.example/"},
                {"contacts": ["x"] * 11},
                {"contacts": ["a\nb"]},
                {"software_id": "x" * 201},
            )
        ),
        ({"software_statement": "a.b.c"}, "invalid_software_statement"),
    ],
    ids=str,
)  # fmt: skip
async def test_what_must_not_be_registered_is_refused(issuer, token, metadata, error):
    answer = await ask(issuer, token, **metadata)
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert await issuer.desk.store.clients.list() == []


@pytest.mark.parametrize("name", ["jwks_uri", "backchannel_logout_uri", "logo_uri"])
@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[fd00::1]",
        "localhost",
        "db",
        "db.internal",
        "printer.local.",
    ],
)
async def test_nothing_that_a_client_names_leads_inside(issuer, tmp_path, name, host):
    """Rule O6. On a developer's own machine it may: there the issuer is on a loopback address itself."""
    desk = dataclasses.replace(issuer.desk, config=Config(issuer="https://id.example", data=tmp_path))
    given = {"redirect_uris": (CALLBACK,), "client_name": "x"}
    assert asked_client(given | {name: "https://app.example/x"}, desk).client.client_name == "x"
    with pytest.raises(InvalidClientMetadataError):
        asked_client(given | {name: f"https://{host}/x"}, desk)


async def test_a_web_app_is_reached_by_https(issuer, tmp_path):
    desk = dataclasses.replace(issuer.desk, config=Config(issuer="https://id.example", data=tmp_path))
    given = {"redirect_uris": ("http://localhost:3000/cb",), "client_name": "x"}
    with pytest.raises(OAuthError):
        asked_client(given, desk)
    native = given | {"application_type": "native", "token_endpoint_auth_method": "none"}
    assert asked_client(native, desk).client.public


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1,"a":2}', b'"x"', b'{"x": NaN}', b"\xff"])
async def test_what_is_no_json_object_is_refused(issuer, token, body):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = await issuer.direct.post("/register", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    form = await issuer.direct.post(
        "/register", data={"client_name": "x"}, headers={"Authorization": f"Bearer {token}"}
    )
    assert form.status_code == 415


@pytest.mark.spec("RFC 7592", "2.1", "MUST")
async def test_a_client_reads_its_registration_without_its_secret(issuer, token):
    client = await registered(issuer, token)
    answer = await manage(issuer, "GET", client)
    assert answer.status_code == 200
    shown = answer.json()
    assert "client_secret" not in shown
    assert shown == {name: value for name, value in client.items() if not name.startswith("client_secret")}


@pytest.mark.spec("RFC 7592", "2.2", "MUST")
async def test_a_client_replaces_its_registration_and_gets_another_token(issuer, token):
    client = await registered(issuer, token, logo_uri="https://app.example/logo.png")
    given = {
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "redirect_uris": ["https://app.example/other"],
        "client_name": "Another name",
    }
    answer = await manage(issuer, "PUT", client, given)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["redirect_uris"] == ["https://app.example/other"]
    assert changed["client_name"] == "Another name"
    assert "logo_uri" not in changed
    assert changed["client_id_issued_at"] == client["client_id_issued_at"]
    assert changed["registration_access_token"] != client["registration_access_token"]
    assert (await manage(issuer, "GET", client)).status_code == 401
    assert (await manage(issuer, "GET", changed)).status_code == 200
    basic = (client["client_id"], client["client_secret"])
    kept = await issuer.direct.post("/revoke", data={"token": "x"}, auth=basic)
    assert kept.status_code == 200


async def test_what_an_administrator_gave_stays(issuer, token):
    client = await registered(issuer, token)
    kept = await issuer.desk.store.clients.get(client["client_id"])
    given = replace(kept, audiences=("orders",), first_party=True, pkce="optional", scope=kept.scope + " stock:read")
    await issuer.desk.store.clients.replace(kept, given)
    metadata = {"client_id": client["client_id"], "redirect_uris": [CALLBACK], "client_name": "x"}
    answer = await manage(issuer, "PUT", client, metadata | {"scope": "openid stock:read admin"})
    assert answer.json()["scope"] == "openid stock:read"
    kept = await issuer.desk.store.clients.get(client["client_id"])
    assert (kept.audiences, kept.first_party, kept.pkce) == (("orders",), True, "optional")


async def test_a_client_that_changes_its_registration_does_not_rid_itself_of_pkce(issuer, token):
    client = await registered(issuer, token)
    metadata = {"client_id": client["client_id"], "redirect_uris": [CALLBACK], "client_name": "x"}
    answer = await manage(issuer, "PUT", client, metadata | {"pkce": "optional"})
    assert (answer.status_code, "pkce" in answer.json()) == (200, False)
    assert (await issuer.desk.store.clients.get(client["client_id"])).pkce == "required"


@pytest.mark.spec("RFC 7592", "2.2", "MUST NOT")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": ...},
        {"client_id": "another"},
        {"client_secret": "chosen"},
        {"registration_access_token": "x"},
        {"registration_client_uri": "x"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 0},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"token_endpoint_auth_method": "none"},
        {"software_statement": "a.b.c"},
    ],
    ids=str,
)
async def test_a_change_that_is_not_right_changes_nothing(issuer, token, changes):
    client = await registered(issuer, token)
    given = {"client_id": client["client_id"], "redirect_uris": [CALLBACK], "client_name": "changed"} | changes
    given = {name: value for name, value in given.items() if value is not ...}
    assert (await manage(issuer, "PUT", client, given)).status_code == 400
    assert (await manage(issuer, "GET", client)).json()["client_name"] == "The App"


@pytest.mark.spec("RFC 7592", "2.3", "MUST")
async def test_a_client_deletes_itself_and_all_that_it_holds(issuer, token):
    client = await registered(issuer, token)
    answer = await manage(issuer, "DELETE", client)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await issuer.desk.store.clients.get(client["client_id"]) is None
    for method in ("GET", "PUT", "DELETE"):
        assert (await manage(issuer, method, client, {})).status_code == 401


@pytest.mark.spec("RFC 7592", "2", "MUST")
async def test_a_registration_is_managed_with_its_own_token_alone(issuer, token):
    client, other = await registered(issuer, token), await registered(issuer, token)
    for bad in (token, other["registration_access_token"], client["client_secret"], "x"):
        for method in ("GET", "PUT", "DELETE"):
            answer = await manage(issuer, method, client, {"client_id": client["client_id"]}, token=bad)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert (await ask(issuer, client["registration_access_token"])).status_code == 401
    assert (await manage(issuer, "GET", client)).status_code == 200


async def test_the_tokens_are_kept_as_digests(issuer, token):
    client = await registered(issuer, token)
    found = await issuer.desk.store.artifacts.get(
        "registration_access_token", Opaque(client["registration_access_token"]).digest, at=issuer.clock.ambient.now()
    )
    assert client["registration_access_token"].encode() not in found.document
    assert client["client_secret"] not in repr(await issuer.desk.store.clients.get(client["client_id"]))


@pytest.mark.spec("RFC 8414", "2", "OPTIONAL")
async def test_discovery_names_the_endpoint(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert document["registration_endpoint"] == f"{ISSUER}/register"


class TestOff:
    @pytest.fixture
    def config(self, tmp_path) -> Config:
        return Config(issuer=ISSUER, data=tmp_path)

    async def test_unless_it_is_turned_on_nobody_registers_and_discovery_does_not_say_so(self, issuer):
        token = (await initial_token(issuer.desk, RegistrationPolicy(uses=None))).secret.value
        assert (await ask(issuer, token)).status_code == 404
        document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
        assert "registration_endpoint" not in document


async def test_what_the_token_was_made_with_the_client_is_registered_with(issuer, token):
    older = (await initial_token(issuer.desk, RegistrationPolicy(uses=None, pkce="or_nonce"))).secret.value
    for given, expected in ((token, "required"), (older, "or_nonce")):
        client = await registered(issuer, given, pkce="or_nonce")
        kept = await issuer.desk.store.clients.get(client["client_id"])
        assert kept.pkce == expected
    answer = await ask(issuer, older, token_endpoint_auth_method="none")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
