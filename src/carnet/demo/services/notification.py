"""Notification: the Order service leaves messages here; people read their own, an ADMIN reads everyone's."""

import os

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from carnet.demo.serving import serve
from carnet.guard.starlette import Guard

guard = Guard(issuer=os.environ["ISSUER"], audience="notifications")


class Message(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    text: str


MESSAGES: list[Message] = []


@guard.require(scope="notifications:read", role="USER", when_stale="allow")
async def messages(request: Request) -> Response:
    reader = guard.principal(request).subject
    return answer([message for message in reversed(MESSAGES) if message.to == reader])


@guard.require(scope="notifications:read", role="ADMIN", when_stale="allow")
async def all_messages(_: Request) -> Response:
    return answer(list(reversed(MESSAGES)))


@guard.require(scope="notifications:send", role="SERVICE")
async def send(request: Request) -> Response:
    try:
        message = msgspec.json.decode(await request.body(), type=Message)
    except msgspec.DecodeError as error:
        return JSONResponse({"detail": f"This is not a message: {error}."}, 422)
    MESSAGES.append(message)
    return answer(message, 201)


async def health(_: Request) -> Response:
    return Response(status_code=200 if guard.checkpoint.ready else 503)


def answer(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


app = Starlette(
    routes=[
        Route("/notifications", messages),
        Route("/notifications", send, methods=["POST"]),
        Route("/notifications/all", all_messages),
        Route("/health", health),
    ],
    lifespan=guard.lifespan,
)

if __name__ == "__main__":
    serve(app)
