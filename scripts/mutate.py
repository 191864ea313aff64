"""Change one thing at a time in a copy of a module and see whether a test notices: `scripts/mutate.py jose/jwt jose/claims`.

The checkout is never touched. Each mutant runs in a fork that ends at a deadline, and only the test files that reach the changed
line are run, those that found most so far first. What is changed: comparisons, `and`, `or` and `not` and their operands,
arithmetic, integers, truth values, the conditions of `if`, and calls whose value nobody takes. What is left alone: annotations,
decorators, texts. The results, and why each survivor is harmless, are in docs/explanation/mutation-testing.md.
"""

import argparse
import ast
import compileall
import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import coverage
import cryptography.hazmat.primitives.serialization  # noqa: F401  # each fork inherits what is loaded once
import hypothesis  # noqa: F401
import msgspec  # noqa: F401
import pytest

PROJECT = Path(__file__).resolve().parent.parent
COPIED = ("src", "tests", "pyproject.toml")
PYTEST = ("-x", "-q", "--assert=plain", "-p", "no:cacheprovider")
MEMORY = 4 << 30

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


class Mutation(ast.NodeTransformer):
    """Makes the change of that number; `change` says which it was, and stays None where there are fewer."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.line = 0
        self.change: str | None = None

    def _chosen(self, node: ast.expr | ast.stmt, change: str) -> bool:
        self._left -= 1
        if self._left != -1:
            return False
        self.line, self.change = node.lineno, change
        return True

    def _swap(self, node: ast.expr, operator: ast.AST) -> ast.AST:
        other = SWAPPED.get(type(operator))
        if other is None or not self._chosen(node, f"{type(operator).__name__} becomes {other.__name__}"):
            return operator
        return other()

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        node.ops = [self._swap(node, operator) for operator in node.ops]
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        node.op = self._swap(node, node.op)
        for number, value in enumerate(node.values):
            if self._chosen(node, f"without `{ast.unparse(value)}`"):
                node.values.pop(number)
                break
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        node.op = self._swap(node, node.op)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and self._chosen(node, "without `not`"):
            return node.operand
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool) and self._chosen(node, f"{node.value} becomes {not node.value}"):
            return ast.Constant(not node.value)
        if type(node.value) is int and self._chosen(node, f"{node.value} becomes {node.value + 1}"):
            return ast.Constant(node.value + 1)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node
        self.generic_visit(node)
        if self._chosen(node, f"never `if {ast.unparse(node.test)}`"):
            node.test = ast.Constant(value=False)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Call) and self._chosen(node, f"without `{ast.unparse(node)}`"):
            return ast.Pass()
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return node  # which sentence it says

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.args.defaults = [self.visit(default) for default in node.args.defaults]
        node.args.kw_defaults = [default and self.visit(default) for default in node.args.kw_defaults]
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None and not (isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"):
            node.value = self.visit(node.value)
        return node


@dataclass(slots=True)
class TestFile:
    """What a run over the unchanged copy showed."""

    path: Path
    seconds: float
    """Of the processor."""
    lines: dict[str, set[int]]
    """The lines that it reaches, by source file."""


def _fork(copy: Path, test: Path, deadline: float, measured: Path | None = None) -> bool:
    """Whether that test file passes over the copy as it is now."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    status = 1
    try:
        signal.setitimer(signal.ITIMER_REAL, deadline)  # ends the process: nothing catches it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.path.insert(0, str(copy / "src"))
        watch = coverage.Coverage(data_file=str(measured), source=[str(copy / "src")]) if measured else None
        with watch.collect() if watch else contextlib.nullcontext():
            status = int(pytest.main([*PYTEST, "--rootdir", str(copy), "-c", str(copy / "pyproject.toml"), str(test)]))
        if watch:
            watch.save()
        if not str(sys.modules["carnet"].__file__).startswith(str(copy)):
            status = 1
    finally:
        os._exit(status)


def _measure(copy: Path, test: Path) -> TestFile:
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "coverage"
        if not _fork(copy, test, 300, measured):
            raise SystemExit(f"{test.relative_to(copy)} fails over the unchanged copy; mend that first.")
        data = coverage.CoverageData(str(measured))
        data.read()
        lines = {name: set(data.lines(name) or ()) for name in data.measured_files()}
    before = _spent()
    _fork(copy, test, 300)
    return TestFile(test, _spent() - before, lines)


def _spent() -> float:
    """Seconds of the processor that forks have taken so far."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _mutate(source: Path, copy: Path, tests: list[TestFile]) -> tuple[int, int]:
    """How many mutants there are of one file, and how many of them no test notices."""
    original = source.read_text()
    found: Counter[Path] = Counter()
    number = survivors = 0
    while True:
        mutation = Mutation(number)
        tree = mutation.visit(ast.parse(original))
        if mutation.change is None:
            break
        number += 1
        source.write_text(ast.unparse(ast.fix_missing_locations(tree)))
        loading = [test for test in tests if str(source) in test.lines]
        # The later lines of a statement are not always recorded: then whatever loads the module is run.
        reaching = [test for test in loading if mutation.line in test.lines[str(source)]] or loading
        for test in sorted(reaching, key=lambda test: (-found[test.path], test.seconds)):
            if not _fork(copy, test.path, 20 + 20 * test.seconds):  # on a busy machine the clock runs on while it waits
                found[test.path] += 1
                break
        else:
            survivors += 1
            print(f"{source.relative_to(copy)}:{mutation.line}: {mutation.change}", flush=True)
    source.write_text(original)
    return number, survivors


def _test_files(place: Path) -> list[Path]:
    return sorted(place.glob("test_*.py")) if place.is_dir() else [place]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+", help="as paths under src/carnet, without .py")
    parser.add_argument(
        "--tests", nargs="*", help="test files, or folders of them; default: the folder of the modules under tests/"
    )
    asked = parser.parse_args()
    sources = [Path("src/carnet") / f"{module}.py" for module in asked.modules]
    for source in sources:
        if not (PROJECT / source).is_file():
            parser.error(f"There is no {source}.")
    places = asked.tests or sorted({f"tests/{module.split('/')[0]}" for module in asked.modules})

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve()
        for name in COPIED:
            if (PROJECT / name).is_dir():
                left_out = shutil.ignore_patterns("__pycache__", "node_modules")
                shutil.copytree(PROJECT / name, copy / name, ignore=left_out)
            else:
                shutil.copy2(PROJECT / name, copy)
        compileall.compile_dir(copy, quiet=2)
        sys.dont_write_bytecode = True  # a mutant must not be taken for the next one of its second
        # What tests start themselves keeps to the same.
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy / "src")}
        os.chdir(copy)
        tests = [_measure(copy, test) for place in places for test in _test_files(copy / place)]
        total = survived = 0
        for source in sources:
            mutants, survivors = _mutate(copy / source, copy, tests)
            print(f"{source}: {mutants} mutants, {mutants - survivors} found, {survivors} survived", flush=True)
            total, survived = total + mutants, survived + survivors
        print(f"{total} mutants, {total - survived} found, {survived} survived")


if __name__ == "__main__":
    main()
