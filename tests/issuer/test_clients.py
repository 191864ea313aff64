"""RFC 7591 section 2, rule O5: what may be registered."""

import pytest
from msgspec.structs import replace

from carnet.issuer.clients import ClientError, Registration, change, register, remove, rotate_secret
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Pseudonym

pytestmark = pytest.mark.anyio

URI = "https://app.example/callback"


def asked(**changes):
    return Registration(**({"client_name": "App", "redirect_uris": (URI,)} | changes))


@pytest.fixture
def new(issuer):
    async def new(**changes):
        return await register(issuer.desk, asked(**changes), actor="test")

    return new


async def test_a_confidential_client_gets_a_secret_that_is_stored_as_a_digest(issuer, new):
    registered = await new()
    stored = await issuer.desk.store.clients.get(registered.client.client_id)
    assert stored == registered.client
    assert stored.secret_digest == Opaque(registered.secret.value).digest
    assert stored.response_types == ("code",)
    assert stored.scope == "openid profile email offline_access roles"
    assert registered.secret.value not in repr(registered)
    assert await issuer.events() == ["client.registered"]


async def test_a_public_client_gets_none(new):
    registered = await new(token_endpoint_auth_method="none")
    assert (registered.secret, registered.client.secret_digest) == (None, None)


async def test_a_service_gets_no_scope_unless_it_is_given_one(new):
    registered = await new(grant_types=("client_credentials",), redirect_uris=())
    assert (registered.client.scope, registered.client.response_types) == ("", ())


async def test_client_ids_are_their_own(new):
    assert len({(await new()).client.client_id for _ in range(20)}) == 20


async def test_a_client_id_may_be_chosen_once(new):
    assert (await new(client_id="front-end")).client.client_id == "front-end"
    with pytest.raises(ClientError, match="already"):
        await new(client_id="front-end")


@pytest.mark.spec("RFC 9700", "4.15", "SHOULD NOT")
async def test_a_client_id_is_no_accounts_subject(issuer, new):
    account = await issuer.person()
    with pytest.raises(ClientError, match="subject of an account"):
        await new(client_id=account.subject)


@pytest.mark.spec("RFC 9700", "4.15", "SHOULD NOT")
async def test_a_client_id_is_no_name_either_that_pairwise_clients_know_somebody_by(issuer, new):
    account = await issuer.person()
    name = Pseudonym(value="ann-at-app", sector="app.example", subject=account.subject)
    await issuer.desk.store.pseudonyms.keep([name])
    with pytest.raises(ClientError, match="subject of an account"):
        await new(client_id=name.value)


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/callback",
        "https://app.example/callback#part",
        "https://app.example/callback#",
        "https://*.example/callback",
        "https://user@app.example/callback",
        "https://user:pass@app.example/callback",
        "https:///callback",
        "https://app.example:port/",
        "https://app.example/call back",
        "https://app.example\\@evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://app.example/",
        "/callback",
        "app.example/callback",
        "https://app.example/" + "x" * 2000,
        "https://äpp.example/",
        "com.example.app:/callback",
        "",
    ],
)
async def test_a_redirect_uri_that_could_lead_astray_is_refused(new, uri):
    with pytest.raises(ClientError):
        await new(redirect_uris=(uri,))
    with pytest.raises(ClientError):
        await new(post_logout_redirect_uris=(uri,))


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1/cb", "http://[::1]:4000/cb", "http://localhost:3000/cb", "https://app.example/cb?x=1"]
)
async def test_a_redirect_uri_on_this_machine_may_be_plain_http(new, uri):
    assert (await new(redirect_uris=(uri,))).client.redirect_uris == (uri,)


@pytest.mark.spec("RFC 8252", "7.1", "MUST")
async def test_a_native_app_may_have_a_scheme_of_its_own_with_a_dot_in_it(new):
    native = {"token_endpoint_auth_method": "none"}
    assert (await new(redirect_uris=("com.example.app:/callback",), **native)).client.redirect_uris
    for uri in ("myapp:/callback", "javascript:alert(1)", "com.example.app://host/callback", "data:text/html,x"):
        with pytest.raises(ClientError):
            await new(redirect_uris=(uri,), **native)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"client_name": ""}, "needs a name"),
        ({"client_name": "a\nb"}, "needs a name"),
        ({"client_name": "x" * 101}, "needs a name"),
        ({"client_id": "a b"}, "client_id"),
        ({"client_id": "-x"}, "client_id"),
        ({"token_endpoint_auth_method": "tls"}, "token_endpoint_auth_method"),
        ({"grant_types": ()}, "at least one"),
        ({"grant_types": ("password",)}, "none of authorization_code"),
        ({"grant_types": ("authorization_code", "authorization_code")}, "each once"),
        ({"grant_types": ("refresh_token",), "redirect_uris": ()}, "needs another one"),
        ({"grant_types": ("client_credentials",)}, "give both or neither"),
        ({"redirect_uris": ()}, "give both or neither"),
        ({"redirect_uris": (URI, URI)}, "different redirect URIs"),
        ({"redirect_uris": tuple(f"{URI}/{number}" for number in range(51))}, "different redirect URIs"),
        ({"token_endpoint_auth_method": "none", "grant_types": ("client_credentials",), "redirect_uris": ()}, "public"),
        ({"scope": 'openid "x"'}, "scope"),
        ({"audiences": ("a b",)}, "audiences"),
        ({"audiences": ("a", "a")}, "audiences"),
        ({"roles": ("",)}, "roles"),
        ({"access_token_lifetime": 9}, "between 10 and 3600"),
        ({"access_token_lifetime": 3_601}, "between 10 and 3600"),
        ({"refresh_retry_window": 11}, "between 0 and 10"),
        ({"refresh_retry_window": -1}, "between 0 and 10"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_in_one_sentence(issuer, new, changes, sentence):
    with pytest.raises(ClientError, match=sentence) as refusal:
        await new(**changes)
    assert "\n" not in str(refusal.value)
    assert await issuer.desk.store.clients.list() == []


async def test_a_client_is_changed_under_the_same_rules(issuer, new):
    client = (await new()).client
    issuer.clock.advance(5)
    changed = await change(issuer.desk, client, replace(client, client_name="Renamed"), actor="test")
    assert (changed.client_name, changed.updated_at, changed.created_at) == (
        "Renamed",
        client.updated_at + 5,
        client.created_at,
    )
    with pytest.raises(ClientError):
        await change(issuer.desk, changed, replace(changed, redirect_uris=("http://evil.example/",)), actor="test")
    with pytest.raises(ClientError, match="keeps its kind"):
        await change(issuer.desk, changed, replace(changed, token_endpoint_auth_method="none"), actor="test")
    with pytest.raises(StaleError):
        await change(issuer.desk, client, replace(client, client_name="Late"), actor="test")
    [*_, (_, event)] = reversed(await issuer.desk.store.events.list())
    assert (event.name, event.detail) == ("client.changed", {"changed": ["client_name"]})


async def test_a_change_keeps_the_client_id_and_the_secret(issuer, new):
    client = (await new()).client
    other = replace(client, client_id="other", secret_digest=b"x" * 32)
    changed = await change(issuer.desk, client, other, actor="test")
    assert (changed.client_id, changed.secret_digest) == (client.client_id, client.secret_digest)


async def test_a_public_client_has_no_secret_to_rotate(issuer, new):
    registered = await new(token_endpoint_auth_method="none")
    with pytest.raises(ClientError, match="no secret"):
        await rotate_secret(issuer.desk, registered.client, actor="test")


async def test_removing_a_client_takes_back_all_that_it_holds(issuer):
    await issuer.sign_in()
    app = await issuer.register()
    watching = await issuer.service(receives=("http://127.0.0.1:8080",))
    tokens = await app.tokens(scope="openid offline_access")
    assert await watching.active(tokens["access_token"])
    assert await remove(issuer.desk, app.client_id, actor="test")
    assert not await watching.active(tokens["access_token"])
    assert (await app.refresh(tokens["refresh_token"])).status_code == 401
    assert await issuer.desk.store.revocations.find("client", app.client_id, at=issuer.clock.now())
    assert not await remove(issuer.desk, app.client_id, actor="test")
    assert (await issuer.events())[-1] == "client.removed"
