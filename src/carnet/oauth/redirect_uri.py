"""RFC 6749 section 3.1.2, RFC 8252 sections 7 and 8, RFC 9700 section 2.1: where an authorization response may go."""

import re
from urllib.parse import urlsplit

LONGEST = 2_000

_ALLOWED = re.compile(
    r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+"
)  # RFC 3986 section 2: no space, no backslash, no control
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?((?:[/?].*)?)")
_NAMED_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::([0-9]{1,5}))?((?:[/?].*)?)")


class RedirectUriError(ValueError):
    """A URI that must not be registered; the message is a sentence that says why."""


def check(uri: str, *, native: bool) -> str:
    """Refuse what must not be registered (rule O5); `native` allows private-use schemes (RFC 8252 section 7.1).

    Raises:
        RedirectUriError: says why.
    """
    if len(uri) > LONGEST or not _ALLOWED.fullmatch(uri):
        raise RedirectUriError(f"{uri[:100]!r} is not a URI: it is too long or has characters that must be encoded.")
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise RedirectUriError(f"{uri!r} is not a URI.") from None
    if "#" in uri:
        raise RedirectUriError(f"{uri!r} has a fragment, which RFC 6749 section 3.1.2 forbids.")
    if parts.scheme in {"http", "https"}:
        if not parts.hostname or "*" in parts.netloc:
            raise RedirectUriError(f"{uri!r} names no single host.")
        if parts.username is not None or parts.password is not None:
            raise RedirectUriError(f"{uri!r} holds a user name, which must not be in a redirect URI.")
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise RedirectUriError(f"{uri!r} is plain http; only this machine (127.0.0.1, [::1], localhost) may be.")
        return uri
    if native and _PRIVATE_USE.fullmatch(parts.scheme) and not parts.netloc:
        return uri
    if native:
        raise RedirectUriError(
            f"{uri!r} is neither https, nor http to this machine, nor of a private-use scheme with a dot in its name "
            "such as com.example.app:/callback (RFC 8252 section 7.1)."
        )
    raise RedirectUriError(f"{uri!r} is neither https nor http to this machine.")


def matches(asked: str, registered: str, *, named: bool = False) -> bool:
    """Rule O1: equal as strings; only the port of a loopback address may differ (RFC 8252 section 7.3).

    `named`: of `localhost` as well, which RFC 8252 section 8.3 calls second best, and RFC 9700 section 2.1 allows.
    """
    if asked == registered:
        return True
    loopback = _NAMED_LOOPBACK if named else _LOOPBACK
    here, there = loopback.fullmatch(asked), loopback.fullmatch(registered)
    if here is None or there is None or int(here[2] or 80) > 65_535:
        return False
    return (here[1], here[3]) == (there[1], there[3])


def origin(uri: str) -> str | None:
    """RFC 6454 section 6.2: the origin of an http(s) URI, as a browser's Origin header writes it."""
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if parts.port in {None, default} else f":{parts.port}")
