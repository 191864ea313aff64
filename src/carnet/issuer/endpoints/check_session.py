"""OpenID Connect Session Management 1.0 section 3.3: the page in a client's frame that says whether the session has changed."""

from base64 import b64encode
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from carnet.issuer.cookies import cookie_name
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.session_state import STATE_COOKIE, offered

_SCRIPT = """"use strict";
const prefix = "%s=";
const encoder = new TextEncoder();

function state() {
  const found = document.cookie.split("; ").find((cookie) => cookie.startsWith(prefix));
  return found === undefined ? "" : found.slice(prefix.length);
}

async function kept() {
  return state() !== "" || document.hasStorageAccess === undefined || (await document.hasStorageAccess());
}

async function compare(message, origin) {
  const parts = typeof message === "string" ? /^(\\S+) ([\\w-]+)\\.([\\w-]+)$/.exec(message) : null;
  if (parts === null || crypto.subtle === undefined || !(await kept())) {
    return "error";
  }
  const [, client, told, salt] = parts;
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode([client, origin, state(), salt].join(" ")));
  const text = btoa(String.fromCharCode(...new Uint8Array(digest)));
  const now = text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return now === told && state() !== "" ? "unchanged" : "changed";
}

addEventListener("message", async (event) => {
  if (event.source !== null && event.source !== window && event.origin !== "null") {
    event.source.postMessage(await compare(event.data, event.origin), event.origin);
  }
});
"""


async def answer(_request: Request, desk: Desk) -> Response:
    """Any page may frame it, and learns from it nothing that it was not told before; its one script loads and sends nothing.

    Nobody is told a hash of the empty state, which any page could make: so none learns from it whether somebody is signed in.

    `frame-ancestors` stands in the place of X-Frame-Options (CSP Level 3 section 6.4.2.2). Where the browser keeps the state from
    frames of other sites the answer is `error`, so that no client asks again and again.
    """
    script = _SCRIPT % cookie_name(desk.config, STATE_COOKIE)
    hashed = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashed}'; frame-ancestors *; form-action 'none'; base-uri 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    document = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Session</title><script>{script}</script>'
    return HTMLResponse(document, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})


ENDPOINTS = (Endpoint("/check_session", ("GET",), answer, metadata="check_session_iframe", served=offered),)
