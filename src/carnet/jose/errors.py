"""Why a token or a key is refused: one tree under `JoseError`, each with a stable code."""

from typing import ClassVar


def shown(value: object) -> str:
    """A value out of a token as an error may repeat it: escaped, and cut short."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"


class JoseError(Exception):
    """The root. `code` is stable, for logs, metrics and tests; `str(error)` is a sentence for people."""

    code: ClassVar[str] = "jose_error"


class MalformedError(JoseError):
    """It does not have the form that its specification gives it."""

    code = "malformed"


class DuplicateMemberError(MalformedError):
    """RFC 7515 section 4, RFC 7519 section 4: a name comes twice in one JSON object."""

    code = "duplicate_member"


class TooLargeError(MalformedError):
    """It is longer than the limit; nothing of it was decoded."""

    code = "too_large"


class CriticalHeaderError(MalformedError):
    """RFC 7515 section 4.1.11: `crit` names what is not understood, or is not of its form."""

    code = "critical_header"


class InvalidKeyError(JoseError):
    """The key's material is missing, malformed, too weak, or contradicts itself."""

    code = "invalid_key"


class KeyUseError(InvalidKeyError):
    """RFC 7517 sections 4.2 to 4.4: the key says that it is for another algorithm or use."""

    code = "key_use"


class UnsupportedError(JoseError):
    """The name of an algorithm, key type or curve that Carnet does not have."""

    code = "unsupported"


class RefusedError(JoseError):
    """A well-formed token that this verifier does not accept."""

    code = "refused"


class AlgorithmNotAllowedError(RefusedError):
    """RFC 8725 section 3.1: the header's `alg` is not on the allow-list or is not the key's."""

    code = "algorithm_not_allowed"


class UnknownKeyError(RefusedError):
    """No key of the set has the header's `kid`."""

    code = "unknown_key"


class SignatureInvalidError(RefusedError):
    """The signature is not the key's over these bytes."""

    code = "signature_invalid"


class DecryptionError(RefusedError):
    """RFC 7516 section 11.5: a JWE could not be decrypted; there is no finer answer."""

    code = "decryption_failed"


class TypeMismatchError(RefusedError):
    """RFC 8725 section 3.11: the header's `typ` is another kind of token's."""

    code = "type_mismatch"


class ClaimError(RefusedError):
    """A claim refuses the token. `claim` is its name."""

    code = "invalid_claim"

    def __init__(self, sentence: str, *, claim: str) -> None:
        super().__init__(sentence)
        self.claim = claim


class MissingClaimError(ClaimError):
    """A claim that this kind of token must have is absent."""

    code = "missing_claim"


class ExpiredError(ClaimError):
    """RFC 7519 section 4.1.4."""

    code = "expired"


class NotYetValidError(ClaimError):
    """RFC 7519 section 4.1.5."""

    code = "not_yet_valid"


class IssuedInFutureError(ClaimError):
    """RFC 7519 section 4.1.6: the clocks disagree by more than the leeway, or the token is made up."""

    code = "issued_in_future"


class IssuerMismatchError(ClaimError):
    """RFC 7519 section 4.1.1."""

    code = "issuer_mismatch"


class AudienceMismatchError(ClaimError):
    """RFC 7519 section 4.1.3."""

    code = "audience_mismatch"
