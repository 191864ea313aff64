"""RFC 9449: a client's side: proofs of the key that its access tokens are bound to, and the nonces that servers give it."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from carnet.ambient import Ambient
from carnet.jose import SigningKey, base64url
from carnet.oauth.dpop import ALGORITHMS, NONCE_HEADER, SCHEME, make_proof

MOST_NONCES = 1_000
"""Servers whose nonces are remembered."""


class Prover:
    """Makes proofs with one key."""

    def __init__(self, key: SigningKey, *, ambient: Ambient) -> None:
        """Raises ValueError for a key whose algorithm is none for proofs."""
        if key.alg not in ALGORITHMS:
            raise ValueError(f"A key for {key.alg} makes no proofs: one for {', '.join(ALGORITHMS)} does.")
        self._key = key
        self._ambient = ambient
        self._nonces: dict[str, str] = {}

    def proof(self, method: str, url: str, *, access_token: str | None = None) -> str:
        """A proof for one request, with the newest nonce of the server that it goes to."""
        return make_proof(
            self._key,
            method=method,
            url=url,
            at=self._ambient.now(),
            identifier=base64url.text(self._ambient.entropy(16)),
            access_token=access_token,
            nonce=self._nonces.get(_origin(url)),
        )

    def headers(self, method: str, url: str, access_token: str) -> dict[str, str]:
        """Section 7.1: those of a request with a token that is bound to the key."""
        proof = self.proof(method, url, access_token=access_token)
        return {"authorization": f"{SCHEME} {access_token}", "dpop": proof}

    def learns(self, url: str, headers: Mapping[str, str]) -> bool:
        """Section 8.2: take in the nonce of an answer; whether it is another one than was known.

        Header names are looked up in small letters.
        """
        given, origin = headers.get(NONCE_HEADER.lower()), _origin(url)
        if given is None or self._nonces.get(origin) == given:
            return False
        while len(self._nonces) >= MOST_NONCES:
            del self._nonces[next(iter(self._nonces))]
        self._nonces[origin] = given
        return True


def wants_nonce(headers: Mapping[str, str]) -> bool:
    """Section 9: whether a service refuses a proof for want of a nonce, and nothing else."""
    return 'error="use_dpop_nonce"' in headers.get("www-authenticate", "")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
