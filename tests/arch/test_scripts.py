"""What the tasks need of the system: as root on Debian it is installed, elsewhere one line says what to run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TOOLS = ("bash", "env", "dirname", "id", "sed", "tail", "mktemp", "rm", "touch")


@pytest.fixture
def bare(tmp_path):
    """Runs a script where only a few tools are on the path; `programs` are made up there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool))

    def run(script: str, *argv: str, **programs: str) -> subprocess.CompletedProcess[str]:
        for name, source in programs.items():
            path = folder / name.replace("_", "-")
            path.unlink(missing_ok=True)  # never write through the link to the real one
            path.write_text(f"#!{folder}/bash\n{source}\n")
            path.chmod(0o755)
        return subprocess.run(
            [SCRIPTS / script, *argv],
            env={"PATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )

    return run


def test_what_is_there_is_not_installed_again(bare):
    done = bare("need", "chromium", chromium="true", apt_get="touch called")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_whoever_is_not_root_is_told_what_to_run(bare):
    done = bare("need", "chromium", apt_get="touch called", id="echo 1000")
    assert done.returncode == 1
    assert done.stderr == (
        "Missing: chromium fonts-dejavu-core. "
        "Run: sudo apt-get install -y --no-install-recommends chromium fonts-dejavu-core\n"
    )


def test_where_there_is_no_apt_get_the_line_is_the_same(bare):
    done = bare("need", "chromium", id="echo 0")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_root_on_debian_has_it_installed(bare, tmp_path):
    done = bare(
        "need",
        "chromium",
        id="echo 0",
        apt_get=f"touch {tmp_path}/bin/chromium; {shutil.which('chmod')} +x {tmp_path}/bin/chromium",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Installing chromium fonts-dejavu-core with apt-get, a minute or two\n"


def test_a_failed_installation_says_why(bare):
    done = bare("need", "chromium", id="echo 0", apt_get="echo 'E: no space left' >&2; exit 100")
    assert done.returncode == 1
    assert done.stderr == (
        "E: no space left\napt-get could not install chromium fonts-dejavu-core; the reason stands above.\n"
    )


def test_an_old_python_is_not_taken(bare, tmp_path):
    done = bare("make-venv", str(tmp_path / "venv"), python3="exit 1")
    assert done.returncode == 1
    assert done.stderr == "Carnet needs Python 3.11 or newer; on Debian 12: apt-get install python3 python3-venv\n"


def test_python_3_11_is_taken_before_a_newer_one(bare, tmp_path):
    newer, wanted = "echo newer; exit 0", f'[[ $1 == -m ]] && echo "$@" > {tmp_path}/called; echo "Python 3.11"'
    done = bare("make-venv", "venv", **{"python3": newer, "python3.11": wanted})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "called").read_text() == "-m venv venv\n"


@pytest.mark.parametrize(
    "script", sorted(path.name for path in SCRIPTS.iterdir() if path.is_file() and not path.suffix)
)
def test_scripts_are_executable_and_stop_at_the_first_mistake(script):
    path = SCRIPTS / script
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text()
