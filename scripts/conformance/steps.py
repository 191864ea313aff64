"""What a person does beside the suite's browser: rotate keys, decide what an app asks for, watch a session in Chromium."""

import re
import shutil
import threading
import time
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from browsing import EMAIL, PASSWORD
from issuer import Issuer
from playwright.sync_api import BrowserContext, sync_playwright
from suite import Steps

SEEN_BY_THE_ISSUER = 30
"""Seconds until the running issuer publishes what the command has made."""


class Rotating(Steps):
    """New signing keys before the module that looks for them."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def before(self, module: str) -> None:
        if module != "oidcc-server-rotate-keys":
            return
        keys = self._published()
        self._issuer.command("key", "rotate", "--after", "0")
        until = time.monotonic() + SEEN_BY_THE_ISSUER
        while self._published() == keys and time.monotonic() < until:
            time.sleep(1)

    def _published(self) -> Any:
        return httpx2.get(f"{self._issuer.url}/jwks", verify=False).json()


class Approving(Steps):
    """What the suite's `automated_ciba_approval_url` asks for: the person allows or denies what waits at /approvals."""

    def __init__(self, issuer: Issuer) -> None:
        headers = {"Origin": issuer.url, "Accept": "text/html"}
        self._http = httpx2.Client(base_url=issuer.url, verify=False, headers=headers, follow_redirects=True)
        page = self._http.get("/login").text
        self._http.post("/login", data=_hidden(page) | {"email": EMAIL.format(number=0), "password": PASSWORD})
        approving = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                [action] = parse_qs(urlsplit(self.path).query)["action"]
                approving.decide(action)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """For the plan's configuration; the suite fills it in."""
        return f"http://127.0.0.1:{self._server.server_port}/?auth_req_id={{auth_req_id}}&action={{action}}"

    def decide(self, action: str) -> None:
        """Decide all that waits, as the page lets a person do it."""
        page = self._http.get("/approvals").text
        for form in re.findall(r"<form[^>]*>(.*?)</form>", page, re.DOTALL):
            if "decision" in form:
                self._http.post("/approvals", data=_hidden(form) | {"decision": action})

    def close(self) -> None:
        self._server.shutdown()
        self._http.close()


class Telling(Steps):
    """Has something happen that the transmitter tells of, once the receiver has its stream: a new password."""

    MODULE = "openid-ssf-transmitter-stream-caep-interop"
    READY = 25
    """Seconds until the stream is there and verified."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._happened = False

    def during(self, module: str, seconds: float) -> None:
        if module != self.MODULE or seconds < self.READY or self._happened:
            return
        self._happened = True
        link = self._issuer.command("user", "invite", EMAIL.format(number=1))["invitation"]
        with httpx2.Client(verify=False, headers={"Origin": self._issuer.url, "Accept": "text/html"}) as http:
            form = _hidden(http.get(link).text)
            http.post(
                f"{self._issuer.url}/welcome", data=form | {"password": f"{PASSWORD}!", "repeated": f"{PASSWORD}!"}
            )


class Browsing(Steps):
    """Chromium for pages that hold scripts in frames, which the suite's own browser does not run."""

    def __init__(self, _issuer: Issuer) -> None:
        self._playwright = sync_playwright().start()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu"]
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        self._chromium = self._playwright.chromium.launch(executable_path=program, args=flags)
        self._contexts: dict[str, BrowserContext] = {}

    def visit(self, place: str, url: str) -> bool:
        if place not in self._contexts:
            self._contexts[place] = self._chromium.new_context(ignore_https_errors=True)
        page = self._contexts[place].new_page()
        page.goto(url)
        if page.locator("input[name=password]").count():
            page.fill("input[name=email]", EMAIL.format(number=1))
            page.fill("input[name=password]", PASSWORD)
        if page.locator("form button.main").count():
            page.click("form button.main")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(3_000)  # the frames ask each other every other second
        return True

    def close(self) -> None:
        self._chromium.close()
        self._playwright.stop()


def _hidden(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)}
