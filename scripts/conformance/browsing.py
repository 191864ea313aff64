"""The `browser` blocks of a plan's configuration: what the suite's own browser does on Carnet's pages."""

import json
from collections.abc import Iterable
from typing import Any

EMAIL = "conformance{number}@example.com"
PASSWORD = "a phrase for the suite alone"
PER_ACCOUNT = 4
"""Modules that sign in as the same person: each has a browser of its own, and nobody signs in from strange browsers all day."""

SIGN_IN = [["text", "name", "email", EMAIL], ["text", "name", "password", PASSWORD], ["click", "css", "button.main"]]
CONFIRM = [["click", "css", "form button.main", "optional"]]

FAPI = "fapi2-security-profile-final-"
SEES_SIGN_IN_AGAIN = ("oidcc-prompt-login", "oidcc-max-age-1")
SEES_ERROR = (
    "oidcc-ensure-registered-redirect-uri",
    "oidcc-ensure-redirect-uri-in-authorization-request",
    "oidcc-redirect-uri-query-added",
    "oidcc-redirect-uri-query-mismatch",
    FAPI + "par-attempt-to-use-request_uri-for-different-client",
)
SEES_CONSENT = tuple(f"oidcc-registration-{member}-uri" for member in ("logo", "policy", "tos"))
SEES_NO_SIGN_OUT = tuple(
    f"oidcc-rp-initiated-logout-{what}"
    for what in (
        "bad-post-logout-redirect-uri",
        "query-added-to-post-logout-redirect-uri",
        "modified-id-token-hint",
        "bad-id-token-hint",
        "no-id-token-hint",
    )
)
SEES_SIGNED_OUT = tuple(
    f"oidcc-rp-initiated-logout-{what}" for what in ("no-params", "no-post-logout-redirect-uri", "only-state")
)
DENIES = FAPI + "user-rejects-authentication"
LEAVES_AT_FIRST = FAPI + "par-ensure-reused-request-uri-prior-to-auth-completion-succeeds"


def blocks(issuer: str, modules: Iterable[str]) -> tuple[dict[str, Any], int]:
    """The members `browser` and `override` for these modules, and how many people they sign in as."""
    names = list(modules)
    override = {
        name: {"browser": _as_person(_blocks(issuer, name), _person(number, name))} for number, name in enumerate(names)
    }
    people = 2 + len(names) // PER_ACCOUNT
    return {"browser": _as_person(_blocks(issuer, ""), 1), "override": override}, people


def _person(number: int, module: str) -> int:
    """Nobody has ever allowed anything to the app of the one who denies it: what was allowed is not asked for again."""
    return 0 if module == DENIES else 1 + number // PER_ACCOUNT


def _as_person(value: Any, number: int) -> Any:
    return json.loads(json.dumps(value).replace(EMAIL, EMAIL.format(number=number)))


def _blocks(issuer: str, module: str) -> list[dict[str, Any]]:
    entry, ends = f"{issuer}/authorize*", f"{issuer}/end_session*"
    sign_in = _task("Sign in", f"{issuer}/login*", SIGN_IN)
    allow, deny = (
        _task("Consent", f"{issuer}/consent*", [["click", "css", f"button[value={decision}]"]])
        for decision in ("allow", "deny")
    )
    back = _task("Back", "*/test/*/callback*", [["wait", "id", "submission_complete", 10]], optional=False)
    usual = _at(entry, sign_in, allow, back)
    if module in SEES_SIGN_IN_AGAIN:
        look = _look("Sign in|Confirm", optional=True)
        return [_at(entry, _task("Sign in", f"{issuer}/login*", [look, *SIGN_IN]), allow, back)]
    if module in SEES_ERROR:
        return [_at(entry, _task("Error", f"{issuer}/*", [_look("redirect")], optional=False))]
    if module in SEES_CONSENT:
        return [_at(entry, sign_in, _task("Consent", f"{issuer}/consent*", [_look("Allow")], optional=False))]
    if module == DENIES:
        return [_at(entry, sign_in, deny, back)]
    if module == LEAVES_AT_FIRST:
        only_look = _at(entry, _task("Look", f"{issuer}/login*", [["wait", "id", "password", 10]], optional=False))
        return [only_look | {"match-limit": 1}, usual]
    if module in SEES_NO_SIGN_OUT:
        return [usual, _at(ends, _task("Error", f"{issuer}/*", [_look(".")], optional=False))]
    confirm = _task("Confirm", ends, CONFIRM)
    if module in SEES_SIGNED_OUT:
        return [usual, _at(ends, confirm, _task("Signed out", f"{issuer}/*", [_look(".")], optional=False))]
    return [usual, _at(ends, confirm, _task("Back", "*", [["wait", "contains", "/post_logout_redirect", 15]]))]


def _at(match: str, *tasks: dict[str, Any]) -> dict[str, Any]:
    return {"match": match, "tasks": list(tasks)}


def _task(name: str, match: str, commands: list[Any], *, optional: bool = True) -> dict[str, Any]:
    return {"task": name, "match": match, "optional": optional, "commands": commands}


def _look(text: str, *, optional: bool = False) -> list[Any]:
    """Wait for a text, and put the page into the log for whoever reviews it."""
    return ["wait", "xpath", "//*", 10, text, "update-image-placeholder" + ("-optional" if optional else "")]
