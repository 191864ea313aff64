"""One deployment's storage: the groups of verbs, composed over an engine."""

from functools import partial

from carnet.ambient import Instant
from carnet.issuer.storage import migrations, ports, sweeping
from carnet.issuer.storage.accounts import StoredAccounts
from carnet.issuer.storage.artifacts import StoredArtifacts
from carnet.issuer.storage.clients import StoredClients
from carnet.issuer.storage.consents import StoredConsents
from carnet.issuer.storage.definitions import StoredDefinitions
from carnet.issuer.storage.events import StoredEvents
from carnet.issuer.storage.feed_reports import StoredFeedReports
from carnet.issuer.storage.participants import StoredParticipants
from carnet.issuer.storage.pseudonyms import StoredPseudonyms
from carnet.issuer.storage.revocations import StoredRevocations
from carnet.issuer.storage.sessions import StoredSessions
from carnet.issuer.storage.signals import StoredSignals
from carnet.issuer.storage.signing_keys import StoredSigningKeys
from carnet.issuer.storage.statements import Engine, Statement, Verb
from carnet.issuer.storage.status_lists import StoredStatusLists
from carnet.issuer.storage.throttle import StoredThrottle


def _look() -> Verb[None]:
    yield Statement("SELECT max(version) FROM schema_version")


class EngineStore:
    """The port (`ports.Store`) over any engine that drives the verbs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.artifacts: ports.Artifacts = StoredArtifacts(engine)
        self.accounts: ports.Accounts = StoredAccounts(engine)
        self.clients: ports.Clients = StoredClients(engine)
        self.sessions: ports.Sessions = StoredSessions(engine)
        self.participants: ports.Participants = StoredParticipants(engine)
        self.pseudonyms: ports.Pseudonyms = StoredPseudonyms(engine)
        self.consents: ports.Consents = StoredConsents(engine)
        self.signing_keys: ports.SigningKeys = StoredSigningKeys(engine)
        self.feed_reports: ports.FeedReports = StoredFeedReports(engine)
        self.revocations: ports.Revocations = StoredRevocations(engine)
        self.signals: ports.Signals = StoredSignals(engine)
        self.status_lists: ports.StatusLists = StoredStatusLists(engine)
        self.throttle: ports.Throttle = StoredThrottle(engine)
        self.events: ports.Events = StoredEvents(engine)
        self.definitions: ports.Definitions = StoredDefinitions(engine)

    async def migrate(self) -> int:
        return await self._engine.overhaul(partial(migrations.migrate, self._engine.dialect))

    async def sweep(self, *, at: Instant, limit: int = 500) -> int:
        gone = 0
        for step in sweeping.STEPS:
            if gone < limit:
                gone += await self._engine.overhaul(partial(step, at, limit - gone))
        return gone

    async def check(self) -> None:
        await self._engine.scan(_look)

    async def close(self) -> None:
        await self._engine.close()
