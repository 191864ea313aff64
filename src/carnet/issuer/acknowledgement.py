"""RFC 7517: who among those that listen to the revocation feed lacks a new signing key, as all nodes have seen them.

They say so themselves and nobody proves it: a new key waits for them for a while, and never for ever.
"""

from carnet.ambient import Instant
from carnet.issuer.storage.ports import FeedReports
from carnet.issuer.storage.records import Lacking

LIVE = 20
"""Seconds for which a node that has said something of its listeners counts as running."""
NAMED = 20
"""So many of them are named at most."""


async def lacking(reports: FeedReports, kid: str, *, at: Instant) -> Lacking:
    """Those that are connected anywhere and have not said that they hold this key; a node that has not looked is one of them."""
    count, names = 0, list[str]()
    for report in await reports.list(since=at - LIVE):
        without = report.keys.get(
            kid, Lacking(count=1, names=(f"node {report.node} (its listeners are not known yet)",))
        )
        count += without.count
        names += without.names
    return Lacking(count=count, names=tuple(names[:NAMED]))
