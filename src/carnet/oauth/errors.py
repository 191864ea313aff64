"""RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, OpenID Connect Core section 3.1.2.6: the errors of the protocol."""

from typing import ClassVar


class OAuthError(Exception):
    """A refusal in the words of the RFCs: a code and a public sentence, and a private reason for the log.

    Only `code` and `description` are ever sent; `why` never leaves the process.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 400

    def __init__(self, description: str, *, why: str = "") -> None:
        super().__init__(f"{self.code}: {description}" + (f" ({why})" if why else ""))
        self.description = _printable(description)
        self.why = why

    def to_json(self) -> dict[str, str]:
        """RFC 6749 section 5.2."""
        return {"error": self.code, "error_description": self.description}


def _printable(sentence: str) -> str:
    """RFC 6749 section 5.2: an error_description has the characters %x20-21 / %x23-5B / %x5D-7E and no others."""
    kept = sentence.replace('"', "'")
    return "".join(character if " " <= character <= "~" and character != "\\" else "?" for character in kept)


class InvalidRequestError(OAuthError):
    code = "invalid_request"


class UnsupportedMediaTypeError(InvalidRequestError):
    """RFC 9110 section 15.5.16."""

    status = 415


class TokenMisplacedError(InvalidRequestError):
    """RFC 6750 section 3.1: a request for a resource brings access tokens in more than one place."""


class InvalidClientError(OAuthError):
    code = "invalid_client"
    status = 401


class InvalidGrantError(OAuthError):
    code = "invalid_grant"


class UnauthorizedClientError(OAuthError):
    code = "unauthorized_client"


class UnsupportedGrantTypeError(OAuthError):
    code = "unsupported_grant_type"


class UnsupportedResponseTypeError(OAuthError):
    code = "unsupported_response_type"


class InvalidScopeError(OAuthError):
    code = "invalid_scope"


class InvalidTargetError(OAuthError):
    """RFC 8707 section 2."""

    code = "invalid_target"


class AccessDeniedError(OAuthError):
    code = "access_denied"


class AuthorizationPendingError(OAuthError):
    """RFC 8628 section 3.5: ask again."""

    code = "authorization_pending"


class SlowDownError(OAuthError):
    """RFC 8628 section 3.5: ask again, and from now on 5 seconds less often."""

    code = "slow_down"


class ExpiredTokenError(OAuthError):
    """RFC 8628 section 3.5."""

    code = "expired_token"


class UnknownUserIdError(OAuthError):
    """OpenID CIBA Core section 13."""

    code = "unknown_user_id"


class InvalidBindingMessageError(OAuthError):
    """OpenID CIBA Core section 13."""

    code = "invalid_binding_message"


class ServerError(OAuthError):
    code = "server_error"
    status = 500


class TemporarilyUnavailableError(OAuthError):
    code = "temporarily_unavailable"
    status = 503
    retry_after: ClassVar[int] = 5
    """RFC 9110 section 10.2.3, in seconds."""


class TooManyFailuresError(TemporarilyUnavailableError):
    """RFC 6585 section 4."""

    status = 429
    retry_after = 60


class LoginRequiredError(OAuthError):
    code = "login_required"


class UnmetAuthenticationRequirementsError(OAuthError):
    """OpenID Connect Core Error Code unmet_authentication_requirements, RFC 9470 section 5."""

    code = "unmet_authentication_requirements"


class ConsentRequiredError(OAuthError):
    code = "consent_required"


class RequestUriNotSupportedError(OAuthError):
    code = "request_uri_not_supported"


class InvalidRequestObjectError(OAuthError):
    """RFC 9101 section 7."""

    code = "invalid_request_object"


class InvalidRequestUriError(OAuthError):
    """RFC 9101 section 7."""

    code = "invalid_request_uri"


class RegistrationNotSupportedError(OAuthError):
    code = "registration_not_supported"


class InvalidAuthorizationDetailsError(OAuthError):
    """RFC 9396 section 5."""

    code = "invalid_authorization_details"


class InvalidDpopProofError(OAuthError):
    """RFC 9449 section 5."""

    code = "invalid_dpop_proof"


class UseDpopNonceError(InvalidDpopProofError):
    """RFC 9449 section 8."""

    code = "use_dpop_nonce"

    def __init__(self, description: str, *, nonce: str, why: str = "") -> None:
        """`nonce`: the one that the next proof is to have."""
        super().__init__(description, why=why)
        self.nonce = nonce


class InvalidRedirectUriError(OAuthError):
    """RFC 7591 section 3.2.2."""

    code = "invalid_redirect_uri"


class InvalidClientMetadataError(OAuthError):
    """RFC 7591 section 3.2.2."""

    code = "invalid_client_metadata"


class InvalidSoftwareStatementError(OAuthError):
    """RFC 7591 section 3.2.2."""

    code = "invalid_software_statement"


class UnapprovedSoftwareStatementError(OAuthError):
    """RFC 7591 section 3.2.2."""

    code = "unapproved_software_statement"


class InvalidTokenError(OAuthError):
    """RFC 6750 section 3.1."""

    code = "invalid_token"
    status = 401


class InsufficientUserAuthenticationError(OAuthError):
    """RFC 9470 section 3."""

    code = "insufficient_user_authentication"
    status = 401

    def __init__(self, description: str, *, max_age: int, acr_values: str | None = None, why: str = "") -> None:
        """`max_age`: how many seconds old the proof may be; `acr_values`: how strong it has to be, where that matters."""
        super().__init__(description, why=why)
        self.max_age = max_age
        self.acr_values = acr_values


class InsufficientScopeError(OAuthError):
    """RFC 6750 section 3.1."""

    code = "insufficient_scope"
    status = 403

    def __init__(self, description: str, *, scope: str, why: str = "") -> None:
        """`scope`: the scope values that would suffice, space-delimited."""
        super().__init__(description, why=why)
        self.scope = scope
