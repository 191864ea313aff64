"""CAEP Interoperability Profile: events as receivers of the profile get them, verified by a library that is not ours."""

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.issuer.signals import ISSUER, Receiver

from carnet.issuer.accounts import people
from carnet.issuer.config import Config
from carnet.oauth.security_events import CREDENTIAL_CHANGE, SESSION_REVOKED

pytestmark = pytest.mark.anyio

INTEROP = "CAEP Interoperability Profile"


@pytest.fixture
def config(tmp_path):
    return Config(issuer=ISSUER, data=tmp_path, signing_algorithm="RS256")


@pytest.mark.spec(INTEROP, "2.6", "MUST")
@pytest.mark.spec(INTEROP, "2.8.1", "MUST")
@pytest.mark.spec(INTEROP, "3.1", "MUST")
@pytest.mark.spec(INTEROP, "3.2", "MUST")
async def test_events_are_signed_with_rs256_and_say_one_thing_with_a_reason(issuer):
    receiver = Receiver(await issuer.service(scope="ssf.manage ssf.read"))
    account = await issuer.person()
    said = (await issuer.direct.get("/.well-known/ssf-configuration")).json()
    keys = KeySet.import_key_set((await issuer.direct.get(said["jwks_uri"])).json())
    stream = await receiver.create(events_requested=[SESSION_REVOKED, CREDENTIAL_CHANGE])
    await people.set_password(issuer.desk, account.subject, "umber lantern under tide", by=people.CLI)
    events = []
    for signed in (await receiver.poll(stream))["sets"].values():
        token = jwt.decode(signed, keys, algorithms=["RS256"])
        assert (token.header["typ"], token.header["alg"]) == ("secevent+jwt", "RS256")
        assert (token.claims["iss"], token.claims["aud"]) == (said["issuer"], stream["aud"])
        assert token.claims["sub_id"] == {"format": "iss_sub", "iss": ISSUER, "sub": account.subject}
        [(event, claims)] = token.claims["events"].items()
        assert claims["reason_admin"]["en"]
        events.append(event)
    assert events == [CREDENTIAL_CHANGE, SESSION_REVOKED]
    assert min(key.raw_value.key_size for key in keys.keys) >= 2_048
