"""RFC 9700 section 3: attacks that no single rule lists: what is taken back, tossed, raced for or asked in another order."""

import asyncio

import pytest
from starlette.requests import Request

from carnet.issuer import clients
from carnet.issuer.accounts import people
from carnet.issuer.accounts.errors import LastAdministratorError
from carnet.issuer.browser import BROWSER_COOKIE, SESSION_COOKIE, cookie
from carnet.issuer.clients import ClientError
from carnet.issuer.config import Config
from carnet.issuer.login import throttle
from carnet.issuer.login.throttle import ADDRESS, EVERYWHERE
from carnet.issuer.revoking import entry_lifetime
from carnet.issuer.storage.records import TokenExchange
from carnet.issuer.token_policies import EXCHANGE

pytestmark = pytest.mark.anyio


@pytest.fixture
def config(request, tmp_path) -> Config:
    return Config(issuer="http://127.0.0.1:8080", data=tmp_path, **getattr(request, "param", {}))


ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


async def test_signing_out_takes_back_what_was_issued_before_a_step_up_in_the_same_browser(issuer):
    """Rule R24: the session of the second proof takes the first one's place, and ends for both."""
    app = await issuer.register()
    await issuer.sign_in()
    first = (await app.tokens())["access_token"]
    for _ in range(2):  # twice: a session that took the place of one that had taken the place of one
        issuer.clock.advance(30)
        await issuer.enter(await app.authorize(prompt="login"))
    last = (await app.tokens())["access_token"]
    assert await app.active(first)
    assert await app.active(last)
    page = await issuer.http.get("/account")
    await issuer.submit("/account/sign-out", issuer.fields(page))
    assert not await app.active(last)
    assert not await app.active(first)


async def test_one_address_cannot_use_up_the_tries_of_everybody(issuer, monkeypatch):
    """Rules O12 and O13: what is refused for its address counts for nobody else."""
    await issuer.person()
    for _ in range(ADDRESS.tries):
        await issuer.desk.store.throttle.hit("sign_in/address/127.0.0.1", at=issuer.clock.now(), window=ADDRESS.window)
    page = await issuer.http.get("/login")
    for _ in range(3):
        answer = await issuer.submit(
            "/login", issuer.fields(page) | {"email": "ann@example.com", "password": "a wrong password"}
        )
        assert answer.status_code == 429
    counted = await issuer.desk.store.throttle.hit(
        "sign_in/everywhere", at=issuer.clock.now(), window=EVERYWHERE.window
    )
    assert counted == 1


async def test_an_exchange_during_a_sign_out_everywhere_gives_nothing_that_outlives_it(issuer, claims, monkeypatch):
    """Rule O20: what takes back the token that was exchanged takes back what came of it."""
    app = await issuer.register(scope="openid offline_access orders:read", audiences=("orders",))
    ann = await issuer.sign_in()
    service = await issuer.service(
        grant_types=(EXCHANGE,),
        scope="orders:read",
        audiences=("orders",),
        token_exchange=TokenExchange(kind="delegation", receives=("orders",)),
    )
    token = (await app.tokens(scope="openid offline_access orders:read"))["access_token"]
    signing_key = issuer.desk.keyring.signing_key

    async def meanwhile():
        monkeypatch.undo()
        await people.sign_out_everywhere(issuer.desk, ann.subject, by=people.CLI)
        return await signing_key()

    monkeypatch.setattr(issuer.desk.keyring, "signing_key", meanwhile)
    answer = await service.post(grant_type=EXCHANGE, subject_token=token, subject_token_type=ACCESS_TOKEN)
    if answer.status_code == 200:
        assert claims(answer.json()["access_token"])["sep"] == claims(token)["sep"] == 0
    assert (await issuer.desk.store.accounts.get(ann.subject)).epoch == 1


async def test_taking_an_app_s_access_back_takes_back_tokens_that_cannot_be_refreshed(issuer):
    """RFC 9700 section 4.9: an app without refresh tokens has access tokens all the same."""
    app = await issuer.register(grant_types=("authorization_code",), first_party=False)
    ann = await issuer.sign_in()
    consent = await issuer.follow(await app.authorize())
    resumed = await issuer.submit("/consent", issuer.fields(consent) | {"decision": "allow"})
    code = app.query(await issuer.follow(resumed))["code"]
    token = (await app.redeem(code)).json()["access_token"]
    assert await app.active(token)
    await people.revoke_app(issuer.desk, ann.subject, app.client_id, by=people.CLI)
    assert not await app.active(token)


async def test_whoever_asks_for_offline_access_alone_is_not_given_everything_else(issuer):
    """RFC 6749 section 3.3: a scope that comes to nothing is not the same as none."""
    app = await issuer.register(
        grant_types=("authorization_code",), scope="openid profile offline_access orders:write", audiences=("orders",)
    )
    await issuer.sign_in()
    answer = await app.authorize(scope="offline_access")
    granted = (await app.redeem(app.query(answer)["code"])).json()["scope"] if "code" in app.query(answer) else ""
    assert "orders:write" not in granted.split()


@pytest.mark.parametrize("name", ["\xa0{}", "{}\x85", " \x1f{}", "{}\xa0"])
def test_a_cookie_whose_name_only_looks_like_ours_is_not_ours(tmp_path, name):
    """RFC 6265bis section 4.1.3.2: a neighbouring host may set `\\xa0__Host-…`, for which no browser keeps to the prefix."""
    config = Config(issuer="https://id.example", data=tmp_path, trusted_proxies=("10.0.0.0/8",))
    tossed = name.format(f"__Host-{SESSION_COOKIE}") + "=" + "a" * 43
    request = Request({"type": "http", "headers": [(b"cookie", tossed.encode("latin-1"))]})
    assert cookie(request, config, SESSION_COOKIE) == ""


def test_a_cookie_that_comes_twice_is_none(tmp_path):
    """Rule O15: which of the two a neighbour has planted cannot be told."""
    config = Config(issuer="https://id.example", data=tmp_path, trusted_proxies=("10.0.0.0/8",))
    name = f"__Host-{BROWSER_COOKIE}"
    once, twice = f"{name}={'a' * 22}", f"{name}={'a' * 22}; {name}={'b' * 22}"
    for headers, seen in (([once], "a" * 22), ([twice], ""), ([once, once], "")):
        request = Request({"type": "http", "headers": [(b"cookie", one.encode()) for one in headers]})
        assert cookie(request, config, BROWSER_COOKIE) == seen


async def test_a_device_s_cookie_is_opened_whether_or_not_there_is_such_an_account(issuer, monkeypatch):
    """Rule O11: what only an existing account costs tells that it exists."""
    await issuer.person()
    opened = []
    original = throttle.device
    monkeypatch.setattr(throttle, "device", lambda *given: opened.append(1) or original(*given))
    page = await issuer.http.get("/login")
    costs = []
    for email in ("ann@example.com", "nobody@example.com"):
        opened.clear()
        answer = await issuer.submit("/login", issuer.fields(page) | {"email": email, "password": "a wrong password"})
        assert answer.status_code == 403
        costs.append(len(opened))
    assert costs == [1, 1]


@pytest.mark.parametrize("config", [{"authorization_details_types": ("payment",)}], indirect=True)
async def test_what_one_person_has_allowed_is_not_allowed_by_the_next_one_in_the_same_browser(issuer):
    """RFC 9396 section 7.1: the request waits in the browser, and whoever signs in there next is asked as well."""
    app = await issuer.register(first_party=False, authorization_details_types=("payment",))
    await issuer.person("bob@example.com")
    for email in ("bob@example.com", "ann@example.com"):
        await issuer.sign_in(email)
        consent = await issuer.follow(await app.authorize(authorization_details='[{"type":"payment","to":"bob"}]'))
        allowed = await issuer.submit("/consent", issuer.fields(consent) | {"decision": "allow"})
    assert "code" in app.query(await issuer.follow(allowed))
    await issuer.sign_in("bob@example.com")
    answer = await issuer.follow(allowed)
    assert answer.headers["location"].startswith("http://127.0.0.1:8080/consent?")


@pytest.mark.parametrize("left_out", [1, 16, 28, 40])
async def test_a_sealed_flow_that_was_cut_short_is_refused(issuer, left_out):
    """Rule O19: the seal is over everything, and has exactly its length."""
    app = await issuer.register()
    page = await app.authorize()
    flow = app.query(page)["flow"]
    for damaged in (flow[:-left_out], flow[left_out:], flow + "A" * left_out, flow[:left_out]):
        for path in ("/login", "/authorize"):
            answer = await issuer.http.get(path, params={"flow": damaged})
            assert answer.status_code == 400, (path, damaged)
            assert "code=" not in answer.headers.get("location", "")
    assert (await issuer.follow(page)).status_code == 200


async def test_a_secret_that_was_cut_short_or_continued_is_none(issuer):
    """Rule O19: codes, refresh tokens and sessions are compared whole."""
    app = await issuer.register()
    await issuer.sign_in()
    code = await app.code()
    for damaged in (code[:-1], code[1:], code + "A", code + "=", f" {code}"):
        assert (await app.redeem(damaged)).json()["error"] == "invalid_grant"
    tokens = (await app.redeem(code)).json()
    for damaged in (tokens["refresh_token"][:-1], tokens["refresh_token"] + "A"):
        assert (await app.refresh(damaged)).json()["error"] == "invalid_grant"
        assert not await app.active(damaged)
    assert not await app.active(tokens["access_token"][:-1])
    assert (await app.refresh(tokens["refresh_token"])).status_code == 200
    session = issuer.http.cookies[SESSION_COOKIE]
    for damaged in (session[:-1], session + "A"):
        answer = await issuer.direct.get("/account", headers={"Cookie": f"{SESSION_COOKIE}={damaged}"})
        assert answer.status_code == 303


ENDS = {
    "disabled": lambda desk, subject: people.disable(desk, subject, by=people.CLI),
    "without the role": lambda desk, subject: people.set_roles(desk, subject, (), by=people.CLI),
    "removed": lambda desk, subject: people.remove(desk, subject, by=people.CLI),
}


@pytest.mark.parametrize("end", ENDS)
async def test_administrators_who_send_each_other_away_at_the_same_moment_leave_one(issuer, end):
    """Rules O3 and O17: that somebody else stays is a part of the change, and not looked at before it."""
    admins = [await issuer.person(f"{name}@example.com", roles=("ADMIN",)) for name in ("ann", "bob", "cas")]
    ended = await asyncio.gather(*(ENDS[end](issuer.desk, admin.subject) for admin in admins), return_exceptions=True)
    assert [type(answer) for answer in ended].count(LastAdministratorError) == 1
    left = [account for account in await issuer.desk.store.accounts.list() if "ADMIN" in account.roles]
    assert [account.disabled_at for account in left].count(None) == 1


async def test_a_client_takes_no_name_under_which_tokens_are_still_refused(issuer):
    """Rule R24: what takes back the deleted one's tokens would take back those of its successor."""
    await issuer.service(client_id="stock")
    assert await clients.remove(issuer.desk, "stock", actor="test")
    with pytest.raises(ClientError, match="deleted a moment ago"):
        await issuer.service(client_id="stock")
    issuer.clock.advance(entry_lifetime(issuer.desk.config))
    again = await issuer.service(client_id="stock")
    answer = await again.post(grant_type="client_credentials")
    assert await again.active(answer.json()["access_token"])
