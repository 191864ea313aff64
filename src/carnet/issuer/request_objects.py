"""RFC 9101: authorization requests that their client has signed, and may have encrypted to the issuer."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from carnet.ambient import Instant
from carnet.issuer import fapi
from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.issuer.envelope import out_of_envelope
from carnet.issuer.storage.records import Client
from carnet.jose import JoseError
from carnet.jose.header import parse_header
from carnet.jose.profiles import REQUEST_OBJECT, Profile
from carnet.oauth.errors import InvalidRequestError, InvalidRequestObjectError
from carnet.oauth.parameters import REPEATABLE, Parameters

LEEWAY = 10
"""Seconds by which clients' clocks may differ."""
LONGEST_LIFE = 3_600
"""Seconds (FAPI 2.0 Message Signing section 5.3.1)."""

_REGISTERED = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
"""RFC 7519 section 4.1: what speaks of the object, and is no parameter of the request."""
_JSON = frozenset({"claims", "authorization_details", "request_context"})
"""Parameters that are JSON themselves, so that they stand in the object as they are."""


async def opened(token: str, client: Client, desk: Desk) -> Parameters:
    """Section 6.3: the request that a request object of this client holds. Nothing outside of it counts.

    Raises:
        InvalidRequestObjectError: it is not signed by the client for this issuer, or not of now.
    """
    claims = await claims_of(token, REQUEST_OBJECT, client, signing_algorithms(client), desk)
    if fapi.wants_dated_requests(client):
        _check_dates(claims, at=desk.ambient.now())
    if claims["client_id"] != client.client_id:
        raise _refusal("it is another client's")
    return as_parameters(claims)


async def claims_of(
    token: str, profile: Profile, client: Client, allowed: Collection[str], desk: Desk
) -> Mapping[str, Any]:
    """What stands in a request of this kind, which the client has signed with one of the `allowed` algorithms.

    Raises:
        InvalidRequestObjectError
    """
    try:
        token = await out_of_envelope(token, desk)
        header = parse_header(token.partition(".")[0].encode("ascii"))
        alg = header["alg"]
        if alg not in allowed:
            raise _refusal(f"the algorithm is {alg!r}, allowed are {', '.join(allowed)}")
        keys = await desk.client_keys.key_set(client, alg, header.get("kid"))
        verifier = profile.verifier(
            keys=keys,
            algorithms=(alg,),
            issuer=client.client_id,
            audience=desk.config.issuer,
            leeway=LEEWAY,
            cache_size=0,
        )
        claims = verifier.verify(token, at=desk.ambient.now()).claims
    except (JoseError, EgressError, UnicodeEncodeError) as error:
        raise _refusal(str(error)) from None
    if claims.get("exp", 0) > desk.ambient.now() + LONGEST_LIFE + LEEWAY:
        raise _refusal(f"it expires more than {LONGEST_LIFE} s from now")
    return claims


def _check_dates(claims: Mapping[str, Any], *, at: Instant) -> None:
    """FAPI 2.0 Message Signing section 5.3.1: from when until when it is good, an hour at most."""
    if "nbf" not in claims or "exp" not in claims:
        raise _refusal("it does not say from when until when it is good")
    if claims["exp"] - claims["nbf"] > LONGEST_LIFE or claims["nbf"] < at - LONGEST_LIFE:
        raise _refusal(f"it is good for more than {LONGEST_LIFE} s, or older")


def as_parameters(claims: Mapping[str, Any]) -> Parameters:
    """The members that are parameters of the request, as one that is not signed has them.

    Raises:
        InvalidRequestObjectError: one is of a type that no parameter has.
    """
    try:
        return Parameters([pair for name in claims if name not in _REGISTERED for pair in _pairs(name, claims[name])])
    except InvalidRequestError as error:
        raise _refusal(str(error)) from None


def signing_algorithms(client: Client) -> tuple[str, ...]:
    """RFC 9101 section 10.2: the registered one alone, where one is registered."""
    registered = client.request_object_signing_alg
    return fapi.signing_algorithms(client) if registered is None else (registered,)


def _pairs(name: str, value: Any) -> Iterable[tuple[str, str]]:
    """A member of the object as parameters of a request have it (section 4)."""
    if isinstance(value, str):
        return [(name, value)]
    if isinstance(value, int) and not isinstance(value, bool):
        return [(name, str(value))]
    if name in _JSON and isinstance(value, Mapping | tuple):
        return [(name, msgspec.json.encode(value).decode())]
    if name in REPEATABLE and isinstance(value, tuple) and all(isinstance(each, str) for each in value):
        return [(name, each) for each in value]
    raise _refusal(f"the member {name[:40]!r} is of a type that no parameter has")


def _refusal(why: str) -> InvalidRequestObjectError:
    return InvalidRequestObjectError("The request object is not valid.", why=why)
