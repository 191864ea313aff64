"""The admin API: who is let in, what each resource does, and that nobody's change gets lost."""

import json
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from msgspec import structs

from carnet.issuer import admin_api
from carnet.issuer.accounts import people
from carnet.issuer.admin_api import RESOURCES
from carnet.issuer.config import Config
from carnet.issuer.token_policies import ASSERTION
from carnet.jose import SigningKey

from .signals import Receiver

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
API = f"{ISSUER}/api/admin"
EVERYTHING = " ".join(value for resource in RESOURCES for value in resource.scopes)
OPERATIONS = [(resource, operation) for resource in RESOURCES for operation in resource.operations]


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(issuer=ISSUER, data=tmp_path, client_registration=True)


@dataclass
class Api:
    http: httpx2.AsyncClient
    token: str

    async def __call__(
        self, method: str, path: str, body: Any = None, *, match: str | None = None, **headers: str
    ) -> httpx2.Response:
        sent = {"Authorization": f"Bearer {self.token}", **({"If-Match": match} if match else {}), **headers}
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body)
            sent = {"Content-Type": "application/json"} | sent
        return await self.http.request(method, API + path, content=content, headers=sent)

    async def good(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self(method, path, body, **more)
        assert answer.is_success, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json() if answer.content else None


async def robot(issuer, scope: str = EVERYTHING, *, roles: tuple[str, ...] = ("ADMIN",)) -> Api:
    """A service that administers."""
    service = await issuer.service(scope=scope, roles=roles, audiences=(API,))
    token = (await service.post(grant_type="client_credentials")).json()["access_token"]
    return Api(issuer.direct, token)


@pytest.fixture
async def api(issuer) -> Api:
    return await robot(issuer)


def problem(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert set(document) == {"type", "title", "status", "detail"}
    assert document["status"] == answer.status_code
    return answer.status_code, document["type"].removeprefix("urn:carnet:problem:")


def path_of(operation) -> str:
    return re.sub(r"{\w+(:path)?}", "some", operation.path)


@pytest.mark.spec("RFC 6750", "3", "MUST")
async def test_each_operation_refuses_everybody_who_is_not_let_in_for_it(issuer):
    unroled = await robot(issuer, roles=("USER",))
    elsewhere = await issuer.service(scope=EVERYTHING, roles=("ADMIN",), audiences=("orders",))
    foreign = Api(issuer.direct, (await elsewhere.post(grant_type="client_credentials")).json()["access_token"])
    lacking = {value: await robot(issuer, " ".join(set(EVERYTHING.split()) - {value})) for value in EVERYTHING.split()}
    for resource, operation in OPERATIONS:
        needs, asked = resource.scope(operation), (operation.method, path_of(operation))
        answer = await issuer.direct.request(operation.method, API + path_of(operation))
        assert answer.status_code == 401, asked
        wanted = f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/api/admin"'
        assert "error=" not in answer.headers["www-authenticate"]
        assert wanted in answer.headers["www-authenticate"]
        for api in (lacking[needs], unroled):
            answer = await api(*asked)
            assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope"), asked
            assert f'scope="{needs}"' in answer.headers["www-authenticate"]
        answer = await foreign(*asked)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), asked


async def test_a_session_cookie_opens_nothing(issuer):
    account = await issuer.sign_in()
    await people.set_roles(issuer.desk, account.subject, ["ADMIN"], by=people.CLI)
    assert (await issuer.http.get("/api/admin/accounts")).status_code == 401


async def test_a_role_that_was_taken_away_counts_at_once_whatever_the_token_says(issuer):
    api, account = await person_api(issuer)
    await api.good("GET", "/accounts")
    await issuer.person("bob@example.com", roles=["ADMIN"])
    await people.set_roles(issuer.desk, account.subject, [], by=people.CLI)
    assert (await api("GET", "/accounts")).status_code == 403


async def person_api(issuer) -> tuple[Api, Any]:
    account = await issuer.sign_in()
    await people.set_roles(issuer.desk, account.subject, ["ADMIN"], by=people.CLI)
    app = await issuer.register(scope=f"openid {EVERYTHING}", audiences=(API,))
    tokens = await app.tokens(scope=EVERYTHING)
    return Api(issuer.direct, tokens["access_token"]), account


@pytest.mark.spec("RFC 9470", "3", "MUST")
async def test_a_person_changes_something_only_with_a_fresh_proof(issuer):
    api, _ = await person_api(issuer)
    await api.good("POST", "/scopes", {"name": "orders"})
    app = await issuer.register(scope=f"openid {EVERYTHING}", audiences=(API,))
    issuer.clock.advance(901)
    api.token = (await app.tokens(scope=EVERYTHING))["access_token"]
    await api.good("GET", "/scopes")
    refused = await api("POST", "/scopes", {"name": "invoices"})
    assert (refused.status_code, refused.json()["error"]) == (401, "insufficient_user_authentication")
    assert 'max_age="900"' in refused.headers["www-authenticate"]


async def test_accounts_are_made_changed_and_deleted_and_the_trail_says_by_whom(issuer, api):
    made = await api("POST", "/accounts", {"email": "eve@example.com", "roles": ["USER"], "attributes": {"floor": 3}})
    assert made.status_code == 201
    account = made.json()
    place = made.headers["location"].removeprefix(API)
    assert account | {"subject": "", "created_at": 0, "updated_at": 0} == {
        "subject": "",
        "email": "eve@example.com",
        "email_verified": False,
        "name": None,
        "roles": ["USER"],
        "attributes": {"floor": 3},
        "has_password": False,
        "second_factor": False,
        "created_at": 0,
        "updated_at": 0,
        "disabled_at": None,
    }
    seen = await api("GET", place)
    assert (seen.json(), seen.headers["etag"]) == (account, made.headers["etag"])
    named = await api.good(
        "PATCH", place, {"name": "Eve", "attributes": {"department": "law"}}, match=seen.headers["etag"]
    )
    assert (named["name"], named["attributes"], named["roles"]) == ("Eve", {"department": "law"}, ["USER"])
    roled = await api.good("PUT", f"{place}/roles", {"roles": ["CLERK"]}, match="*")
    assert roled["roles"] == ["CLERK"]
    assert (await api.good("POST", f"{place}/disable"))["disabled_at"] is not None
    assert problem(await api("POST", f"{place}/invitation")) == (409, "conflict")
    assert (await api.good("POST", f"{place}/enable"))["disabled_at"] is None
    link = (await api.good("POST", f"{place}/invitation"))["link"]
    assert link.startswith(f"{ISSUER}/welcome?invitation=")
    assert await api.good("POST", f"{place}/reset-factors")
    assert await api.good("POST", f"{place}/sign-out") is None
    assert await api.good("DELETE", place) is None
    assert problem(await api("GET", place)) == (404, "not-found")
    actor = (await issuer.desk.store.clients.list())[0].client_id
    found = (await api.good("GET", f"/events?subject={account['subject']}"))["items"]
    assert {event["actor"] for event in found} == {actor}
    assert [event["name"] for event in found] == [
        "account.removed",
        "account.signed_out_everywhere",
        "account.invited",
        "account.enabled",
        "account.disabled",
        "roles.changed",
        "account.changed",
        "account.created",
    ]


@pytest.mark.spec("OpenID Connect Core", "5.1", "OPTIONAL")
async def test_whether_an_address_is_verified_is_said_by_who_administers_and_another_address_is_not(issuer, api):
    made = await api("POST", "/accounts", {"email": "eve@example.com", "email_verified": True})
    assert made.json()["email_verified"] is True
    place = made.headers["location"].removeprefix(API)
    for change, verified in (
        ({"email_verified": True}, True),
        ({"name": "Eva"}, True),
        ({"email": "eva@example.com"}, False),
        ({"email": "eve@example.com", "email_verified": True}, True),
        ({"email_verified": False}, False),
    ):
        assert (await api.good("PATCH", place, change, match="*"))["email_verified"] is verified
    assert problem(await api("PATCH", place, {"email_verified": "yes"}, match="*")) == (422, "invalid")


@pytest.mark.spec("RFC 9110", "13.1.1", "MUST")
@pytest.mark.spec("RFC 6585", "3", "MUST")
async def test_the_trail_says_by_which_app_somebody_administers(issuer):
    api, account = await person_api(issuer)
    [app] = [client.client_id for client in await issuer.desk.store.clients.list()]
    await api.good("POST", "/accounts", {"email": "eve@example.com"})
    await api.good("POST", "/clients", {"client_name": "Job", "grant_types": ["client_credentials"]})
    await api.good("POST", "/scopes", {"name": "orders"})
    await api.good("POST", f"/accounts/{account.subject}/enable")
    lines = (await api.good("GET", f"/events?actor={account.subject}"))["items"]
    assert [line["name"] for line in lines] == ["scope.defined", "client.registered", "account.created"]
    assert {(line["actor_client_id"], line["address"]) for line in lines} == {(app, "127.0.0.1")}
    page = (await issuer.http.get("/admin/events")).text
    assert page.count(f'<code class="chip">{app}</code>') == 3
    service = await robot(issuer)
    await service.good("POST", "/scopes", {"name": "invoices"})
    newest = (await service.good("GET", "/events"))["items"][0]
    assert (newest["name"], newest["actor_client_id"]) == ("scope.defined", None), "an app that is the actor itself"


async def test_a_change_of_what_was_changed_meanwhile_is_refused(issuer, api):
    subject = (await api.good("POST", "/accounts", {"email": "eve@example.com"}))["subject"]
    place = f"/accounts/{subject}"
    first = (await api("GET", place)).headers["etag"]
    assert problem(await api("PATCH", place, {"name": "Eve"})) == (428, "precondition-required")
    await api.good("PATCH", place, {"name": "Eve"}, match=first)
    assert problem(await api("PATCH", place, {"name": "Adam"}, match=first)) == (412, "stale")
    assert problem(await api("DELETE", place, match=first)) == (412, "stale")
    assert (await api.good("GET", place))["name"] == "Eve"


async def test_of_two_changes_at_the_same_moment_one_wins(issuer, api):
    subject = (await api.good("POST", "/accounts", {"email": "eve@example.com"}))["subject"]
    seen = await people.get(issuer.desk, subject)
    await people.set_roles(issuer.desk, subject, ["CLERK"], by=people.CLI, seen=seen.roles)
    with pytest.raises(people.StaleError):
        await people.set_roles(issuer.desk, subject, ["USER"], by=people.CLI, seen=seen.roles)


@pytest.mark.spec("RFC 9110", "13.1.1", "MUST")
@pytest.mark.parametrize("kind", ["accounts", "clients"])
async def test_what_is_changed_between_the_comparison_and_the_deletion_stays(issuer, api, monkeypatch, kind):
    new = {
        "accounts": {"email": "eve@example.com"},
        "clients": {"client_name": "Job", "grant_types": ["client_credentials"]},
    }
    made = await api("POST", f"/{kind}", new[kind])
    place = made.headers["location"].removeprefix(API)
    seen = (await api("GET", place)).headers["etag"]
    group = getattr(issuer.desk.store, kind)
    remove, meanwhile = group.remove, [("name" if kind == "accounts" else "client_name", "Eve")]

    async def late(*arguments, **options):
        if meanwhile:
            await api.good("PATCH", place, dict([meanwhile.pop()]), match=seen)
        return await remove(*arguments, **options)

    monkeypatch.setattr(group, "remove", late)
    assert problem(await api("DELETE", place, match=seen)) == (412, "stale")
    fresh = await api("GET", place)
    assert "Eve" in fresh.text
    assert await api.good("DELETE", place, match=fresh.headers["etag"]) is None


async def test_a_sign_in_meanwhile_does_not_keep_an_account_from_being_deleted(issuer, api, monkeypatch):
    """What nobody is shown is no change of what was read."""
    account = await issuer.person("eve@example.com")
    place = f"/accounts/{account.subject}"
    seen = (await api("GET", place)).headers["etag"]
    remove, meanwhile = issuer.desk.store.accounts.remove, [account]

    async def late(*arguments, **options):
        if meanwhile:
            before = await issuer.desk.store.accounts.get(meanwhile.pop().subject)
            await issuer.desk.store.accounts.replace(before, structs.replace(before, epoch=before.epoch + 1))
        return await remove(*arguments, **options)

    monkeypatch.setattr(issuer.desk.store.accounts, "remove", late)
    assert await api.good("DELETE", place, match=seen) is None


UNACCEPTABLE = [
    ({"email": "nonsense"}, (422, "invalid")),
    ({"email": "eve@example.com", "password": "short"}, (422, "invalid")),
    ({"email": "eve@example.com", "roles": ["a role"]}, (422, "invalid")),
    ({"email": "eve@example.com", "attributes": {"Floor": 3}}, (422, "invalid")),
    ({"email": "eve@example.com", "attributes": {"floor": 2**53}}, (400, "malformed")),
    ({"email": "eve@example.com", "attributes": {"floor": "a\nb"}}, (422, "invalid")),
    ({"email": "eve@example.com", "attributes": {"address": {"locality": "a\tb"}}}, (422, "invalid")),
    ({"email": "eve@example.com", "attributes": {"address": {"Locality": "Bonn"}}}, (422, "invalid")),
    ({"email": "eve@example.com", "attributes": {"address": {"locality": {"de": "Bonn"}}}}, (422, "invalid")),
    ({"email": 5}, (422, "invalid")),
    ({"email": "eve@example.com", "admin": True}, (422, "invalid")),
    ({"email": "ann@example.com"}, (409, "conflict")),
    (b'{"email": "a@example.com", "email": "b@example.com"}', (400, "malformed")),
    (b'{"email": NaN}', (400, "malformed")),
    (b"[]", (400, "malformed")),
    (b"", (400, "malformed")),
]


async def test_what_cannot_be_an_account_is_refused(issuer, api):
    await issuer.person()
    for body, answer in UNACCEPTABLE:
        assert problem(await api("POST", "/accounts", body)) == answer, body
    assert await issuer.desk.store.accounts.count() == 1


async def test_a_body_of_another_kind_and_a_query_that_is_not_known_are_refused(api):
    answer = await api(
        "POST", "/accounts", b"email=eve@example.com", **{"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert problem(answer) == (415, "unsupported-media-type")
    for query in (
        "?limti=5",
        "?limit=0",
        "?limit=501",
        "?limit=x",
        "?limit=1&limit=2",
        "?cursor=x",
        "?cursor=%C3%A4",
        "?limit=null",
        "?limit=",
        "?search",
    ):
        assert problem(await api("GET", f"/accounts{query}")) == (400, "malformed")


@pytest.mark.spec("RFC 9110", "15.5.6", "MUST")
async def test_what_is_not_there_is_told_as_all_else_is_and_to_the_same_callers(issuer, api):
    elsewhere = await issuer.service(scope=EVERYTHING, roles=("ADMIN",), audiences=("orders",))
    foreign = Api(issuer.direct, (await elsewhere.post(grant_type="client_credentials")).json()["access_token"])
    for method, path, allow in (
        ("GET", "/nothing", None),
        ("GET", "", None),
        ("POST", "/accounts/some/nothing", None),
        ("DELETE", "/clients", "GET, HEAD, POST"),
        ("OPTIONS", "/events", "GET, HEAD"),
        ("PUT", "/clients/some", "DELETE, GET, HEAD, PATCH"),
    ):
        stranger = await issuer.direct.request(method, API + path, headers={"Accept": "text/html"})
        assert (stranger.status_code, "www-authenticate" in stranger.headers) == (401, True), path
        assert (await foreign(method, path)).json()["error"] == "invalid_token"
        answer = await api(method, path)
        assert problem(answer) == ((404, "not-found") if allow is None else (405, "method-not-allowed")), path
        assert (answer.headers.get("allow"), answer.headers["cache-control"]) == (allow, "no-store")
    assert (await issuer.direct.get(f"{API}s")).headers["content-type"].startswith("text/plain")


async def test_lists_are_read_page_by_page_and_cursors_say_nothing_and_serve_one_list(issuer, api):
    for name in "cab":
        await issuer.person(f"{name}@example.com", password=None)
    first = await api.good("GET", "/accounts?limit=2")
    assert [one["email"] for one in first["items"]] == ["a@example.com", "b@example.com"]
    assert "example" not in first["next"]
    second = await api.good("GET", f"/accounts?limit=2&cursor={first['next']}")
    assert ([one["email"] for one in second["items"]], second["next"]) == (["c@example.com"], None)
    assert problem(await api("GET", f"/clients?cursor={first['next']}")) == (400, "malformed")
    assert problem(await api("GET", f"/accounts?cursor={first['next'][:-2]}AA")) == (400, "malformed")
    assert [one["email"] for one in (await api.good("GET", "/accounts?search=B%40"))["items"]] == ["b@example.com"]


async def test_the_last_administrator_stays(issuer, api):
    account = await issuer.person(roles=["ADMIN"])
    place = f"/accounts/{account.subject}"
    assert problem(await api("DELETE", place)) == (409, "conflict")
    assert problem(await api("PUT", f"{place}/roles", {"roles": []}, match="*")) == (409, "conflict")


async def test_sessions_and_apps_of_a_person_are_listed_and_ended(issuer, api):
    account = await issuer.sign_in()
    app = await issuer.register(first_party=False, client_name="Printer")
    await issuer.desk.store.consents.grant(people_consent(account, app))
    place = f"/accounts/{account.subject}"
    tokens = await app.tokens()
    [session] = (await api.good("GET", f"{place}/sessions"))["items"]
    assert session["amr"] == ["pwd"]
    [let_in] = (await api.good("GET", f"{place}/apps"))["items"]
    assert (let_in["name"], let_in["refresh_tokens"]) == ("Printer", 1)
    assert await api.good("DELETE", f"{place}/apps/{app.client_id}") is None
    assert problem(await api("DELETE", f"{place}/apps/{app.client_id}")) == (404, "not-found")
    assert not await app.active(tokens["access_token"])
    other = await issuer.person("bob@example.com")
    assert problem(await api("DELETE", f"/accounts/{other.subject}/sessions/{session['sid']}")) == (404, "not-found")
    assert await api.good("DELETE", f"{place}/sessions/{session['sid']}") is None
    assert problem(await api("DELETE", f"{place}/sessions/{session['sid']}")) == (404, "not-found")
    await issuer.desk.store.revocations.publish()
    taken_back = (await api.good("GET", "/revocations"))["items"]
    assert ("session", session["sid"]) in {(one["kind"], one["value"]) for one in taken_back}


def people_consent(account, app):
    from carnet.issuer.storage.records import Consent

    scope = ("openid", "profile", "email")
    return Consent(subject=account.subject, client_id=app.client_id, scope=scope, granted_at=0)


async def test_clients_are_registered_changed_and_deleted(issuer, api):
    made = await api(
        "POST", "/clients", {"client_name": "Shop", "grant_types": ["client_credentials"], "audiences": ["orders"]}
    )
    assert made.status_code == 201
    client, place = made.json(), made.headers["location"].removeprefix(API)
    auth = (client["client_id"], client["client_secret"])
    form = {"grant_type": "client_credentials"}
    assert (await issuer.direct.post("/token", data=form, auth=auth)).json()["expires_in"] == 300
    seen = await api("GET", place)
    assert "client_secret" not in seen.json()
    changed = await api.good(
        "PATCH", place, {"access_token_lifetime": 60, "scope": "orders:read"}, match=seen.headers["etag"]
    )
    assert (changed["access_token_lifetime"], changed["audiences"]) == (60, ["orders"])
    assert (await issuer.direct.post("/token", data=form, auth=auth)).json()["expires_in"] == 60
    fresh = (await api.good("POST", f"{place}/secret"))["client_secret"]
    assert (await issuer.direct.post("/token", data=form, auth=auth)).status_code == 401
    assert (await issuer.direct.post("/token", data=form, auth=(auth[0], fresh))).status_code == 200
    assert problem(await api("PATCH", place, {"scope": "x"}, match=seen.headers["etag"])) == (412, "stale")
    assert problem(await api("PATCH", place, {"grant_types": []}, match="*")) == (422, "invalid")
    assert problem(await api("POST", "/clients", {"client_name": "Other", "client_id": auth[0]})) == (422, "invalid")
    again = {"client_name": "Other", "client_id": auth[0], "grant_types": ["client_credentials"]}
    assert problem(await api("POST", "/clients", again)) == (409, "conflict")
    assert await api.good("DELETE", place) is None
    assert problem(await api("GET", place)) == (404, "not-found")


async def test_an_administrator_alone_spares_a_client_pkce_and_a_nonce(api):
    app = {"client_name": "App", "redirect_uris": ["https://app.example/cb"], "scope": "openid"}
    made = await api.good("POST", "/clients", app | {"pkce": "optional"})
    assert made["pkce"] == "optional"
    changed = await api.good("PATCH", f"/clients/{made['client_id']}", {"pkce": "required"}, match="*")
    assert changed["pkce"] == "required"
    public = await api.good("POST", "/clients", app | {"token_endpoint_auth_method": "none"})
    place = f"/clients/{public['client_id']}"
    assert problem(await api("PATCH", place, {"pkce": "optional"}, match="*")) == (422, "invalid")
    assert (await api("POST", "/registration-tokens", {"pkce": "or_nonce"})).status_code == 201
    refused = await api("POST", "/registration-tokens", {"pkce": "optional"})
    assert (*problem(refused), "$.pkce" in refused.json()["detail"]) == (422, "invalid", True)


async def test_nobody_gives_a_client_more_of_the_admin_api_than_they_have(issuer, api):
    weak = await robot(issuer, "admin:clients.write admin:clients.read")
    powerful = {
        "client_name": "P",
        "grant_types": ["client_credentials"],
        "roles": ["ADMIN"],
        "scope": "admin:keys.write",
    }
    refused = await weak("POST", "/clients", powerful)
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="admin:keys.write"' in refused.headers["www-authenticate"]
    lure = {
        "client_name": "L",
        "redirect_uris": ["https://l.example/cb"],
        "first_party": True,
        "scope": "admin:keys.write",
    }
    assert (await weak("POST", "/clients", lure)).status_code == 403
    client_id = (await api.good("POST", "/clients", powerful | {"client_id": "p"}))["client_id"]
    for method, path, body in (
        ("POST", f"/clients/{client_id}/secret", None),
        ("PATCH", f"/clients/{client_id}", {"client_name": "Q"}),
        ("DELETE", f"/clients/{client_id}", None),
    ):
        assert (await weak(method, path, body, match="*")).status_code == 403
    plain = await weak.good("POST", "/clients", powerful | {"scope": "admin:clients.read"})
    assert (
        await weak("PATCH", f"/clients/{plain['client_id']}", {"scope": "admin:keys.write"}, match="*")
    ).status_code == 403


STRANGER = "https://stranger.example"


@pytest.mark.parametrize(
    "more",
    [
        {
            "grant_types": [ASSERTION],
            "assertion_issuers": [
                {"issuer": STRANGER, "jwks": {"keys": [SigningKey.generate("ES256").public().to_jwk()]}}
            ],
        },
        {"first_party": True, "redirect_uris": [f"{STRANGER}/callback"]},
        {"redirect_uris": [f"{STRANGER}/callback"]},
    ],
    ids=["assertions", "silent", "remembered"],
)
async def test_nor_by_a_client_that_gets_the_tokens_of_administrators(issuer, more):
    """Rule O20: it needs no role of its own: theirs counts."""
    weak = await robot(issuer, "admin:clients.write admin:clients.read")
    body = {"client_name": "P", "audiences": [API], "scope": "admin:accounts.read admin:clients.read"} | more
    refused = await weak("POST", "/clients", body)
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    there = await issuer.register(scope="openid admin:accounts.read", audiences=(API,), first_party=False)
    moved = await weak("PATCH", f"/clients/{there.client_id}", {"redirect_uris": [f"{STRANGER}/x"]}, match="*")
    assert (moved.status_code, moved.json()["error"]) == (403, "insufficient_scope")
    await weak.good("POST", "/clients", body | {"scope": "admin:clients.read"})


async def test_scope_values_that_clients_have_without_asking_count_among_what_they_are_given(issuer):
    weak = await robot(issuer, "admin:clients.write")
    config = structs.replace(issuer.desk.config, scopes=("openid", "admin:keys.write"))
    object.__setattr__(issuer.desk, "config", config)
    body = {"client_name": "P", "redirect_uris": [f"{STRANGER}/callback"], "audiences": [API]}
    assert (await weak("POST", "/clients", body)).status_code == 403


async def test_scope_values_claims_and_audiences_are_defined_and_count_at_once(issuer, api):
    await api.good("POST", "/claims", {"name": "department", "attribute": "department"})
    scope = {"name": "work", "description": {"en": "See where you work"}, "claims": ["department"]}
    made = await api("POST", "/scopes", scope)
    assert made.json() == scope | {"origin": "stored"}
    assert problem(await api("POST", "/scopes", scope)) == (409, "conflict")
    url = "https://orders.example/api"
    await api.good("POST", "/audiences", {"name": url, "scopes": ["orders:read"], "access_token_lifetime": 60})
    found = await api("GET", "/audiences/https%3A%2F%2Forders.example%2Fapi")
    assert found.json()["name"] == url
    discovery = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert "work" in discovery["scopes_supported"]
    assert "department" in discovery["claims_supported"]
    account = await issuer.sign_in()
    await api.good("PATCH", f"/accounts/{account.subject}", {"attributes": {"department": "law"}}, match="*")
    app = await issuer.register(scope="openid work orders:read", audiences=(url, "invoices"), first_party=False)
    page = await issuer.follow(await app.authorize(scope="openid work orders:read"))
    assert "See where you work" in page.text
    await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
    tokens = await app.tokens(scope="openid work orders:read")
    assert tokens["expires_in"] == 60
    assert (await app.userinfo(tokens["access_token"])).json()["department"] == "law"
    other = (await app.refresh(tokens["refresh_token"], resource="invoices")).json()
    assert (other["scope"], other["expires_in"]) == ("openid work", 300)
    assert problem(await api("DELETE", "/claims/department")) == (422, "invalid")
    changed = scope | {"claims": []}
    assert problem(await api("PUT", "/scopes/work", changed, match='"other"')) == (412, "stale")
    await api.good("PUT", "/scopes/work", changed, match=made.headers["etag"])
    assert "department" not in (await app.userinfo(other["access_token"])).json()
    await api.good("DELETE", "/claims/department")
    assert problem(await api("GET", "/claims/department")) == (404, "not-found")


UNDEFINABLE = [
    ("/scopes", {"name": "two words"}),
    ("/scopes", {"name": "work", "claims": ["unheard_of"]}),
    ("/scopes", {"name": "work", "description": {"not a tag!": "x"}}),
    ("/scopes", {"name": "work", "description": {"en": "a\nb"}}),
    ("/scopes", {"name": "work", "claims": ["name", "name"]}),
    ("/claims", {"name": "sub", "attribute": "x"}),
    ("/claims", {"name": "email", "attribute": "x"}),
    ("/claims", {"name": "department", "attribute": "No"}),
    ("/audiences", {"name": "a b"}),
    ("/audiences", {"name": "orders", "scopes": ["a b"]}),
    ("/audiences", {"name": "orders", "access_token_lifetime": 5}),
]


async def test_what_cannot_be_defined_is_refused(api):
    for path, body in UNDEFINABLE:
        assert problem(await api("POST", path, body)) == (422, "invalid"), body


async def test_a_built_in_scope_value_is_defined_anew_and_given_back(issuer, api):
    built_in = await api("GET", "/scopes/profile")
    assert built_in.json()["origin"] == "built-in"
    assert problem(await api("DELETE", "/scopes/profile")) == (409, "conflict")
    wanted = {"name": "profile", "description": {"en": "See all of you"}, "claims": ["name"]}
    assert (await api.good("PUT", "/scopes/profile", wanted, match=built_in.headers["etag"]))["origin"] == "stored"
    await api.good("DELETE", "/scopes/profile")
    assert (await api("GET", "/scopes/profile")).json() == built_in.json()


async def test_registration_tokens_are_listed_and_withdrawn(issuer, api):
    def register(made):
        headers = {"Authorization": f"Bearer {made['token']}"}
        return issuer.direct.post("/register", json={"redirect_uris": ["https://app.example/cb"]}, headers=headers)

    once = await api.good("POST", "/registration-tokens", {"lifetime": 300})
    many = await api.good("POST", "/registration-tokens", {"uses": 3, "lifetime": 200})
    short = await api.good("POST", "/registration-tokens", {"lifetime": 100})
    listed = await api.good("GET", "/registration-tokens?limit=2")
    rest = await api.good("GET", f"/registration-tokens?cursor={listed['next']}")
    items = [*listed["items"], *rest["items"]]
    assert [(item["name"], item["policy"]["uses"]) for item in items] == [
        (short["name"], 1),
        (many["name"], 3),
        (once["name"], 1),
    ]
    assert not any(made["token"] in json.dumps(items) for made in (once, many, short))
    assert (await register(many)).status_code == 201
    assert await api.good("DELETE", f"/registration-tokens/{many['name']}") is None
    for made, status in ((many, 401), (once, 201), (once, 401)):
        assert (await register(made)).status_code == status
    for name in (many["name"], once["name"], "unheard-of", many["token"], "%C3%A9"):
        assert problem(await api("DELETE", f"/registration-tokens/{name}")) == (404, "not-found")
    issuer.clock.advance(100)
    assert (await api.good("GET", "/registration-tokens"))["items"] == []
    [line] = (await api.good("GET", "/events?name=registration_token.withdrawn"))["items"]
    assert line["detail"] == {"token": many["name"]}


async def test_registration_tokens_keys_and_events(issuer, api):
    made = await api.good("POST", "/registration-tokens", {"reusable": True, "lifetime": 60})
    answer = await issuer.direct.post(
        "/register",
        json={"redirect_uris": ["https://app.example/cb"]},
        headers={"Authorization": f"Bearer {made['token']}"},
    )
    assert answer.status_code == 201, answer.text
    assert problem(await api("POST", "/registration-tokens", {"lifetime": 0})) == (422, "invalid")
    [before, *_] = (await api.good("GET", "/keys"))["items"]
    assert before["state"] == "signs"
    [fresh, *_] = (await api.good("POST", "/keys/rotate"))["items"]
    assert fresh["state"] == "next"
    assert await api.good("POST", f"/keys/{fresh['kid']}/retire", {"compromised": True}) is None
    assert problem(await api("POST", "/keys/unheard-of/retire", {})) == (404, "not-found")
    states = {key["kid"]: key["state"] for key in (await api.good("GET", "/keys"))["items"]}
    assert states[fresh["kid"]] == "compromised"
    names = [event["name"] for event in (await api.good("GET", "/events?limit=4"))["items"]]
    assert names[:2] == ["key.retired", "keys.rotated"]
    assert "registration_token.made" in names
    for since in ("null", "1.0", "-1", "1e3", "true"):
        assert problem(await api("GET", f"/events?since={since}")) == (400, "malformed")
    only = await api.good("GET", f"/events?name=key.retired&since=0&until={issuer.clock.now() + 1}")
    assert [event["detail"] for event in only["items"]] == [{"kid": fresh["kid"], "compromised": True}]


async def test_streams_of_security_events_are_looked_after(issuer, api):
    service = await issuer.service(scope="ssf.manage ssf.read", audiences=(ISSUER,))
    receiver = Receiver(service)
    first, second = await receiver.create(), await receiver.create(description="Another one")
    listed = await api.good("GET", "/streams?limit=1")
    rest = await api.good("GET", f"/streams?cursor={listed['next']}")
    items = [*listed["items"], *rest["items"]]
    assert {item["stream_id"] for item in items} == {first["stream_id"], second["stream_id"]}
    assert {(item["client_id"], item["delivery"], item["status"]) for item in items} == {
        (service.client_id, "poll", "enabled")
    }
    place = f"/streams/{second['stream_id']}"
    paused = await api.good("POST", f"{place}/pause", {"reason": "Upkeep."})
    assert (paused["status"], paused["reason"], paused["description"]) == ("paused", "Upkeep.", "Another one")
    seen = await api("GET", place)
    assert seen.json() == paused
    assert [item["waiting"] for item in (await api.good("GET", "/streams"))["items"]].count(1) == 1, "it is told so"
    assert (await api.good("POST", f"{place}/resume"))["status"] == "enabled"
    assert problem(await api("DELETE", place, match=seen.headers["etag"])) == (412, "stale")
    assert await api.good("DELETE", place, match="*") is None
    for method, path in (("GET", place), ("DELETE", place), ("POST", f"{place}/resume")):
        assert problem(await api(method, path)) == (404, "not-found")
    lines = (await api.good("GET", f"/events?client_id={service.client_id}"))["items"]
    assert [(line["name"], line["detail"]["stream_id"]) for line in lines if line["name"].startswith("signal")][:3] == [
        ("signal_stream.removed", second["stream_id"]),
        ("signal_stream.changed", second["stream_id"]),
        ("signal_stream.changed", second["stream_id"]),
    ]
    assert [one.stream_id for one, _ in await issuer.desk.store.signals.list()] == [first["stream_id"]]


def test_each_file_of_the_admin_api_with_a_resource_is_in_the_tuple():
    files = {path.stem for path in Path(admin_api.__file__).parent.glob("*.py")} - {"__init__"}
    modules = [import_module(f"{admin_api.__name__}.{name}") for name in sorted(files)]
    assert {id(module.RESOURCE) for module in modules if hasattr(module, "RESOURCE")} == {id(one) for one in RESOURCES}
    assert len({resource.name for resource in RESOURCES}) == len(RESOURCES)


async def test_many_that_look_at_the_definitions_at_once_read_them_once(issuer, monkeypatch):
    reads = 0
    read = issuer.desk.store.definitions.list

    async def counted():
        nonlocal reads
        reads += 1
        await anyio.sleep(0)
        return await read()

    monkeypatch.setattr(issuer.desk.store.definitions, "list", counted)
    issuer.clock.advance(3)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(issuer.desk.definitions.current)
    assert reads == 1
    issuer.clock.advance(1)
    await issuer.desk.definitions.current()
    assert reads == 1
    issuer.clock.advance(1)
    await issuer.desk.definitions.current()
    assert reads == 2
