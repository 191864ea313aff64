"""A guard without a framework: from a request's headers to a principal, or to the reason why not. Adapters are thin around it."""

import asyncio
import logging
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Required, TypeAlias, TypedDict, Unpack

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.feed.follower import Follower
from carnet.guard.bearer import presented_token
from carnet.guard.certificate_source import CertificateSource
from carnet.guard.dpop import ProofMemory
from carnet.guard.feed_machine import FeedMachine
from carnet.guard.feed_source import AsyncFeedSource, ThreadFeedSource
from carnet.guard.introspection import Credentials, Introspection
from carnet.guard.issuer_choice import chosen
from carnet.guard.key_set import Fetch, Jitter, KeySetMachine, Response
from carnet.guard.key_source import AsyncKeySource, KeySource, ThreadKeySource
from carnet.guard.outgoing import FetchError, fetch, fetch_blocking
from carnet.guard.possession import Possession, check_possession
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused, RefusedRequestError, invalid_token, unready
from carnet.guard.requirement import ANY_PRINCIPAL, Requirement
from carnet.guard.resource import Published, Resource, publish
from carnet.guard.revocation import Revocation, RevocationView, Verdict
from carnet.guard.role_book import RoleBook, Roles
from carnet.guard.verifier import ALGORITHMS, UnknownKeyRefusedError, Verifier
from carnet.jose import KeySet
from carnet.oauth.dpop import SCHEME
from carnet.oauth.mtls import HeaderName

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
    revocation: Revocation | None
    """How the issuer's revocation feed is followed, which it must have then. Not given: if its metadata names one. None: not."""
    origin: str | None
    """Where callers reach this service, such as `https://orders.example`: DPoP proofs name it. Not given: the request's scheme
    and Host header, which is right unless a proxy changes them."""
    client_certificate_header: HeaderName
    """How a trusted proxy passes the certificate of a caller: tokens may be bound to it (RFC 8705). Not given: not at all."""
    trusted_proxies: Sequence[str]
    """Networks of these proxies, in CIDR notation: the header is believed from there alone."""
    introspection: Credentials | None
    """For routes that ask the issuer when the feed is stale."""
    resource: Resource
    """What the service publishes of itself (RFC 9728), for clients that have never heard of it; `audience` is its URL then. Not
    given: nothing."""
    also: Sequence["Settings"]
    """Further issuers whose tokens are taken, each with its own settings. Their subjects are other people, whatever their names:
    `Principal.issuer` tells them apart."""


class Need(Enum):
    """What a request waits for before it can be looked at."""

    KEYS = "the first key set"
    SNAPSHOT = "the first snapshot of the revocation feed"


@dataclass(frozen=True, slots=True)
class MissingKey:
    """The token names a key that the set lacks: it may be one that the issuer has published since."""

    kid: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """The feed is stale: the issuer is to be asked about this token."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UnknownRoles:
    """The token only names its roles: the issuer is to be asked for them."""

    token: str = field(repr=False)
    reference: str


Step: TypeAlias = Need | MissingKey | Opinion | UnknownRoles


class _Checkpoint:
    """What the two checkpoints share: everything but the waiting."""

    _source: KeySource

    def __init__(self, settings: Settings, ambient: Ambient) -> None:
        self._settings = settings
        self._ambient = ambient
        algorithms = settings.get("algorithms", ALGORITHMS)
        self.verifier = Verifier(
            issuer=settings["issuer"],
            audience=settings["audience"],
            algorithms=algorithms,
            leeway=settings.get("leeway", 60),
        )
        credentials = settings.get("introspection")
        self._introspection = None if credentials is None else Introspection(credentials)
        self._proofs = ProofMemory()
        self._roles = RoleBook()
        self.certificates = CertificateSource(
            settings.get("client_certificate_header"), settings.get("trusted_proxies", ())
        )
        issuers = [settings["issuer"], *(other["issuer"] for other in settings.get("also", ()))]
        if len(set(issuers)) < len(issuers):
            raise ValueError("An issuer has its settings once.")
        self.published: Published | None = None
        if "resource" in settings:
            self.published = publish(settings["resource"], audience=settings["audience"], issuers=issuers)
        self._feed: FeedMachine | None = None
        self._view: RevocationView | None = None
        revocation = settings.get("revocation", Revocation())
        if revocation is not None:
            self._feed = FeedMachine(
                settings["issuer"],
                algorithms=algorithms,
                jitter=jitter(ambient),
                at=ambient.monotonic(),
                relay=revocation.relay,
                optional="revocation" not in settings,
                name=revocation.name or f"{settings['audience']} {ambient.entropy(2).hex()}",
            )
            self._view = RevocationView(revocation, self._feed.follower)

    def monotonic(self) -> float:
        """The clock by which it measures, in seconds."""
        return self._ambient.monotonic()

    @property
    def origin(self) -> str | None:
        """Where callers reach this service, if that is set."""
        return self._settings.get("origin")

    @property
    def ready(self) -> bool:
        """Whether tokens can be checked, those of issuers in `also` aside: for a readiness probe."""
        return self._source.held() is not None and (
            self._feed is None or self._feed.follower.ready or not self._feed.follows(self._source.metadata)
        )

    @property
    def feed(self) -> Follower | None:
        """What is known of the revocation feed; its `staleness` and `clock_error` are metrics to alarm on."""
        return None if self._feed is None else self._feed.follower

    @property
    def key_age(self) -> float | None:
        """Seconds since the issuer last confirmed its key set: a metric to alarm on."""
        return self._source.age

    def _admission(
        self,
        authorizations: Sequence[bytes],
        requirement: Requirement,
        query: bytes,
        possession: Possession | None,
        *,
        again: bool = False,
    ) -> Generator[Step, None, Principal]:
        """The steps from a request to its principal; each yield asks for what may take time.

        `again`: it was let in before and goes on; the proof of possession spoke for its beginning and does not come twice.
        """
        bound = False
        try:
            presented = presented_token(authorizations, query=query)
            token, bound = presented.token, presented.bound
            keys = self._source.held()
            if keys is None:
                yield Need.KEYS
                keys = self._held()
            now = self._ambient.now()
            try:
                principal = self.verifier.verify(token, at=now, keys=keys)
            except UnknownKeyRefusedError as error:
                yield MissingKey(error.kid)
                now = self._ambient.now()
                principal = self.verifier.verify(token, at=now, keys=self._held())
            if not again:
                check_possession(possession, presented, principal, self._proofs, at=now)
            if self._view is not None and self._feed is not None and self._feed.follows(self._source.metadata):
                yield from self._look_up(self._view, token, principal, requirement)
            if principal.roles_ref is not None:
                principal = yield from self._with_roles(token, principal, principal.roles_ref)
            if requirement.rules:
                self._permit(principal, requirement)
        except RefusedRequestError as error:
            log(error.refused)
            raise RefusedRequestError(self._challenging(error.refused, requirement, bound=bound)) from None
        return principal

    def _challenging(self, refused: Refused, requirement: Requirement, *, bound: bool) -> Refused:
        """With what the caller needs to do better: the scheme, and of a published resource where it is and its scope."""
        if bound:
            refused = replace(refused, scheme=SCHEME)
        if self.published is None:
            return refused
        return replace(
            refused,
            resource_metadata=self.published.url,
            scope=requirement.scope if refused.status == 401 else refused.scope,
        )

    def permit(self, principal: Principal, requirement: Requirement, *, after: Requirement = ANY_PRINCIPAL) -> None:
        """Ask more of a principal that was let in by the requirement `after`, once it is known what it wants to do.

        Raises:
            RefusedRequestError: it may not; the challenge names all the scope that both need.
        """
        try:
            self._permit(principal, requirement)
        except RefusedRequestError as error:
            log(error.refused)
            refused = self._challenging(error.refused, requirement, bound="cnf" in principal.claims)
            needed = refused.scope | after.scope if refused.scope else refused.scope
            raise RefusedRequestError(replace(refused, scope=needed)) from None

    def _look_up(
        self, view: RevocationView, token: str, principal: Principal, requirement: Requirement
    ) -> Generator[Step, None, None]:
        """Refuse what was taken back; where nobody can be sure, do what the route was told."""
        verdict = view.judge(token, principal, monotonic=self._ambient.monotonic())
        if verdict is Verdict.NOT_READY:
            yield Need.SNAPSHOT
            verdict = view.judge(token, principal, monotonic=self._ambient.monotonic())
        if verdict is Verdict.GOOD:
            return
        if verdict is Verdict.TAKEN_BACK:
            raise RefusedRequestError(invalid_token("revoked", "The token was taken back."))
        if verdict is Verdict.NOT_READY:
            raise RefusedRequestError(self._unready("feed_not_ready", "There is no snapshot of the revocation feed"))
        when_stale = requirement.when_stale or view.settings.when_stale
        if when_stale == "allow":
            _log.warning("allowed although the revocation feed is stale: %s", principal.token_id)
            return
        if when_stale == "introspect" and self._introspection is not None:
            active = self._introspection.known(token, self._ambient.monotonic())
            if active is None:
                yield Opinion(token)
                active = self._introspection.known(token, self._ambient.monotonic())
            if active:
                return
            if active is False:
                raise RefusedRequestError(invalid_token("revoked", "The issuer says that the token is not active."))
        raise RefusedRequestError(self._unready("feed_stale", "The revocation feed is stale"))

    def _with_roles(self, token: str, principal: Principal, reference: str) -> Generator[Step, None, Principal]:
        """The principal with the roles that its token names. Without them nobody is let in: it is not known who they are."""
        found = self._roles.find(token, reference, self._ambient.monotonic())
        if found is Roles.TO_ASK:
            yield UnknownRoles(token, reference)
            found = self._roles.find(token, reference, self._ambient.monotonic())
        if isinstance(found, frozenset):
            return replace(principal, roles=found)
        if found is Roles.CHANGED:
            raise RefusedRequestError(
                invalid_token("roles_changed", "The roles that the token names are others by now.")
            )
        why = f"The roles that the token names could not be had of {self.verifier.issuer}."
        raise RefusedRequestError(unready(why, code="roles_unknown", retry_after=_RETRY_SECONDS))

    def _question(self, token: str) -> Fetch | None:
        """What to ask the issuer about a token, if there is whom to ask."""
        if self._introspection is None:
            return None
        return self._introspection.question(token, self._source.metadata, self._ambient.monotonic())

    def _take_opinion(self, token: str, response: Response | None) -> None:
        if self._introspection is not None:
            self._introspection.answered(token, response, self._ambient.monotonic())

    def _unready(self, code: str, why: str) -> Refused:
        failure = None if self._feed is None else self._feed.last_failure
        why = f"{why} of {self.verifier.issuer}: {failure or 'no answer has come yet'}"
        return unready(why, code=code, retry_after=_RETRY_SECONDS)

    def _permit(self, principal: Principal, requirement: Requirement) -> None:
        verdict = requirement.check(principal, at=self._ambient.now(), leeway=self.verifier.leeway)
        if isinstance(verdict, Refused):
            raise RefusedRequestError(verdict)

    def _held(self) -> KeySet:
        keys = self._source.held()
        if keys is None:
            why = self._source.last_failure or "no answer has come yet"
            raise RefusedRequestError(
                unready(f"There is no key set of {self.verifier.issuer}: {why}", retry_after=_RETRY_SECONDS)
            )
        return keys


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
        """`settings` are those of `Settings`; `transport` replaces the network in tests.

        Raises:
            MetadataError: `issuer` is not an https URL (or http to this machine).
        """
        machine = key_set_machine(settings["issuer"], settings.get("algorithms", ALGORITHMS), ambient)
        super().__init__(settings, ambient)
        self._transport = transport
        self._source = AsyncKeySource(machine, ambient=ambient, transport=transport)
        self._following: AsyncFeedSource | None = None
        if self._feed is not None:
            self._following = AsyncFeedSource(self._feed, self._source, ambient=ambient, transport=transport)
        self._others = {
            other["issuer"]: Checkpoint(ambient=ambient, transport=transport, **other)
            for other in settings.get("also", ())
        }
        for checkpoint in self._others.values():
            checkpoint.published = self.published

    def elsewhere(self, *, ambient: Ambient, transport: httpx2.AsyncBaseTransport) -> "Checkpoint":
        """The same settings with other surroundings: for tests."""
        return Checkpoint(ambient=ambient, transport=transport, **self._settings)

    @property
    def source(self) -> AsyncKeySource:
        """The issuer's keys and metadata."""
        return self._source

    def start(self) -> None:
        """Fetch keys and follow the feed in the background, in the running loop; without effect if that is done already."""
        loop = asyncio.get_running_loop()
        if not self._source.runs_in(loop):
            self._source.start()
        if self._following is not None and not self._following.runs_in(loop):
            self._following.start()
        for other in self._others.values():
            other.start()

    async def stop(self) -> None:
        """End what goes on in the background; what is known stays."""
        if self._following is not None:
            await self._following.stop()
        await self._source.stop()
        for other in self._others.values():
            await other.stop()

    async def admit(
        self,
        authorizations: Sequence[bytes],
        requirement: Requirement = ANY_PRINCIPAL,
        *,
        query: bytes = b"",
        possession: Possession | None = None,
    ) -> Principal:
        """Answer whom a request speaks for, if it may pass.

        `authorizations` are the values of all Authorization headers, `query` the raw query string, `possession` what the
        request proves; without it no token that is bound to a key or a certificate is let through.

        Raises:
            RefusedRequestError: it may not, and why.
        """
        self.start()
        if self._others and (other := chosen(self._others, authorizations)) is not None:
            return await other.admit(authorizations, requirement, query=query, possession=possession)
        return await self._through(self._admission(authorizations, requirement, query, possession))

    async def readmit(self, authorizations: Sequence[bytes], requirement: Requirement = ANY_PRINCIPAL) -> Principal:
        """Answer whom something speaks for that `admit` has let in and that goes on, such as a WebSocket.

        Raises:
            RefusedRequestError: it would not be let in any more, and why.
        """
        if self._others and (other := chosen(self._others, authorizations)) is not None:
            return await other.readmit(authorizations, requirement)
        return await self._through(self._admission(authorizations, requirement, b"", None, again=True))

    async def _through(self, admission: Generator[Step, None, Principal]) -> Principal:
        try:
            while True:
                await self._do(next(admission))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _do(self, step: Step) -> None:
        match step:
            case Need.KEYS:
                await self._source.load()
            case Need.SNAPSHOT if self._following is not None:
                await self._following.first()
            case MissingKey(kid):
                await self._source.look_for(kid)
            case Opinion(token) if (question := self._question(token)) is not None:
                response = None
                with suppress(FetchError):
                    response = await fetch(question, transport=self._transport)
                self._take_opinion(token, response)
            case UnknownRoles(token, reference):
                response = None
                if (question := self._roles.question(token, self._source.metadata)) is not None:
                    with suppress(FetchError):
                        response = await fetch(question, transport=self._transport)
                self._roles.answered(token, reference, response, self._ambient.monotonic())


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
        self._transport = transport
        self._source = ThreadKeySource(machine, ambient=ambient, transport=transport)
        self._following: ThreadFeedSource | None = None
        if self._feed is not None:
            self._following = ThreadFeedSource(self._feed, self._source, ambient=ambient, transport=transport)
        self._others = {
            other["issuer"]: BlockingCheckpoint(ambient=ambient, transport=transport, **other)
            for other in settings.get("also", ())
        }
        for checkpoint in self._others.values():
            checkpoint.published = self.published

    def elsewhere(self, *, ambient: Ambient, transport: httpx2.BaseTransport) -> "BlockingCheckpoint":
        """The same settings with other surroundings: for tests."""
        return BlockingCheckpoint(ambient=ambient, transport=transport, **self._settings)

    @property
    def source(self) -> ThreadKeySource:
        """The issuer's keys and metadata."""
        return self._source

    def start(self) -> None:
        """Fetch keys and follow the feed in daemon threads; without effect if that is done already in this process."""
        self._source.start()
        if self._following is not None:
            self._following.start()
        for other in self._others.values():
            other.start()

    def stop(self) -> None:
        """End what goes on in the background; what is known stays."""
        if self._following is not None:
            self._following.stop()
        self._source.stop()
        for other in self._others.values():
            other.stop()

    def admit(
        self,
        authorizations: Sequence[bytes],
        requirement: Requirement = ANY_PRINCIPAL,
        *,
        query: bytes = b"",
        possession: Possession | None = None,
    ) -> Principal:
        """As `Checkpoint.admit`."""
        self.start()
        if self._others and (other := chosen(self._others, authorizations)) is not None:
            return other.admit(authorizations, requirement, query=query, possession=possession)
        return self._through(self._admission(authorizations, requirement, query, possession))

    def readmit(self, authorizations: Sequence[bytes], requirement: Requirement = ANY_PRINCIPAL) -> Principal:
        """As `Checkpoint.readmit`."""
        if self._others and (other := chosen(self._others, authorizations)) is not None:
            return other.readmit(authorizations, requirement)
        return self._through(self._admission(authorizations, requirement, b"", None, again=True))

    def _through(self, admission: Generator[Step, None, Principal]) -> Principal:
        try:
            while True:
                self._do(next(admission))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _do(self, step: Step) -> None:
        match step:
            case Need.KEYS:
                self._source.load()
            case Need.SNAPSHOT if self._following is not None:
                self._following.first()
            case MissingKey(kid):
                self._source.look_for(kid)
            case Opinion(token) if (question := self._question(token)) is not None:
                response = None
                with suppress(FetchError):
                    response = fetch_blocking(question, ambient=self._ambient, transport=self._transport)
                self._take_opinion(token, response)
            case UnknownRoles(token, reference):
                response = None
                if (question := self._roles.question(token, self._source.metadata)) is not None:
                    with suppress(FetchError):
                        response = fetch_blocking(question, ambient=self._ambient, transport=self._transport)
                self._roles.answered(token, reference, response, self._ambient.monotonic())


def key_set_machine(issuer: str, algorithms: tuple[str, ...], ambient: Ambient) -> KeySetMachine:
    """A machine whose jitter comes from `ambient`."""
    return KeySetMachine(
        issuer,
        algorithms=algorithms,
        jitter=jitter(ambient),
        at=ambient.monotonic(),
    )


def jitter(ambient: Ambient) -> Jitter:
    """Fractions out of `ambient`'s entropy."""
    return lambda: int.from_bytes(ambient.entropy(4), "big") / 2**32


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
