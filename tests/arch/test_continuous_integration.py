"""The hook in tests/conftest.py: where CI is set, nothing is skipped."""

import subprocess
import sys
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[1] / "conftest.py"

SKIPS = """
import pytest

def test_needs_a_service():
    pytest.skip("the service is missing")

def test_passes():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_is_known_to_fail():
    assert False
"""


def run(folder: Path, source: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(HOOK.read_text())
    (folder / "test_sample.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_skip_is_a_failure_where_ci_is_set(tmp_path):
    done = run(tmp_path, SKIPS, {"CI": "true"})
    assert done.returncode == 1
    assert "1 failed, 1 passed, 1 xfailed" in done.stdout


def test_a_skip_is_a_skip_elsewhere(tmp_path):
    done = run(tmp_path, SKIPS, {})
    assert done.returncode == 0
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout


@pytest.mark.parametrize(
    "line", ["pytest.importorskip('no_such_module')", "pytest.skip('gone', allow_module_level=True)"]
)
def test_a_module_that_skips_itself_is_a_failure_too(tmp_path, line):
    done = run(tmp_path, f"import pytest\n{line}\ndef test_it(): pass\n", {"CI": "true"})
    assert done.returncode != 0
    assert "which is a failure where CI is set" in done.stdout
