"""RFC 7519, RFC 8725: signed JSON Web Tokens, made and verified. Compact serialization only (rule J12)."""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from carnet.ambient import Instant
from carnet.jose import base64url
from carnet.jose.claims import (
    check_audience,
    check_issuer,
    check_presence,
    check_strings,
    check_times,
    check_type,
    media_type,
)
from carnet.jose.errors import MalformedError
from carnet.jose.header import parse_header
from carnet.jose.jws import allowed, check_signature, encode_header, split_compact
from carnet.jose.key_set import KeySet
from carnet.jose.keys import SigningKey
from carnet.jose.recent_tokens import Entry, RecentTokens
from carnet.jose.strict_json import JsonObject, encode_object, parse_object, prepare
from carnet.jose.verified import Verified, verified

MAX_TOKEN_LENGTH = 8 * 1024
"""Characters, unless a verifier is told otherwise."""
ABSOLUTE_MAX_TOKEN_LENGTH = 64 * 1024

_MAX_KNOWN_HEADERS = 64


def sign_jwt(claims: Mapping[str, Any], key: SigningKey, *, typ: str, headers: Mapping[str, Any] | None = None) -> str:
    """Sign claims as they are; nothing is added to them.

    `typ` says what kind of token it is (RFC 8725 section 3.11). The header has `alg`, `kid` and `typ`, and `headers` besides.

    Raises:
        MalformedError: a claim that JSON does not have, or a header that is not the caller's to set.
    """
    if headers and "typ" in headers:
        raise MalformedError("The header's 'typ' is an argument of its own.")
    segment = encode_header(key.alg, key.kid, {"typ": typ, **headers}) if headers else _header(key.alg, key.kid, typ)
    signed = segment + b"." + base64url.encode(encode_object(claims))
    return (signed + b"." + base64url.encode(key.sign(signed))).decode("ascii")


@lru_cache(maxsize=256)
def _header(alg: str, kid: str | None, typ: str) -> bytes:
    """The headers of an issuer's tokens are few; each is encoded once."""
    return encode_header(alg, kid, {"typ": typ})


class JwtVerifier:
    """Verifies one kind of JWT from one issuer for one audience.

    Whatever is wrong with a token is a `JoseError`. The order of the checks: length, form, `typ`, `alg`, key, signature, claims.
    """

    __slots__ = (
        "_admit", "_algorithms", "_audience", "_forbidden", "_headers", "_issuer", "_keys", "_leeway", "_max_length", "_recent",
        "_required", "_rule", "_types",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - a verifier is its policy: each rule is named where it is made
        self,
        *,
        keys: KeySet,
        algorithms: Collection[str],
        issuer: str,
        audience: str | Collection[str],
        typ: str | Collection[str | None],
        leeway: int = 0,
        required: Collection[str] = ("exp", "iat", "sub"),
        forbidden: Collection[str] = (),
        rule: Callable[[JsonObject], None] | None = None,
        admit: Callable[[Verified], None] | None = None,
        max_length: int = MAX_TOKEN_LENGTH,
        cache_size: int = 1024,
    ) -> None:
        """State the whole policy; `iss` and `aud` are always required.

        Args:
            keys: who may have signed.
            algorithms: the allow-list, exact names.
            issuer: the one `iss`.
            audience: the one `aud`, or several names of the one who verifies; a token must have one of them.
            typ: the kind of token. None among several stands for a token without `typ`.
            leeway: seconds by which clocks may differ.
            required: claims that must be there besides `iss` and `aud`.
            forbidden: claims that must not be there.
            rule: a further rule of this kind of token; it raises a JoseError.
            admit: is asked last about every token, remembered ones included, so that what was taken back is refused; it raises a
                JoseError.
            max_length: characters; longer tokens are refused unread. At most 65536.
            cache_size: how many verified tokens are remembered; 0 for none.

        Raises:
            ValueError: a part of the policy is empty or out of its range.
            UnsupportedError: there is no such algorithm.
        """
        self._audience = frozenset({audience} if isinstance(audience, str) else audience)
        types = (typ,) if isinstance(typ, str) else tuple(typ)
        if not issuer or not self._audience or "" in self._audience or not types or "" in types:
            raise ValueError("A verifier needs an issuer, an audience and a type; there is no default.")
        if leeway < 0 or cache_size < 0 or not 0 < max_length <= ABSOLUTE_MAX_TOKEN_LENGTH:
            raise ValueError(f"leeway and cache_size are at least 0, max_length is 1 to {ABSOLUTE_MAX_TOKEN_LENGTH}.")
        prepare()
        self._keys = keys
        self._algorithms = allowed(algorithms)
        self._issuer = issuer
        self._types = frozenset(None if name is None else media_type(name) for name in types)
        self._leeway = leeway
        self._required = tuple(required)
        self._forbidden = tuple(forbidden)
        self._rule = rule
        self._admit = admit
        self._max_length = max_length
        self._recent = RecentTokens(cache_size)
        # The headers of one issuer's tokens are a few strings that come again and again. Only those of verified tokens are
        # kept, so that nobody else can fill the map.
        self._headers: dict[bytes, JsonObject] = {}

    def verify(self, token: str, *, at: Instant, keys: KeySet | None = None) -> Verified:
        """Verify a token as of the instant `at`, with another key set than the verifier's own if one is given.

        Raises:
            JoseError: it is refused; `code` says why.
        """
        if keys is None:
            keys = self._keys
        entry = self._recent.get(token) if token.__class__ is str and len(token) <= self._max_length else None
        if entry is not None:
            if entry.begin <= at < entry.end and keys.get(entry.kid) is entry.key:
                if self._admit is not None:
                    self._admit(entry.verified)
                return entry.verified
            self._recent.discard(token)
        return self._verify(token, at, keys)

    def _verify(self, token: str, at: Instant, keys: KeySet) -> Verified:
        signed, signature, header_segment, payload = split_compact(token, self._max_length)
        header = self._headers.get(header_segment)
        known = header is not None
        if header is None:
            header = parse_header(header_segment)
            check_type(header.get("typ"), self._types)
        key = check_signature(header, signed, signature, keys, self._algorithms)
        if not known:
            if len(self._headers) >= _MAX_KNOWN_HEADERS:
                self._headers.clear()
            self._headers[header_segment] = header
        claims = parse_object(base64url.decode(payload))
        check_issuer(claims, self._issuer)
        check_audience(claims, self._audience)
        begin, end = check_times(claims, at=at, leeway=self._leeway)
        check_presence(claims, self._required, self._forbidden)
        check_strings(claims)
        if self._rule is not None:
            self._rule(claims)
        accepted = verified(header, claims, token)
        if self._admit is not None:
            self._admit(accepted)
        self._recent.put(token, Entry(accepted, header.get("kid"), key, begin, end))
        return accepted

    def forget(self) -> None:
        """Empty the memory of verified tokens. The tokens of a key that leaves the set are refused without it."""
        self._recent.clear()
