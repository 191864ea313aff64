"""What the documents say is so: commands exist, examples run, links lead somewhere, generated pages are up to date."""

import logging
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from carnet.cli import COMMANDS, build_parser
from carnet.cli.errors import UsageError
from carnet.issuer.app import ENDPOINTS
from carnet.issuer.config import Config, Lifetimes
from carnet.jose import JoseError
from carnet.oauth.errors import OAuthError

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs/reference"


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def shell_lines(path: Path) -> list[str]:
    return [line for block in blocks(path, "sh") for line in block.splitlines() if line.startswith("carnet ")]


def words(line: str) -> list[str]:
    command = re.split(" [>|] ", line, maxsplit=1)[0]
    return [word for word in shlex.split(command)[1:] if word != "…"]


@pytest.mark.parametrize("path", [page for page in PAGES if shell_lines(page)], ids=name)
def test_every_command_in_an_example_exists(path):
    for line in shell_lines(path):
        try:
            build_parser(COMMANDS).parse_args(words(line))
        except UsageError as error:
            pytest.fail(f"{line}: {error}")


TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_make_target_in_an_example_exists(path):
    for block in blocks(path, "sh"):
        for line in re.findall(r"^make ([a-z ]+?)(?: +#.*)?$", block, re.MULTILINE):
            assert set(line.split()) <= TARGETS


PROGRAMS = [
    ROOT / "README.md",
    ROOT / "docs/how-to/protect-a-service.md",
    ROOT / "docs/tutorials/first-steps.md",
]
"""Pages whose examples are whole programs; elsewhere they are parts of one."""


@pytest.fixture
def logging_as_before():
    """Litestar sets logging up for the whole process when an application is made."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("path", PROGRAMS, ids=name)
def test_every_example_in_python_runs(path):
    for source in blocks(path, "python"):
        exec(compile(source, f"{path}", "exec"), {"__name__": "__main__", "secret": "s" * 43})


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_between_documents_leads_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("script", ["specifications.py", "command_reference.py"])
def test_generated_pages_are_up_to_date(script):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


FOLLOWED = [
    *(f"RFC {number}" for number in (
        6749, 6750, 7009, 7515, 7516, 7517, 7518, 7519, 7523, 7591, 7592, 7636, 7638, 7662, 7797, 8037, 8252, 8414, 8417, 8628,
        8693, 8705, 8707, 8725, 8935, 8936, 9068, 9101, 9126, 9207, 9278, 9396, 9449, 9470, 9493, 9700, 9701, 9728, 9864, 9901,
    )),
    *(f"OpenID Connect {name}" for name in (
        "Core", "Discovery", "Dynamic Client Registration", "RP-Initiated Logout", "Back-Channel Logout", "Front-Channel Logout",
        "Session Management",
    )),
    "OAuth 2.1", "OpenID CIBA Core", "JARM", "FAPI 2.0 Security Profile", "FAPI 2.0 Message Signing", "FAPI CIBA",
    "OpenID Shared Signals Framework", "OpenID CAEP", "OpenID RISC",
    "OAuth Client ID Metadata Document", "MCP authorization",
]  # fmt: skip


@pytest.mark.parametrize("specification", FOLLOWED)
def test_each_specification_is_listed_with_its_files_and_its_tests(specification):
    page = (REFERENCE / "specifications.md").read_text("utf-8")
    [row] = re.findall(
        rf"^\| \[{re.escape(specification)}\]\(#.*\) \| .* \| (\d+) \| (\d+) \| \d* \|$", page, re.MULTILINE
    )
    assert all(int(count) for count in row), f"{specification}: {row[0]} files and {row[1]} tests"


def test_every_setting_is_described_with_its_default():
    page = (REFERENCE / "configuration.md").read_text("utf-8")
    defaults = {field: getattr(Config(), field) for field in Config.__struct_fields__ if field != "lifetimes"}
    for field, default in defaults.items():
        row = next((row for row in page.splitlines() if re.match(rf"\| [^|]*`{field}`", row)), None)
        assert row, f"{field} is not described"
        if field != "issuer":
            shown = " ".join(default) if isinstance(default, tuple) else str(default)
            shown = shown.lower() if isinstance(default, bool) else shown
            assert f"`{shown}`" in row or (not default and "none" in row), row
    for field in Lifetimes.__struct_fields__:
        assert re.search(rf"\| `lifetimes.{field}` \| `{getattr(Lifetimes(), field)}`", page), field


def test_the_example_of_a_settings_file_is_one():
    (example,) = blocks(REFERENCE / "configuration.md", "toml")
    msgspec.convert(tomllib.loads(example), Config, dec_hook=lambda kind, value: kind(value))


def paths_of(page: str) -> set[str]:
    return set(re.findall(r"`(/[a-z_./{}-]*)`", page))


def test_every_endpoint_is_described():
    described = paths_of((REFERENCE / "http.md").read_text("utf-8"))
    for endpoint in ENDPOINTS:
        assert any(
            endpoint.path == path
            or (path in {"/account", "/admin", "/api/admin"} and endpoint.path.startswith(f"{path}/"))
            for path in described
        ), endpoint.path


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=name)
def test_every_page_is_found_from_the_readme_or_from_the_list_of_decisions(path):
    listed = set()
    for index in (ROOT / "README.md", ROOT / "docs/decisions/README.md"):
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", index.read_text("utf-8"))
        listed |= {(index.parent / target).resolve() for target in targets}
    assert path.resolve() in listed


def codes(error: type[JoseError] | type[OAuthError]) -> set[str]:
    own = {error.code} if "code" in vars(error) else set()
    return own | {code for child in error.__subclasses__() for code in codes(child)}


def test_every_code_of_the_token_core_is_described():
    described = set(re.findall(r"`([a-z_]+)`", (REFERENCE / "errors.md").read_text("utf-8")))
    assert codes(JoseError) <= described


def test_every_error_of_the_issuer_is_described():
    described = set(re.findall(r"`([a-z_]+)`", (REFERENCE / "errors.md").read_text("utf-8")))
    assert codes(OAuthError) <= described


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        asked += extra
    for group in project["dependency-groups"].values():
        asked += [entry for entry in group if isinstance(entry, str)]
    reasons = (ROOT / "docs/decisions/0002-dependencies.md").read_text("utf-8")
    for requirement in asked:
        package = re.match(r"[A-Za-z0-9-]+", requirement)[0]
        assert package == "carnet" or re.search(rf"(\| |`|, ){package}( \||`|,)", reasons), package


def test_the_locks_hold_what_the_project_asks_for():
    locked = {
        match[1]: match[2]
        for match in re.finditer(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/test.txt").read_text(), re.MULTILINE)
    }
    demo = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/demo.txt").read_text(), re.MULTILINE))
    assert demo.items() <= locked.items(), "one version of a package everywhere"
    assert (ROOT / "requirements/test.txt").read_text().count("--hash=sha256:") > len(locked)
