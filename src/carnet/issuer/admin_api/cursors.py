"""Where a list goes on: sealed, so that nobody reads in a URL what it says, and nobody makes one up."""

from typing import Any, Protocol

import msgspec

from carnet.issuer.admin_api.problems import Malformed
from carnet.issuer.desk import Desk
from carnet.jose import JoseError, base64url
from carnet.sealing import SealBrokenError, Sealer


class Paging(Protocol):
    """A query that asks for a page."""

    @property
    def limit(self) -> int: ...

    @property
    def cursor(self) -> str | None: ...


def sealed(place: Any, list_: str, desk: Desk) -> str:
    """A cursor of the list of that name."""
    return base64url.text(_sealer(desk).seal(msgspec.json.encode(place), context=list_.encode()))


def opened(query: Paging, list_: str, desk: Desk, *, largest: int) -> tuple[int, Any]:
    """How many lines are asked for, and after which place; None: from the beginning.

    Raises:
        Malformed: the limit is not 1 to `largest`, or the cursor is none of that list.
    """
    if not 1 <= query.limit <= largest:
        raise Malformed(f"The limit is 1 to {largest}.")
    if query.cursor is None:
        return query.limit, None
    try:
        place = _sealer(desk).open(base64url.decode(query.cursor.encode()), context=list_.encode())
    except (JoseError, SealBrokenError, UnicodeEncodeError):
        raise Malformed("The cursor is not one that this list gave: begin without it.") from None
    return query.limit, msgspec.json.decode(place)


def _sealer(desk: Desk) -> Sealer:
    return Sealer(desk.secret, "cursor", ambient=desk.ambient)
