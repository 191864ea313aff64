"""A receiver of security events, as an app of somebody else's: it manages its streams, polls, and listens for pushes."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2

from carnet.jose.profiles import SECURITY_EVENT
from carnet.oauth.security_events import POLL, PUSH, SUPPORTED

ISSUER = "http://127.0.0.1:8080"


@dataclass
class Pushes:
    """A small HTTP server that takes pushed events."""

    status: int = 202
    body: str = ""
    url: str = ""
    heard: asyncio.Queue[tuple[dict[str, str], str]] = field(default_factory=asyncio.Queue)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        assert first.startswith("POST /events HTTP/1.1")
        headers = dict(re.split(r":\s*", line.lower(), maxsplit=1) if ":" in line else (line, "") for line in lines)
        original = dict(re.split(r":\s*", line, maxsplit=1) for line in lines if ":" in line)
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + self.body).encode())
        await writer.drain()
        writer.close()
        self.heard.put_nowait(({name.lower(): value for name, value in original.items()}, body))

    def taken(self) -> list[tuple[dict[str, str], str]]:
        return [self.heard.get_nowait() for _ in range(self.heard.qsize())]


@dataclass
class Receiver:
    """An app with the scope values of a receiver."""

    app: Any
    scope: str = "ssf.manage ssf.read"

    @property
    def issuer(self) -> Any:
        return self.app.issuer

    async def token(self, **parameters: str) -> str:
        answer = await self.app.post(grant_type="client_credentials", scope=self.scope, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {await self.token()}"}
        return await self.issuer.direct.request(method, path, headers=headers, **options)

    async def create(self, *, delivery: dict[str, str] | None = None, **members: Any) -> dict[str, Any]:
        asked = {"events_requested": list(SUPPORTED), "delivery": delivery or {"method": POLL}} | members
        answer = await self.ask("POST", "/ssf/streams", json=asked)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def create_pushed(self, pushes: Pushes, **members: str) -> dict[str, Any]:
        return await self.create(delivery={"method": PUSH, "endpoint_url": pushes.url} | members)

    async def poll(self, stream: dict[str, Any], **members: Any) -> dict[str, Any]:
        url = stream["delivery"]["endpoint_url"]
        answer = await self.ask("POST", url, json={"returnImmediately": True} | members)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def events(self, stream: dict[str, Any]) -> list[dict[str, Any]]:
        """What waits on the stream, verified."""
        sets = (await self.poll(stream))["sets"]
        found = [await self.verified(token) for token in sets.values()]
        assert [claims["jti"] for claims in found] == list(sets)
        return found

    async def verified(self, token: str) -> dict[str, Any]:
        verifier = SECURITY_EVENT.verifier(
            keys=await self.issuer.desk.keyring.key_set(),
            algorithms=("ES256",),
            issuer=ISSUER,
            audience=self.app.client_id,
        )
        return verifier.verify(token, at=self.issuer.clock.ambient.now()).claims
