"""A guard without a framework: from a request's headers to a principal, or to the reason why not. Adapters are thin around it."""

import logging
from collections.abc import Generator, Sequence
from typing import Required, TypedDict, Unpack

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.bearer import bearer_token
from carnet.guard.key_set import KeySetMachine
from carnet.guard.key_source import AsyncKeySource, KeySource, ThreadKeySource
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused, RefusedRequestError, unready
from carnet.guard.requirement import ANY_PRINCIPAL, Requirement
from carnet.guard.verifier import ALGORITHMS, UnknownKeyRefusedError, Verifier

_log = logging.getLogger("carnet.guard")

_RETRY_SECONDS = 2


class Settings(TypedDict, total=False):
    """What a guard accepts, under the names that tokens and metadata have for it."""

    issuer: Required[str]
    """An https URL (or http to this machine), exactly as the issuer's metadata has it."""
    audience: Required[str]
    """This service's name in `aud`."""
    algorithms: tuple[str, ...]
    leeway: int
    """Seconds by which clocks may differ; 60 unless it is given."""


class _Checkpoint:
    """What the two checkpoints share: everything but the waiting."""

    _source: KeySource

    def __init__(self, settings: Settings, ambient: Ambient) -> None:
        self._settings = settings
        self._ambient = ambient
        self.verifier = Verifier(**settings)

    @property
    def ready(self) -> bool:
        """Whether tokens can be checked: for a readiness probe."""
        return self._source.held() is not None

    @property
    def key_age(self) -> float | None:
        """Seconds since the issuer last confirmed its key set: a metric to alarm on."""
        return self._source.age

    def _admission(
        self, authorizations: Sequence[bytes], requirement: Requirement, query: bytes
    ) -> Generator[str | None, None, Principal]:
        """The steps from a request to its principal; each yield asks for what may take time.

        It yields None for the first key set, and the name of a key that the set lacks.
        """
        try:
            token = bearer_token(authorizations, query=query)
            if self._source.held() is None:
                yield None
            try:
                principal = self._recognise(token)
            except UnknownKeyRefusedError as error:
                yield error.kid
                principal = self._recognise(token)
            self._permit(principal, requirement)
        except RefusedRequestError as error:
            log(error.refused)
            raise
        return principal

    def _permit(self, principal: Principal, requirement: Requirement) -> None:
        verdict = requirement.check(principal, at=self._ambient.now(), leeway=self.verifier.leeway)
        if isinstance(verdict, Refused):
            raise RefusedRequestError(verdict)

    def _recognise(self, token: str) -> Principal:
        keys = self._source.held()
        if keys is None:
            why = self._source.last_failure or "no answer has come yet"
            raise RefusedRequestError(
                unready(f"There is no key set of {self.verifier.issuer}: {why}", retry_after=_RETRY_SECONDS)
            )
        return self.verifier.verify(token, at=self._ambient.now(), keys=keys)


class Checkpoint(_Checkpoint):
    """For asyncio."""

    _source: AsyncKeySource

    def __init__(
        self,
        *,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        """`settings` are `issuer`, `audience`, `algorithms` and `leeway`; `transport` replaces the network in tests.

        Raises:
            MetadataError: `issuer` is not an https URL (or http to this machine).
        """
        machine = key_set_machine(settings["issuer"], settings.get("algorithms", ALGORITHMS), ambient)
        super().__init__(settings, ambient)
        self._source = AsyncKeySource(machine, ambient=ambient, transport=transport)

    def elsewhere(self, *, ambient: Ambient, transport: httpx2.AsyncBaseTransport) -> "Checkpoint":
        """The same settings with other surroundings: for tests."""
        return Checkpoint(ambient=ambient, transport=transport, **self._settings)

    @property
    def source(self) -> AsyncKeySource:
        """The issuer's keys and metadata."""
        return self._source

    async def admit(
        self, authorizations: Sequence[bytes], requirement: Requirement = ANY_PRINCIPAL, *, query: bytes = b""
    ) -> Principal:
        """Answer whom a request speaks for, if it may pass.

        `authorizations` are the values of all Authorization headers, `query` the raw query string.

        Raises:
            RefusedRequestError: it may not, and why.
        """
        self._source.start()
        admission = self._admission(authorizations, requirement, query)
        try:
            while True:
                kid = next(admission)
                await (self._source.load() if kid is None else self._source.look_for(kid))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class BlockingCheckpoint(_Checkpoint):
    """For threads: WSGI and the like."""

    _source: ThreadKeySource

    def __init__(
        self,
        *,
        ambient: Ambient = SYSTEM,
        transport: httpx2.BaseTransport | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        """As for `Checkpoint`."""
        machine = key_set_machine(settings["issuer"], settings.get("algorithms", ALGORITHMS), ambient)
        super().__init__(settings, ambient)
        self._source = ThreadKeySource(machine, ambient=ambient, transport=transport)

    def elsewhere(self, *, ambient: Ambient, transport: httpx2.BaseTransport) -> "BlockingCheckpoint":
        """The same settings with other surroundings: for tests."""
        return BlockingCheckpoint(ambient=ambient, transport=transport, **self._settings)

    @property
    def source(self) -> ThreadKeySource:
        """The issuer's keys and metadata."""
        return self._source

    def admit(
        self, authorizations: Sequence[bytes], requirement: Requirement = ANY_PRINCIPAL, *, query: bytes = b""
    ) -> Principal:
        """As `Checkpoint.admit`."""
        self._source.start()
        admission = self._admission(authorizations, requirement, query)
        try:
            while True:
                kid = next(admission)
                if kid is None:
                    self._source.load()
                else:
                    self._source.look_for(kid)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def key_set_machine(issuer: str, algorithms: tuple[str, ...], ambient: Ambient) -> KeySetMachine:
    """A machine whose jitter comes from `ambient`."""
    return KeySetMachine(
        issuer,
        algorithms=algorithms,
        jitter=lambda: int.from_bytes(ambient.entropy(4), "big") / 2**32,
        at=ambient.monotonic(),
    )


def log(refused: Refused) -> None:
    """Tell the service's log why; the caller is not told."""
    _log.log(
        logging.WARNING if refused.status == 503 else logging.INFO,
        "refused: %s (%d): %s",
        refused.code,
        refused.status,
        refused.why or refused.description,
        extra={"carnet_code": refused.code, "carnet_trace": refused.trace},
    )
