"""What `make mutate` changes: each comparison, condition, number and dropped value once, and nothing that only names or documents."""

import ast
import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("mutate", Path(__file__).parents[2] / "scripts" / "mutate.py")
mutate = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(mutate)


def mutants(source):
    found = []
    while True:
        mutation = mutate.Mutation(len(found))
        tree = mutation.visit(ast.parse(source))
        if mutation.change is None:
            return found
        found.append(ast.unparse(ast.fix_missing_locations(tree)))


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("a < b", ["a <= b"]),
        ("0 < a < b", ["0 <= a < b", "0 < a <= b", "1 < a < b"]),
        ("a is not None", ["a is None"]),
        ("a and b", ["a or b", "b", "a"]),
        ("not a", ["a"]),
        ("x = a + 1", ["x = a - 1", "x = a + 2"]),
        ("x = True", ["x = False"]),
        ("if a:\n    b = c", ["if False:\n    b = c"]),
        ("check(a)", ["pass"]),
        ("def f(a=0): return a", ["def f(a=1):\n    return a"]),
    ],
)
def test_each_change_is_made_once(source, changed):
    assert sorted(mutants(source)) == sorted(changed)


@pytest.mark.parametrize(
    "source",
    [
        '"""Text."""',
        "x: int | None",
        "Name: TypeAlias = A | B",
        "@decorated(frozen=True)\nclass A: pass",
        "raise Refused(f'{1 + 1}')",
        "if TYPE_CHECKING:\n    import a",
        "def f(a: int | None) -> bool | None: ...",
    ],
)
def test_what_names_or_documents_is_left_alone(source):
    assert mutants(source) == []
