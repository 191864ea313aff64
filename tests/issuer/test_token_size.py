"""Access tokens that would be too large only name their roles, and guards find them; whoever cannot is not let in."""

import asyncio
from types import SimpleNamespace

import httpx2
import pytest

from carnet.guard import BlockingCheckpoint, Checkpoint
from carnet.guard.principal import ClaimFormError, principal_of
from carnet.guard.refusal import RefusedRequestError
from carnet.guard.requirement import require
from carnet.issuer.accounts import people
from carnet.issuer.config import Config

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
ROLES = [f"ROLE_OF_SOME_LENGTH_{number:02}_IN_A_DEPARTMENT" for number in range(20)]


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(issuer=ISSUER, data=tmp_path, access_token_budget=1_000)


@pytest.fixture
async def app(issuer):
    account = await issuer.sign_in()
    await people.set_roles(issuer.desk, account.subject, ROLES, by=people.CLI)
    return await issuer.register(audiences=("orders",), scope="openid orders:read")


@pytest.fixture
def asked() -> list[str]:
    """What the guard asks the issuer for, in order."""
    return []


@pytest.fixture
async def guard(issuer, asked):
    served = httpx2.ASGITransport(issuer.app)

    class Listening(httpx2.AsyncBaseTransport):
        answers = True

        async def handle_async_request(self, request):
            asked.append(request.url.path)
            if request.url.path == "/roles" and not self.answers:
                raise httpx2.ConnectError("nobody there")
            return await served.handle_async_request(request)

    transport = Listening()
    checkpoint = Checkpoint(
        issuer=ISSUER, audience="orders", revocation=None, ambient=issuer.clock.ambient, transport=transport
    )
    checkpoint.reachable = lambda answers: setattr(transport, "answers", answers)  # type: ignore[attr-defined]
    yield checkpoint
    await checkpoint.stop()


def bearer(token: str) -> list[bytes]:
    return [f"Bearer {token}".encode()]


async def test_a_token_over_the_budget_names_its_roles_and_one_within_it_has_them(issuer, app, claims):
    token = (await app.tokens(scope="orders:read"))["access_token"]
    assert len(token) <= 1_000
    assert "roles" not in claims(token)
    assert len(claims(token)["roles_ref"]) == 43
    await people.set_roles(issuer.desk, issuer.accounts["ann@example.com"].subject, ["USER"], by=people.CLI)
    small = claims((await app.tokens(scope="orders:read"))["access_token"])
    assert small["roles"] == ("USER",)
    assert "roles_ref" not in small


async def test_a_guard_finds_the_roles_once_for_all_tokens_that_name_them(issuer, app, guard, asked):
    first = (await app.tokens(scope="orders:read"))["access_token"]
    second = (await app.tokens(scope="orders:read"))["access_token"]
    principal = await guard.admit(bearer(first), require(role=ROLES[3]))
    assert principal.roles == frozenset(ROLES)
    assert (await guard.admit(bearer(second), require(role=ROLES[4]))).roles == frozenset(ROLES)
    assert asked.count("/roles") == 1
    with pytest.raises(RefusedRequestError) as refused:
        await guard.admit(bearer(first), require(role="ADMIN"))
    assert refused.value.refused.status == 403


async def test_a_guard_that_cannot_learn_the_roles_lets_nobody_in(issuer, app, guard, asked):
    token = (await app.tokens(scope="orders:read"))["access_token"]
    guard.reachable(False)
    for _ in range(2):
        with pytest.raises(RefusedRequestError) as refused:
            await guard.admit(bearer(token))
        assert (refused.value.refused.status, refused.value.refused.code) == (503, "roles_unknown")
    assert asked.count("/roles") == 1
    guard.reachable(True)
    issuer.clock.advance(1)
    assert (await guard.admit(bearer(token))).roles == frozenset(ROLES)


async def test_roles_that_are_others_by_now_end_a_token_that_names_them(issuer, app, guard, asked):
    tokens = await app.tokens(scope="openid orders:read")
    account = issuer.accounts["ann@example.com"]
    await people.set_roles(issuer.desk, account.subject, [*ROLES, "MORE"], by=people.CLI)
    for _ in range(2):
        with pytest.raises(RefusedRequestError) as refused:
            await guard.admit(bearer(tokens["access_token"]))
        assert (refused.value.refused.status, refused.value.refused.code) == (401, "roles_changed")
    assert asked.count("/roles") == 1
    fresh = (await app.refresh(tokens["refresh_token"])).json()["access_token"]
    assert "MORE" in (await guard.admit(bearer(fresh))).roles


async def test_the_roles_are_told_to_who_has_a_live_token_and_to_nobody_else(issuer, app):
    assert (await issuer.direct.get("/roles")).status_code == 401
    for header in ("Bearer nonsense", "Basic YTpi"):
        refused = await issuer.direct.get("/roles", headers={"Authorization": header})
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    tokens = await app.tokens(scope="openid orders:read")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await issuer.direct.get("/roles", headers=headers)).json()["roles"] == sorted(ROLES)
    told = (await app.post("/introspect", token=tokens["access_token"])).json()
    assert told["roles"] == sorted(ROLES)
    assert "roles_ref" not in told
    await people.sign_out_everywhere(issuer.desk, issuer.accounts["ann@example.com"].subject, by=people.CLI)
    assert (await issuer.direct.get("/roles", headers=headers)).status_code == 401


async def test_whoever_runs_the_issuer_is_told_once_a_day(issuer, app, caplog):
    for _ in range(2):
        await app.tokens(scope="orders:read")
    assert (await issuer.events()).count("access_token.over_budget") == 1
    assert sum("over the budget of 1000" in record.message for record in caplog.records) == 1
    [(_, event)] = await issuer.desk.store.events.list(name="access_token.over_budget")
    assert event.detail["issued"] <= 1_000 < event.detail["length"]
    issuer.clock.advance(86_401)
    await issuer.sign_in()
    await app.tokens(scope="orders:read")
    assert (await issuer.events()).count("access_token.over_budget") == 2


async def test_a_service_s_many_roles_are_named_too(issuer, claims, guard):
    service = await issuer.service(roles=tuple(ROLES), audiences=("orders",))
    token = (await service.post(grant_type="client_credentials")).json()["access_token"]
    assert "roles_ref" in claims(token)
    assert (await guard.admit(bearer(token))).roles == frozenset(ROLES)


async def test_a_guard_in_threads_finds_the_roles_as_well(issuer, app):
    token = (await app.tokens(scope="orders:read"))["access_token"]
    documents = {
        path: (await issuer.direct.get(path, headers={"Authorization": f"Bearer {token}"})).content
        for path in ("/.well-known/openid-configuration", "/jwks", "/roles")
    }
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, content=documents[request.url.path]))
    guard = BlockingCheckpoint(
        issuer=ISSUER, audience="orders", revocation=None, ambient=issuer.clock.ambient, transport=transport
    )
    admitted = await asyncio.to_thread(guard.admit, bearer(token), require(role=ROLES[3]))
    assert admitted.roles == frozenset(ROLES)
    guard.stop()


@pytest.mark.parametrize(
    "answer", [b'{"roles": "ADMIN"}', b'{"roles": [1]}', b"nonsense", b'{"roles": ["ADMIN"]}', b"{}"]
)
async def test_roles_of_another_form_or_digest_are_nobody_s(issuer, app, guard, monkeypatch, answer):
    token = (await app.tokens(scope="orders:read"))["access_token"]

    async def told(*_: object) -> httpx2.Response:
        return httpx2.Response(200, content=answer)

    await guard.source.load()
    monkeypatch.setattr(guard, "_transport", httpx2.MockTransport(told))
    with pytest.raises(RefusedRequestError) as refused:
        await guard.admit(bearer(token))
    assert refused.value.refused.code == ("roles_changed" if b'["ADMIN"]' in answer else "roles_unknown")


def test_a_token_that_has_roles_and_names_some_has_neither():
    with pytest.raises(ClaimFormError):
        principal_of(SimpleNamespace(claims={"roles": (), "roles_ref": "x"}, header={}))
