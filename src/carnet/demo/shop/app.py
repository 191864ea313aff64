"""Browser-based apps BCP section 6.1: the shop. Its pages are made here, with data from four services; no token leaves here."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from carnet.ambient import SYSTEM
from carnet.demo.parts import SERVICES
from carnet.demo.samples import PEOPLE
from carnet.demo.serving import serve
from carnet.demo.shop import services as calls
from carnet.demo.shop.draft import Drafts
from carnet.demo.shop.pages import HERE, Headers, Pages
from carnet.demo.shop.services import (
    Call,
    FailedServiceError,
    RefusedByServiceError,
    RejectedInputError,
    Services,
    StepUpError,
    UselessTokenError,
)
from carnet.demo.shop.token_page import token_page
from carnet.demo.shop.visitor import CountedSessions, Visitor, visitor
from carnet.guard.browser import BrowserBackend, ForgedError, IssuerUnavailableError
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.parameters import Parameters, parse

ISSUER = os.environ["ISSUER"]
URL = os.environ["SHOP"]
URLS = {name: os.environ[name.upper()] for name in SERVICES}
NAMES = dict(zip(os.environ["SAMPLE_CUSTOMERS"].split(), (person.name for person in PEOPLE), strict=True))
FIRST_ASKED = {"sku": None, "quantity": "1"}
PAYMENT = "/payment"
SECRET = bytes.fromhex(os.environ["COOKIE_SECRET"])

sessions = CountedSessions(SECRET, ambient=SYSTEM)
backend = BrowserBackend(
    issuer=ISSUER,
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    secret=SECRET,
    url=URL,
    scope=os.environ["SCOPE"],
    problem_path="/problem",
    cookie="windrose",
    sessions=sessions,
)
services = Services(URLS)
drafts = Drafts(SECRET, path=PAYMENT, ambient=SYSTEM)
pages = Pages(
    people_url=f"{ISSUER}/admin",
    running=[("Issuer", ISSUER), *((name.capitalize(), url) for name, url in URLS.items()), ("Shop", URL)],
)


class SignedOutError(Exception):
    """The page is for people who are signed in."""


async def looking(request: Request) -> Visitor | None:
    """Who looks at the page, with a token that is good for some time yet."""
    session = await backend.session(request)
    if session is None:
        return None
    return visitor(session, refreshed=sessions.renewals(session), csrf=backend.csrf_token(session))


async def signed_in(request: Request) -> Visitor:
    me = await looking(request)
    if me is None:
        raise SignedOutError
    return me


async def ask(request: Request, me: Visitor, call: Call, body: Any = None) -> Any:
    """Ask a service. If it refuses the token it may have been taken back: with another one once more, or to the sign-in page."""
    try:
        return await services.ask(call, me.access_token, body)
    except UselessTokenError:
        session = await backend.renewed(request, refused=me.access_token)
        if session is None:
            raise SignedOutError from None
    try:
        return await services.ask(call, session.access_token, body)
    except UselessTokenError:
        raise FailedServiceError(call) from None


def show(request: Request, me: Visitor | None, template: str, *, status: int = 200, **facts: Any) -> Response:
    shown = {"me": me, "here": request.url.path, "now": SYSTEM.now(), "flash": None, "wrong": False}
    return pages.answer(template, shown | facts, status=status)


async def home(request: Request) -> Response:
    me = await looking(request)
    if me is None:
        return show(request, None, "home.html")
    try:
        messages = await ask(request, me, calls.MESSAGES)
    except (RefusedByServiceError, FailedServiceError):
        messages = None
    return show(request, me, "home.html", messages=messages)


async def orders(request: Request) -> Response:
    me = await signed_in(request)
    return await show_orders(request, me, placed=request.query_params.get("placed"))


async def show_orders(
    request: Request,
    me: Visitor,
    *,
    placed: str | None = None,
    asked: Mapping[str, str | None] = FIRST_ASKED,
    wrong: str | None = None,
) -> Response:
    own = await ask(request, me, calls.ORDERS)
    stock = await ask(request, me, calls.STOCK)
    new = next((order for order in own if order["number"] == placed), None)
    flash = wrong or (
        new and "Order {number} is placed. The goods are reserved, invoice {invoice} is written.".format(**new)
    )
    return show(
        request,
        me,
        "orders.html",
        status=409 if wrong else 200,
        orders=own,
        stock=stock,
        asked=asked,
        flash=flash,
        wrong=bool(wrong),
    )


async def place_order(request: Request) -> Response:
    me = await signed_in(request)
    form = await genuine_form(request)
    wanted = {"sku": form.get("sku"), "quantity": form.get("quantity")}
    try:
        order = await ask(request, me, calls.PLACE_ORDER, wanted)
    except RejectedInputError as error:
        return await show_orders(request, me, asked=wanted, wrong=str(error))
    return RedirectResponse(f"/orders?placed={quote(order['number'])}", 303)


async def payment(request: Request) -> Response:
    """The form, with what was typed before the person was sent away to prove who they are."""
    me = await signed_in(request)
    draft = drafts.read(request, owner=me.email)
    saved = request.query_params.get("saved") is not None and draft is None
    flash = "The payment method is changed." if saved else None
    if draft is not None:
        flash = "What you had typed is still here: look it over, and change it."
    return await show_payment(request, me, draft=draft, flash=flash)


async def show_payment(
    request: Request,
    me: Visitor,
    *,
    draft: dict[str, str] | None = None,
    flash: str | None = None,
    wrong: bool = False,
) -> Response:
    current = await ask(request, me, calls.PAYMENT_METHOD)
    typed = draft or {"holder": current["holder"] if current else me.name, "iban": ""}
    status = 409 if wrong else 200
    return show(request, me, "payment.html", status=status, current=current, typed=typed, flash=flash, wrong=wrong)


async def change_payment(request: Request) -> Response:
    """The Order service says whether the proof is strong and fresh enough, and if not, what would be (RFC 9470)."""
    me = await signed_in(request)
    form = await genuine_form(request)
    typed = {"holder": (form.get("holder") or "")[:200], "iban": (form.get("iban") or "")[:200]}
    try:
        await ask(request, me, calls.CHANGE_PAYMENT_METHOD, typed)
    except RejectedInputError as error:
        return await show_payment(request, me, draft=typed, flash=str(error), wrong=True)
    except StepUpError as error:
        away = RedirectResponse(f"/auth/login?{urlencode({'return_to': PAYMENT, **error.asked})}", 303)
        drafts.keep(away, typed, owner=me.email)
        return away
    done = RedirectResponse(f"{PAYMENT}?saved", 303)
    drafts.forget(done)
    return done


async def stock(request: Request) -> Response:
    me = await signed_in(request)
    return show(request, me, "stock.html", stock=await ask(request, me, calls.STOCK))


async def invoices(request: Request) -> Response:
    me = await signed_in(request)
    return show(request, me, "invoices.html", invoices=await ask(request, me, calls.INVOICES))


async def admin(request: Request) -> Response:
    me = await signed_in(request)
    everyones = await ask(request, me, calls.ALL_ORDERS)
    bills = await ask(request, me, calls.ALL_INVOICES)
    goods = await ask(request, me, calls.STOCK)
    corrected = next((item for item in goods if item["sku"] == request.query_params.get("corrected")), None)
    flash = corrected and "{title}: {available} are there now.".format(**corrected)
    return show(request, me, "admin.html", orders=everyones, invoices=bills, stock=goods, names=NAMES, flash=flash)


async def correct_stock(request: Request) -> Response:
    me = await signed_in(request)
    form = await genuine_form(request)
    sku = quote(form.get("sku") or "", safe="")
    try:
        await ask(request, me, calls.correct_stock(sku), {"available": form.get("available")})
    except RejectedInputError as error:
        return await problem(request, 409, "That was not corrected.", str(error), onward="/admin", label="Back")
    return RedirectResponse(f"/admin?corrected={sku}", 303)


async def token(request: Request) -> Response:
    me = await signed_in(request)
    return show(request, me, "token.html", token=token_page(me.access_token, at=SYSTEM.now()))


async def sign_in_failed(request: Request) -> Response:
    if request.query_params.get("error") == "unmet_authentication_requirements":
        sentence = "This needs a second proof that it is you. Nothing was changed."
        return await problem(request, 403, "Not without a second proof.", sentence, onward=PAYMENT, label="Back")
    told = {
        "access_denied": "You have not allowed it. Nothing was changed.",
        "sign_in_expired": "It took too long, or was begun in another browser.",
    }
    sentence = told.get(request.query_params.get("error", ""), "The issuer could not finish it.")
    return await problem(request, 400, "You are not signed in.", sentence, onward="/auth/login", label="Try again")


async def genuine_form(request: Request) -> Parameters:
    """The fields of a form that one of these pages has sent; raises ForgedError."""
    await backend.refuse_forged(request)
    try:
        return parse(await request.body())
    except InvalidRequestError as error:
        raise ForgedError(str(error)) from None


async def problem(
    request: Request,
    status: int,
    heading: str,
    sentence: str,
    *,
    onward: str = "/",
    label: str = "Go to the start page",
) -> Response:
    facts = {"heading": heading, "sentence": sentence, "onward": onward, "label": label}
    try:
        me = await looking(request)
    except IssuerUnavailableError:
        me = None
    return show(request, me, "problem.html", status=status, code=status, **facts)


async def to_sign_in(request: Request, _: Exception) -> Response:
    back = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/auth/login?return_to={quote(back)}", 303)


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedByServiceError)  # noqa: S101 - as it is registered
    return show(request, await looking(request), "refused.html", status=403, refusal=error)


async def failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, FailedServiceError)  # noqa: S101 - as it is registered
    heading = f"The {error.call.service} service does not answer."
    return await problem(
        request, 503, heading, "Nothing is lost. Try again in a moment.", onward=request.url.path, label="Try again"
    )


async def forged(request: Request, _: Exception) -> Response:
    sentence = "This form did not come from a page of this session. Nothing was changed."
    return await problem(request, 403, "That was not taken.", sentence)


async def issuer_away(request: Request, _: Exception) -> Response:
    return show(
        request,
        None,
        "problem.html",
        status=503,
        code=503,
        heading="Your token has run out, and the issuer does not answer.",
        sentence="The session stays. As soon as the issuer is there again, you go on where you were.",
        onward=request.url.path,
        label="Try again",
    )


async def not_found(request: Request, _: Exception) -> Response:
    return await problem(request, 404, "There is nothing here.", "The address may be mistyped.")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with backend.lifespan(app):
        yield
    await services.close()


async def health(_: Request) -> Response:
    return Response(status_code=200)


app = Starlette(
    routes=[
        *backend.routes,
        Route("/", home),
        Route("/orders", orders),
        Route("/orders", place_order, methods=["POST"]),
        Route(PAYMENT, payment),
        Route(PAYMENT, change_payment, methods=["POST"]),
        Route("/stock", stock),
        Route("/invoices", invoices),
        Route("/admin", admin),
        Route("/admin/stock", correct_stock, methods=["POST"]),
        Route("/token", token),
        Route("/problem", sign_in_failed),
        Route("/health", health),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ],
    middleware=[
        Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1"]),
        Middleware(Headers, issuer=ISSUER),
        *backend.middleware,
    ],
    exception_handlers={
        SignedOutError: to_sign_in,
        RefusedByServiceError: refused,
        FailedServiceError: failed,
        ForgedError: forged,
        IssuerUnavailableError: issuer_away,
        404: not_found,
    },
    lifespan=lifespan,
)

if __name__ == "__main__":
    serve(app)
