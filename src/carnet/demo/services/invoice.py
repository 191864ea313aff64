"""Invoice: the Order service has invoices written; people see their own, an ADMIN sees everyone's."""

import os
from datetime import UTC, datetime

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from carnet.demo.samples import sales
from carnet.demo.serving import serve
from carnet.guard.starlette import Guard

guard = Guard(issuer=os.environ["ISSUER"], audience="invoices")


class Bill(msgspec.Struct, forbid_unknown_fields=True):
    """What an invoice is asked for with."""

    order: str
    customer: str
    amount: int


class Invoice(msgspec.Struct):
    number: str
    order: str
    customer: str
    amount: int
    dated: str
    state: str = "open"


INVOICES = [
    Invoice(f"INV-{number}", f"W-{number}", sale.customer, sale.total, sale.day, "paid")
    for number, sale in sales(os.environ["SAMPLE_CUSTOMERS"].split())
]


@guard.require(scope="invoices:read", role="USER", when_stale="allow")
async def invoices(request: Request) -> Response:
    customer = guard.principal(request).subject
    return answer([invoice for invoice in reversed(INVOICES) if invoice.customer == customer])


@guard.require(scope="invoices:read", role="ADMIN", when_stale="allow")
async def all_invoices(_: Request) -> Response:
    return answer(list(reversed(INVOICES)))


@guard.require(scope="invoices:create", role="SERVICE")
async def create(request: Request) -> Response:
    try:
        bill = msgspec.json.decode(await request.body(), type=Bill)
    except msgspec.DecodeError as error:
        return JSONResponse({"detail": f"This is not a bill: {error}."}, 422)
    today = datetime.now(UTC).date().isoformat()
    invoice = Invoice(f"INV-{1001 + len(INVOICES)}", bill.order, bill.customer, bill.amount, today)
    INVOICES.append(invoice)
    return answer(invoice, 201)


async def health(_: Request) -> Response:
    return Response(status_code=200 if guard.checkpoint.ready else 503)


def answer(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


app = Starlette(
    routes=[
        Route("/invoices", invoices),
        Route("/invoices", create, methods=["POST"]),
        Route("/invoices/all", all_invoices),
        Route("/health", health),
    ],
    lifespan=guard.lifespan,
)

if __name__ == "__main__":
    serve(app)
