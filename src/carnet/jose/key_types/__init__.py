"""RFC 7518 section 6: the key types, one file each. An algorithm loads those that it works with; `known` lists them all."""

from carnet.jose.key_types.key_type import KeyType
from carnet.jose.key_types.octets import OCT, Secret

__all__ = ["OCT", "KeyType", "Secret"]
