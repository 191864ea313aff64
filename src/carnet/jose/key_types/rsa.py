"""RFC 7518 section 6.3: RSA keys."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
    rsa_recover_prime_factors,
)

from carnet.jose.base64url import text
from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types.key_type import KeyType, unsigned

_ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_CRT = ("p", "q", "dp", "dq", "qi")


def check(key: RSAPublicKey) -> RSAPublicKey:
    """RFC 7518 section 3.3: at least 2048 bits; at most 8192, and an exponent of at most 32 bits, so that none is slow.

    CVE-2017-15361 (ROCA): moduli that a certain library made are powers of 65537 modulo each small prime, and can be factored.

    Raises:
        InvalidKeyError: it is outside of that.
    """
    if not 2048 <= key.key_size <= 8192:
        raise InvalidKeyError(f"The RSA key has {key.key_size} bits: 2048 to 8192 are accepted (RFC 7518 section 3.3).")
    numbers = key.public_numbers()
    exponent = numbers.e
    if not 2**16 < exponent < 2**32 or exponent % 2 == 0:
        raise InvalidKeyError("The RSA key's public exponent is not an odd number between 2^16 and 2^32; use 65537.")
    if all(numbers.n % prime in powers for prime, powers in _roca_powers().items()):
        raise InvalidKeyError("The RSA key comes from a generator whose keys can be factored (CVE-2017-15361).")
    return key


@lru_cache(maxsize=1)
def _roca_powers() -> dict[int, set[int]]:
    """The powers of 65537 modulo each prime of the fingerprint: of those alone where they are few."""
    return {prime: {pow(65537, exponent, prime) for exponent in range(prime)} for prime in _ROCA_PRIMES}


def _public_numbers(jwk: Mapping[str, Any]) -> RSAPublicNumbers:
    return RSAPublicNumbers(e=unsigned(jwk, "e"), n=unsigned(jwk, "n"))


def _load_public(jwk: Mapping[str, Any]) -> RSAPublicKey:
    try:
        return check(_public_numbers(jwk).public_key())
    except ValueError:
        raise InvalidKeyError("The RSA key's n and e do not make a public key.") from None


def _load_private(jwk: Mapping[str, Any]) -> RSAPrivateKey:
    _load_public(jwk)  # before anything is computed with a number of any size
    if "oth" in jwk:
        raise InvalidKeyError("RSA keys of more than two primes are not supported.")
    public, d = _public_numbers(jwk), unsigned(jwk, "d")
    given = [name for name in _CRT if name in jwk]
    try:
        if not given:
            p, q = rsa_recover_prime_factors(public.n, public.e, d)
            dp, dq, qi = rsa_crt_dmp1(d, p), rsa_crt_dmq1(d, q), rsa_crt_iqmp(p, q)
        else:
            p, q, dp, dq, qi = (unsigned(jwk, name) for name in _CRT)
        return RSAPrivateNumbers(p=p, q=q, d=d, dmp1=dp, dmq1=dq, iqmp=qi, public_numbers=public).private_key()
    except ValueError:
        raise InvalidKeyError("The RSA key's private members contradict its public ones or each other.") from None


def _integer(value: int) -> str:
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _dump_public(key: RSAPublicKey) -> dict[str, Any]:
    numbers = key.public_numbers()
    return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e)}


def _dump_private(key: RSAPrivateKey) -> dict[str, Any]:
    numbers = key.private_numbers()
    return _dump_public(key.public_key()) | {
        "d": _integer(numbers.d),
        "p": _integer(numbers.p),
        "q": _integer(numbers.q),
        "dp": _integer(numbers.dmp1),
        "dq": _integer(numbers.dmq1),
        "qi": _integer(numbers.iqmp),
    }


def _public_of(key: RSAPrivateKey) -> RSAPublicKey:
    return key.public_key()


RSA = KeyType(
    kty="RSA",
    secret=("d", *_CRT, "oth"),
    load_public=_load_public,
    load_private=_load_private,
    dump_public=_dump_public,
    dump_private=_dump_private,
    public_of=_public_of,
)
