import pytest

from carnet.feed.entries import OUTRIGHT, RECORD_LENGTH, Entry, MalformedError, mark, pack, unpack
from carnet.feed.epoch_map import EpochMap, TokenNames

KEY = b"k" * 16


def a_token(**changed):
    return TokenNames(
        **{"subject": "alice", "client_id": "shop", "jti": "family.1", "kid": "2026", "sid": "s1"} | changed
    )


def revoked(kind, value, *, epoch=OUTRIGHT):
    return Entry(mark(kind, value, key=KEY), epoch, 2_000)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("session", "s1"),
        ("family", "family"),
        ("token", "family.1"),
        ("client", "shop"),
        ("key", "2026"),
        ("subject", "alice"),
    ],
)
@pytest.mark.parametrize("where", ["snapshot", "since"])
def test_a_token_is_refused_if_anything_it_comes_from_was_taken_back(kind, value, where):
    entry = revoked(kind, value)
    entries = EpochMap(pack([entry]) if where == "snapshot" else b"")
    assert entries.refuses(a_token().marks(KEY)) is (where == "snapshot")
    entries.apply([entry])
    assert entries.refuses(a_token().marks(KEY))
    others = a_token(subject="bob", client_id="other", jti="f2.2", kid="2027", sid="s2")
    assert not entries.refuses(others.marks(KEY))


def test_kinds_are_name_spaces_of_their_own():
    entries = EpochMap(pack([revoked("session", "alice")]))
    assert not entries.refuses(a_token(sid="s1").marks(KEY))
    assert entries.refuses(a_token(sid="alice").marks(KEY))


@pytest.mark.parametrize("where", ["snapshot", "since"])
def test_a_subjects_epoch_refuses_lower_ones_alone(where):
    entries = EpochMap(pack([revoked("subject", "alice", epoch=3)]) if where == "snapshot" else b"")
    entries.apply([revoked("subject", "alice", epoch=3)] if where == "since" else [])
    assert [entries.refuses(a_token(epoch=epoch).marks(KEY)) for epoch in (0, 2, 3, 4)] == [True, True, False, False]


@pytest.mark.parametrize("order", [(2, 5), (5, 2)])
def test_of_two_epochs_the_higher_one_counts_in_whatever_order_they_come(order):
    entries = EpochMap(pack([revoked("subject", "alice", epoch=order[0])]))
    entries.apply([revoked("subject", "alice", epoch=order[1])])
    assert entries.refuses(a_token(epoch=4).marks(KEY))
    assert not entries.refuses(a_token(epoch=5).marks(KEY))


@pytest.mark.parametrize("order", [(OUTRIGHT, 5), (5, OUTRIGHT)])
def test_what_was_taken_back_outright_stays_so(order):
    entries = EpochMap(pack([revoked("subject", "alice", epoch=epoch) for epoch in order]))
    assert entries.refuses(a_token(epoch=1_000).marks(KEY))
    entries = EpochMap()
    for epoch in order:
        entries.apply([revoked("subject", "alice", epoch=epoch)])
    assert entries.refuses(a_token(epoch=1_000).marks(KEY))


def test_each_change_raises_the_generation():
    entries = EpochMap(generation=7)
    entries.apply([])
    assert entries.generation == 7
    entries.apply([revoked("session", "s1")])
    assert entries.generation == 8


def test_what_lives_is_what_has_not_expired_once_each():
    early, late = Entry(1, OUTRIGHT, 100), Entry(2, 4, 200)
    entries = EpochMap(pack([early, late]))
    entries.apply([Entry(2, 5, 200), Entry(3, OUTRIGHT, 150)])
    assert sorted(entries.live(at=100)) == [Entry(2, 5, 200), Entry(3, OUTRIGHT, 150)]
    assert len(entries) == 4
    assert entries.overlay == 2


def test_packing_sorts_and_merges():
    packed = pack([Entry(9, 1, 5), Entry(1, 2, 6), Entry(9, 3, 4)])
    assert len(packed) == 2 * RECORD_LENGTH
    assert list(map(Entry, *unpack(packed))) == [Entry(1, 2, 6), Entry(9, 3, 5)]


def test_entries_that_are_not_whole_are_refused():
    with pytest.raises(MalformedError, match="whole number"):
        EpochMap(pack([Entry(1, 0, 5)])[:-1])


@pytest.mark.parametrize("marks", [(2, 1), (1, 1)])
def test_entries_that_a_binary_search_would_miss_are_refused(marks):
    packed = b"".join(one.to_bytes(8, "little") for one in marks) + bytes(16)
    with pytest.raises(MalformedError, match="rising"):
        EpochMap(packed)


def test_the_same_name_has_another_mark_under_another_key():
    assert mark("session", "s1", key=KEY) != mark("session", "s1", key=b"j" * 16)
