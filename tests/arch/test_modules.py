"""What every module keeps to: a first line that says what it is, a length that can be read, a place in its tuple."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import carnet

ROOT = Path(__file__).parents[2]
SOURCE = Path(carnet.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST = 650
VAGUE = {
    "util",
    "utils",
    "helper",
    "helpers",
    "manager",
    "handler",
    "service",
    "common",
    "base",
    "info",
    "misc",
    "core",
}


def name(path: Path) -> str:
    return path.relative_to(SOURCE.parent).as_posix()


def first_line(text: str) -> str:
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def test_the_first_line_says_what_the_module_is():
    silent = []
    for path in MODULES:
        text = path.read_text("utf-8")
        first = first_line(text)
        if len(first) < 20 or not first.endswith((".", ":")) or not text.startswith(('"""', 'r"""')):
            silent.append(f"{name(path)}: {first!r}")
    assert silent == [], "a module begins with a docstring whose first line is a sentence that says what it is"


def test_a_module_is_short_enough_to_be_read():
    lengths = {name(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}


def test_modules_are_named_by_nouns_that_say_something():
    assert [name(path) for path in MODULES if path.stem in VAGUE] == []


TUPLES = {
    "grants": ("carnet.issuer.grants", "GRANTS"),
    "client_auth": ("carnet.issuer.client_auth", "CLIENT_AUTHENTICATIONS"),
    "response_modes": ("carnet.issuer.response_modes", "RESPONSE_MODES"),
    "endpoints": ("carnet.issuer.app", "ENDPOINTS"),
}
KINDS = {"grant", "method", "mode", "assertion"}
"""Modules beside the listed ones that say what such a thing is, or what several of them share."""


def owner(thing) -> str:
    """The module that a listed thing comes from."""
    answer = getattr(thing, "answer", None)
    return answer.__module__ if answer is not None and hasattr(thing, "path") else type(thing).__module__


@pytest.mark.parametrize("folder", TUPLES)
def test_every_file_is_in_its_visible_tuple(folder):
    module, tuple_name = TUPLES[folder]
    listed = {owner(thing) for thing in getattr(import_module(module), tuple_name)}
    package = f"carnet.issuer.{folder}"
    files = {f"{package}.{path.stem}" for path in (SOURCE / "issuer" / folder).glob("*.py")}
    there = files - {package + ".__init__"} - {f"{package}.{kind}" for kind in KINDS}
    assert {file for file in there if offers(file, tuple_name)} == {file for file in listed if file.startswith(package)}


def offers(module: str, tuple_name: str) -> bool:
    """Every file of such a folder offers something; of `endpoints` those that say `ENDPOINTS`."""
    return tuple_name != "ENDPOINTS" or hasattr(import_module(module), tuple_name)


def test_no_file_names_a_machine_or_where_packages_come_from():
    patterns = re.compile(r"/root/|/home/\w|/tmp/\w|\"resolved\":|--(?:extra-)?index-url https?:")
    named = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for folder in ("src", "docs", "requirements", "scripts", "benchmarks", ".ci")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and path.suffix not in {".png", ".pyc", ".svg"} and "node_modules" not in path.parts
        for found in [patterns.search(path.read_text("utf-8", errors="ignore"))]
        if found
    ]
    assert named == []
