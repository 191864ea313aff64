"""Warehouse: everybody signed in sees the stock, the Order service reserves from it, an ADMIN corrects it."""

import os
from typing import Annotated

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, Field

from carnet.demo.samples import GOODS
from carnet.demo.serving import serve
from carnet.guard import Principal
from carnet.guard.fastapi import Guard

guard = Guard(issuer=os.environ["ISSUER"], audience="warehouse")
app = FastAPI(title="Warehouse", lifespan=guard.lifespan)


class Item(BaseModel):
    sku: str
    title: str
    price: int
    available: int


class Wanted(BaseModel):
    sku: str
    quantity: int = Field(ge=1, le=20)


class Reservation(BaseModel):
    number: int
    sku: str
    title: str
    price: int
    quantity: int


class Count(BaseModel):
    available: int = Field(ge=0, le=9999)


STOCK = {
    goods.sku: Item(sku=goods.sku, title=goods.title, price=goods.price, available=goods.available) for goods in GOODS
}
RESERVATIONS: dict[int, Reservation] = {}


@app.get("/stock")
async def stock(_: Annotated[Principal, guard.require(scope="stock:read", when_stale="allow")]) -> list[Item]:
    return list(STOCK.values())


@app.put("/stock/{sku}")
async def correct(
    sku: str, count: Count, _: Annotated[Principal, guard.require(scope="stock:write", role="ADMIN")]
) -> Item:
    item = known(sku)
    item.available = count.available
    return item


@app.post("/reservations", status_code=201)
async def reserve(
    wanted: Wanted, _: Annotated[Principal, guard.require(scope="stock:reserve", role="SERVICE")]
) -> Reservation:
    item = known(wanted.sku)
    if item.available < wanted.quantity:
        raise HTTPException(409, f"There are only {item.available} of {item.title}.")
    item.available -= wanted.quantity
    reservation = Reservation(
        number=len(RESERVATIONS) + 1, sku=item.sku, title=item.title, price=item.price, quantity=wanted.quantity
    )
    RESERVATIONS[reservation.number] = reservation
    return reservation


@app.delete("/reservations/{number}", status_code=204)
async def release(number: int, _: Annotated[Principal, guard.require(scope="stock:reserve", role="SERVICE")]) -> None:
    reservation = RESERVATIONS.get(number)
    if reservation is None or reservation.quantity == 0:
        raise HTTPException(404, "There is no such reservation.")
    STOCK[reservation.sku].available += reservation.quantity
    reservation.quantity = 0


@app.get("/health")
async def health() -> Response:
    return Response(status_code=200 if guard.checkpoint.ready else 503)


def known(sku: str) -> Item:
    item = STOCK.get(sku)
    if item is None:
        raise HTTPException(404, "There are no such goods.")
    return item


if __name__ == "__main__":
    serve(app)
