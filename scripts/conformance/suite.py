"""The OpenID Foundation's conformance suite as it is spoken to: plans, modules, logs, and the URLs that it leaves to a person."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

PATIENCE = 90
"""Seconds in which a module that waits for something must go on."""
LONGEST = 420


@dataclass(frozen=True)
class Result:
    """How a module ended."""

    module: str
    id: str
    outcome: str
    """PASSED, WARNING, REVIEW, SKIPPED or FAILED; REVIEW: a person looks at the pages that are in the log."""
    complaints: tuple[str, ...]


class Suite:
    def __init__(self, url: str, *, verify: Any) -> None:
        self.url = url.rstrip("/")
        self._http = httpx2.Client(base_url=self.url, verify=verify, timeout=60, trust_env=False)

    def modules(self, plan: str) -> list[str]:
        """The names of a plan's modules, each once."""
        plans = self._answer("GET", "/api/plan/available")
        [found] = [one for one in plans if one["planName"] == plan]
        return list(dict.fromkeys(module["testModule"] for module in found["modules"]))

    def run(
        self, plan: str, variant: dict[str, str], config: dict[str, Any], wanted: Callable[[str], bool], steps: "Steps"
    ) -> Iterator[Result]:
        """Make a plan and run those of its modules that are wanted, one after the other."""
        parameters = {"planName": plan, "variant": json.dumps(variant)}
        made = self._answer("POST", "/api/plan", params=parameters, json=config)
        for module in made["modules"]:
            if wanted(module["testModule"]):
                yield self._module(made["id"], module, steps)

    def _module(self, plan: str, module: dict[str, Any], steps: "Steps") -> Result:
        name = module["testModule"]
        parameters = {"test": name, "plan": plan, "variant": json.dumps(module.get("variant") or {})}
        place = self._answer("POST", "/api/runner", params=parameters)["id"]
        began = waits_since = time.monotonic()
        while (info := self._answer("GET", f"/api/info/{place}"))["status"] not in {"FINISHED", "INTERRUPTED"}:
            now = time.monotonic()
            if info["status"] == "CONFIGURED":
                steps.before(name)
                self._answer("POST", f"/api/runner/{place}")
            steps.during(name, now - began)
            if info["status"] != "WAITING" or self._browse(place, steps):
                waits_since = now
            if now - waits_since > PATIENCE or now - began > LONGEST:
                self._answer("DELETE", f"/api/runner/{place}")
                return Result(name, place, "FAILED", ("wait: it waits for something that does not come.",))
            time.sleep(0.4)
        log = self._answer("GET", f"/api/log/{place}")
        said = [f"{one['src']}: {one['msg']}" for one in log if one.get("result") in {"FAILURE", "WARNING"}]
        return Result(name, place, info["result"] or "FAILED", tuple(dict.fromkeys(said)))

    def _browse(self, place: str, steps: "Steps") -> bool:
        """Whether a browser is at work: the suite's own, or ours, which takes what the plan has no commands for."""
        browser = self._answer("GET", f"/api/runner/{place}").get("browser", {})
        for url in browser.get("urls", ()):
            if steps.visit(place, url):
                self._answer("POST", f"/api/runner/browser/{place}/visit", params={"url": url})
                return True
        return bool(browser.get("runners"))

    def _answer(self, method: str, path: str, **given: Any) -> Any:
        answer = self._http.request(method, path, **given)
        if answer.is_error:
            raise SystemExit(f"The suite answers {answer.status_code} to {method} {path}: {answer.text[:500]}")
        return answer.json() if answer.text else None


class Steps:
    """What a person would do beside the suite's browser; a plan that needs something overrides it."""

    def before(self, module: str) -> None:
        """Before a module begins that waits to be started."""

    def during(self, module: str, seconds: float) -> None:
        """Again and again while a module runs, since so many seconds."""

    def visit(self, place: str, url: str) -> bool:
        """Go to a URL in a browser that is the module's own; False: it cannot be done."""
        del place, url
        return False

    def close(self) -> None:
        """Let go of everything."""
