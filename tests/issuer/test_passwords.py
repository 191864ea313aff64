"""RFC 9106, RFC 8265 section 4.2: how passwords are kept and checked."""

import asyncio
import threading

import pytest

from carnet.issuer.passwords import COST, MAX_BYTES, Cost, Passwords, PasswordsBusyError
from carnet.testing import Clock

pytestmark = pytest.mark.anyio

LIGHT = Cost(memory=64, passes=1, lanes=1)


@pytest.fixture
def passwords():
    made = Passwords(Clock().ambient, cost=LIGHT)
    yield made
    made.close()


async def test_a_hash_is_checked_against_the_password_that_made_it(passwords):
    stored = await passwords.hash("ochre lantern")
    assert await passwords.verify("ochre lantern", stored)
    assert not await passwords.verify("ochre lantern ", stored)


async def test_a_hash_is_argon2id_at_the_one_cost_and_does_not_print():
    passwords = Passwords(Clock().ambient)
    stored = await passwords.hash("ochre lantern")
    passwords.close()
    assert stored.phc.startswith(f"$argon2id$v=19$m={COST.memory},t={COST.passes},p={COST.lanes}$")
    assert (COST.memory, COST.passes, COST.lanes) == (19 * 1024, 2, 1)
    assert stored.phc not in repr(stored)


async def test_equal_passwords_have_different_hashes(passwords):
    assert (await passwords.hash("same")).phc != (await passwords.hash("same")).phc


@pytest.mark.spec("RFC 8265", "4.2.2", "MUST")
async def test_the_same_text_typed_in_another_form_is_the_same_password(passwords):
    stored = await passwords.hash("caf\u00e9 au lait")
    assert await passwords.verify("cafe\u0301\u00a0au\u2003lait", stored)


async def test_a_password_is_never_cut(passwords):
    stored = await passwords.hash("a" * MAX_BYTES)
    assert not await passwords.verify("a" * (MAX_BYTES + 1), stored)
    with pytest.raises(ValueError, match="1024 bytes"):
        await passwords.hash("a" * (MAX_BYTES + 1))


async def test_an_account_that_is_not_there_costs_a_hash_too(passwords, monkeypatch):
    checked = []
    matches = passwords._matches
    monkeypatch.setattr(
        passwords, "_matches", lambda stored, prepared: checked.append(stored) or matches(stored, prepared)
    )
    assert not await passwords.verify("anything", None)
    cost = f"m={LIGHT.memory},t={LIGHT.passes},p={LIGHT.lanes}"
    assert [cost in stored.phc for stored in checked] == [True]


async def test_a_hash_of_another_cost_is_still_checked_and_is_outdated(passwords):
    old = Passwords(Clock().ambient, cost=Cost(memory=32, passes=1, lanes=1))
    stored = await old.hash("ochre lantern")
    old.close()
    assert await passwords.verify("ochre lantern", stored)
    assert passwords.outdated(stored)
    assert not passwords.outdated(await passwords.hash("ochre lantern"))


async def test_excess_load_is_refused_at_once_and_the_loop_is_never_held_up():
    passwords = Passwords(Clock().ambient, cost=LIGHT, threads=1, waiting=2)
    held = threading.Event()
    jobs = [asyncio.ensure_future(passwords._run(held.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(PasswordsBusyError):
        await passwords.verify("anything", None)
    held.set()
    assert await asyncio.gather(*jobs) == [True, True, True]
    assert not await passwords.verify("anything", None)
    passwords.close()


async def test_a_caller_who_goes_away_does_not_make_room_before_the_hash_has_ended():
    passwords = Passwords(Clock().ambient, cost=LIGHT, threads=1, waiting=0)
    held = threading.Event()
    begun = threading.Event()
    job = asyncio.ensure_future(passwords._run(lambda: begun.set() or held.wait()))
    await asyncio.to_thread(begun.wait)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    with pytest.raises(PasswordsBusyError):
        await passwords.verify("anything", None)
    held.set()
    passwords.close()
