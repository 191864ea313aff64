"""RFC 6265bis sections 4.2 and 5.8.3: the cookies of a request, each under exactly the name that the browser gave it.

The usual parsers trim names as Unicode does and let the last of two win. A neighbouring host can set a cookie whose name is
`__Host-session` after a no-break space, for which no browser keeps to the prefix: such a name must not become ours.
"""

from collections.abc import Iterable


def cookies(headers: Iterable[str]) -> dict[str, str]:
    """Read the values of all Cookie headers. A name that comes more than once is left out: whose it is cannot be told."""
    found: dict[str, str] = {}
    repeated: set[str] = set()
    for header in headers:
        for pair in header.split(";"):
            name, equals, value = pair.removeprefix(" ").partition("=")
            if name in found:
                repeated.add(name)
            if equals:
                found[name] = value
    return {name: value for name, value in found.items() if name not in repeated}
