import asyncio

import pytest

from carnet.feed.channel import Channel, GapError, Signed
from carnet.feed.messages import Message

pytestmark = pytest.mark.anyio


def signed(after, sequence, *, stream="one"):
    return Signed(Message(stream, after, sequence, 1_000), f"{stream}/{after}-{sequence}")


async def take(listener, count):
    return [(await anext(listener)).token for _ in range(count)]


@pytest.fixture
def channel():
    channel = Channel(kept=4)
    for number in range(1, 4):
        channel.put(signed(number, number + 1))
    return channel


@pytest.mark.parametrize(
    ("after", "tokens"), [(1, ["one/1-2", "one/2-3", "one/3-4"]), (3, ["one/3-4"]), (4, ["one/3-4"])]
)
async def test_a_listener_gets_what_joins_on_and_at_least_the_newest_time(channel, after, tokens):
    assert await take(channel.listen(stream="one", after=after), len(tokens)) == tokens


@pytest.mark.parametrize(
    "place", [{"stream": "two", "after": 3}, {"stream": "one", "after": 0}, {"stream": "one", "after": 5}]
)
async def test_a_place_that_is_not_kept_is_a_gap(channel, place):
    with pytest.raises(GapError):
        await anext(channel.listen(**place))


async def test_an_empty_channel_is_a_gap():
    with pytest.raises(GapError):
        await anext(Channel().listen(stream="one", after=0))


async def test_listeners_wait_for_what_comes_and_all_get_the_same(channel):
    listeners = [channel.listen(stream="one", after=4) for _ in range(50)]
    for listener in listeners:
        await take(listener, 1)
    assert channel.listeners == 50
    waiting = [asyncio.ensure_future(anext(listener)) for listener in listeners]
    await asyncio.sleep(0)
    channel.put(signed(4, 5))
    assert {one.token for one in await asyncio.gather(*waiting)} == {"one/4-5"}
    for listener in listeners:
        await listener.aclose()
    assert channel.listeners == 0


async def test_a_listener_that_is_too_slow_gets_a_gap_and_never_a_hole(channel):
    listener = channel.listen(stream="one", after=2)
    assert await take(listener, 1) == ["one/2-3"]
    for number in range(4, 9):
        channel.put(signed(number, number + 1))
    with pytest.raises(GapError):
        await anext(listener)


async def test_another_stream_is_a_gap_for_those_who_listen(channel):
    listener = channel.listen(stream="one", after=4)
    await take(listener, 1)
    channel.put(signed(0, 0, stream="two"))
    with pytest.raises(GapError):
        await anext(listener)
    assert await take(channel.listen(stream="two", after=0), 1) == ["two/0-0"]


async def test_a_listener_that_wants_news_alone_waits_for_it(channel):
    waiting = asyncio.ensure_future(anext(channel.listen(stream="one", after=4, with_newest=False)))
    await asyncio.sleep(0)
    assert not waiting.done()
    channel.put(signed(4, 4))
    assert (await waiting).token == "one/4-4"
    assert await take(channel.listen(stream="one", after=3, with_newest=False), 2) == ["one/3-4", "one/4-4"]


async def test_closing_ends_all_listening(channel):
    listener = channel.listen(stream="one", after=4)
    await take(listener, 1)
    waiting = asyncio.ensure_future(anext(listener, "ended"))
    await asyncio.sleep(0)
    channel.close()
    assert await waiting == "ended"
    assert channel.listeners == 0


async def test_what_does_not_join_on_begins_anew(channel):
    listener = channel.listen(stream="one", after=4)
    await take(listener, 1)
    channel.put(signed(7, 8))
    with pytest.raises(GapError):
        await anext(listener)
    assert not channel.joins(stream="one", after=4)
    assert channel.joins(stream="one", after=7)
    channel.put(signed(3, 4))
    assert not channel.joins(stream="one", after=7)
