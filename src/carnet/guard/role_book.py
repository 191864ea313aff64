"""OpenID Connect Core section 5.6.2: roles that a token only names, because they would make it too large: asked for once.

The token has a digest of its roles. Whatever roles are heard of and have that digest are the token's: so they are believed
from whoever tells them, hold for every token with the same digest, and are as the token would have had them. No I/O, no clock.
"""

from enum import Enum

from carnet.guard.key_set import Fetch, Response
from carnet.guard.metadata import Metadata
from carnet.jose import JoseError
from carnet.jose.strict_json import parse_object
from carnet.oauth.access_token import roles_reference

_REMEMBERED = 4_096
_CHANGED_SECONDS = 30.0
"""For so long a token whose roles are others by now is refused without asking again."""
_PAUSE_SECONDS = 1.0
"""After a failure, before the issuer is asked about the same roles again."""
_LIMIT = 256 * 1024


class Roles(Enum):
    """What is known of a token's roles, where that is not the roles themselves."""

    CHANGED = "they are others by now"
    UNKNOWN = "nobody could be asked just now"
    TO_ASK = "the issuer is to be asked"


class RoleBook:
    """The roles that digests stand for."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}
        self._changed: dict[str, float] = {}
        self._failed: dict[str, float] = {}

    def find(self, token: str, reference: str, at: float) -> frozenset[str] | Roles:
        """The roles that a token names. `at`: an instant of the monotonic clock."""
        roles = self._known.get(reference)
        if roles is not None:
            return roles
        if at - self._changed.get(token, float("-inf")) < _CHANGED_SECONDS:
            return Roles.CHANGED
        return Roles.UNKNOWN if at - self._failed.get(reference, float("-inf")) < _PAUSE_SECONDS else Roles.TO_ASK

    def question(self, token: str, metadata: Metadata | None) -> Fetch | None:
        """What to ask; None: the issuer does not say where."""
        if metadata is None or metadata.roles_endpoint is None:
            return None
        return Fetch(metadata.roles_endpoint, None, _LIMIT, authorization=f"Bearer {token}")

    def answered(self, token: str, reference: str, response: Response | None, at: float) -> None:
        """Take in an answer; None, and anything but a clear one, is a failure."""
        for book in (self._known, self._changed, self._failed):
            if len(book) >= _REMEMBERED:
                book.clear()
        if response is not None and response.status == 401:  # taken back, or its subject is gone
            self._changed[token] = at
            return
        try:
            roles = parse_object(response.body).get("roles") if response and response.status == 200 else None
        except JoseError:
            roles = None
        if not isinstance(roles, tuple) or not all(isinstance(role, str) for role in roles):
            self._failed[reference] = at
        elif roles_reference(roles) == reference:
            self._known[reference] = frozenset(roles)
        else:
            self._changed[token] = at
