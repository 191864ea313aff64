from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.guard.event_stream import MAX_EVENT, Event, EventStream, EventTooLongError

STREAM = b": a comment\n\nevent: message\nid: one:1\ndata: first\n\ndata:second\r\ndata: line\r\n\r\nevent: gap\ndata: {}\n\n"
EVENTS = [Event("message", "first"), Event("message", "second\nline"), Event("gap", "{}")]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_events_are_the_same_however_the_bytes_are_cut(cuts):
    stream = EventStream()
    places = [0, *cuts, len(STREAM)]
    events = []
    for begin, end in pairwise(places):
        events += stream.feed(STREAM[begin:end])
    assert events == EVENTS


def test_an_event_without_data_is_none():
    assert EventStream().feed(b"event: message\n\nid: 4\n\n") == []


@pytest.mark.parametrize("chunk", [b"x" * 1024, b"data: " + b"x" * 1000 + b"\n"])
def test_an_event_without_end_is_refused(chunk):
    stream = EventStream()
    for _ in range(MAX_EVENT // len(chunk)):
        stream.feed(chunk)
    with pytest.raises(EventTooLongError):
        stream.feed(chunk)
