"""What this node has to say of those who listen to its feed: for other nodes, for administrators, and for a new signing key."""

from collections.abc import Iterable

from carnet.ambient import Instant
from carnet.feed.channel import Channel
from carnet.feed.roster import Listener
from carnet.issuer.acknowledgement import NAMED
from carnet.issuer.storage.records import FeedListener, FeedReport, Lacking

SHOWN = 200
"""So many are in a report by themselves; all are counted."""


def report_of(channel: Channel, kids: Iterable[str], *, node: str, at: Instant) -> FeedReport:
    """The report of a node that publishes these keys, which sign tokens."""
    kids, listening = tuple(kids), channel.roster.listeners(at=at)
    seen = sorted((_seen(one, channel, kids) for one in listening), key=_urgency)
    return FeedReport(
        node=node,
        told_at=at,
        guards=sum(one.introduction.guards for one in listening),
        keys={kid: _lacking(listening, kid) for kid in kids},
        listeners=tuple(seen[:SHOWN]),
    )


def _lacking(listening: Iterable[Listener], kid: str) -> Lacking:
    without = [one.introduction for one in listening if one.introduction.lacks(kid)]
    names = [
        f"{one.name}: {behind}" if behind else one.name or "unnamed"
        for one in without
        for behind in one.lacking or ("",)
    ]
    return Lacking(count=sum(max(1, len(one.lacking)) for one in without), names=tuple(names[:NAMED]))


def _seen(listener: Listener, channel: Channel, kids: tuple[str, ...]) -> FeedListener:
    newest, said = channel.newest, listener.introduction
    follows = newest is not None and newest.message.stream == listener.stream
    return FeedListener(
        name=said.name,
        since=listener.since,
        told_at=listener.told_at,
        behind=max(0, newest.message.sequence - listener.sequence) if newest is not None and follows else None,
        polls=listener.polls,
        guards=said.guards,
        lacks=None if said.kids is None else sum(said.lacks(kid) for kid in kids),
    )


def _urgency(one: FeedListener) -> tuple[bool, bool, str]:
    return not one.lacks, one.behind == 0, one.name
