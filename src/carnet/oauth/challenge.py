"""RFC 9110 section 11.6.1, RFC 6750 sections 2.1 and 3: the WWW-Authenticate header, and the access token in a request."""

import re

_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


def challenge(scheme: str, /, **parameters: str | None) -> str:
    """A challenge such as `Bearer realm="orders", error="invalid_token"`; parameters that are None are left out."""
    written = ", ".join(f'{name}="{_quotable(value)}"' for name, value in parameters.items() if value is not None)
    return f"{scheme} {written}".rstrip()


def _quotable(text: str) -> str:
    """RFC 9110 section 5.6.4: what stands in a quoted string, with nothing in it that needs an escape."""
    return "".join(character if " " <= character <= "~" and character not in '"\\' else "'" for character in text)


def bearer_token(authorization: str | None) -> str | None:
    """RFC 6750 section 2.1: the token of an Authorization header; None if there is none or it is of another scheme.

    Other places (the query, the form body) are not looked at: RFC 9700 section 4.3.2.
    """
    return _token(authorization, "bearer")


def dpop_token(authorization: str | None) -> str | None:
    """RFC 9449 section 7.1: the same for a token that is bound to a key."""
    return _token(authorization, "dpop")


def _token(authorization: str | None, wanted: str) -> str | None:
    scheme, _, rest = (authorization or "").partition(" ")
    token = rest.strip(" ")
    if scheme.lower() != wanted or not _B64TOKEN.fullmatch(token):
        return None
    return token
