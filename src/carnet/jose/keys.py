"""RFC 7517: keys that sign and keys that verify, each bound to one algorithm when it is made (rules J2 and J3)."""

from collections.abc import Mapping
from typing import Any

from carnet.jose import pem as encodings
from carnet.jose.algorithms import signature_algorithm
from carnet.jose.algorithms.signature import SignatureAlgorithm
from carnet.jose.errors import InvalidKeyError, shown
from carnet.jose.key_rules import check_kid, check_use
from carnet.jose.key_types import OCT, Secret
from carnet.jose.thumbprint import jwk_thumbprint, thumbprint_uri


class VerifyingKey:
    """A public key, or a secret; `alg` is the one algorithm that it verifies."""

    __slots__ = ("_algorithm", "_kid", "_material", "_verify")

    def __init__(self, algorithm: SignatureAlgorithm, material: Any, *, kid: str | None) -> None:
        """`material` is the cryptographic library's public key or a `Secret`. Use one of the `from_…` methods instead."""
        algorithm.check_public(material)
        self._algorithm = algorithm
        self._material = material
        self._verify = algorithm.verifier(material)
        self._kid = check_kid(kid)
        if kid is None and algorithm.key_type is not OCT:
            self._kid = self.thumbprint()

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str) -> "VerifyingKey":
        """Take a JWK as `alg`'s key. A kid that it lacks becomes its thumbprint, except for a secret.

        Raises:
            UnsupportedError: there is no such algorithm.
            KeyUseError: its `alg`, `use` or `key_ops` is for something else.
            InvalidKeyError: it is malformed, weak, of another kind, or has private members.
        """
        algorithm = signature_algorithm(alg)
        _check_jwk(jwk, algorithm, "verify")
        if algorithm.key_type is not OCT and any(name in jwk for name in algorithm.key_type.secret):
            raise InvalidKeyError("A private key was given where a public one belongs: take its public members alone.")
        return cls(algorithm, algorithm.key_type.load_public(jwk), kid=jwk.get("kid"))

    @classmethod
    def from_pem(cls, pem: bytes, *, alg: str, kid: str | None = None) -> "VerifyingKey":
        """Take a PEM-encoded SubjectPublicKeyInfo (RFC 7468 section 13); raises as `from_jwk`."""
        return cls(signature_algorithm(alg), encodings.public_from_pem(pem), kid=kid)

    @classmethod
    def from_der(cls, der: bytes, *, alg: str, kid: str | None = None) -> "VerifyingKey":
        """Take a DER-encoded SubjectPublicKeyInfo (RFC 5280 section 4.1); raises as `from_jwk`."""
        return cls(signature_algorithm(alg), encodings.public_from_der(der), kid=kid)

    @classmethod
    def from_secret(cls, secret: bytes, *, alg: str, kid: str | None = None) -> "VerifyingKey":
        """Take the octets of a shared secret, at least as many as the hash has; raises as `from_jwk`."""
        return cls(signature_algorithm(alg), _secret(secret), kid=kid)

    @property
    def alg(self) -> str:
        """The header's `alg` of the tokens that it verifies."""
        return self._algorithm.name

    @property
    def kid(self) -> str | None:
        """Its name in a key set."""
        return self._kid

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `data`; False for whatever is wrong with it."""
        return self._verify(data, signature)

    def to_jwk(self) -> dict[str, Any]:
        """The public JWK, with `alg`, `use` and `kid`; raises InvalidKeyError for a secret, which has no public form."""
        return _named(self._algorithm.key_type.dump_public(self._published()), self)

    def to_pem(self) -> bytes:
        """RFC 7468 section 13: the SubjectPublicKeyInfo; raises InvalidKeyError for a secret."""
        return encodings.public_to_pem(self._published())

    def to_der(self) -> bytes:
        """RFC 5280 section 4.1: the SubjectPublicKeyInfo; raises InvalidKeyError for a secret."""
        return encodings.public_to_der(self._published())

    def _published(self) -> Any:
        if self._algorithm.key_type is OCT:
            raise InvalidKeyError("A secret has no public form; nothing of it is written.")
        return self._material

    def thumbprint(self) -> str:
        """RFC 7638: the base64url of the SHA-256 thumbprint. That of a secret is a secret's digest: keep it to yourself."""
        return jwk_thumbprint(self._algorithm.key_type.dump_public(self._material))

    def thumbprint_uri(self) -> str:
        """RFC 9278."""
        return thumbprint_uri(self.thumbprint())

    def __repr__(self) -> str:
        return f"VerifyingKey(alg={self.alg!r}, kid={self.kid!r})"


class SigningKey:
    """A private key, or a secret; `alg` is the one algorithm that it signs with. Nothing private prints."""

    __slots__ = ("_algorithm", "_material", "_public", "_sign")

    def __init__(self, algorithm: SignatureAlgorithm, material: Any, *, kid: str | None) -> None:
        """`material` is the cryptographic library's private key or a `Secret`. Use one of the `from_…` methods instead."""
        algorithm.check_private(material)
        self._algorithm = algorithm
        self._material = material
        self._sign = algorithm.signer(material)
        self._public = VerifyingKey(algorithm, algorithm.key_type.public_of(material), kid=kid)

    @classmethod
    def generate(cls, alg: str, *, kid: str | None = None) -> "SigningKey":
        """Make a fresh key. The kid defaults to the RFC 7638 thumbprint; a secret has none unless it is given.

        Raises:
            UnsupportedError: there is no such algorithm.
        """
        algorithm = signature_algorithm(alg)
        return cls(algorithm, algorithm.generate(), kid=kid)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str) -> "SigningKey":
        """Take a private JWK as `alg`'s key, whose public members must belong to its private ones.

        Raises:
            UnsupportedError: there is no such algorithm.
            KeyUseError: its `alg`, `use` or `key_ops` is for something else.
            InvalidKeyError: it is malformed, weak, of another kind, or contradicts itself.
        """
        algorithm = signature_algorithm(alg)
        _check_jwk(jwk, algorithm, "sign")
        return cls(algorithm, algorithm.key_type.load_private(jwk), kid=jwk.get("kid"))

    @classmethod
    def from_pem(cls, pem: bytes, *, alg: str, kid: str | None = None, password: bytes | None = None) -> "SigningKey":
        """Take a PEM-encoded private key (PKCS #8, or the traditional forms), with its password if it has one."""
        return cls(signature_algorithm(alg), encodings.private_from_pem(pem, password), kid=kid)

    @classmethod
    def from_der(cls, der: bytes, *, alg: str, kid: str | None = None, password: bytes | None = None) -> "SigningKey":
        """Take a DER-encoded private key (PKCS #8, or the traditional forms), with its password if it has one."""
        return cls(signature_algorithm(alg), encodings.private_from_der(der, password), kid=kid)

    @classmethod
    def from_secret(cls, secret: bytes, *, alg: str, kid: str | None = None) -> "SigningKey":
        """Take the octets of a shared secret, at least as many as the hash has; raises as `from_jwk`."""
        return cls(signature_algorithm(alg), _secret(secret), kid=kid)

    @property
    def alg(self) -> str:
        """The header's `alg` of the tokens that it signs."""
        return self._algorithm.name

    @property
    def kid(self) -> str | None:
        """Its name in a key set."""
        return self._public.kid

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, in JOSE's form."""
        return self._sign(data)

    def public(self) -> VerifyingKey:
        """The key that verifies what this one signs; for a secret, the same secret."""
        return self._public

    def to_jwk(self) -> dict[str, Any]:
        """The private JWK. Whoever has it can sign."""
        return _named(self._algorithm.key_type.dump_private(self._material), self)

    def to_pem(self, *, password: bytes | None = None) -> bytes:
        """RFC 5958 in PEM, encrypted if a password is given; raises InvalidKeyError for a secret."""
        return encodings.private_to_pem(self._asymmetric(), password)

    def to_der(self, *, password: bytes | None = None) -> bytes:
        """RFC 5958 in DER, encrypted if a password is given; raises InvalidKeyError for a secret."""
        return encodings.private_to_der(self._asymmetric(), password)

    def _asymmetric(self) -> Any:
        if self._algorithm.key_type is OCT:
            raise InvalidKeyError("A secret has no such form: write its JWK.")
        return self._material

    def thumbprint(self) -> str:
        """RFC 7638, of the public key."""
        return self._public.thumbprint()

    def thumbprint_uri(self) -> str:
        """RFC 9278."""
        return self._public.thumbprint_uri()

    def __repr__(self) -> str:
        return f"SigningKey(alg={self.alg!r}, kid={self.kid!r})"


def _check_jwk(jwk: Mapping[str, Any], algorithm: SignatureAlgorithm, operation: str) -> None:
    if jwk.get("kty") != algorithm.key_type.kty:
        raise InvalidKeyError(
            f"{algorithm.name} needs a key of type {algorithm.key_type.kty}; this one is {shown(jwk.get('kty'))}."
        )
    check_use(jwk, alg=algorithm.name, use="sig", operations=(operation,))


def _named(members: dict[str, Any], key: SigningKey | VerifyingKey) -> dict[str, Any]:
    return members | {"alg": key.alg, "use": "sig"} | ({"kid": key.kid} if key.kid is not None else {})


def _secret(secret: bytes) -> Secret:
    if not isinstance(secret, bytes):
        raise InvalidKeyError("A secret is given as bytes; a password or a text is not a key (RFC 8725 section 3.5).")
    return Secret(secret)
