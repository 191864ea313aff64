"""Writes docs/reference/specifications.md: specifications, their files (modules' first lines), their tests (`spec` marks).

`--check` writes nothing and exits 1 if the page is not up to date.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from generated import ROOT, publish

DOCUMENT = re.compile(
    r"RFC \d{4,5}(?:bis)?(?:-\d{4})?"
    r"|OpenID Connect (?:Core|Discovery|RP-Initiated Logout|Session Management|(?:Front|Back)-Channel Logout)"
    r"|OpenID CIBA Core"
    r"|FAPI 2\.0 (?:Security Profile|Message Signing)"
    r"|JWT Secured Authorization Response Mode"
    r"|OAuth 2\.\d(?: Multiple Response Type Encoding Practices| Form Post Response Mode)?"
    r"|NIST SP 800-\d+[A-Z]?(?:-\d)?"
    r"|FIPS \d+|CSP Level \d"
)

TITLES = {
    "RFC 4226": "HMAC-based one-time passwords",
    "RFC 6238": "Time-based one-time passwords",
    "RFC 6265bis": "Cookies",
    "RFC 6454": "The web origin concept",
    "RFC 6749": "The OAuth 2.0 authorization framework",
    "RFC 6750": "Bearer token usage",
    "RFC 6797": "HTTP strict transport security",
    "RFC 7009": "Token revocation",
    "RFC 7515": "JSON Web Signature",
    "RFC 7516": "JSON Web Encryption",
    "RFC 7517": "JSON Web Key",
    "RFC 7518": "JSON Web Algorithms",
    "RFC 7519": "JSON Web Token",
    "RFC 7521": "Assertion framework",
    "RFC 7523": "JWT assertions: client authentication and authorization grants",
    "RFC 7591": "Dynamic client registration: the metadata of clients",
    "RFC 7592": "Dynamic client registration: management",
    "RFC 7617": "Basic authentication",
    "RFC 7636": "Proof key for code exchange (PKCE)",
    "RFC 7638": "JWK thumbprint",
    "RFC 7662": "Token introspection",
    "RFC 8032": "Edwards-curve signatures",
    "RFC 8037": "Ed25519 in JOSE",
    "RFC 8176": "Authentication method references",
    "RFC 8252": "OAuth for native apps",
    "RFC 8259": "JSON",
    "RFC 8265": "Preparation of usernames and passwords",
    "RFC 8414": "Authorization server metadata",
    "RFC 8628": "Device authorization grant",
    "RFC 8693": "Token exchange",
    "RFC 8707": "Resource indicators",
    "RFC 8725": "JWT best current practices",
    "RFC 9068": "JWT profile for access tokens",
    "RFC 9101": "Signed authorization requests (JAR)",
    "RFC 9106": "Argon2",
    "RFC 9126": "Pushed authorization requests (PAR)",
    "RFC 9207": "Issuer identification in the authorization response",
    "RFC 9396": "Rich authorization requests",
    "RFC 9449": "Demonstrating proof of possession (DPoP)",
    "RFC 9470": "Step-up authentication challenge",
    "RFC 9700": "Best current practice for OAuth security",
    "RFC 9701": "JWT response for token introspection",
    "RFC 9728": "Protected resource metadata",
    "RFC 9864": "Fully specified algorithms",
}

HEAD = """# Specifications

Each specification that Carnet follows, with the files that name it in their first line and the requirements that tests prove.
`make docs` writes this page; do not edit it. What is deliberately left out stands in [SECURITY.md](../../SECURITY.md).
"""


class Requirement(NamedTuple):
    """A section and its level, such as MUST, with the tests that prove it."""

    section: str
    level: str


def files() -> dict[str, list[str]]:
    """Document -> the modules whose first line names it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "src").rglob("*.py")):
        first = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
        for name in sorted(set(DOCUMENT.findall(first))):
            for document in _spread(name):
                found[document].append(path.relative_to(ROOT).as_posix())
    return found


def _spread(name: str) -> Iterator[str]:
    """`RFC 7515-7519` names five."""
    head, _, last = name.partition("-")
    if not name.startswith("RFC") or not last:
        yield name
        return
    for number in range(int(head.removeprefix("RFC ")), int(last) + 1):
        yield f"RFC {number}"


def proofs() -> dict[str, dict[Requirement, list[str]]]:
    """Document -> requirement -> the tests that carry its mark."""
    found: dict[str, dict[Requirement, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        module = ast.parse(path.read_text("utf-8"))
        for document, requirement, test in _marks(module):
            found[document][requirement].append(f"{path.relative_to(ROOT).as_posix()}::{test}")
    return found


def _marks(module: ast.Module) -> Iterator[tuple[str, Requirement, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.spec"):
                    words = [argument.value for argument in mark.args if isinstance(argument, ast.Constant)]
                    if len(words) != 3 or not all(isinstance(word, str) for word in words):
                        raise SystemExit(f"line {mark.lineno}: spec takes three strings: document, section, level")
                    yield words[0], Requirement(words[1], words[2]), node.name


def page() -> str:
    """The whole page."""
    named, proved = files(), proofs()
    parts = [HEAD]
    for document in sorted(set(named) | set(proved), key=_order):
        title = f": {TITLES[document]}" if document in TITLES else ""
        parts.append(f"\n## {document}{title}\n")
        if named.get(document):
            parts.append("".join(f"\n- `{file}`" for file in named[document]) + "\n")
        if proved.get(document):
            parts.append("\n| section | level | test |\n| --- | --- | --- |\n")
            parts += [
                f"| {requirement.section} | {requirement.level} | `{test}` |\n"
                for requirement in sorted(proved[document], key=lambda each: (_numbers(each.section), each.level))
                for test in proved[document][requirement]
            ]
    return "".join(parts)


def _order(document: str) -> tuple[str, list[int], str]:
    return document.partition(" ")[0], _numbers(document), document


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


if __name__ == "__main__":
    sys.exit(publish("docs/reference/specifications.md", page()))
