"""What has been taken back and is still told to guards, in the order of the revocation feed."""

from msgspec import Struct

from carnet.ambient import Instant
from carnet.issuer.admin_api.resource import Asked, Operation, PageQuery, Resource, page
from carnet.issuer.storage.records import Revocation as Stored
from carnet.issuer.storage.records import RevocationKind


class Revocation(Struct, frozen=True, kw_only=True):
    sequence: int
    kind: RevocationKind
    value: str
    epoch: int | None
    """Tokens that carry a lower one are refused; None: all are."""
    expires_at: Instant


class Revocations(Struct, frozen=True, kw_only=True):
    items: list[Revocation]
    next: str | None
    """The cursor of the next page; None: this is the last."""


async def list_(asked: Asked) -> Revocations:
    async def read(after: int | None, limit: int) -> list[Stored]:
        return await asked.desk.store.revocations.since(after or 0, at=asked.desk.ambient.now(), limit=limit)

    found, more = await page(asked, "revocations", read, lambda entry: entry.sequence)
    return Revocations(items=[_shown(entry) for entry in found], next=more)


def _shown(entry: Stored) -> Revocation:
    return Revocation(
        sequence=entry.sequence or 0,  # what `since` answers is numbered
        kind=entry.kind,
        value=entry.value,
        epoch=entry.epoch,
        expires_at=entry.expires_at,
    )


RESOURCE = Resource(
    "revocations",
    (
        Operation(
            method="GET",
            path="/revocations",
            summary="List what has been taken back",
            act=list_,
            query=PageQuery,
            answer=Revocations,
        ),
    ),
)
