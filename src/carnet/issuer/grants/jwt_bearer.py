"""RFC 7523 section 2.1: an assertion of an issuer that a client is registered to bring; for accounts that are here, and once."""

from dataclasses import dataclass, field

from carnet.issuer.approval import Authorization, Derived
from carnet.issuer.client_keys import ALGORITHMS
from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.issuer.grants.client_credentials import PEOPLES
from carnet.issuer.opaque import Opaque
from carnet.issuer.replay import seen_before
from carnet.issuer.rotation import authenticates
from carnet.issuer.storage.records import AssertionIssuer, Client
from carnet.issuer.token_policies import ASSERTION
from carnet.jose import JoseError, JwtVerifier, base64url
from carnet.jose.header import parse_header
from carnet.jose.strict_json import JsonObject, parse_object
from carnet.oauth import scope
from carnet.oauth.errors import InvalidGrantError, UnauthorizedClientError
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import Scope

LONGEST_LIFE = 3_600
"""Seconds: an assertion that expires later than so long after it came is refused, for its `jti` is remembered until then."""
LEEWAY = 10
"""Seconds by which clocks may differ."""


@dataclass(frozen=True, slots=True)
class Asked:
    assertion: Opaque = field(repr=False)
    scope: Scope


class JwtBearer:
    grant_type = ASSERTION

    def read(self, parameters: Parameters) -> Asked:
        return Asked(Opaque(parameters.require("assertion")), scope.parse(parameters.get("scope")))

    async def redeem(self, asked: Asked, client: Client, desk: Desk) -> Authorization:
        """Section 3. RFC 7521 section 4.1: no refresh token comes of it, and the access token lives no longer than it."""
        if not authenticates(client):
            raise UnauthorizedClientError("A public client brings no assertions.")
        token = asked.assertion.value
        trusted = _trusted(token, client)
        claims = await _verified(token, trusted, desk)
        subject = _account_of(claims["sub"], trusted)
        await _spend(claims, trusted, desk)
        own = scope.excess(scope.parse(client.scope), PEOPLES)
        return Authorization(
            scope=own,
            asked=asked.scope,
            derived=Derived(subject=subject, family=None, sid=None, sign_in=None, until=int(claims["exp"])),
        )


def _trusted(token: str, client: Client) -> AssertionIssuer:
    """The registered issuer that the assertion says it is from; the verification that follows confirms it."""
    try:
        _, payload, _ = token.encode("ascii").split(b".")
        said = parse_object(base64url.decode(payload)).get("iss")
    except (JoseError, ValueError):
        raise _refusal("it is no signed JWT") from None
    for trusted in client.assertion_issuers:
        if trusted.issuer == said:
            return trusted
    raise _refusal("its issuer is not registered for this client")


async def _verified(token: str, trusted: AssertionIssuer, desk: Desk) -> JsonObject:
    """Rule O16: `aud` is the issuer's identifier and nothing else."""
    now = desk.ambient.now()
    try:
        header = parse_header(token.partition(".")[0].encode("ascii"))
        if header["alg"] not in ALGORITHMS:
            raise _refusal(f"it is signed with {header['alg']}")
        verifier = JwtVerifier(
            keys=await desk.client_keys.key_set(trusted, header["alg"], header.get("kid")),
            algorithms=ALGORITHMS,
            issuer=trusted.issuer,
            audience=desk.config.issuer,
            typ=("JWT", None),
            leeway=LEEWAY,
            required=("exp", "sub", "jti"),
            forbidden=("nonce", "events", "client_id"),
            cache_size=0,
        )
        claims = verifier.verify(token, at=now).claims
    except (JoseError, EgressError) as error:
        raise _refusal(str(error)) from None
    if claims["exp"] > now + LONGEST_LIFE + LEEWAY:
        raise _refusal(f"it expires more than {LONGEST_LIFE} s from now")
    return claims


def _account_of(subject: str, trusted: AssertionIssuer) -> str:
    """Rule O7: an account is found by (issuer, subject), as it was registered, and by nothing that an assertion says besides."""
    if trusted.subjects is None:
        return subject
    if subject not in trusted.subjects:
        raise _refusal("its subject is mapped to no account")
    return trusted.subjects[subject]


async def _spend(claims: JsonObject, trusted: AssertionIssuer, desk: Desk) -> None:
    """It is good once."""
    until = int(claims["exp"]) + LEEWAY + 1
    if await seen_before("assertion", trusted.issuer, claims["jti"], desk, until=until):
        raise _refusal("its jti has come before")


def _refusal(why: str) -> InvalidGrantError:
    return InvalidGrantError("The assertion is not valid.", why=why)
