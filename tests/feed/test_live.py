"""The promise, kept over real sockets: the issuer, relays and the command are processes of their own, and the network fails."""

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from carnet.ambient import SYSTEM, Ambient
from carnet.guard import Checkpoint, RefusedRequestError
from carnet.guard.revocation import Revocation
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store
from carnet.oauth import pkce
from carnet.testing.http_browser import HttpBrowser
from carnet.testing.programs import PATIENCE
from carnet.testing.running import running_issuer, running_relay

pytestmark = pytest.mark.anyio

PASSWORD = "ochre lantern under tidal glass"
CALLBACK = "http://127.0.0.1:1/callback"


class Live:
    """A running issuer with an app, and people who sign in to it."""

    def __init__(self, data):
        self.stack = ExitStack()
        self.data = data
        self.settings = ("--config", str(data / "carnet.toml"))
        (data / "carnet.toml").write_text("[lifetimes]\nkey_publication = 1\n")
        self.issuer = self.stack.enter_context(running_issuer(data, options=self.settings))
        registered = ("--public", "--first-party", "--redirect-uri", CALLBACK, "--audience", "orders")
        self.client_id = self.issuer.command("client", "create", "Shop", *registered)["client_id"]

    @property
    def url(self):
        return self.issuer.url

    def token(self, email):
        """An access token of a new person's."""
        self.issuer.command("user", "create", email, "--password-stdin", given=PASSWORD)
        request = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "code_challenge": pkce.challenge("v" * 43),
            "code_challenge_method": "S256",
        }
        with HttpBrowser(stop=lambda url: url.startswith(CALLBACK)) as browser:
            browser.open(f"{self.url}/authorize?{urlencode(request)}")
            browser.submit(to="/login", email=email, password=PASSWORD)
            code = parse_qs(urlsplit(browser.stopped_at).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": "v" * 43}
        form |= {"client_id": self.client_id, "redirect_uri": CALLBACK}
        answer = httpx2.post(f"{self.url}/token", data=form, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    async def sign_out(self, email):
        await asyncio.to_thread(self.issuer.command, "user", "sign-out", email)

    def kill(self):
        """End the issuer as a power failure does."""
        parent = self.issuer.process.pid
        workers = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, workers)):
            os.kill(pid, signal.SIGKILL)
        self.issuer.process.wait()

    def restart(self):
        self.issuer = self.stack.enter_context(
            running_issuer(self.data, port=urlsplit(self.url).port, options=self.settings)
        )


class Guarded:
    """A guard in this process, whose monotonic clock can be moved ahead, and to which everything comes `late` by some seconds."""

    def __init__(self, live, *, late=0, **revocation):
        self.ahead = 0.0
        ambient = Ambient(lambda: SYSTEM.now() + late, lambda: time.monotonic() + self.ahead, SYSTEM.entropy)
        revocation = Revocation(**revocation)
        self.checkpoint = Checkpoint(issuer=live.url, audience="orders", ambient=ambient, revocation=revocation)

    async def refusal(self, token):
        try:
            await self.checkpoint.admit([f"Bearer {token}".encode()])
        except RefusedRequestError as error:
            return error.refused.code
        return None

    async def until(self, token, refusal):
        """Wait until a token is answered so; how long that takes is measured by benchmarks/feed/latency.py."""
        async with asyncio.timeout(PATIENCE):
            while await self.refusal(token) != refusal:
                await asyncio.sleep(0.005)


class Network:
    """A TCP proxy before the feed.

    It can be `cut`; swallow what goes out (`mute`); `hold` what comes back; `replay` what it has carried.
    """

    def __init__(self, live):
        self.port = urlsplit(live.url).port
        self.mode = "carry"
        self.carried = {}
        self.open = set()
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.tried = asyncio.Event()
        """Somebody has met a network that does not carry."""

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.set("cut")
        await asyncio.gather(*self.open, return_exceptions=True)

    def set(self, mode, *, hanging_up=True):
        self.mode = mode
        self.tried.clear()
        (self.flowing.clear if mode == "hold" else self.flowing.set)()
        for task in self.open if hanging_up else ():
            task.cancel()

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.open.add(task)
        try:
            await self.exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(task)
            writer.close()

    async def exchange(self, reader, writer):
        if self.mode == "cut":
            self.tried.set()
            return
        head = await reader.readuntil(b"\r\n\r\n")
        what = head.split()[1].partition(b"?")[0]
        if self.mode == "mute":
            self.tried.set()
            await reader.read()
            return
        if self.mode == "replay":
            writer.write(self.carried.get(what, b""))
            await writer.drain()
            self.tried.set()
            return
        upstream, onward = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            onward.write(head.replace(self.url.encode().removeprefix(b"http://"), f"127.0.0.1:{self.port}".encode()))
            self.carried[what] = b""
            while chunk := await upstream.read(65_536):
                await self.flowing.wait()
                self.carried[what] += chunk
                writer.write(chunk)
                await writer.drain()
        finally:
            onward.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    live = Live(tmp_path_factory.mktemp("issuer"))
    with live.stack:
        yield live


@pytest.fixture
async def guarded(live):
    """Makes guards, and ends them."""
    made = []

    def make(of=live, **revocation):
        made.append(Guarded(of, **revocation))
        return made[-1]

    yield make
    for guard in made:
        await guard.checkpoint.stop()


async def test_guards_refuse_what_was_taken_back_directly_and_behind_two_relays(live, guarded):
    token, other = live.token("ann@example.com"), live.token("bob@example.com")
    with running_relay(live.url) as near, running_relay(live.url, upstream=near) as far:
        guards = [guarded(), guarded(relay=near), guarded(relay=far)]
        for guard in guards:
            await guard.until(token, None)
        await live.sign_out("ann@example.com")
        await asyncio.gather(*(guard.until(token, "revoked") for guard in guards))
        assert [await guard.refusal(other) for guard in guards] == [None] * 3


@pytest.mark.parametrize("mode", ["cut", "mute", "hold", "replay"])
async def test_behind_a_network_that_fails_the_bound_holds_and_nothing_is_lost(live, guarded, mode):
    email = f"{mode}@example.com"
    token, other = live.token(email), live.token(f"other-{email}")
    async with Network(live) as network:
        guard = guarded(relay=network.url)
        await guard.until(token, None)
        network.set(mode, hanging_up=mode != "hold")
        await live.sign_out(email)
        if mode != "hold":
            await asyncio.wait_for(network.tried.wait(), PATIENCE)
        assert await guard.refusal(other) is None, "within the bound it goes on"
        guard.ahead += 31
        assert await guard.refusal(token) in {"feed_stale", "revoked"}
        assert await guard.refusal(other) == "feed_stale"
        network.set("carry")
        await guard.until(token, "revoked")
        await guard.until(other, None)


async def test_a_relay_that_delays_is_of_no_use_however_steadily_it_speaks(live, guarded):
    token = live.token("late@example.com")
    async with Network(live) as network:
        guard = guarded(relay=network.url, late=31)
        await guard.until(token, "feed_stale")
        heard = guard.checkpoint.feed.sequence
        await live.sign_out("late@example.com")
        await guard.until(token, "revoked")
        assert guard.checkpoint.feed.sequence > heard
        assert guard.checkpoint.feed.staleness(monotonic=time.monotonic()) > 30


@pytest.fixture
def own(tmp_path):
    """An issuer to which nobody has listened: it remembers for a minute who has polled."""
    live = Live(tmp_path)
    with live.stack:
        yield live


async def reported(live, name):
    """Wait until the issuer has reported somebody who listens, which it does every five seconds."""
    store = open_store(Config(data=live.data), SYSTEM)
    while not any(one.name == name for report in await store.feed_reports.list(since=0) for one in report.listeners):
        await asyncio.sleep(0.05)
    await store.close()


async def test_a_new_key_signs_once_the_guards_that_listen_have_fetched_it(own, guarded):
    guard = guarded(own, name="orders 1")
    await guard.until(own.token("keys@example.com"), None)
    feed, held = guard.checkpoint.feed, guard.checkpoint.source.held()
    stock = {"guard": "stock 1", "keys": " ".join(key.kid for key in held)}
    place = {"stream": feed.stream, "after": feed.sequence}
    command = (sys.executable, "-m", "carnet.cli", "key", "rotate", "--json", *own.settings, "--data", str(own.data))
    async with httpx2.AsyncClient(base_url=own.url, trust_env=False, headers={"Accept": "text/event-stream"}) as http:
        async with http.stream("GET", "/revocations", params=stock | place):  # which does not fetch it
            await reported(own, "stock 1")
            rotating = await asyncio.create_subprocess_exec(
                *command, "--issuer", own.url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            while b"Not acknowledged by stock 1;" not in (line := await rotating.stderr.readline()):
                assert line, "it has waited for all of them"
        rotated = json.loads((await rotating.communicate())[0])
    assert rotated["state"] == "signs"
    source = guard.checkpoint.source
    assert source.held().get(rotated["kid"]) is not None
    assert list(source._machine._unknown) == [rotated["kid"]], "told by the feed, before any token"


async def test_an_issuer_that_was_killed_loses_nothing_and_guards_take_the_feed_up_again(live, guarded):
    before, meanwhile, other = (live.token(f"{name}@example.com") for name in ("before", "meanwhile", "third"))
    guard = guarded()
    await guard.until(before, None)
    await live.sign_out("before@example.com")
    live.kill()
    await live.sign_out("meanwhile@example.com")
    assert await guard.refusal(meanwhile) is None, "nobody could tell it yet"
    stream = guard.checkpoint.feed.stream
    live.restart()
    await guard.until(meanwhile, "revoked")
    await guard.until(before, "revoked")
    assert await guard.refusal(other) is None
    assert guard.checkpoint.feed.stream == stream
    fresh = guarded()
    assert [await fresh.refusal(token) for token in (before, meanwhile, other)] == ["revoked", "revoked", None]
