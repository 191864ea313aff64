"""What `scripts/conformance` has the conformance suite's browser fill in and press is on our pages."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

browsing = SimpleNamespace(**run_path(str(Path(__file__).parents[2] / "scripts" / "conformance" / "browsing.py")))

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"


def commands(module: str, task: str) -> list[list[str]]:
    """What is done at a task of a module."""
    members, _ = browsing.blocks(ISSUER, [module])
    found = members["override"][module]["browser"]
    return [one for block in found for each in block["tasks"] if each["task"] == task for one in each["commands"]]


def is_there(page: str, selector: str) -> bool:
    """A selector of the few kinds that the blocks have."""
    tag, _, attribute = selector.rpartition("[")
    if attribute and tag:
        name, _, value = attribute.rstrip("]").partition("=")
        return f'{name}="{value}"' in page
    return f'<button class="{selector.rpartition(".")[2]}"' in page


async def test_the_sign_in_page_has_its_fields_and_its_button(issuer):
    page = (await issuer.http.get("/login")).text
    for what, kind, name, *_ in commands("oidcc-server", "Sign in"):
        assert f'{kind}="{name}"' in page if what == "text" else is_there(page, name), (what, name)


@pytest.mark.parametrize("module", ["oidcc-server", browsing.DENIES])
async def test_the_consent_page_has_both_buttons(issuer, module):
    await issuer.sign_in()
    app = await issuer.register(first_party=False)
    page = (await issuer.follow(await app.authorize())).text
    [[_, _, selector]] = commands(module, "Consent")
    assert is_there(page, selector), selector


async def test_the_sign_out_page_has_its_button(issuer):
    await issuer.sign_in()
    page = (await issuer.http.get("/end_session")).text
    [[_, _, selector, _]] = commands("oidcc-rp-initiated-logout-no-params", "Confirm")
    assert is_there(page, selector), selector


def test_whoever_denies_has_never_allowed_and_nobody_else_is_that_person():
    names = [f"module-{number}" for number in range(9)] + [browsing.DENIES]
    members, people = browsing.blocks(ISSUER, names)
    signs_in = {name: str(block) for name, block in members["override"].items()}
    assert [name for name, block in signs_in.items() if browsing.EMAIL.format(number=0) in block] == [browsing.DENIES]
    for number in range(1, people):
        uses = sum(browsing.EMAIL.format(number=number) in block for block in signs_in.values())
        assert 0 < uses <= browsing.PER_ACCOUNT, number
