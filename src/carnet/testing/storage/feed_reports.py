"""What each node says of those who listen to the revocation feed."""

from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import FeedListener, FeedReport, Lacking
from carnet.testing.storage.samples import NOW

_LISTENER = FeedListener(name="orders 1", since=NOW - 9, told_at=NOW, behind=2, lacks=1)
_REPORT = FeedReport(
    node="b",
    told_at=NOW,
    guards=3,
    keys={"k1": Lacking(count=0, names=()), "k2": Lacking(count=1, names=("orders 1",))},
    listeners=(_LISTENER,),
)


class TestFeedReports:
    async def test_the_newest_report_of_each_node_is_there(self, store: Store) -> None:
        assert await store.feed_reports.list(since=0) == []
        other = FeedReport(node="a", told_at=NOW + 1)
        for report in (FeedReport(node="b", told_at=NOW - 5), _REPORT, other):
            await store.feed_reports.put(report)
        assert await store.feed_reports.list(since=NOW) == [other, _REPORT]

    async def test_a_node_that_has_fallen_silent_is_not_counted_and_forgotten_in_the_end(self, store: Store) -> None:
        await store.feed_reports.put(_REPORT)
        assert await store.feed_reports.list(since=NOW + 1) == []
        await store.sweep(at=NOW + 3_599)
        assert await store.feed_reports.list(since=0) == [_REPORT]
        await store.sweep(at=NOW + 3_600)
        assert await store.feed_reports.list(since=0) == []

    async def test_a_bound_that_is_lowered_counts_once_the_tokens_of_before_have_expired(self, store: Store) -> None:
        async def longest(seconds: int, at: int) -> int:
            return await store.revocations.longest_token(seconds, at=NOW + at)

        assert await longest(3_600, 0) == 3_600
        assert await longest(600, 10) == 3_600
        assert await longest(600, 10 + 3_599) == 3_600
        assert await longest(600, 10 + 3_600) == 600
        assert await longest(600, 9_000) == 600
        assert await longest(900, 9_001) == 900
        assert await longest(300, 9_002) == 900
        assert await longest(900, 9_003) == 900, "a node with the old settings goes on: it begins anew"
        assert await longest(300, 9_004) == 900
        assert await longest(300, 9_002 + 900) == 900
        assert await longest(300, 9_004 + 900) == 300
