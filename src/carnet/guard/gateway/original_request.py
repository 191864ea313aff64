"""Rule A3, RFC 3986 section 6.2.2: the request that a proxy asks about, in the one spelling that rules are looked up by."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias
from urllib.parse import unquote

import idna

from carnet.guard.canonical_path import NotCanonicalError, canonical_path
from carnet.guard.gateway.identity import IDENTITY_HEADERS
from carnet.guard.gateway.proxies import CHECK, Proxy
from carnet.guard.possession import Possession
from carnet.guard.refusal import Refused, RefusedRequestError

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""

OVERRIDES = frozenset(
    {"x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"}
)
"""Headers by which some frameworks take another method or path than the request has: a rule would be found for the wrong one."""

_METHOD = re.compile(r"[A-Z]+(?:-[A-Z]+)*")
_TUNNELS = frozenset({"CONNECT", "TRACE"})
_PORT = re.compile(r":[0-9]*\Z")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*|\[[0-9a-f:.]+\]")


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """What a client asked for."""

    method: str
    host: str
    """In lower case and ASCII (A-labels), without a port."""
    path: str
    """Decoded: no two spellings of a path are told apart."""
    sent_path: str
    """As the client spelled it, which its DPoP proof names."""
    query: bytes = field(repr=False)
    authorizations: Sequence[bytes] = field(repr=False)
    """The values of all Authorization headers."""
    proofs: Sequence[bytes] = field(default=(), repr=False)
    """The values of all DPoP headers."""

    def possession(self, origin: str | None, certificate: Callable[[], bytes | None]) -> Possession:
        """RFC 9449 section 4.3, RFC 8705 section 3: what the request proves.

        `origin` is where clients reach the proxy, if not by https; `certificate` what the proxy passes of theirs.
        """
        return Possession(self.method, f"{origin or f'https://{self.host}'}{self.sent_path}", self.proofs, certificate)


def told_by(
    proxy: Proxy, *, method: str, target: bytes, headers: Headers, claims: frozenset[str] = IDENTITY_HEADERS
) -> OriginalRequest:
    """Read what a proxy says of the original request; `method` and `target` are those of its question.

    `claims` are headers, in their normal form, that no client may send.

    Raises:
        RefusedRequestError: 400 for a request that can be read in two ways or claims an identity, 403 for a question that does
            not say what is asked for.
    """
    known: dict[str, list[bytes]] = {}
    for raw, value in headers:
        name = raw.decode("latin-1")
        _refuse_claim(name, claims)
        known.setdefault(name, []).append(value)
    if proxy.method is not None:
        method = _only(known, proxy.method).decode("latin-1")
    target = target.removeprefix(CHECK.encode()) if proxy.target is None else _only(known, proxy.target)
    host = _only(known, proxy.host).decode("utf-8", "replace")
    return original_request(method, host, target, known.get("authorization", ()), proofs=known.get("dpop", ()))


def original_request(
    method: str, host: str, target: bytes, authorizations: Sequence[bytes], *, proofs: Sequence[bytes] = ()
) -> OriginalRequest:
    """Bring a request into the one spelling; `target` is its path with its query.

    Raises:
        RefusedRequestError: 400: it can be read in two ways.
    """
    if _METHOD.fullmatch(method) is None or method in _TUNNELS:
        _refuse("method_refused", f"The method {method[:40]!r} is not let through.")
    path, _, query = target.partition(b"?")
    try:
        decoded = decoded_path(path)
    except NotCanonicalError as error:
        _refuse("path_not_canonical", str(error))
    try:
        name = host_name(host)
    except ValueError as error:
        _refuse("host_malformed", str(error))
    return OriginalRequest(method, name, decoded, path.decode("ascii"), query, authorizations, proofs)


def decoded_path(raw: bytes) -> str:
    """A path as its reader has it after decoding: `/%61` is `/a`.

    Raises:
        NotCanonicalError: it could be read in two ways.
    """
    return unquote(canonical_path(raw), errors="strict")


def host_name(text: str) -> str:
    """RFC 5890: a host in lower case and A-labels, without its port and the dot of the root.

    Raises:
        ValueError: it is none.
    """
    name = _PORT.sub("", text).lower().removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError:
            name = ""
    if _NAME.fullmatch(name) is None or len(name) > 253:
        raise ValueError(f"{text[:80]!r} is not a host.")
    return name


def normal_form(name: str) -> str:
    """A header's name as a gateway to WSGI or CGI makes one of its spellings."""
    return name.lower().replace("_", "-")


def _refuse_claim(name: str, claims: frozenset[str]) -> None:
    """CVE-2025-64484: proxies take identity headers out under the name that they know, services read them under all of these."""
    normal = normal_form(name)
    if normal in claims:
        _refuse("identity_claimed", f"The client sent the header {name!r}, by which services are told who asks.")
    if normal in OVERRIDES:
        _refuse("request_overridden", f"The header {name!r} asks for another method or path than the request has.")


def _only(headers: dict[str, list[bytes]], name: str) -> bytes:
    values = headers.get(name, [])
    if len(values) != 1:
        raise RefusedRequestError(
            Refused(
                403,
                "original_request_unknown",
                "insufficient_scope",
                "The access token does not allow this.",
                why=f"The proxy sent {len(values)} headers {name}, wanted one: look at its configuration.",
            )
        )
    return values[0]


def _refuse(code: str, why: str) -> NoReturn:
    raise RefusedRequestError(Refused(400, code, "invalid_request", "The request cannot be let through as it is.", why))
