"""`carnet streams`."""

import pytest

from carnet.issuer.storage.records import Happening, SignalStream
from carnet.oauth.security_events import SESSION_REVOKED, STREAM_UPDATED, VERIFICATION

URL = "https://receiver.example/events"


@pytest.fixture
def stored(carnet, at_store):
    """The deployment's store, with a client and its two streams in it."""
    carnet("client", "create", "Receiver", "--client-id", "receiver", "--scope", "ssf.manage")

    async def fill(store):
        for stream_id, url in (("s1", URL), ("s2", None)):
            stream = SignalStream(
                stream_id=stream_id,
                client_id="receiver",
                endpoint_url=url,
                events_requested=(SESSION_REVOKED,),
                created_at=1_800_000_000,
                updated_at=1_800_000_000,
            )
            assert await store.signals.add(stream, most=10)
        await store.signals.put("s1", Happening(event=VERIFICATION), at=1_800_000_000)

    at_store(fill)
    return at_store


def test_streams_are_listed_with_what_waits_on_them(carnet, stored):
    assert [line.split() for line in carnet("streams", "list").out.splitlines()] == [
        ["STREAM", "CLIENT", "DELIVERY", "STATUS", "WAITING"],
        ["s1", "receiver", "push", "enabled", "1"],
        ["s2", "receiver", "poll", "enabled", "0"],
    ]
    first, _ = carnet("streams", "list", "--json").json
    assert (first["stream_id"], first["waiting"], first["endpoint_url"]) == ("s1", 1, URL)


def test_a_stream_is_shown(carnet, stored):
    shown = carnet("streams", "show", "s1", "--json").json
    assert (shown["client_id"], shown["delivery"], shown["events_requested"]) == ("receiver", "push", [SESSION_REVOKED])
    assert URL in carnet("streams", "show", "s1").out


def test_a_stream_is_paused_and_resumed_and_its_receiver_told(carnet, stored):
    paused = carnet("streams", "pause", "s2", "--reason", "Upkeep until noon.", "--json").json
    assert (paused["status"], paused["reason"]) == ("paused", "Upkeep until noon.")
    assert carnet("streams", "resume", "s2", "--json").json["status"] == "enabled"

    async def waiting(store):
        signals, _ = await store.signals.waiting("s2", limit=10)
        return [(signal.happening.event, signal.happening.claims) for signal in signals]

    assert stored(waiting) == [
        (STREAM_UPDATED, {"status": "paused", "reason": "Upkeep until noon."}),
        (STREAM_UPDATED, {"status": "enabled"}),
    ]
    names = [event["name"] for event in carnet("events", "--json").json]
    assert names[:2] == ["signal_stream.changed"] * 2


def test_a_stream_is_deleted(carnet, stored):
    assert carnet("streams", "delete", "s1").status == 0
    assert [one["stream_id"] for one in carnet("streams", "list", "--json").json] == ["s2"]


@pytest.mark.parametrize("command", ["show", "pause", "resume", "delete"])
def test_a_stream_that_is_not_there_is_one_line(carnet, stored, command):
    done = carnet("streams", command, "s9")
    assert (done.status, done.err) == (1, "carnet: there is no stream 's9'.\n")
