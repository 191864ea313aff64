"""RFC 7516 section 2, RFC 7518 section 4: how the sender and the recipient of a JWE come to the same content key."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from carnet.jose.algorithms.content_encryption import ContentEncryption
from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types import OCT, KeyType, Secret

Entropy: TypeAlias = Callable[[int], bytes]
"""That many unguessable bytes."""


class Wrapped(NamedTuple):
    """A content key for one recipient, and the header parameters that go with it."""

    encrypted_key: bytes
    parameters: dict[str, Any]


class Agreed(NamedTuple):
    """A content key that the recipient finds out alone, and the header parameters that it needs for that."""

    cek: bytes
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KeyManagement(ABC):
    """One name of the registry. `material` is the key as the cryptographic library has it, or a `Secret`."""

    name: str
    """The header's `alg`, compared exactly."""

    @property
    @abstractmethod
    def key_types(self) -> tuple[KeyType, ...]:
        """The kinds of keys that it works with."""

    def key_type_of(self, material: Any) -> KeyType:
        """The kind of a key that passed one of the checks."""
        return self.key_types[0]

    @property
    def sends_with(self) -> tuple[str, ...]:
        """RFC 7517 section 4.3: the `key_ops` of a key that can encrypt."""
        return ("wrapKey", "encrypt")

    @property
    def receives_with(self) -> tuple[str, ...]:
        """RFC 7517 section 4.3: the `key_ops` of a key that can decrypt."""
        return ("unwrapKey", "decrypt")

    @abstractmethod
    def generate(self, choice: str | None, entropy: Entropy) -> Any:
        """Fresh private material; `choice` is the curve, or the `enc` of a key for `dir`.

        Raises:
            InvalidKeyError: there is nothing to choose, or not this.
        """

    @abstractmethod
    def check_private(self, material: Any) -> None:
        """Raises InvalidKeyError unless the private key is of this algorithm's kind, curve and strength."""

    @abstractmethod
    def check_public(self, material: Any) -> None:
        """Raises InvalidKeyError unless the public key is of this algorithm's kind, curve and strength."""

    @abstractmethod
    def content_key(
        self, material: Any, encrypted_key: bytes, header: Mapping[str, Any], content: ContentEncryption
    ) -> bytes | None:
        """The content key for the recipient who has `material`; None for whatever is wrong. It raises nothing."""


class KeyWrapping(KeyManagement):
    """Key encryption, key wrapping, key agreement with key wrapping: a fresh content key is sent to each recipient."""

    __slots__ = ()

    @abstractmethod
    def wrap(self, material: Any, cek: bytes, header: Mapping[str, Any], entropy: Entropy) -> Wrapped:
        """Encrypt the content key for the recipient.

        Raises:
            MalformedError: a header parameter that the algorithm takes is not of its form.
        """


class KeyAgreement(KeyManagement):
    """Direct encryption and direct key agreement: the content key is not sent, so there is one recipient."""

    __slots__ = ()

    @abstractmethod
    def agree(self, material: Any, header: Mapping[str, Any], content: ContentEncryption) -> Agreed:
        """Find out the content key.

        Raises:
            InvalidKeyError: the key is not of the content encryption's length.
            MalformedError: a header parameter that the algorithm takes is not of its form.
        """


KeyManagementAlgorithm: TypeAlias = KeyWrapping | KeyAgreement


def no_choice(choice: str | None, name: str) -> None:
    """Raises InvalidKeyError if something was chosen for an algorithm that has nothing to choose."""
    if choice is not None:
        raise InvalidKeyError(f"A key for {name} has neither a curve nor an enc to choose.")


@dataclass(frozen=True, slots=True)
class SecretKeyWrapping(KeyWrapping):
    """What wraps with a shared secret of exactly `key_length` octets."""

    key_length: int

    @property
    def key_types(self) -> tuple[KeyType, ...]:
        return (OCT,)

    def generate(self, choice: str | None, entropy: Entropy) -> Secret:
        no_choice(choice, self.name)
        return Secret(entropy(self.key_length))

    def check_private(self, material: object) -> None:
        if not isinstance(material, Secret):
            raise InvalidKeyError(f"{self.name} needs a secret; this is a {type(material).__name__}.")
        if len(material.value) != self.key_length:
            raise InvalidKeyError(
                f"A secret for {self.name} has {self.key_length} octets; this one has {len(material.value)}."
            )

    def check_public(self, material: object) -> None:
        self.check_private(material)
