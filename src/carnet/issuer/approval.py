"""RFC 6749 section 1.3: what was approved, as it travels from the sign-in through the code to every token of the family."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from carnet.ambient import Instant
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.records import Artifact
from carnet.oauth.access_token import SignIn
from carnet.oauth.authorization_details import Details
from carnet.oauth.scope import OFFLINE_ACCESS, Scope

Confirmation: TypeAlias = Mapping[str, str]
"""RFC 7800 section 3.1: the `cnf` of an access token, such as `{"jkt": …}`."""


class Approval(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person approved for a client: the document of a refresh token, and part of that of a code."""

    scope: Scope
    audience: tuple[str, ...] = ()
    """RFC 8707: the resource servers that were asked for; empty: all that the client has."""
    id_token_claims: tuple[str, ...] = ()
    """OpenID Connect Core section 5.5: claims of the person that the ID token is asked to have."""
    auth_time: Instant
    amr: tuple[str, ...]
    acr: str | None = None
    authorization_details: tuple[dict[str, Any], ...] = ()
    """RFC 9396."""
    confirmation: dict[str, str] | None = None
    """RFC 9449 sections 5 and 10: the key that the code or the refresh token is bound to."""
    approved_at: Instant
    """A family's absolute lifetime is counted from here."""

    @property
    def sign_in(self) -> SignIn:
        return SignIn(auth_time=self.auth_time, amr=self.amr, acr=self.acr)


class Person(Struct, frozen=True, kw_only=True):
    """The account that an authorization speaks for, and where it signed in."""

    subject: str
    family: str
    sid: str | None
    """The session in which it was approved; None: it has outlived that."""
    approval: Approval

    @property
    def offline(self) -> bool:
        """OpenID Connect Core section 11: it outlives its session, so that no access token and no refresh token names it."""
        return OFFLINE_ACCESS in self.approval.scope


class Derived(Struct, frozen=True, kw_only=True):
    """What comes of another token (RFC 8693, RFC 7521 section 4.1): an access token alone, which lives no longer."""

    subject: str
    family: str | None
    sid: str | None
    sign_in: SignIn | None
    until: Instant
    epoch: int | None = None
    """Of the subject, as the other token has it; None: as it is now."""
    actor: Mapping[str, Any] | None = None
    """RFC 8693 section 4.1, `act`: who acts for the subject."""
    may_act: Mapping[str, Any] | None = None
    issued_token_type: str | None = None
    """RFC 8693 section 2.2.1; None: the grant's answer has no such member."""


class Redemption(Struct, frozen=True, kw_only=True):
    """The artifact that a request redeems, found and proved but not yet spent."""

    artifact: Artifact
    secret: Opaque
    retryable: bool = False
    """Whether a lost answer may be asked for again (`rotation.py`): refresh tokens, and nothing else."""
    bound: bool = False
    """Whether it is worth nothing without the key that the request has proved to have."""


class Authorization(Struct, frozen=True, kw_only=True):
    """What a grant has proved: the upper bound of what the request may get."""

    scope: Scope
    """All that was approved."""
    authorization_details: Details = ()
    """RFC 9396: those that were approved."""
    asked: Scope = ()
    """What the request narrows it to; empty: nothing narrower."""
    audience: tuple[str, ...] = ()
    """The approved resource servers; empty: all that the client has."""
    person: Person | None = None
    """None: the client speaks for itself, unless it is `derived`."""
    derived: Derived | None = None
    redemption: Redemption | None = None
    nonce: str | None = None
    """OpenID Connect Core section 2."""
