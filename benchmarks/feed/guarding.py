"""What a guard adds to a request of an ASGI application: `python benchmarks/feed/guarding.py`.

The same application unguarded, guarded by Carnet (revocation look-up included), and behind middlewares of a dozen lines made with
PyJWT and with joserfc, which look nothing up. One process, no sockets; a few tokens that come again and again, as they do. Each
figure is the median of interleaved rounds, in microseconds of this process's time for each request.
"""

import argparse
import asyncio
import json
import logging
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import joserfc.jwk
import joserfc.jwt
import jwt as pyjwt

from carnet.feed.entries import Entry
from carnet.guard.asgi import Guard
from carnet.testing.issuer import FakeIssuer

ISSUER, AUDIENCE = "https://issuer.example", "orders"
TOKENS = 50
ENTRIES = 100_000
BODY = b'{"orders": []}'
App = Callable[..., Awaitable[None]]


async def plain(scope: Any, _receive: Any, send: Any) -> None:
    """The application itself."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": BODY})


def bearer(scope: Any) -> str:
    header = next(value for name, value in scope["headers"] if name == b"authorization")
    return header.partition(b" ")[2].decode("ascii")


def with_pyjwt(key: Any) -> App:
    public = pyjwt.PyJWK(key.public().to_jwk()).key

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["claims"] = pyjwt.decode(
            bearer(scope),
            public,
            algorithms=["ES256"],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp", "sub"]},
        )
        await plain(scope, receive, send)

    return app


def with_joserfc(key: Any) -> App:
    public = joserfc.jwk.ECKey.import_key(key.public().to_jwk())
    claims = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": AUDIENCE}, exp={"essential": True}
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        token = joserfc.jwt.decode(bearer(scope), public, algorithms=["ES256"])
        claims.validate(token.claims)
        scope["claims"] = token.claims
        await plain(scope, receive, send)

    return app


async def receive() -> dict[str, Any]:
    return {"type": "http.request"}


async def send(_message: Any) -> None:
    return None


async def spent(app: App, headers: list[list[tuple[bytes, bytes]]], count: int) -> float:
    """Microseconds for each request."""
    begin = time.process_time()
    for number in range(count):
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/orders",
            "query_string": b"",
            "headers": headers[number % len(headers)],
        }
        await app(scope, receive, send)
    return (time.process_time() - begin) / count * 1e6


async def measure(rounds: int, count: int) -> dict[str, float]:
    issuer = FakeIssuer(ISSUER, audience=AUDIENCE, feed=True)
    tokens = [issuer.token(f"person-{n}", sid=f"session-{n}", expires_in=3600) for n in range(TOKENS)]
    headers = [[(b"host", b"orders"), (b"accept", b"*/*"), (b"authorization", f"Bearer {t}".encode())] for t in tokens]
    guard = Guard(issuer=ISSUER, audience=AUDIENCE)
    issuer._taken_back += [Entry(number << 40, 0, 2**32 - 1) for number in range(ENTRIES)]  # noqa: SLF001 - of nobody here
    with issuer.trusted_by(guard):
        protected = guard.protect(plain)
        follower = guard.checkpoint.feed
        assert follower is not None

        async def after_news(scope: Any, receive: Any, send: Any) -> None:
            follower.entries.generation += 1  # as if an entry had just come: every token is looked up anew
            await protected(scope, receive, send)

        contestants: dict[str, App] = {
            "unguarded": plain,
            "carnet": protected,
            "carnet, after news": after_news,
            "pyjwt": with_pyjwt(issuer.key),
            "joserfc": with_joserfc(issuer.key),
        }
        seen: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            issuer.beat()
            for name, app in contestants.items():
                await spent(app, headers, TOKENS)
                seen[name].append(
                    await spent(app, headers, count if "carnet" in name or name == "unguarded" else count // 10)
                )
            await asyncio.sleep(0)
        await guard.checkpoint.stop()
    return {name: statistics.median(figures) for name, figures in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--count", type=int, default=5_000, help="requests in a round")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.disable()  # the fake issuer's stream ends again and again, and the guard says so
    figures = asyncio.run(measure(arguments.rounds, arguments.count))
    bare = figures["unguarded"]
    added = {name: figure - bare for name, figure in figures.items() if name != "unguarded"}
    if arguments.json:
        print(json.dumps({"us": figures, "added_us": added}))
        return
    print(f"{'':20} {'µs':>8} {'added µs':>9}  {'to Carnet':>9}")
    print(f"{'unguarded':20} {bare:8.2f}")
    for name, figure in added.items():
        print(f"{name:20} {figures[name]:8.2f} {figure:9.2f}  {figure / added['carnet']:8.1f}x")


if __name__ == "__main__":
    main()
