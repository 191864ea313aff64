"""Headless Chromium before the running demo. With CARNET_SCREENSHOTS set to a directory, the pages are photographed into it."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from carnet.testing.running import RunningDemo, RunningIssuer, running_demo, running_issuer

PASSWORD = "violet anvil harbour"
"""Of `ada@example.com` at the `issuer`."""
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}
LIFETIME = 10
"""Seconds of an access token: the shortest that a client may be given, so that a refresh comes soon."""

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""A whole compact JWS."""


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Iterator[RunningIssuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        running.command("user", "create", "ada@example.com", "--password-stdin", given=PASSWORD)
        yield running


@pytest.fixture(scope="package")
def demo(tmp_path_factory) -> Iterator[RunningDemo]:
    with running_demo(tmp_path_factory.mktemp("demo"), "--access-token-lifetime", str(LIFETIME)) as demo:
        yield demo


@pytest.fixture(scope="package")
def shop(demo) -> str:
    return demo.urls["shop"]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Until the last test of this folder: Playwright's event loop runs as long, and whatever comes after needs loops of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed")
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """What went wrong in a browser's pages, and whether a token came along."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.tokens: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        page.on("response", self._read)

    def _hear(self, message) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _read(self, response) -> None:
        if TOKEN.search(response.url):
            self.tokens.append(response.url)


@pytest.fixture
def new_browser(chromium, tmp_path) -> Iterator[Callable[..., BrowserContext]]:
    """A browser of somebody's own: no cookies yet. Whatever a page complains of in its console fails the test."""
    contexts: list[BrowserContext] = []
    watched = Watched()

    def new(**options) -> BrowserContext:
        context = chromium.new_context(viewport=DESKTOP, **options)
        context.set_default_timeout(15_000)
        context.on("page", watched.watch)
        contexts.append(context)
        return context

    yield new
    for context in contexts:
        context.close()
    assert watched.complaints == []
    assert watched.tokens == []


@pytest.fixture
def page(new_browser) -> Page:
    return new_browser().new_page()


@pytest.fixture(scope="package")
def sign_in(demo, shop) -> Callable[..., None]:
    """Sign somebody in to the shop on the issuer's page, in a browser that the issuer has seen them in before."""
    known: dict[str, list] = {}

    def sign_in(page: Page, name: str) -> None:
        page.context.add_cookies(known.get(name, []))
        account = next(account for account in demo.accounts if account["email"].startswith(name))
        page.goto(shop)
        page.get_by_role("link", name="Sign in").first.click()
        page.get_by_label("Email address").fill(account["email"])
        page.get_by_label("Password").fill(account["password"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(shop + "/")
        known[name] = [cookie for cookie in page.context.cookies() if cookie["name"] == "carnet_device"]

    return sign_in


@pytest.fixture
def photograph() -> Callable[[Page, str], None]:
    """Look at a page in a phone's and a desktop's width, light and dark: nothing sticks out, and a picture is kept."""
    wanted = os.environ.get("CARNET_SCREENSHOTS")

    def photograph(page: Page, name: str) -> None:
        for size, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            page.set_viewport_size(viewport)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{name} is {wide} px wider than the {size}"
                if wanted:
                    file = Path(wanted) / f"{name}-{size}-{scheme}.png"
                    page.evaluate("document.querySelector('.papers')?.style.setProperty('position', 'static')")
                    page.screenshot(path=file, full_page=True, animations="disabled")
        page.set_viewport_size(DESKTOP)

    return photograph
