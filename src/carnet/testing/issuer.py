"""A fake issuer for tests: it mints any access token, good or bad, and serves its metadata and keys without a network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.feed.entries import HASH_KEY_LENGTH, OUTRIGHT, Entry, mark, pack
from carnet.feed.messages import Message, Snapshot, sign_message, sign_snapshot
from carnet.guard.checkpoint import BlockingCheckpoint, Checkpoint
from carnet.guard.metadata import metadata_urls
from carnet.jose import KeySet, SigningKey, sign_jwt
from carnet.jose.strict_json import encode_object

_FEED_KEY = b"f" * HASH_KEY_LENGTH


class AsyncGuarded(Protocol):
    """An adapter such as `carnet.guard.fastapi.Guard`."""

    checkpoint: Checkpoint


class BlockingGuarded(Protocol):
    """An adapter such as `carnet.guard.wsgi.Guard`."""

    checkpoint: BlockingCheckpoint


class FakeIssuer:
    """Mints tokens as an issuer would, and any other token too.

    Guards reach it by `transport`, or by `trusted_by`, which puts it in the place of a guard's real issuer.
    """

    def __init__(
        self,
        issuer: str = "https://issuer.test",
        *,
        audience: str | Sequence[str] = "service",
        algorithm: str = "ES256",
        ambient: Ambient = SYSTEM,
        feed: bool = False,
    ) -> None:
        """`audience` is what tokens are for unless they are asked for otherwise; `ambient` may be a settable one.

        `feed`: it has a revocation feed, which grows stale as the clock moves on unless it is told to `beat`.
        """
        self.issuer = issuer
        self.audience = audience
        self._algorithm = algorithm
        self._ambient = ambient
        self._minted = 0
        self.keys: list[SigningKey] = [SigningKey.generate(algorithm)]
        """What is published; the last one signs."""
        self.requests: list[str] = []
        """The URLs that were asked for, in order."""
        self._feed = feed
        self.feed_answers = True
        """False: the feed does not answer those who fetch it, and grows stale."""
        self._trusting: list[AsyncGuarded | BlockingGuarded] = []
        self._taken_back: list[Entry] = []

    @property
    def key(self) -> SigningKey:
        """The key that signs."""
        return self.keys[-1]

    def claims(
        self,
        subject: str = "alice",
        *,
        client_id: str = "front-end",
        audience: str | Sequence[str] | None = None,
        scope: str | Iterable[str] = (),
        roles: str | Iterable[str] = (),
        expires_in: int = 300,
        **others: Any,
    ) -> dict[str, Any]:
        """The claims of an access token (RFC 9068 section 2.2); `others` are added or replace them, None takes one out."""
        now = self._ambient.now()
        self._minted += 1
        made: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience or self.audience,
            "exp": now + expires_in,
            "iat": now,
            "jti": f"token-{self._minted}",
            "client_id": client_id,
            "scope": scope if isinstance(scope, str) else " ".join(scope),
            "roles": [roles] if isinstance(roles, str) else list(roles),
        } | others
        return {name: value for name, value in made.items() if value is not None}

    def token(
        self,
        subject: str = "alice",
        *,
        typ: str = "at+jwt",
        key: SigningKey | None = None,
        headers: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """An access token; the arguments are those of `claims`, and the header's `typ`, the signing key, further headers."""
        return sign_jwt(self.claims(subject, **claims), key or self.key, typ=typ, headers=headers)

    def headers(self, subject: str = "alice", **asked: Any) -> dict[str, str]:
        """The headers of a request with such a token."""
        return {"authorization": f"Bearer {self.token(subject, **asked)}"}

    def rotate(self, *, keep: bool = True) -> SigningKey:
        """Sign with a new key from now on; the old ones stay published, or do not."""
        new = SigningKey.generate(self._algorithm)
        self.keys = [*self.keys, new] if keep else [new]
        return new

    def revoke(self, kind: str, value: str, *, epoch: int = OUTRIGHT) -> None:
        """Take something back: a `session` (sid), `family`, `token` (jti), `client`, `key` (kid), or a `subject`.

        For a subject, tokens whose `sep` is lower than `epoch` are refused; `OUTRIGHT`: all of them. Guards inside of
        `trusted_by` know at once; others with their next fetch.

        Raises:
            ValueError: it was made without a feed.
        """
        if not self._feed:
            raise ValueError("This fake issuer has no revocation feed: make it with feed=True.")
        self._taken_back.append(Entry(mark(kind, value, key=_FEED_KEY), epoch, self._ambient.now() + 3600))
        self.beat()

    def beat(self) -> None:
        """Bring the guards inside of `trusted_by` up to date with the feed, and with its time."""
        for guard in self._trusting if self._feed else ():
            follower = guard.checkpoint.feed
            if follower is not None:
                follower.take_snapshot(self._snapshot(), at=self._ambient.now(), monotonic=self._ambient.monotonic())

    def _snapshot(self) -> Snapshot:
        return Snapshot("fake", _FEED_KEY, len(self._taken_back), self._ambient.now(), pack(self._taken_back))

    def _heartbeat(self) -> str:
        """A stream that says how far the feed is and ends: whoever is behind takes a snapshot."""
        head = len(self._taken_back)
        message = Message("fake", head, head, self._ambient.now())
        return f"data: {sign_message(message, issuer=self.issuer, key=self.key)}\n\n"

    def publish(self) -> bytes:
        """The JWK Set (RFC 7517 section 5)."""
        return encode_object(KeySet([key.public() for key in self.keys]).to_jwks())

    def metadata(self) -> dict[str, Any]:
        """RFC 8414 section 2."""
        feed = {
            "revocations_endpoint": f"{self.issuer}/revocations",
            "revocations_snapshot_endpoint": f"{self.issuer}/revocations/snapshot",
        }
        return (feed if self._feed else {}) | {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "response_types_supported": ["code"],
            "authorization_response_iss_parameter_supported": True,
        }

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request for metadata or keys; 404 for others. A subclass or a wrapper may answer more, or worse."""
        url = str(request.url)
        self.requests.append(url)
        headers = {"content-type": "application/json", "cache-control": "public, max-age=300"}
        if url == f"{self.issuer}/jwks":
            return httpx2.Response(200, content=self.publish(), headers=headers)
        if url.startswith(f"{self.issuer}/revocations") and not self.feed_answers:
            return httpx2.Response(503)
        if url == f"{self.issuer}/revocations/snapshot":
            return httpx2.Response(200, content=sign_snapshot(self._snapshot(), issuer=self.issuer, key=self.key))
        if url.startswith(f"{self.issuer}/revocations?"):
            return httpx2.Response(200, content=self._heartbeat())
        if url in metadata_urls(self.issuer):
            return httpx2.Response(200, content=encode_object(self.metadata()), headers=headers)
        return httpx2.Response(404)

    @property
    def transport(self) -> httpx2.MockTransport:
        """What a guard takes in the place of the network."""
        return httpx2.MockTransport(lambda request: self.answer(request))  # noqa: PLW0108 - looked up late: a test may replace it

    @contextmanager
    def trusted_by(self, *guards: AsyncGuarded | BlockingGuarded) -> Iterator["FakeIssuer"]:
        """Inside of the block, these guards trust this issuer, under their own issuer's name, and follow its clock.

        Tokens are for all of their audiences unless they are asked for otherwise.

        Raises:
            ValueError: they trust different issuers; make a fake issuer for each.
        """
        before = [(guard, guard.checkpoint) for guard in guards]
        if len({checkpoint.verifier.issuer for _, checkpoint in before}) > 1:
            raise ValueError("These guards trust different issuers: make a fake issuer for each of them.")
        own = self.issuer, self.audience
        try:
            self.audience = sorted({checkpoint.verifier.audience for _, checkpoint in before})
            for guard, checkpoint in before:
                self.issuer = checkpoint.verifier.issuer
                guard.checkpoint = checkpoint.elsewhere(ambient=self._ambient, transport=self.transport)
            self._trusting = list(guards)
            self.beat()
            yield self
        finally:
            self._trusting = []
            self.issuer, self.audience = own
            for guard, checkpoint in before:
                guard.checkpoint = checkpoint
