"""Rule R24: whatever was taken back stays so until the last access token that it concerns has expired, however long those live."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from carnet.issuer.accounts import people
from carnet.issuer.app import open_desk
from carnet.issuer.config import Config, ConfigError, Lifetimes, check
from carnet.issuer.revoking import entry, entry_lifetime
from carnet.testing import Clock

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def desk(tmp_path, clock, longest):
    config = Config(data=tmp_path, lifetimes=Lifetimes(longest_access_token=longest))
    opened = await open_desk(config, clock.ambient, secret=b"s" * 43)
    try:
        yield opened
    finally:
        opened.passwords.close()
        await opened.store.close()


@pytest.mark.parametrize("longest", [300, 900, 7_200])
async def test_entries_live_as_long_as_the_longest_token_and_a_margin(tmp_path, longest):
    clock = Clock()
    async with desk(tmp_path, clock, longest) as opened:
        assert entry_lifetime(opened.config) == longest + 100
        assert entry("session", "s1", opened.config, at=0).expires_at == longest + 100


async def test_a_bound_that_is_lowered_holds_for_new_tokens_at_once_and_for_entries_once_the_old_ones_have_expired(
    tmp_path,
):
    clock = Clock()
    async with desk(tmp_path, clock, 3_600):
        pass
    for waited, entries in ((0, 3_700), (3_599, 3_700), (1, 400)):
        clock.advance(waited)
        async with desk(tmp_path, clock, 300) as opened:
            assert opened.longest_access_token == 300
            assert entry_lifetime(opened.config) == entries, waited


async def test_no_token_of_a_client_lives_beyond_the_bound_whatever_it_was_registered_with(issuer, monkeypatch):
    await issuer.sign_in()
    app = await issuer.register(access_token_lifetime=3_600)
    assert (await app.tokens())["expires_in"] == 3_600
    monkeypatch.setattr(issuer.app.state, "desk", replace(issuer.desk, longest_access_token=600))
    assert (await app.tokens())["expires_in"] == 600


@pytest.mark.parametrize(
    ("lifetimes", "accepted"),
    [
        ({"longest_access_token": 300}, True),
        ({"longest_access_token": 299}, False),
        ({"longest_access_token": 86_400}, True),
        ({"longest_access_token": 86_401}, False),
        ({"access_token": 3_601}, False),
        ({"access_token": 7_200, "longest_access_token": 7_200}, True),
    ],
)
def test_the_bound_is_one_that_guards_can_keep(lifetimes, accepted):
    config = Config(lifetimes=Lifetimes(**lifetimes))
    if accepted:
        assert check(config) is config
    else:
        with pytest.raises(ConfigError, match="longest_access_token is at least"):
            check(config)


class TestOfALongLivedToken:
    @pytest.fixture
    def config(self, tmp_path):
        lifetimes = Lifetimes(longest_access_token=80_000, refresh_token_idle=3_600, session=50_000)
        return Config(issuer="http://127.0.0.1:8080", data=tmp_path, lifetimes=lifetimes)

    @pytest.mark.parametrize("more", [(), ("refresh_token",)], ids=["alone", "beside a refresh token"])
    async def test_an_app_can_be_taken_back_as_long_as_its_tokens_live(self, issuer, more):
        """Though nothing of the family can be spent any more, and its rows are swept by then."""
        ann = await issuer.sign_in()
        app = await issuer.register(access_token_lifetime=80_000, grant_types=("authorization_code", *more))
        token = (await app.tokens())["access_token"]
        for _ in range(5):
            issuer.clock.advance(15_000)
            await issuer.desk.store.sweep(at=issuer.clock.now())
        assert await app.active(token)
        await people.revoke_app(issuer.desk, ann.subject, app.client_id, by=people.CLI)
        assert not await app.active(token)

    async def test_its_rows_go_when_it_has_expired(self, issuer):
        await issuer.sign_in()
        app = await issuer.register(access_token_lifetime=80_000, grant_types=("authorization_code",))
        await app.tokens()
        issuer.clock.advance(79_000)
        await issuer.desk.store.sweep(at=issuer.clock.now())
        issuer.clock.advance(1_100)
        assert await issuer.desk.store.sweep(at=issuer.clock.now()) >= 2
        assert await issuer.desk.store.sweep(at=issuer.clock.now()) == 0

    async def test_signing_out_takes_back_what_was_issued_before_a_step_up_long_ago(self, issuer):
        """The session before has reached its end by then, and is swept; its tokens have not."""
        await issuer.sign_in()
        app = await issuer.register(access_token_lifetime=80_000, grant_types=("authorization_code",))
        issuer.clock.advance(issuer.desk.config.lifetimes.session_idle - 60)  # 6,860 seconds before its end
        first = (await app.tokens())["access_token"]
        await issuer.enter(await app.authorize(prompt="login"))
        issuer.clock.advance(7_000)
        await issuer.desk.store.sweep(at=issuer.clock.now())
        assert await app.active(first)
        page = await issuer.http.get("/account")
        await issuer.submit("/account/sign-out", issuer.fields(page))
        assert not await app.active(first)
        issuer.clock.advance(80_000)
        await issuer.desk.store.sweep(at=issuer.clock.now())
        assert await issuer.desk.store.sweep(at=issuer.clock.now()) == 0
