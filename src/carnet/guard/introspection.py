"""RFC 7662: asking the issuer about a token when the revocation feed is stale; seldom, and not where it does not answer."""

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from carnet.guard.key_set import Fetch, Response
from carnet.guard.metadata import Metadata
from carnet.jose import JoseError
from carnet.jose.strict_json import parse_object

_REMEMBERED_SECONDS = 30.0
"""An answer holds for so long: at most one request for each token in it."""
_REMEMBERED = 10_000
_FAILURES = 3
"""So many in a row open the circuit."""
_OPEN_SECONDS = 10.0
_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of a confidential client that may introspect this service's tokens (`carnet client create NAME --receives AUDIENCE`)."""

    client_id: str
    client_secret: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """RFC 6749 section 2.3.1: client_secret_basic."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return f"Basic {b64encode(pair.encode()).decode('ascii')}"


class Introspection:
    """What is known of tokens by asking, and whether asking is worth while. No I/O, no clock."""

    def __init__(self, credentials: Credentials) -> None:
        self._authorization = credentials.authorization
        self._answers: dict[str, tuple[float, bool]] = {}
        self._failures = 0
        self._closed_at = 0.0

    def known(self, token: str, at: float) -> bool | None:
        """Whether the issuer called it active within the last half minute; None: not asked."""
        answer = self._answers.get(token)
        return answer[1] if answer is not None and at - answer[0] < _REMEMBERED_SECONDS else None

    def question(self, token: str, metadata: Metadata | None, at: float) -> Fetch | None:
        """What to ask; None where there is nobody to ask, or where those who were asked did not answer."""
        if metadata is None or metadata.introspection_endpoint is None or at < self._closed_at:
            return None
        form = {"token": token, "token_type_hint": "access_token"}
        return Fetch(metadata.introspection_endpoint, None, _LIMIT, form=form, authorization=self._authorization)

    def answered(self, token: str, response: Response | None, at: float) -> None:
        """Take in an answer; None, and anything but a clear one, is a failure."""
        try:
            active = parse_object(response.body).get("active") if response and response.status == 200 else None
        except JoseError:
            active = None
        if not isinstance(active, bool):
            self._failed(at)
            return
        self._failures = 0
        if len(self._answers) >= _REMEMBERED:
            self._answers = {}
        self._answers[token] = (at, active)

    def _failed(self, at: float) -> None:
        self._failures += 1
        if self._failures >= _FAILURES:
            self._closed_at = at + _OPEN_SECONDS
