"""RFC 9126: authorization requests that a client has pushed, kept until a browser comes with their name.

Loading the page spends nothing, for people load pages again: a pushed request is spent in the transaction that stores its
code (FAPI 2.0 Security Profile section 5.3.2.2, note 3). It must be brought within a minute, and then has as long as its sign-in.
"""

from dataclasses import dataclass, field

import msgspec

from carnet.ambient import Instant, lapsed
from carnet.issuer.desk import Desk
from carnet.issuer.flow import LIFETIME as LONGEST_SIGN_IN
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.records import Artifact, Client, Digest
from carnet.oauth.errors import InvalidRequestUriError
from carnet.oauth.parameters import Parameters

PREFIX = "urn:ietf:params:oauth:request_uri:"
"""Section 2.2."""
LIFETIME = 60
"""Seconds from the push until a browser must have come."""
KEPT = LIFETIME + LONGEST_SIGN_IN
"""Seconds that a pushed request is kept."""


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    client_id: str
    pairs: tuple[tuple[str, str], ...]
    bring_by: Instant


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """What was pushed."""

    digest: Digest = field(repr=False)
    parameters: Parameters


async def push(parameters: Parameters, client: Client, desk: Desk) -> str:
    """Keep a request that was checked; the answer is its `request_uri`."""
    now = desk.ambient.now()
    secret = Opaque.fresh(desk.ambient)
    document = _Document(client_id=client.client_id, pairs=tuple(parameters.pairs()), bring_by=now + LIFETIME)
    await desk.store.artifacts.put(
        Artifact(
            kind="pushed_request",
            digest=secret.digest,
            document=msgspec.json.encode(document),
            created_at=now,
            expires_at=now + KEPT,
        )
    )
    return PREFIX + secret.value


async def pushed_request(request_uri: str, client_id: str | None, desk: Desk) -> PushedRequest:
    """Find what was pushed under this name by this client.

    Raises:
        InvalidRequestUriError: nothing, or its minute is over, or it has been used.
    """
    now = desk.ambient.now()
    digest = Opaque(request_uri.removeprefix(PREFIX)).digest
    found = await desk.store.artifacts.get("pushed_request", digest, at=now)
    if not isinstance(found, Artifact):
        raise _refusal("unknown, expired or used")
    document = msgspec.json.decode(found.document, type=_Document)
    if document.client_id != client_id:  # section 4
        raise _refusal("it is another client's")
    if lapsed(document.bring_by, at=now):
        raise _refusal("it was brought too late")
    return PushedRequest(digest, Parameters(list(document.pairs)))


def _refusal(why: str) -> InvalidRequestUriError:
    return InvalidRequestUriError("The request_uri is not valid, or not any more.", why=why)
