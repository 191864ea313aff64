"""What each node has to say of those who listen to it: so that every node, and the command, knows of all."""

import msgspec

from carnet.ambient import Instant
from carnet.issuer.storage.records import FeedReport
from carnet.issuer.storage.statements import Group, Statement, Verb, reading, writing

_REPORT = msgspec.json.Decoder(FeedReport)


class StoredFeedReports(Group):
    @writing
    def put(self, report: FeedReport) -> Verb[None]:
        yield Statement(
            "INSERT INTO feed_report (node, told_at, document) VALUES (?, ?, ?)"
            " ON CONFLICT (node) DO UPDATE SET told_at = excluded.told_at, document = excluded.document",
            (report.node, report.told_at, msgspec.json.encode(report)),
        )

    @reading
    def list(self, *, since: Instant) -> Verb[list[FeedReport]]:
        rows = yield Statement("SELECT document FROM feed_report WHERE told_at >= ? ORDER BY node", (since,))
        return [_REPORT.decode(document) for [document] in rows]
