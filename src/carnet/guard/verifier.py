"""RFC 9068 section 4: whether an access token is genuine, for this service, and of now."""

from carnet.ambient import Instant
from carnet.guard.principal import ClaimFormError, Principal, principal_of
from carnet.guard.refusal import RefusedRequestError, invalid_token
from carnet.jose import JoseError, KeySet, Verified
from carnet.jose.errors import UnknownKeyError
from carnet.jose.header import parse_header
from carnet.jose.profiles import ACCESS_TOKEN

ALGORITHMS = ("ES256", "ES384", "ES512", "Ed25519", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""What a guard accepts unless it is told otherwise: public-key signatures alone, so that it cannot mint what it checks.
A published key that does not say its algorithm is bound to the first one here that fits it."""


class UnknownKeyRefusedError(RefusedRequestError):
    """The token names a key that the set lacks; it may be one that the issuer has published since."""

    def __init__(self, kid: str, why: str) -> None:
        super().__init__(invalid_token("unknown_key", why))
        self.kid = kid


MOST_LEEWAY = 60
"""Seconds: an issuer keeps an entry of its revocation feed for as long after the end of the tokens that it concerns."""


class Verifier:
    """Verifies access tokens of one issuer for one audience, and remembers those that it has verified."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        algorithms: tuple[str, ...] = ALGORITHMS,
        leeway: int = 60,
        remembered: int = 4096,
    ) -> None:
        """`leeway`: seconds by which clocks may differ; `remembered`: so many verified tokens are kept at most.

        Raises:
            ValueError: `leeway` is not 0 to 60.
        """
        if not 0 <= leeway <= MOST_LEEWAY:
            raise ValueError(f"leeway is 0 to {MOST_LEEWAY} seconds.")
        self.issuer = issuer
        self.audience = audience
        self.algorithms = algorithms
        self.leeway = leeway
        self._profile = ACCESS_TOKEN.verifier(
            keys=KeySet(()),
            algorithms=algorithms,
            issuer=issuer,
            audience=audience,
            leeway=leeway,
            cache_size=remembered,
        )
        self._remembered = remembered
        self._principals: dict[str, tuple[Verified, Principal]] = {}

    def verify(self, token: str, *, at: Instant, keys: KeySet) -> Principal:
        """Answer whom a token speaks for; one that was seen before costs look-ups in dictionaries.

        Raises:
            UnknownKeyRefusedError: the set has no key of the name that the token gives.
            RefusedRequestError: the token is refused, and why.
        """
        try:
            verified = self._profile.verify(token, at=at, keys=keys)
            known = self._principals.get(token)
            if known is not None and known[0] is verified:
                return known[1]
            principal = principal_of(verified)
        except UnknownKeyError as error:
            kid = parse_header(token.partition(".")[0].encode("ascii")).get("kid")
            if kid is not None:
                raise UnknownKeyRefusedError(kid, str(error)) from None
            raise RefusedRequestError(invalid_token(error.code, str(error))) from None
        except JoseError as error:
            raise RefusedRequestError(invalid_token(error.code, str(error))) from None
        except ClaimFormError as error:
            raise RefusedRequestError(invalid_token("claim_malformed", str(error))) from None
        if (
            len(self._principals) >= self._remembered
        ):  # begun anew rather than thinned out: simple, and safe between threads
            self._principals = {}
        self._principals[token] = (verified, principal)
        return principal
