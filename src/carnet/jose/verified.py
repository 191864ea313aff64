"""RFC 7515 section 5.2, RFC 7519 section 7.2: what has been verified is of another type than what has not."""

from carnet.jose.strict_json import JsonObject


class Verified:
    """A JWT whose signature and claims a `JwtVerifier` has checked. Only a verifier makes one; it cannot be changed."""

    __slots__ = ("_claims", "_header", "_token")

    _header: JsonObject
    _claims: JsonObject
    _token: str

    def __init__(self) -> None:
        raise TypeError("Only a verifier makes a Verified.")

    @property
    def header(self) -> JsonObject:
        """The protected header, read-only."""
        return self._header

    @property
    def claims(self) -> JsonObject:
        """The claims, read-only: objects inside are read-only too, arrays are tuples."""
        return self._claims

    @property
    def token(self) -> str:
        """The token itself, which is a secret."""
        return self._token

    def __repr__(self) -> str:
        return f"Verified(iss={self._claims.get('iss')!r}, sub={self._claims.get('sub')!r}, jti={self._claims.get('jti')!r})"


def verified(header: JsonObject, claims: JsonObject, token: str) -> Verified:
    """For verifiers alone: a test holds that no other module of Carnet calls it."""
    made = object.__new__(Verified)
    made._header = header  # the constructor that the class itself refuses to be
    made._claims = claims
    made._token = token
    return made
