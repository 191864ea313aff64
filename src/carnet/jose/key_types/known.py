"""RFC 7518 section 6: all key types in a visible tuple; a new one is one file and one line here."""

from carnet.jose.key_types.algorithm_pair import AKP
from carnet.jose.key_types.elliptic_curve import EC
from carnet.jose.key_types.key_type import KeyType
from carnet.jose.key_types.octet_pair import OKP
from carnet.jose.key_types.octets import OCT
from carnet.jose.key_types.rsa import RSA

KEY_TYPES: tuple[KeyType, ...] = (OCT, RSA, EC, OKP, AKP)
