"""RFC 7591 sections 2.3 and 3.1.1: statements about clients by issuers that the settings trust."""

from dataclasses import dataclass, field
from typing import Any

from carnet.issuer.admission import STATEMENT_ALGORITHMS, StatementIssuer
from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.jose import JoseError, base64url
from carnet.jose.header import parse_header
from carnet.jose.software_statement import OWN_CLAIMS, verify_software_statement
from carnet.jose.strict_json import parse_object
from carnet.oauth.errors import InvalidSoftwareStatementError, UnapprovedSoftwareStatementError

MEMBER = "software_statement"
LEEWAY = 60
"""Seconds by which the clocks of its issuer and ours may differ."""


@dataclass(frozen=True, slots=True)
class SoftwareStatement:
    """A statement that was verified."""

    text: str = field(repr=False)
    """As it came: the answer has it unmodified (section 3.2.1)."""
    asserted: dict[str, Any]
    """Members of the client's metadata, which go before what the client says beside it."""
    issuer: StatementIssuer


async def brought(given: dict[str, Any], desk: Desk) -> SoftwareStatement | None:
    """The statement in a client's metadata; None if there is none.

    Raises:
        UnapprovedSoftwareStatementError: its issuer is not one of those that are trusted.
        InvalidSoftwareStatementError: it cannot be verified.
    """
    text = given.get(MEMBER)
    if text is None:
        return None
    if not isinstance(text, str):
        raise _invalid("it is no string")
    try:
        header, payload, _ = text.encode("ascii").split(b".")
        said, issuer = parse_header(header), parse_object(base64url.decode(payload)).get("iss")
    except (JoseError, ValueError):
        raise _invalid("it is no signed JWT") from None
    trusted = next((one for one in desk.config.software_statement_issuers if one.issuer == issuer), None)
    if trusted is None:
        raise UnapprovedSoftwareStatementError("Statements of this issuer are not taken here.", why=f"of {issuer!r}")
    if said["alg"] not in STATEMENT_ALGORITHMS:
        raise _invalid(f"it is signed with {said['alg']}")
    try:
        claims = verify_software_statement(
            text,
            await desk.client_keys.key_set(trusted, said["alg"], said.get("kid")),
            algorithms=(said["alg"],),
            issuer=trusted.issuer,
            recipient=desk.config.issuer,
            at=desk.ambient.now(),
            leeway=LEEWAY,
        )
    except (JoseError, EgressError) as error:
        raise _invalid(str(error)) from None
    return SoftwareStatement(text, {name: value for name, value in claims.items() if name not in OWN_CLAIMS}, trusted)


def _invalid(why: str) -> InvalidSoftwareStatementError:
    return InvalidSoftwareStatementError("The software statement is not valid.", why=why)
