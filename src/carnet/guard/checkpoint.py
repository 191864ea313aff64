"""A guard without a framework: from a request's headers to a principal, or to the reason why not. Adapters are thin around it."""

import logging
from collections.abc import Sequence

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.bearer import bearer_token
from carnet.guard.key_set import KeySetMachine
from carnet.guard.key_source import AsyncKeySource, Keys, ThreadKeySource
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused, RefusedRequestError, unready
from carnet.guard.requirement import ANY_PRINCIPAL, Requirement
from carnet.guard.verifier import ALGORITHMS, UnknownKeyRefusedError, Verifier
from carnet.jose import KeySet

_log = logging.getLogger("carnet.guard")

_RETRY_SECONDS = 2


class _Checkpoint:
    """What the two checkpoints share: everything but the waiting."""

    _source: Keys

    def __init__(self, verifier: Verifier, ambient: Ambient) -> None:
        self.verifier = verifier
        self._ambient = ambient

    @property
    def ready(self) -> bool:
        """Whether tokens can be checked: for a readiness probe."""
        return self._source.held() is not None

    @property
    def key_age(self) -> float | None:
        """Seconds since the issuer last confirmed its key set: a metric to alarm on."""
        return self._source.age

    def _recognise(self, token: str, keys: KeySet | None) -> Principal:
        if keys is None:
            why = self._source.last_failure or "no answer has come yet"
            raise RefusedRequestError(
                unready(f"There is no key set of {self.verifier.issuer}: {why}", retry_after=_RETRY_SECONDS)
            )
        return self.verifier.verify(token, at=self._ambient.now(), keys=keys)

    def _permit(self, principal: Principal, requirement: Requirement) -> Principal:
        verdict = requirement.check(principal, at=self._ambient.now(), leeway=self.verifier.leeway)
        if isinstance(verdict, Refused):
            raise RefusedRequestError(verdict)
        return principal


class Checkpoint(_Checkpoint):
    """For asyncio."""

    _source: AsyncKeySource

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        algorithms: tuple[str, ...] = ALGORITHMS,
        leeway: int = 60,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`issuer` and `audience` as tokens have them; `leeway` in seconds; `transport` replaces the network in tests.

        Raises:
            MetadataError: `issuer` is not an https URL (or http to this machine).
        """
        machine = key_set_machine(issuer, algorithms, ambient)
        super().__init__(Verifier(issuer=issuer, audience=audience, algorithms=algorithms, leeway=leeway), ambient)
        self._source = AsyncKeySource(machine, ambient=ambient, transport=transport)

    def elsewhere(self, *, ambient: Ambient, transport: httpx2.AsyncBaseTransport) -> "Checkpoint":
        """The same policy with other surroundings: for tests."""
        return Checkpoint(
            issuer=self.verifier.issuer,
            audience=self.verifier.audience,
            algorithms=self.verifier.algorithms,
            leeway=self.verifier.leeway,
            ambient=ambient,
            transport=transport,
        )

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
        try:
            token = bearer_token(authorizations, query=query)
            return self._permit(await self._known(token), requirement)
        except RefusedRequestError as error:
            log(error.refused)
            raise

    async def _known(self, token: str) -> Principal:
        self._source.start()
        keys = self._source.held()
        if keys is None:
            await self._source.load()
            keys = self._source.held()
        try:
            return self._recognise(token, keys)
        except UnknownKeyRefusedError as error:
            await self._source.look_for(error.kid)
            return self._recognise(token, self._source.held())


class BlockingCheckpoint(_Checkpoint):
    """For threads: WSGI and the like."""

    _source: ThreadKeySource

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        algorithms: tuple[str, ...] = ALGORITHMS,
        leeway: int = 60,
        ambient: Ambient = SYSTEM,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """As for `Checkpoint`."""
        machine = key_set_machine(issuer, algorithms, ambient)
        super().__init__(Verifier(issuer=issuer, audience=audience, algorithms=algorithms, leeway=leeway), ambient)
        self._source = ThreadKeySource(machine, ambient=ambient, transport=transport)

    def elsewhere(self, *, ambient: Ambient, transport: httpx2.BaseTransport) -> "BlockingCheckpoint":
        """The same policy with other surroundings: for tests."""
        return BlockingCheckpoint(
            issuer=self.verifier.issuer,
            audience=self.verifier.audience,
            algorithms=self.verifier.algorithms,
            leeway=self.verifier.leeway,
            ambient=ambient,
            transport=transport,
        )

    @property
    def source(self) -> ThreadKeySource:
        """The issuer's keys."""
        return self._source

    def admit(
        self, authorizations: Sequence[bytes], requirement: Requirement = ANY_PRINCIPAL, *, query: bytes = b""
    ) -> Principal:
        """As `Checkpoint.admit`."""
        try:
            token = bearer_token(authorizations, query=query)
            return self._permit(self._known(token), requirement)
        except RefusedRequestError as error:
            log(error.refused)
            raise

    def _known(self, token: str) -> Principal:
        self._source.start()
        keys = self._source.held()
        if keys is None:
            self._source.load()
            keys = self._source.held()
        try:
            return self._recognise(token, keys)
        except UnknownKeyRefusedError as error:
            self._source.look_for(error.kid)
            return self._recognise(token, self._source.held())


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
