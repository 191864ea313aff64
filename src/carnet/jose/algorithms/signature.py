"""RFC 7515 section 4.1.1, RFC 7518 section 3: what each algorithm of a signature has to offer."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types import KeyType

Sign: TypeAlias = Callable[[bytes], bytes]
Verify: TypeAlias = Callable[[bytes, bytes], bool]
"""Takes the data and the signature. It answers False for whatever is wrong with a signature and never raises for it."""


class SignatureAlgorithm(ABC):
    """One name of the registry. `material` is the key as the cryptographic library has it.

    Programs make these classes whenever they start; a dataclass takes fifty times as long to make.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: Final = name
        """The header's `alg`, compared exactly (RFC 7515 section 5.3)."""

    @property
    @abstractmethod
    def key_type(self) -> KeyType:
        """The only kind of keys that it works with."""

    @abstractmethod
    def generate(self) -> Any:
        """Fresh private material."""

    @abstractmethod
    def check_private(self, material: Any) -> None:
        """Raises InvalidKeyError unless the private key is of this algorithm's kind, curve and strength."""

    @abstractmethod
    def check_public(self, material: Any) -> None:
        """Raises InvalidKeyError unless the public key is of this algorithm's kind, curve and strength."""

    @abstractmethod
    def signer(self, material: Any) -> Sign:
        """What signs with a private key; all that depends on the key alone is computed here."""

    @abstractmethod
    def verifier(self, material: Any) -> Verify:
        """What verifies with a public key; all that depends on the key alone is computed here."""


def expect(material: object, kind: type, name: str, what: str) -> Any:
    """The key itself; raises InvalidKeyError unless it is of the kind that the algorithm `name` works with."""
    if not isinstance(material, kind):
        raise InvalidKeyError(f"{name} needs {what}; this is a {type(material).__name__}.")
    return material
