"""OpenID Connect Core section 3.1.2.3: what a browser came to sign in for, and how it goes on with that."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.accounts.people import Actor, note
from carnet.issuer.browser import Visit, csrf_field, sign_in
from carnet.issuer.client_names import name_in
from carnet.issuer.desk import Desk
from carnet.issuer.flow import Flow, open_flow, resume_url
from carnet.issuer.http_security import written_address
from carnet.issuer.login import NotProvedError
from carnet.issuer.login.device import remember
from carnet.issuer.login.returning import way_back
from carnet.issuer.storage.records import Account
from carnet.oauth.client_id import host_of, names_document
from carnet.oauth.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Errand:
    """What waits until somebody has signed in."""

    given: Parameters
    """`flow` or `back`, as the link or the form has it."""
    flow: Flow | None
    back: str | None
    client_name: str | None

    @property
    def fields(self) -> dict[str, str]:
        """What the pages on the way carry along."""
        carried = {name: self.given.get(name) for name in ("flow", "back")}
        return {name: value for name, value in carried.items() if value}

    @property
    def query(self) -> str:
        """The same in a URL of ours."""
        return f"?{urlencode(self.fields)}" if self.fields else ""

    @property
    def form_targets(self) -> tuple[str, ...]:
        """Where a form's answer may redirect in the end."""
        redirect_uri = self.flow.parameters.get("redirect_uri") if self.flow else None
        return (redirect_uri,) if redirect_uri else ()

    def onward(self, desk: Desk, seen: Visit, *, otherwise: str = "/account") -> str:
        """The URL that the browser came from."""
        if self.flow is not None:
            return resume_url(desk, self.flow, browser=seen.browser_digest)
        return desk.config.issuer + (self.back or otherwise)


async def errand_of(request: Request, desk: Desk, seen: Visit, given: Parameters) -> Errand:
    """Raises RefusalError where the flow is not this browser's, or too old."""
    sealed_flow, sealed_back = given.get("flow"), given.get("back")
    flow = open_flow(request, desk, sealed_flow, browser=seen.browser_digest) if sealed_flow else None
    back = way_back(desk, seen, sealed_back) if sealed_back else None
    client_id = flow.parameters.get("client_id") if flow else None
    return Errand(given, flow, back, await _name_of(client_id, request, desk) if client_id else None)


async def _name_of(client_id: str, request: Request, desk: Desk) -> str | None:
    """What people are told for whom they sign in: of a client that only a document describes its host, which is certain."""
    client = await desk.store.clients.get(client_id)
    if client is None or client.from_document:
        return host_of(client_id) if names_document(client_id) else None
    return name_in(client, desk.pages.wanted(request))


def proof_page(
    request: Request,
    desk: Desk,
    seen: Visit,
    errand: Errand,
    name: str,
    *,
    error: NotProvedError | None,
    **context: Any,
) -> Response:
    """A page that asks for a proof, or asks again. The name of its template is the purpose of its form."""
    response = desk.pages.render(
        request,
        name,
        status=200 if error is None else 429 if error.retry_after else 403,
        form_targets=errand.form_targets,
        csrf=csrf_field(desk, seen, name),
        client_name=errand.client_name,
        error=error,
        **{"carried": errand.fields} | context,
    )
    if error is not None and error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def complete(
    request: Request, desk: Desk, seen: Visit, account: Account, amr: tuple[str, ...], errand: Errand
) -> Response:
    """Start the session, once every proof that the account needs has been given, and go on. Raises as `sign_in`."""
    now_in = await sign_in(request, desk, seen, account, amr=amr)
    remember(request, desk, account.subject)
    await note(
        desk,
        "sign_in.succeeded",
        account,
        Actor(account.subject, written_address(request, desk.config)),
        sid=now_in.session.sid if now_in.session else None,
        amr=list(amr),
    )
    return RedirectResponse(errand.onward(desk, now_in), 303)
