"""Who listens, as an administrator sees it."""

from contextlib import ExitStack

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from carnet import outlet
from carnet.feed.channel import Channel, Signed
from carnet.feed.messages import Message
from carnet.feed.roster import REMEMBERED, Introduction, Listener, Roster, checked_name, introduced
from carnet.testing import Clock

pytestmark = pytest.mark.anyio


def listener(name="", *, polls=False, at=0):
    return Listener(Introduction(name), "one", 1, since=at, told_at=at, polls=polls)


def names(roster, at=0):
    return [one.introduction.name for one in roster.listeners(at=at)]


def test_one_that_streams_is_there_while_it_does():
    roster = Roster()
    with roster.entered(listener("a")), roster.entered(listener()), roster.entered(listener()):
        assert names(roster) == ["", "", "a"]
    assert names(roster) == []


def test_one_that_polls_is_remembered_between_two_polls_and_since_its_first():
    roster = Roster()
    for at in (0, 30):
        with roster.entered(listener("a", polls=True, at=at)):
            pass
    assert names(roster, at=30 + REMEMBERED - 1) == ["a"]
    assert roster.listeners(at=30)[0].since == 0
    assert names(roster, at=30 + REMEMBERED) == []


def test_what_was_sent_moves_a_listener_on_and_never_back():
    one = listener()
    one.told(5, at=10)
    one.told(3, at=20)
    assert (one.sequence, one.told_at) == (5, 20)


@pytest.mark.parametrize("name", ["", " a", "a" * 81, "na\u00efve", "a\nb", "\x7f"])
def test_a_name_that_cannot_be_shown_is_none(name):
    assert introduced(name, ()).name == ""
    with pytest.raises(ValueError, match="printable"):
        checked_name(name)


@pytest.mark.parametrize(
    ("guards", "count"), [("", 1), ("0", 0), ("40", 40), ("-1", 1), ("x", 1), ("9999999", 1_000_000), ("99999999", 1)]
)
def test_a_relay_stands_for_as_many_as_it_says_within_reason(guards, count):
    assert introduced("relay", (), guards=guards).guards == count


def test_a_relay_holds_what_all_hold_who_listen_to_it():
    roster = Roster()
    listening = [
        Introduction("a", ("old", "new")),
        Introduction("b", ("old",)),
        Introduction("", ("old",)),
        Introduction("relay 2", ("old",), guards=7, lacking=("c", "d")),
        Introduction("says nothing"),
    ]
    with ExitStack() as entered:
        for one in listening:
            entered.enter_context(roster.entered(Listener(one, "one", 1, since=0, told_at=0, polls=False)))
        said = roster.spoken_for("relay 1", ("old", "new"), at=0)
    assert said == Introduction("relay 1", ("old",), guards=11, lacking=("b", "c", "d", "unnamed"))
    assert roster.spoken_for("relay 1", ("old", "new"), at=0) == Introduction("relay 1", ("new", "old"), guards=0)


def test_one_that_does_not_say_which_keys_it_holds_lacks_none():
    assert [Introduction("a", kids).lacks("k") for kids in (None, (), ("k",))] == [False, True, False]


def test_one_that_polls_does_not_take_the_place_of_another_of_its_name_elsewhere():
    roster = Roster()
    for address in ("1", "2"):
        polling = listener("a", polls=True)
        polling.address = address
        with roster.entered(polling):
            pass
    assert names(roster) == ["a", "a"]


def test_those_who_listen_from_one_address_are_counted():
    roster = Roster()
    one = listener()
    one.address = "192.0.2.1"
    with roster.entered(one):
        assert (roster.at("192.0.2.1"), roster.at("192.0.2.2")) == (1, 0)
    assert not roster._addresses


def test_keys_that_cannot_be_shown_are_left_out_and_so_are_too_many():
    assert introduced("a", ["k1", "", "k" * 101, "\u00e9", "k2"]).kids == ("k1", "k2")
    assert len(introduced("a", [f"k{n}" for n in range(50)]).kids) == 16


@pytest.mark.parametrize(
    ("query", "headers", "name"),
    [
        ({"guard": "orders 1"}, {}, "orders 1"),
        ({}, {"Carnet-Guard": "orders 2"}, "orders 2"),
        ({"guard": "\u00e9"}, {}, ""),
    ],
)
async def test_a_listener_is_entered_as_it_names_itself_and_gets_the_feed_whatever_it_is_called(query, headers, name):
    channel, clock = Channel(), Clock()
    channel.put(Signed(Message("one", 0, 1, clock.now()), "a token"))

    async def follow(request):
        return await outlet.follow(request, channel, clock.ambient, limits=outlet.Limits(), address=None)

    transport = httpx2.ASGITransport(Starlette(routes=[Route("/revocations", follow)]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        place = {"stream": "one", "after": "0", "keys": "k1 k2"}
        answer = await http.get("/revocations", params=place | query, headers=headers)
    assert answer.json() == {"messages": ["a token"]}
    seen = channel.roster.listeners(at=clock.now())
    assert [(one.introduction.name, one.introduction.kids, one.sequence) for one in seen] == (
        [(name, ("k1", "k2"), 1)] if name else []
    )


async def test_no_address_takes_all_places():
    channel, clock = Channel(), Clock()
    channel.put(Signed(Message("one", 0, 1, clock.now()), "a token"))
    limits = outlet.Limits(listeners=3, per_address=1)
    there = listener()
    there.address = "192.0.2.1"

    async def answer(address):
        query = b"stream=one&after=0"
        request = Request({"type": "http", "headers": [], "query_string": query, "path": "/", "method": "GET"})
        return await outlet.follow(request, channel, clock.ambient, limits=limits, address=address)

    with channel.roster.entered(there):
        refused = await answer("192.0.2.1")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert (await answer("192.0.2.2")).status_code == 200
        assert (await answer(None)).status_code == 200
    assert (await answer("192.0.2.1")).status_code == 200
