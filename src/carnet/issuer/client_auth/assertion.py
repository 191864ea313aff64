"""RFC 7521 section 4.2, RFC 7523 sections 2.2 and 3: JWTs with which clients authenticate, for their issuer alone (rule O16)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from carnet.issuer.client_auth.method import Presented, UnprovedError
from carnet.issuer.desk import Desk
from carnet.issuer.replay import seen_before
from carnet.issuer.storage.records import Client
from carnet.jose import JoseError, KeySet, base64url
from carnet.jose.header import parse_header
from carnet.jose.profiles import CLIENT_ASSERTION
from carnet.jose.strict_json import parse_object
from carnet.oauth.errors import InvalidClientError

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE = 600
"""Seconds: an assertion that expires later than so long after it came is refused, for its `jti` is remembered until then."""
LEEWAY = 10
"""Seconds by which clients' clocks may differ (FAPI 2.0 Security Profile section 5.3.2.1)."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an assertion says of itself, unverified: enough to find the client whose keys decide."""

    token: str = field(repr=False)
    alg: str
    kid: str | None
    client_id: str


def presented_assertion(presented: Presented) -> Assertion | None:
    """The assertion of a request; None if there is none.

    Raises:
        InvalidClientError: there is something else in its place.
    """
    token = presented.parameters.get("client_assertion")
    if token is None:
        return None
    if presented.parameters.get("client_assertion_type") != TYPE:
        raise InvalidClientError(f"The client_assertion_type is not {TYPE}.")
    try:
        header, payload, _ = token.encode("ascii").split(b".")
        claims, said = parse_object(base64url.decode(payload)), parse_header(header)
    except (JoseError, ValueError):
        raise InvalidClientError("The client_assertion is not a signed JWT.") from None
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isprintable() or not subject:
        raise InvalidClientError("The client_assertion does not name its client as sub (RFC 7523 section 3).")
    return Assertion(token, said["alg"], said.get("kid"), subject)


async def check_assertion(
    assertion: Assertion, client: Client, desk: Desk, *, keys: KeySet, algorithms: Collection[str]
) -> None:
    """Verify it with the client's keys, and spend its `jti`.

    Raises:
        UnprovedError: it is refused, and why.
    """
    now = desk.ambient.now()
    try:
        claims = (
            CLIENT_ASSERTION.verifier(
                keys=keys,
                algorithms=algorithms,
                issuer=client.client_id,
                audience=desk.config.issuer,
                leeway=LEEWAY,
            )
            .verify(assertion.token, at=now)
            .claims
        )
    except JoseError as error:
        raise UnprovedError(f"{error.code}: {error}") from None
    expires_at: Any = claims["exp"]
    if expires_at > now + LONGEST_LIFE + LEEWAY:
        raise UnprovedError(f"the assertion expires more than {LONGEST_LIFE} s from now")
    until = int(expires_at) + LEEWAY + 1
    if await seen_before("client_assertion", client.client_id, claims["jti"], desk, until=until):
        raise UnprovedError("the assertion's jti has come before")
