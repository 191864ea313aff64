"""RFC 8725 section 3.12: the kinds of JWT, as data. No token passes as two of them: a test tries each against each (rule J17)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from carnet.jose.claims import date
from carnet.jose.errors import ClaimError, MissingClaimError
from carnet.jose.jwt import MAX_TOKEN_LENGTH, JwtVerifier
from carnet.jose.key_set import KeySet
from carnet.jose.strict_json import JsonObject
from carnet.jose.verified import Verified

_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of token: what a verifier of it asks for besides issuer, audience and algorithms."""

    name: str
    types: tuple[str | None, ...]
    """The header's `typ`; the first is what new tokens get. None: it may be absent."""
    required: tuple[str, ...]
    """Claims that must be there besides `iss` and `aud`."""
    forbidden: tuple[str, ...] = ()
    rule: Callable[[JsonObject], None] | None = None
    single_use: bool = False
    """Whoever accepts it must remember its `jti` and refuse it a second time; so it is not worth remembering here."""

    def verifier(
        self,
        *,
        keys: KeySet,
        algorithms: Collection[str],
        issuer: str,
        audience: str | Collection[str],
        leeway: int = 0,
        admit: Callable[[Verified], None] | None = None,
        max_length: int = MAX_TOKEN_LENGTH,
        cache_size: int = 1024,
    ) -> JwtVerifier:
        """A verifier of this kind of token; the arguments and errors are those of `JwtVerifier`."""
        return JwtVerifier(
            keys=keys,
            algorithms=algorithms,
            issuer=issuer,
            audience=audience,
            typ=self.types,
            leeway=leeway,
            required=self.required,
            forbidden=self.forbidden,
            rule=self.rule,
            admit=admit,
            max_length=max_length,
            cache_size=0 if self.single_use else cache_size,
        )


def _not_self_issued(claims: JsonObject) -> None:
    """OpenID Connect Core section 2: an issuer speaks of another; who speaks of itself makes an assertion."""
    if claims["sub"] == claims["iss"]:
        raise ClaimError("The issuer is its own subject: that is a client's assertion.", claim="sub")
    if isinstance(claims["aud"], tuple) and len(claims["aud"]) > 1 and "azp" not in claims:
        raise MissingClaimError(
            "There are several audiences and no 'azp' (OpenID Connect Core section 3.1.3.7).", claim="azp"
        )


def _self_issued(claims: JsonObject) -> None:
    """RFC 7523 section 3: `iss` and `sub` are both the client; rule O16: `aud` is the issuer's identifier and nothing else."""
    if claims["sub"] != claims["iss"]:
        raise ClaimError("'sub' and 'iss' are not both the client (RFC 7523 section 3).", claim="sub")
    if isinstance(claims["aud"], tuple) and len(claims["aud"]) != 1:
        raise ClaimError("A client's assertion has one audience, the issuer's identifier.", claim="aud")


def _logout(claims: JsonObject) -> None:
    """OpenID Connect Back-Channel Logout section 2.4."""
    events = claims["events"]
    if not isinstance(events, JsonObject) or not isinstance(events.get(_LOGOUT_EVENT), JsonObject):
        raise ClaimError("'events' does not have the logout event, with an object.", claim="events")
    if "sub" not in claims and "sid" not in claims:
        raise MissingClaimError("There is neither 'sub' nor 'sid': nobody is signed out.", claim="sub")


def _security_event(claims: JsonObject) -> None:
    """RFC 8417 section 2.2, Shared Signals Framework section 4.2.1, CAEP Interoperability Profile section 2.8.1."""
    events, subject = claims["events"], claims["sub_id"]
    if (
        not isinstance(events, JsonObject)
        or len(events) != 1
        or not isinstance(next(iter(events.values())), JsonObject)
    ):
        raise ClaimError("'events' does not have exactly one event, with an object.", claim="events")
    if not isinstance(subject, JsonObject) or not isinstance(subject.get("format"), str):
        raise ClaimError("'sub_id' is no subject identifier (RFC 9493 section 3).", claim="sub_id")


def _access(claims: JsonObject) -> None:
    """RFC 9068 section 2.2.1: `auth_time` is a date where it is there."""
    date(claims, "auth_time")


ACCESS_TOKEN = Profile(
    "access token", ("at+jwt",), ("exp", "iat", "sub", "client_id", "jti"), forbidden=("nonce", "events"), rule=_access
)
"""RFC 9068 sections 2 and 4."""

ID_TOKEN = Profile(
    "ID token",
    ("JWT", None),
    ("exp", "iat", "sub"),
    forbidden=("events",),
    rule=_not_self_issued,
)
"""OpenID Connect Core section 2. Its `typ` is `JWT` or absent, so that its claims set it apart."""

LOGOUT_TOKEN = Profile(
    "logout token",
    ("logout+jwt",),
    ("exp", "iat", "jti", "events"),
    forbidden=("nonce",),
    rule=_logout,
    single_use=True,
)
"""OpenID Connect Back-Channel Logout section 2.4."""

CLIENT_ASSERTION = Profile(
    "client assertion",
    ("client-authentication+jwt", "JWT", None),
    ("exp", "sub", "jti"),
    forbidden=("events", "response_type", "redirect_uri"),
    rule=_self_issued,
    single_use=True,
)
"""RFC 7523 section 3 and its revision, which names the `typ`; clients from before it have `JWT` or none."""

REQUEST_OBJECT = Profile(
    "request object",
    ("oauth-authz-req+jwt", "JWT", None),
    ("client_id", "response_type"),
    forbidden=("sub", "events", "request", "request_uri"),
)
"""RFC 9101 sections 4 and 10.8: no `sub`, so that it is never a client's assertion. Those of OpenID Connect Core have no `typ` of
their own, and need not expire; `response_type` sets them apart from whatever else a client signs."""

BACKCHANNEL_REQUEST = Profile(
    "backchannel request",
    ("oauth-authz-req+jwt", "JWT", None),
    ("exp", "iat", "nbf", "jti", "scope"),
    forbidden=("sub", "events", "response_type", "redirect_uri"),
    single_use=True,
)
"""OpenID CIBA Core section 7.1.1, which gives it no `typ`, where some clients put RFC 9101's: that it has no `sub` sets it apart
from whatever else is without one, and that it has no `response_type` from a request object."""

REVOCATIONS = Profile("revocations", ("revocations+jwt",), ("iat",))
"""A message of Carnet's revocation feed."""

SECURITY_EVENT = Profile(
    "security event",
    ("secevent+jwt",),
    ("iat", "jti", "sub_id", "events"),
    forbidden=("sub", "exp", "nonce"),
    rule=_security_event,
    single_use=True,
)
"""RFC 8417, OpenID Shared Signals Framework section 4.1: an event token (SET) tells what has happened, and never expires."""

PROFILES: tuple[Profile, ...] = (
    ACCESS_TOKEN,
    ID_TOKEN,
    LOGOUT_TOKEN,
    CLIENT_ASSERTION,
    REQUEST_OBJECT,
    BACKCHANNEL_REQUEST,
    REVOCATIONS,
    SECURITY_EVENT,
)
"""Tokens of an issuer whose key the verifier has; a proof by a key that it brings itself (DPoP) is in `proof.py`."""
