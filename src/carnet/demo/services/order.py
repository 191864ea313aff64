"""Order: people place orders here; the service then calls the other three in its own name."""

import itertools
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx2
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, Field

from carnet.demo.samples import PEOPLE, sales
from carnet.demo.serving import serve
from carnet.guard import Principal, ServiceTokens
from carnet.guard.fastapi import Guard
from carnet.guard.service_tokens import IssuerUnavailableError
from carnet.oauth import acr

FRESH = 300
"""Seconds after a proof by two factors during which the payment method may be changed."""
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")

# Routes that only show something go on (`when_stale="allow"`) when the issuer has been away for longer than half a minute; for
# the others the guard answers 503 then, as nobody can tell whether a token has been taken back meanwhile.
guard = Guard(issuer=os.environ["ISSUER"], audience="orders")
own = ServiceTokens(
    issuer=os.environ["ISSUER"], client_id=os.environ["CLIENT_ID"], client_secret=os.environ["CLIENT_SECRET"]
)
others = httpx2.AsyncClient(auth=own, timeout=5)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with guard.lifespan(app), others:
        yield


app = FastAPI(title="Order", lifespan=lifespan)


class Wanted(BaseModel):
    sku: str
    quantity: int = Field(ge=1, le=20)


class Order(BaseModel):
    number: str
    customer: str
    sku: str
    title: str
    quantity: int
    total: int
    placed_on: str
    invoice: str


SUBJECTS = os.environ["SAMPLE_CUSTOMERS"].split()

ORDERS = [
    Order(
        number=f"W-{number}",
        customer=sale.customer,
        sku=sale.goods.sku,
        title=sale.goods.title,
        quantity=sale.quantity,
        total=sale.total,
        placed_on=sale.day,
        invoice=f"INV-{number}",
    )
    for number, sale in sales(SUBJECTS)
]


class PaymentMethod(BaseModel):
    """A bank account that orders are paid from."""

    holder: str = Field(min_length=1, max_length=70)
    iban: str = Field(max_length=50)


PAYMENT_METHODS = {
    subject: PaymentMethod(holder=person.name, iban=f"NL00WIND00000010{number:02}")
    for number, (subject, person) in enumerate(zip(SUBJECTS, PEOPLE, strict=True), start=1)
}

NUMBERS = itertools.count(1001 + len(ORDERS))


@app.get("/orders")
async def orders(
    customer: Annotated[Principal, guard.require(scope="orders:read", role="USER", when_stale="allow")],
) -> list[Order]:
    return [order for order in reversed(ORDERS) if order.customer == customer.subject]


@app.get("/orders/all")
async def all_orders(
    _: Annotated[Principal, guard.require(scope="orders:read", role="ADMIN", when_stale="allow")],
) -> list[Order]:
    return list(reversed(ORDERS))


@app.post("/orders", status_code=201)
async def place(
    wanted: Wanted, customer: Annotated[Principal, guard.require(scope="orders:write", role="USER")]
) -> Order:
    number = f"W-{next(NUMBERS)}"
    goods = await call("POST", f"{os.environ['WAREHOUSE']}/reservations", wanted.model_dump())
    total = goods["price"] * wanted.quantity
    try:
        bill = {"order": number, "customer": customer.subject, "amount": total}
        invoice = await call("POST", f"{os.environ['INVOICE']}/invoices", bill)
    except HTTPException:
        await call("DELETE", f"{os.environ['WAREHOUSE']}/reservations/{goods['number']}")
        raise
    order = Order(
        number=number,
        customer=customer.subject,
        sku=wanted.sku,
        title=goods["title"],
        quantity=wanted.quantity,
        total=total,
        placed_on=datetime.now(UTC).date().isoformat(),
        invoice=invoice["number"],
    )
    ORDERS.append(order)
    text = f"Your order {number} is on its way: {wanted.quantity} x {order.title}."
    with suppress(HTTPException):  # the order stands, whether its customer hears of it or not
        await call("POST", f"{os.environ['NOTIFICATION']}/notifications", {"to": customer.subject, "text": text})
    return order


@app.get("/payment-method")
async def payment_method(
    customer: Annotated[Principal, guard.require(scope="orders:read", role="USER", when_stale="allow")],
) -> PaymentMethod | None:
    return PAYMENT_METHODS.get(customer.subject)


@app.put("/payment-method")
async def change_payment_method(
    wanted: PaymentMethod,
    customer: Annotated[
        Principal, guard.require(scope="orders:write", role="USER", acr=acr.TWO_FACTORS, max_age=FRESH)
    ],
) -> PaymentMethod:
    """Who has only the session of somebody who went for a coffee cannot have their goods paid by another account."""
    iban = "".join(wanted.iban.split()).upper()
    if IBAN.fullmatch(iban) is None:
        raise HTTPException(422, "This is not an account number: give an IBAN such as NL00 WIND 0000 0010 01.")
    PAYMENT_METHODS[customer.subject] = PaymentMethod(holder=wanted.holder.strip(), iban=iban)
    return PAYMENT_METHODS[customer.subject]


@app.get("/health")
async def health() -> Response:
    return Response(status_code=200 if guard.checkpoint.ready else 503)


async def call(method: str, url: str, body: Any = None) -> Any:
    """Ask another service, with this service's own token. What it says about the request is passed on; the rest is not."""
    try:
        answer = await others.request(method, url, json=body)
    except (httpx2.TransportError, IssuerUnavailableError):
        raise HTTPException(503, "A service behind this one does not answer: try again shortly.") from None
    if answer.status_code in {404, 409}:
        raise HTTPException(answer.status_code, answer.json()["detail"])
    if answer.is_error:
        raise HTTPException(502, "A service behind this one failed.")
    return answer.json() if answer.content else None


if __name__ == "__main__":
    serve(app)
