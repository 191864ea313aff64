"""RFC 8417, RFC 9493, OpenID Shared Signals Framework, CAEP and RISC 1.0: the words of security events."""

from typing import Any, Final

TYP: Final = "secevent+jwt"
"""RFC 8417 section 2.3; Shared Signals Framework section 4.1.1."""
MEDIA_TYPE: Final = "application/secevent+jwt"

PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"
METHODS: Final = (PUSH, POLL)

_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
_RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
_SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"

SESSION_REVOKED: Final = _CAEP + "session-revoked"
CREDENTIAL_CHANGE: Final = _CAEP + "credential-change"
TOKEN_CLAIMS_CHANGE: Final = _CAEP + "token-claims-change"
ASSURANCE_LEVEL_CHANGE: Final = _CAEP + "assurance-level-change"
ACCOUNT_DISABLED: Final = _RISC + "account-disabled"
ACCOUNT_ENABLED: Final = _RISC + "account-enabled"
ACCOUNT_PURGED: Final = _RISC + "account-purged"
RECOVERY_INFORMATION_CHANGED: Final = _RISC + "recovery-information-changed"

SUPPORTED: Final = (
    SESSION_REVOKED,
    CREDENTIAL_CHANGE,
    TOKEN_CLAIMS_CHANGE,
    ASSURANCE_LEVEL_CHANGE,
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    ACCOUNT_PURGED,
    RECOVERY_INFORMATION_CHANGED,
)
"""What an issuer tells of: what it knows itself (`docs/reference/refusals.md` says what is left out, and why)."""

VERIFICATION: Final = _SSF + "verification"
STREAM_UPDATED: Final = _SSF + "stream-updated"
"""Shared Signals Framework sections 8.1.4 and 8.1.5: of the stream itself; they come whatever was asked for."""

MANAGE: Final = "ssf.manage"
READ: Final = "ssf.read"
"""CAEP Interoperability Profile section 2.7.2: the scope values of whoever receives events."""
SCOPES: Final = (MANAGE, READ)


def person(issuer: str, subject: str) -> dict[str, Any]:
    """RFC 9493 section 3.2.4."""
    return {"format": "iss_sub", "iss": issuer, "sub": subject}


def opaque(name: str) -> dict[str, Any]:
    """RFC 9493 section 3.2.5."""
    return {"format": "opaque", "id": name}


def session_of(issuer: str, subject: str, sid: str) -> dict[str, Any]:
    """Shared Signals Framework section 3.3: one session of a person, and no other."""
    return {"format": "complex", "session": opaque(sid), "user": person(issuer, subject)}
