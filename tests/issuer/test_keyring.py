"""RFC 7517, rule R11: keys are published before they sign, and until the last token that they have signed has expired."""

import asyncio

import pytest

from carnet.guard.key_set import Timing
from carnet.issuer.app import open_desk
from carnet.issuer.config import Config, Lifetimes
from carnet.issuer.keyring import REFRESH, Keyring, KeyringError
from carnet.issuer.storage.records import FeedReport, Lacking
from carnet.jose import SigningKey
from carnet.sealing import SealBrokenError
from carnet.testing import Clock

pytestmark = pytest.mark.anyio

SECRET = b"s" * 43
LONGEST = Lifetimes().longest_access_token


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def desk(tmp_path, clock):
    desk = await open_desk(Config(data=tmp_path), clock.ambient, secret=SECRET)
    yield desk
    desk.passwords.close()
    await desk.store.close()


@pytest.fixture
def another(desk, clock):
    """A keyring as another process has it, on the same database."""

    def another(**changes):
        config = Config(data=desk.config.data, **changes)
        return Keyring(config, desk.store, SECRET, clock.ambient)

    return another


async def published(keyring) -> list[str]:
    return [key["kid"] for key in (await keyring.jwks())["keys"]]


async def signing(keyring) -> str:
    return (await keyring.signing_key()).kid


async def test_the_first_key_signs_at_once(desk):
    assert await published(desk.keyring) == [await signing(desk.keyring)]


async def test_opening_a_second_time_makes_no_second_key(desk, another):
    await another().begin()
    assert len(await desk.keyring.list()) == 1


async def test_processes_that_start_at_once_make_one_key(tmp_path, clock):
    config = Config(data=tmp_path)
    desks = await asyncio.gather(*(open_desk(config, clock.ambient, secret=SECRET) for _ in range(4)))
    try:
        assert len(await desks[0].keyring.list()) == 1
        assert len({await signing(desk.keyring) for desk in desks}) == 1
    finally:
        for desk in desks:
            desk.passwords.close()
            await desk.store.close()


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_has_expired(desk, clock):
    old = await signing(desk.keyring)
    new = (await desk.keyring.rotate()).kid
    assert set(await published(desk.keyring)) == {old, new}
    clock.advance(desk.config.lifetimes.key_publication - 1)
    assert await signing(desk.keyring) == old
    clock.advance(REFRESH)
    assert await signing(desk.keyring) == new
    clock.advance(LONGEST)
    assert set(await published(desk.keyring)) == {old, new}
    clock.advance(60)
    assert await published(desk.keyring) == [new]


def reporting(desk, clock, **lacking):
    """What a node says of those who listen to it: by key, how many of them lack it."""
    keys = {kid: Lacking(count=count, names=("orders 1",) * count) for kid, count in lacking.items()}
    return desk.store.feed_reports.put(FeedReport(node="n1", told_at=clock.now(), guards=5, keys=keys))


async def test_a_new_key_waits_for_guards_that_have_not_acknowledged_it(desk, clock):
    old, new = await signing(desk.keyring), (await desk.keyring.rotate()).kid
    clock.advance(desk.config.lifetimes.key_publication)
    await reporting(desk, clock, **{old: 0, new: 1})
    assert await desk.keyring.lacking(new) == Lacking(count=1, names=("orders 1",))
    assert await signing(desk.keyring) == old
    clock.advance(REFRESH)
    await reporting(desk, clock, **{old: 0, new: 0})
    assert await signing(desk.keyring) == new
    keys = {key.kid: key for key in await desk.keyring.list()}
    assert keys[new].signs_from == clock.now()
    assert keys[old].retires_at == clock.now() + LONGEST + 60


async def test_a_node_that_has_not_looked_since_the_key_was_made_is_waited_for(desk, clock):
    old, new = await signing(desk.keyring), (await desk.keyring.rotate()).kid
    clock.advance(desk.config.lifetimes.key_publication)
    await reporting(desk, clock, **{old: 0})
    assert (await desk.keyring.lacking(new)).names == ("node n1 (its listeners are not known yet)",)
    assert await signing(desk.keyring) == old


async def test_guards_that_are_gone_are_not_waited_for(desk, clock):
    new = (await desk.keyring.rotate()).kid
    await reporting(desk, clock, **{new: 1})
    clock.advance(desk.config.lifetimes.key_publication)
    assert await signing(desk.keyring) == new


async def test_whoever_lies_about_the_keys_that_it_holds_puts_a_rotation_off_and_no_longer(desk, clock):
    old, new = await signing(desk.keyring), (await desk.keyring.rotate()).kid
    lifetimes = desk.config.lifetimes
    clock.advance(lifetimes.key_publication + lifetimes.key_acknowledgement - 1)
    await reporting(desk, clock, **{new: 3})
    assert await signing(desk.keyring) == old
    clock.advance(1)
    assert await signing(desk.keyring) == new


async def test_a_compromised_key_is_replaced_whoever_has_not_acknowledged_the_next(desk, clock):
    old, new = await signing(desk.keyring), (await desk.keyring.rotate()).kid
    await reporting(desk, clock, **{old: 0, new: 9})
    await desk.keyring.retire(old, compromised=True)
    assert await signing(desk.keyring) == new


async def test_a_key_can_be_told_when_to_sign_whoever_holds_it(desk, clock):
    old, new = await signing(desk.keyring), (await desk.keyring.rotate(after=30)).kid
    clock.advance(29)
    await reporting(desk, clock, **{old: 0, new: 9})
    assert await signing(desk.keyring) == old
    clock.advance(1)
    assert await signing(desk.keyring) == new


async def test_a_key_that_waited_longer_than_the_one_after_it_never_takes_over_again(desk, clock):
    """It has its end already: tokens that it signed then would outlive it."""
    stuck = (await desk.keyring.rotate()).kid
    clock.advance(60)
    later = (await desk.keyring.rotate()).kid
    lifetimes = desk.config.lifetimes
    clock.advance(lifetimes.key_publication)
    await reporting(desk, clock, **{stuck: 1, later: 0})
    assert await signing(desk.keyring) == later
    clock.advance(lifetimes.key_acknowledgement)
    assert await signing(desk.keyring) == later


async def test_a_key_that_signs_at_once_does_so_however_many_wait(desk, clock):
    first = await signing(desk.keyring)
    waiting, at_once = (await desk.keyring.rotate()).kid, (await desk.keyring.rotate(after=0)).kid
    assert await signing(desk.keyring) == at_once
    clock.advance(desk.config.lifetimes.key_publication)
    assert await signing(desk.keyring) == at_once
    assert len({first, waiting, at_once}) == 3


async def test_when_the_next_key_is_retired_before_it_signs_another_takes_its_place(desk, clock):
    """Else the one that signs would come to its end without a successor."""
    old, lost = await signing(desk.keyring), (await desk.keyring.rotate()).kid
    await desk.keyring.retire(lost, compromised=True)
    [fresh] = [key for key in await desk.keyring.list() if key.kid not in {old, lost}]
    assert (fresh.retires_at, await signing(desk.keyring)) == (None, old)
    clock.advance(desk.config.lifetimes.key_publication)
    assert await signing(desk.keyring) == fresh.kid
    clock.advance(LONGEST + desk.config.lifetimes.key_acknowledgement + 3_600)
    assert await published(desk.keyring) == [fresh.kid]


async def test_another_process_sees_a_rotation_within_seconds(desk, another, clock):
    other = another()
    old = await signing(other)
    new = (await desk.keyring.rotate()).kid
    assert await published(other) == [old]
    clock.advance(REFRESH)
    assert set(await published(other)) == {old, new}


async def test_rotations_in_a_row_take_their_turns(desk, clock):
    kids = [await signing(desk.keyring)]
    for _ in range(3):
        kids.append((await desk.keyring.rotate()).kid)
        clock.advance(60)
    assert await signing(desk.keyring) == kids[0]
    clock.advance(desk.config.lifetimes.key_publication)
    assert await signing(desk.keyring) == kids[3]
    assert set(await published(desk.keyring)) == set(kids)


async def test_of_two_rotations_at_once_each_makes_a_key_or_says_that_it_did_not(desk, another):
    done = await asyncio.gather(*(another().rotate() for _ in range(4)), return_exceptions=True)
    made = [one for one in done if not isinstance(one, Exception)]
    assert made
    assert all(isinstance(one, KeyringError) for one in done if one not in made)
    assert len(await desk.keyring.list()) == 1 + len(made)
    assert [key.retires_at for key in await desk.keyring.list()].count(None) == 1


async def test_a_compromised_key_disappears_at_once_and_its_tokens_are_taken_back(desk, clock):
    old = await signing(desk.keyring)
    await desk.keyring.retire(old, compromised=True)
    new = await signing(desk.keyring)
    assert new != old
    assert await published(desk.keyring) == [new]
    assert await desk.store.revocations.find("key", old, at=clock.now()) is not None


async def test_a_compromised_key_stays_taken_back_for_as_long_as_a_guard_may_hold_it(desk, clock):
    """Rules J22 and R24: a guard whose key set cannot be fetched keeps the last one for a day, and tokens expire when a thief likes."""
    old = await signing(desk.keyring)
    await desk.keyring.retire(old, compromised=True)
    clock.advance(Timing().keep + 60)
    assert await desk.store.revocations.find("key", old, at=clock.now()) is not None


async def test_when_the_signing_key_is_retired_its_published_successor_signs_early(desk):
    old = await signing(desk.keyring)
    new = (await desk.keyring.rotate()).kid
    await desk.keyring.retire(old)
    assert await signing(desk.keyring) == new
    assert len(await desk.keyring.list()) == 2


async def test_a_key_that_is_not_there_cannot_be_retired(desk):
    with pytest.raises(KeyringError, match="There is no key 'x'"):
        await desk.keyring.retire("x")


async def test_another_algorithm_in_the_settings_makes_a_key_that_takes_over(desk, another, clock):
    changed = another(signing_algorithm="RS256", lifetimes=Lifetimes(key_publication=10))
    await changed.begin()
    assert (await changed.signing_key()).alg == "ES256"
    assert {key["alg"] for key in (await changed.jwks())["keys"]} == {"ES256", "RS256"}
    clock.advance(10)
    assert (await changed.signing_key()).alg == "RS256"
    await changed.begin()
    assert len(await changed.list()) == 2


async def test_private_keys_are_sealed_at_rest(desk):
    key = (await desk.keyring.signing_key()).to_jwk()["d"]
    [record] = await desk.keyring.list()
    assert key.encode() not in record.sealed
    assert key not in str(record.public)
    assert "sealed" not in repr(record)
    for file in desk.config.data.iterdir():
        assert key.encode() not in file.read_bytes()


async def test_a_key_that_another_secret_sealed_is_not_signed_with(desk, clock):
    stranger = Keyring(desk.config, desk.store, b"t" * 43, clock.ambient)
    with pytest.raises(SealBrokenError):
        await stranger.begin()


async def test_a_key_sealed_under_another_kid_is_not_signed_with(desk, another, clock):
    """Whoever can write into the database cannot pass one key off as another."""
    from msgspec.structs import replace

    [record] = await desk.keyring.list()
    swapped = replace(
        record,
        kid="swapped",
        public=SigningKey.generate("ES256", kid="swapped").public().to_jwk(),
        signs_from=clock.now() + 1,
    )
    await desk.store.signing_keys.add(swapped)
    clock.advance(REFRESH)
    with pytest.raises(SealBrokenError):
        await another().signing_key()


async def test_keys_that_cannot_be_read_are_not_signed_with(desk, clock):
    """Fail closed: what is known from before is not good enough for longer than the refresh."""
    from carnet.issuer.storage.ports import StorageError

    await desk.keyring.signing_key()
    await desk.store.close()
    clock.advance(REFRESH)
    with pytest.raises(StorageError):
        await desk.keyring.signing_key()


async def test_readers_at_once_share_one_look_at_the_store(desk, another):
    class Counted:
        reads = 0

        async def list(self):
            self.reads += 1
            return await desk.store.signing_keys.list()

    keyring = another()
    keyring._keys = counted = Counted()
    await asyncio.gather(*(keyring.signing_key() for _ in range(50)))
    assert counted.reads == 1


async def test_tokens_from_before_and_after_a_rotation_both_verify(issuer):
    await issuer.sign_in()
    app = await issuer.register(access_token_lifetime=3_600)
    before = (await app.tokens())["access_token"]
    await issuer.desk.keyring.rotate()
    issuer.clock.advance(600)
    after = (await app.tokens())["access_token"]
    assert await app.active(before)
    assert await app.active(after)


async def test_a_key_of_another_algorithm_is_made_when_it_is_first_asked_for_and_then_stays(desk, another):
    kid = (await desk.keyring.signing_key("RS256")).kid
    assert (await desk.keyring.signing_key("RS256")).kid == kid
    assert (await another().signing_key("RS256")).kid == kid
    assert (await desk.keyring.signing_key("ES256")).kid == await signing(desk.keyring) != kid
    assert kid in await published(desk.keyring)
    assert await desk.keyring.in_use() == {kid, await signing(desk.keyring)}
    assert {key.purpose for key in await desk.keyring.list()} == {"tokens", "further"}


async def test_nodes_that_need_a_further_key_at_once_make_one(desk, another):
    made = await asyncio.gather(*(another().signing_key("RS256") for _ in range(3)))
    assert len({key.kid for key in made}) == 1


async def test_a_further_key_takes_its_turn_as_the_others_do_and_access_tokens_never_wait_for_it(desk, clock):
    tokens, further = await signing(desk.keyring), (await desk.keyring.signing_key("RS256")).kid
    [fresh] = await desk.keyring.rotate_others()
    assert (fresh.purpose, fresh.alg) == ("further", "RS256")
    assert (await desk.keyring.signing_key("RS256")).kid == further
    clock.advance(desk.config.lifetimes.key_publication)
    assert (await desk.keyring.signing_key("RS256")).kid == fresh.kid
    assert await signing(desk.keyring) == tokens
    clock.advance(LONGEST + 60)
    assert further not in await published(desk.keyring)


async def test_a_compromised_further_key_is_replaced_when_it_is_next_needed(desk, clock):
    further = (await desk.keyring.signing_key("RS256")).kid
    await desk.keyring.retire(further, compromised=True)
    assert further not in await published(desk.keyring)
    assert await desk.store.revocations.find("key", further, at=clock.now()) is not None
    assert (await desk.keyring.signing_key("RS256")).kid != further


async def test_a_key_to_encrypt_to_is_published_and_outlives_its_publication_for_those_who_fetched_it_just_before(
    desk, another, clock
):
    keyring = another(encryption_algorithms=("ECDH-ES",))
    await keyring.begin()
    [old] = await keyring.decryption_keys()
    [shown] = [key for key in (await keyring.jwks())["keys"] if key["use"] == "enc"]
    assert (shown["kid"], shown["alg"], "d" in shown) == (old.kid, "ECDH-ES", False)
    assert old.kid not in await keyring.key_set()
    [fresh] = await keyring.rotate_others()
    clock.advance(desk.config.lifetimes.key_publication)
    assert old.kid not in await published(keyring)
    assert {key.kid for key in await keyring.decryption_keys()} == {old.kid, fresh.kid}
    clock.advance(desk.config.lifetimes.key_publication)
    assert [key.kid for key in await keyring.decryption_keys()] == [fresh.kid]


async def test_a_compromised_key_to_encrypt_to_opens_nothing_any_more_and_another_takes_its_place(another):
    keyring = another(encryption_algorithms=("ECDH-ES",))
    await keyring.begin()
    [old] = await keyring.decryption_keys()
    await keyring.retire(old.kid, compromised=True)
    [new] = await keyring.decryption_keys()
    assert new.kid != old.kid
    assert new.kid in await published(keyring)


async def test_a_key_to_encrypt_to_ends_when_the_settings_do_not_name_its_algorithm_any_more(another, clock):
    await another(encryption_algorithms=("ECDH-ES",)).begin()
    without = another()
    await without.begin()
    clock.advance(without._config.lifetimes.key_publication)
    assert [key["use"] for key in (await without.jwks())["keys"]] == ["sig"]
