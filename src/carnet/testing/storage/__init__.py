"""The conformance suite of the storage port: every backend passes it, Carnet's own and yours.

Four lines run it on a backend; `store` gives an empty, migrated `Store`, and `peer` another one on the same database, as a second
node has it:

    from carnet.testing.storage import *

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def store(): ...

    @pytest.fixture
    async def peer(store): ...
"""

from carnet.testing.storage.accounts import TestAccounts
from carnet.testing.storage.artifacts import TestArtifacts
from carnet.testing.storage.clients import TestClients
from carnet.testing.storage.consents import TestConsents
from carnet.testing.storage.definitions import TestDefinitions
from carnet.testing.storage.endings import TestEndings
from carnet.testing.storage.events import TestEvents
from carnet.testing.storage.feed_reports import TestFeedReports
from carnet.testing.storage.participants import TestParticipants
from carnet.testing.storage.pseudonyms import TestPseudonyms
from carnet.testing.storage.races import TestRaces
from carnet.testing.storage.revocations import TestRevocations
from carnet.testing.storage.sessions import TestSessions
from carnet.testing.storage.signals import TestSignals
from carnet.testing.storage.signing_keys import TestSigningKeys
from carnet.testing.storage.status_lists import TestStatusLists
from carnet.testing.storage.sweeping import TestSweeping
from carnet.testing.storage.throttle import TestThrottle
from carnet.testing.storage.whole import TestStore

__all__ = [
    "TestAccounts",
    "TestArtifacts",
    "TestClients",
    "TestConsents",
    "TestDefinitions",
    "TestEndings",
    "TestEvents",
    "TestFeedReports",
    "TestParticipants",
    "TestPseudonyms",
    "TestRaces",
    "TestRevocations",
    "TestSessions",
    "TestSignals",
    "TestSigningKeys",
    "TestStatusLists",
    "TestStore",
    "TestSweeping",
    "TestThrottle",
]
