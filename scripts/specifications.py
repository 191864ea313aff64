"""Writes docs/reference/specifications.md: specifications, their files, their tests, and what of them is left out on purpose.

Files come from modules' first lines, tests from `spec` marks, the rest from specifications.toml. `--check` writes nothing and
exits 1 if the page is not up to date.
"""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from generated import ROOT, publish

TABLE = Path(__file__).with_suffix(".toml")
RFC = r"RFC \d{4,5}(?:bis)?(?:-\d{4})?"

HEAD = """# Specifications

Each specification that Carnet follows, with the files that name it in their first line, the requirements that tests prove, and
what is left out on purpose and why. `make docs` writes this page from the code, the tests' marks and
`scripts/specifications.toml`; do not edit it. What is refused whatever a specification says stands in [refusals](refusals.md).
"""


class Requirement(NamedTuple):
    """A section and its level, such as MUST, with the tests that prove it."""

    section: str
    level: str


@dataclass
class Specification:
    """One document, and all that is known of it."""

    name: str
    title: str
    left_out: list[dict[str, str]]
    files: list[str] = field(default_factory=list)
    proofs: dict[Requirement, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def tests(self) -> int:
        return len({test for tests in self.proofs.values() for test in tests})

    @property
    def anchor(self) -> str:
        return re.sub(r"[^\w -]", "", self.name.lower()).replace(" ", "-")


class Library:
    """The specifications of the table, by all their names."""

    def __init__(self) -> None:
        table = tomllib.loads(TABLE.read_text("utf-8"))
        self.all = [Specification(name, entry["title"], entry.get("left_out", [])) for name, entry in table.items()]
        self._named = {each.name: each for each in self.all}
        for name, entry in table.items():
            self._named |= dict.fromkeys(entry.get("also", ()), self._named[name])
        names = sorted((name for name in self._named if not name.startswith("RFC")), key=len, reverse=True)
        self._pattern = re.compile("|".join([RFC, *(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names)]))

    def get(self, name: str, *, place: str) -> Specification:
        found = self._named.get(name)
        if found is None:
            raise SystemExit(f"{place} names {name!r}: give it a title in {TABLE.relative_to(ROOT)}.")
        return found

    def mentioned(self, text: str, *, place: str) -> list[Specification]:
        """What a text names, each once."""
        names = [name for found in self._pattern.findall(text) for name in _spread(found)]
        return list({each.name: each for name in names for each in [self.get(name, place=place)]}.values())


def _spread(name: str) -> Iterator[str]:
    """`RFC 7515-7519` names five."""
    head, _, last = name.partition("-")
    if not re.fullmatch(RFC, name) or not last:
        yield name
        return
    for number in range(int(head.removeprefix("RFC ")), int(last) + 1):
        yield f"RFC {number}"


def read_files(library: Library) -> None:
    """Give each document the modules whose first line names it."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        first = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
        place = path.relative_to(ROOT).as_posix()
        for document in library.mentioned(first, place=place):
            document.files.append(place)


def read_tests(library: Library) -> None:
    """Give each document the tests that carry its mark."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place = path.relative_to(ROOT).as_posix()
        for document, requirement, test in _marks(ast.parse(path.read_text("utf-8")), place):
            library.get(document, place=place).proofs[requirement].append(f"{place}::{test}")


def _marks(module: ast.Module, place: str) -> Iterator[tuple[str, Requirement, str]]:
    constants = {
        node.targets[0].id: node.value.value
        for node in module.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.spec"):
                    words = [_word(argument, constants) for argument in mark.args]
                    if len(words) != 3 or not all(isinstance(word, str) for word in words):
                        raise SystemExit(f"{place}:{mark.lineno}: spec takes three strings: document, section, level")
                    yield words[0], Requirement(words[1], words[2]), node.name


def _word(argument: ast.expr, constants: dict[str, object]) -> object:
    """A string, or the module's constant that is one."""
    if isinstance(argument, ast.Name):
        return constants.get(argument.id)
    return argument.value if isinstance(argument, ast.Constant) else None


def page() -> str:
    """The whole page."""
    library = Library()
    read_files(library)
    read_tests(library)
    documents = sorted(library.all, key=_order)
    idle = [each.name for each in documents if not (each.files or each.proofs or each.left_out)]
    if idle:
        raise SystemExit(f"Nothing here is of {', '.join(idle)}: take the tables out of {TABLE.relative_to(ROOT)}.")
    rows = [
        f"| [{each.name}](#{each.anchor}) | {each.title} | {len(each.files)} | {each.tests} | {len(each.left_out) or ''} |\n"
        for each in documents
    ]
    index = ["\n| specification | is | files | tests | left out |\n| --- | --- | --- | --- | --- |\n", *rows]
    return "".join([HEAD, *index, *(part for each in documents for part in _section(each))])


def _section(document: Specification) -> Iterator[str]:
    yield f"\n## {document.name}\n\n{document.title}.\n"
    if document.files:
        yield "".join(f"\n- `{file}`" for file in document.files) + "\n"
    if document.left_out:
        yield "\n| left out on purpose | why |\n| --- | --- |\n"
        yield from (f"| {each['what']} | {each['why']} |\n" for each in document.left_out)
    if document.proofs:
        yield "\n| section | level | test |\n| --- | --- | --- |\n"
        for requirement in sorted(document.proofs, key=lambda each: (_numbers(each.section), each.level)):
            yield from (
                f"| {requirement.section} | {requirement.level} | `{test}` |\n" for test in document.proofs[requirement]
            )


def _order(document: Specification) -> tuple[str, list[int], str]:
    return document.name.partition(" ")[0], _numbers(document.name), document.name


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


if __name__ == "__main__":
    sys.exit(publish("docs/reference/specifications.md", page()))
