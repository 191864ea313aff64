"""RFC 7517, RFC 7518 section 4: keys that encrypt and keys that decrypt, each bound to one `alg` when it is made (rule J2)."""

from collections.abc import Mapping
from typing import Any

from carnet.ambient import SYSTEM
from carnet.jose import pem as encodings
from carnet.jose.algorithms.encryption import (
    CONTENT_ENCRYPTIONS,
    content_encryption_algorithm,
    key_management_algorithm,
    password_based_algorithm,
)
from carnet.jose.algorithms.key_management import Entropy, KeyManagementAlgorithm
from carnet.jose.errors import InvalidKeyError, KeyUseError, shown
from carnet.jose.key_rules import check_kid, check_use
from carnet.jose.key_types import OCT, KeyType, Secret
from carnet.jose.thumbprint import jwk_thumbprint

_DIRECT = "dir"
_ENCS = frozenset(content.name for content in CONTENT_ENCRYPTIONS)


class _BoundKey:
    """What the keys of both sides have in common. Nothing of the key itself prints."""

    __slots__ = ("_algorithm", "_enc", "_kid", "_material")

    def __init__(self, algorithm: KeyManagementAlgorithm, material: Any, *, kid: str | None, enc: str | None) -> None:
        self._algorithm = algorithm
        self._material = material
        self._kid = check_kid(kid)
        self._enc = enc

    @property
    def alg(self) -> str:
        """The header's `alg` of what is encrypted with it."""
        return self._algorithm.name

    @property
    def kid(self) -> str | None:
        """Its name."""
        return self._kid

    @property
    def enc(self) -> str | None:
        """The one `enc` that it is for, or None for any."""
        return self._enc

    @property
    def algorithm(self) -> KeyManagementAlgorithm:
        """What its `alg` does; for the JWE code."""
        return self._algorithm

    @property
    def material(self) -> Any:
        """The cryptographic library's key, or a `Secret`; for the JWE code."""
        return self._material

    @property
    def _type(self) -> KeyType:
        return self._algorithm.key_type_of(self._material)

    def _named(self, members: dict[str, Any]) -> dict[str, Any]:
        named = members | {"alg": self._enc or self.alg, "use": "enc"}
        return named if self._kid is None else named | {"kid": self._kid}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alg={self.alg!r}, kid={self.kid!r})"


class EncryptionKey(_BoundKey):
    """A recipient's public key, or a shared secret; `alg` is the one algorithm that it is for."""

    __slots__ = ()

    def __init__(
        self, algorithm: KeyManagementAlgorithm, material: Any, *, kid: str | None, enc: str | None = None
    ) -> None:
        """`material` is the cryptographic library's public key or a `Secret`. Use one of the `from_…` methods instead."""
        algorithm.check_public(material)
        super().__init__(algorithm, material, kid=kid, enc=enc)
        if kid is None and self._type is not OCT:
            self._kid = self.thumbprint()

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str) -> "EncryptionKey":
        """Take a JWK as `alg`'s key. A kid that it lacks becomes its thumbprint, except for a secret.

        A secret for `dir` may name an `enc` as its `alg`, and is then for that one alone.

        Raises:
            UnsupportedError: there is no such algorithm.
            KeyUseError: its `alg`, `use` or `key_ops` is for something else.
            InvalidKeyError: it is malformed, weak, of another kind, or has private members.
        """
        algorithm = key_management_algorithm(alg)
        key_type, enc = _check_jwk(jwk, algorithm, algorithm.sends_with)
        if key_type is not OCT and any(name in jwk for name in key_type.secret):
            raise InvalidKeyError("A private key was given where a public one belongs: take its public members alone.")
        return cls(algorithm, key_type.load_public(jwk), kid=jwk.get("kid"), enc=enc)

    @classmethod
    def from_pem(cls, pem: bytes, *, alg: str, kid: str | None = None) -> "EncryptionKey":
        """Take a PEM-encoded SubjectPublicKeyInfo (RFC 7468 section 13); raises as `from_jwk`."""
        return cls(key_management_algorithm(alg), encodings.public_from_pem(pem), kid=kid)

    @classmethod
    def from_der(cls, der: bytes, *, alg: str, kid: str | None = None) -> "EncryptionKey":
        """Take a DER-encoded SubjectPublicKeyInfo (RFC 5280 section 4.1); raises as `from_jwk`."""
        return cls(key_management_algorithm(alg), encodings.public_from_der(der), kid=kid)

    @classmethod
    def from_secret(cls, secret: bytes, *, alg: str, kid: str | None = None, enc: str | None = None) -> "EncryptionKey":
        """Take the octets of a shared secret, exactly as many as the algorithm wants; `enc` binds one for `dir`."""
        return cls(key_management_algorithm(alg), Secret(_octets(secret)), kid=kid, enc=_bound(enc, alg))

    @classmethod
    def from_password(cls, password: bytes, *, alg: str, kid: str | None = None) -> "EncryptionKey":
        """Take a password for a PBES2 algorithm: whoever sees what it encrypts can try passwords at leisure."""
        return cls(password_based_algorithm(alg), Secret(_octets(password)), kid=kid)

    def to_jwk(self) -> dict[str, Any]:
        """The public JWK, with `alg`, `use` and `kid`; raises InvalidKeyError for a secret, which has no public form."""
        if self._type is OCT:
            raise InvalidKeyError("A secret has no public form; nothing of it is written.")
        return self._named(self._type.dump_public(self._material))

    def thumbprint(self) -> str:
        """RFC 7638: the base64url of the SHA-256 thumbprint. That of a secret is a secret's digest: keep it to yourself."""
        return jwk_thumbprint(self._type.dump_public(self._material))


class DecryptionKey(_BoundKey):
    """A recipient's private key, or a shared secret; `alg` is the one algorithm that it is for."""

    __slots__ = ("_public",)

    def __init__(
        self, algorithm: KeyManagementAlgorithm, material: Any, *, kid: str | None, enc: str | None = None
    ) -> None:
        """`material` is the cryptographic library's private key or a `Secret`. Use one of the `from_…` methods instead."""
        algorithm.check_private(material)
        public = algorithm.key_type_of(material).public_of(material)
        self._public = EncryptionKey(algorithm, public, kid=kid, enc=enc)
        super().__init__(algorithm, material, kid=self._public.kid, enc=enc)

    @classmethod
    def generate(
        cls,
        alg: str,
        *,
        kid: str | None = None,
        curve: str | None = None,
        enc: str | None = None,
        entropy: Entropy = SYSTEM.entropy,
    ) -> "DecryptionKey":
        """Make a fresh key. The kid defaults to the RFC 7638 thumbprint; a secret has none unless it is given.

        `curve` is that of an ECDH-ES key (P-256 unless it is given); `enc` is what a key for `dir` is for.

        Raises:
            UnsupportedError: there is no such algorithm.
            InvalidKeyError: a choice that the algorithm does not have, or none where it needs one.
        """
        algorithm = key_management_algorithm(alg)
        material = algorithm.generate(enc if curve is None else curve, entropy)
        return cls(algorithm, material, kid=kid, enc=_bound(enc, alg))

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: str) -> "DecryptionKey":
        """Take a private JWK as `alg`'s key, whose public members must belong to its private ones.

        A secret for `dir` may name an `enc` as its `alg`, and is then for that one alone.

        Raises:
            UnsupportedError: there is no such algorithm.
            KeyUseError: its `alg`, `use` or `key_ops` is for something else.
            InvalidKeyError: it is malformed, weak, of another kind, or contradicts itself.
        """
        algorithm = key_management_algorithm(alg)
        key_type, enc = _check_jwk(jwk, algorithm, algorithm.receives_with)
        return cls(algorithm, key_type.load_private(jwk), kid=jwk.get("kid"), enc=enc)

    @classmethod
    def from_pem(
        cls, pem: bytes, *, alg: str, kid: str | None = None, password: bytes | None = None
    ) -> "DecryptionKey":
        """Take a PEM-encoded private key (PKCS #8, or the traditional forms), with its password if it has one."""
        return cls(key_management_algorithm(alg), encodings.private_from_pem(pem, password), kid=kid)

    @classmethod
    def from_der(
        cls, der: bytes, *, alg: str, kid: str | None = None, password: bytes | None = None
    ) -> "DecryptionKey":
        """Take a DER-encoded private key (PKCS #8, or the traditional forms), with its password if it has one."""
        return cls(key_management_algorithm(alg), encodings.private_from_der(der, password), kid=kid)

    @classmethod
    def from_secret(cls, secret: bytes, *, alg: str, kid: str | None = None, enc: str | None = None) -> "DecryptionKey":
        """Take the octets of a shared secret, exactly as many as the algorithm wants; `enc` binds one for `dir`."""
        return cls(key_management_algorithm(alg), Secret(_octets(secret)), kid=kid, enc=_bound(enc, alg))

    @classmethod
    def from_password(cls, password: bytes, *, alg: str, kid: str | None = None) -> "DecryptionKey":
        """Take a password for a PBES2 algorithm; the sender may ask for 1,000 to 1,200,000 iterations (rule J9)."""
        return cls(password_based_algorithm(alg), Secret(_octets(password)), kid=kid)

    def public(self) -> EncryptionKey:
        """The key that encrypts to this one; for a secret, the same secret."""
        return self._public

    def to_jwk(self) -> dict[str, Any]:
        """The private JWK. Whoever has it can decrypt."""
        return self._named(self._type.dump_private(self._material))

    def thumbprint(self) -> str:
        """RFC 7638, of the public key."""
        return self._public.thumbprint()


def _check_jwk(
    jwk: Mapping[str, Any], algorithm: KeyManagementAlgorithm, operations: tuple[str, ...]
) -> tuple[KeyType, str | None]:
    """The key's kind, and the `enc` that a secret for `dir` names as its `alg`."""
    key_type = next((each for each in algorithm.key_types if each.kty == jwk.get("kty")), None)
    if key_type is None:
        wanted = " or ".join(each.kty for each in algorithm.key_types)
        raise InvalidKeyError(f"{algorithm.name} needs a key of type {wanted}; this one is {shown(jwk.get('kty'))}.")
    enc = None
    if algorithm.name == _DIRECT and jwk.get("alg", _DIRECT) != _DIRECT:
        # RFC 7520 section 5.6: "alg" is the algorithm that the key is used with, which for dir is the content's.
        enc = jwk["alg"]
        if not isinstance(enc, str) or enc not in _ENCS:
            raise KeyUseError(f"The key is for {shown(enc)} and was asked for as dir (RFC 7517 section 4.4).")
        jwk = {name: value for name, value in jwk.items() if name != "alg"}
    if jwk.get("key_ops") in ([], ()) and key_type.secret[0] not in jwk:
        # Web Cryptography API section 27.7: a public key of a key agreement has no operations of its own.
        jwk = {name: value for name, value in jwk.items() if name != "key_ops"}
    check_use(jwk, alg=algorithm.name, use="enc", operations=operations)
    return key_type, enc


def _bound(enc: str | None, alg: str) -> str | None:
    if enc is None:
        return None
    if alg != _DIRECT:
        raise InvalidKeyError(f"A key for {alg} wraps the keys of any enc.")
    return content_encryption_algorithm(enc).name


def _octets(secret: bytes) -> bytes:
    if not isinstance(secret, bytes):
        raise InvalidKeyError("A secret is given as bytes; a text is not a key (RFC 8725 section 3.5).")
    return secret
