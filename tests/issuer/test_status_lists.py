"""Token Status List (draft-ietf-oauth-status-list-21): what is taken back shows in the list, as another implementation reads it."""

import asyncio
import zlib

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from token_status_list import INVALID, VALID, BitArray

from carnet.issuer.revocation.status_lists import AGE, EXPIRY, PERIOD, REREAD, SIZE, TTL, compressed
from carnet.jose import JoseError
from carnet.jose.profiles import PROFILES

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
DRAFT = "Token Status List"


class Relying:
    """Somebody who verifies access tokens with other libraries, and knows the issuer's URL alone."""

    def __init__(self, issuer):
        self.issuer = issuer

    async def fetched(self, uri):
        answer = await self.issuer.direct.get(uri, headers={"Accept": "application/statuslist+jwt"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/statuslist+jwt"
        assert answer.headers["access-control-allow-origin"] == "*"
        keys = KeySet.import_key_set((await self.issuer.direct.get("/jwks")).json())
        token = jwt.decode(answer.text, keys, algorithms=["ES256"])
        assert token.header["typ"] == "statuslist+jwt"
        assert token.claims["sub"] == uri
        return token.claims

    async def valid(self, reference):
        claims = await self.fetched(reference["uri"])
        status = BitArray.load(claims["status_list"])[reference["idx"]]
        assert status in {VALID, INVALID}
        return status == VALID


@pytest.fixture
def relying(issuer):
    return Relying(issuer)


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(access_token_status_list=True)


@pytest.mark.spec(DRAFT, "6.2", "REQUIRED")
async def test_only_the_tokens_of_clients_that_ask_for_it_have_a_place(issuer, app, claims):
    service = await issuer.service(access_token_status_list=True)
    other = await issuer.register()
    tokens = [
        (await app.tokens())["access_token"],
        (await service.post(grant_type="client_credentials")).json()["access_token"],
    ]
    for token in tokens:
        reference = claims(token)["status"]["status_list"]
        assert set(reference) == {"idx", "uri"}
        assert 0 <= reference["idx"] < SIZE
        assert reference["uri"].startswith(f"{ISSUER}/status-lists/")
    assert "status" not in claims((await other.tokens())["access_token"])
    refreshed = await app.refresh((await app.tokens())["refresh_token"])
    assert "status" in claims(refreshed.json()["access_token"])


@pytest.mark.spec(DRAFT, "5.1", "REQUIRED")
async def test_a_list_is_signed_for_its_place_and_time(issuer, app, relying, claims):
    reference = claims((await app.tokens())["access_token"])["status"]["status_list"]
    said = await relying.fetched(reference["uri"])
    now = issuer.clock.ambient.now()
    assert (said["iss"], said["iat"], said["exp"], said["ttl"]) == (ISSUER, now, now + EXPIRY, TTL)
    assert said["status_list"]["bits"] == 1
    assert said["status_list"]["aggregation_uri"] == issuer.desk.metadata["status_list_aggregation_endpoint"]
    listed = (await issuer.direct.get("/status-lists")).json()
    assert listed == {"status_lists": [reference["uri"]]}
    raw = await issuer.direct.get(reference["uri"])
    keys = await issuer.desk.keyring.key_set()
    for profile in PROFILES:
        verifier = profile.verifier(keys=keys, algorithms=("ES256",), issuer=ISSUER, audience=ISSUER)
        with pytest.raises(JoseError):
            verifier.verify(raw.text, at=now)


@pytest.mark.spec(DRAFT, "7.1", "MUST")
async def test_a_bit_is_set_for_what_was_taken_back_and_for_nothing_else(issuer, app, relying, claims):
    first, second = [(await app.tokens())["access_token"] for _ in range(2)]
    references = [claims(token)["status"]["status_list"] for token in (first, second)]
    assert [await relying.valid(reference) for reference in references] == [True, True]
    await app.post("/revoke", token=first)
    issuer.clock.advance(AGE)
    assert [await relying.valid(reference) for reference in references] == [False, True]


async def test_a_list_is_made_once_for_all_who_ask_within_seconds(issuer, app, claims):
    uri = claims((await app.tokens())["access_token"])["status"]["status_list"]["uri"]
    first = (await issuer.direct.get(uri)).text
    assert (await issuer.direct.get(uri)).text == first
    issuer.clock.advance(AGE)
    assert (await issuer.direct.get(uri)).text != first


async def test_a_list_is_read_again_only_where_something_was_taken_back(issuer, app, relying, claims, monkeypatch):
    first, second = [(await app.tokens())["access_token"] for _ in range(2)]
    reference = claims(first)["status"]["status_list"]
    store, looks = issuer.desk.store, 0
    taken_back = store.status_lists.taken_back

    async def counted(*what, **when):
        nonlocal looks
        looks += 1
        return await taken_back(*what, **when)

    async def fetched() -> int:
        issuer.clock.advance(AGE)
        claimed = await relying.fetched(reference["uri"])
        assert claimed["iat"] == issuer.clock.now()
        return looks

    monkeypatch.setattr(store.status_lists, "taken_back", counted)
    while await store.revocations.publish():
        pass
    assert [await fetched() for _ in range(4)] == [1, 1, 1, 1]
    for token in (first, second):
        before = looks
        await app.post("/revoke", token=token)
        assert await fetched() == before + 1, "whether it has its number yet or not"
        assert not await relying.valid(claims(token)["status"]["status_list"])
        while await store.revocations.publish():
            pass
        again = await fetched()
        assert [await fetched() for _ in range(3)] == [again] * 3
    issuer.clock.advance(REREAD)
    assert await fetched() == again + 1
    await store.revocations.forget_stream()
    issuer.clock.advance(AGE)
    assert (await issuer.direct.get(reference["uri"])).status_code == 404


@pytest.mark.spec(DRAFT, "13.2", "RECOMMENDED")
async def test_places_are_random_and_another_hour_has_another_list(issuer, app, claims):
    places = [claims((await app.tokens())["access_token"])["status"]["status_list"] for _ in range(4)]
    assert len({place["idx"] for place in places}) == 4
    assert {place["uri"] for place in places} == {places[0]["uri"]}
    issuer.clock.advance(PERIOD)
    await issuer.sign_in()
    assert claims((await app.tokens())["access_token"])["status"]["status_list"]["uri"] != places[0]["uri"]


async def test_where_a_list_is_full_another_one_is_begun(issuer, app, claims, monkeypatch):
    monkeypatch.setattr("carnet.issuer.revocation.status_lists.SIZE", 1)
    uris = {claims((await app.tokens())["access_token"])["status"]["status_list"]["uri"] for _ in range(3)}
    assert len(uris) == 3


@pytest.mark.spec(DRAFT, "8.4", "SHOULD")
async def test_what_is_not_there_is_not_found_and_the_past_is_not_told(issuer, app, claims):
    uri = claims((await app.tokens())["access_token"])["status"]["status_list"]["uri"]
    assert (await issuer.direct.get(uri, params={"time": "1686925000"})).status_code == 501
    assert (await issuer.direct.get("/status-lists/unknown")).status_code == 404
    issuer.clock.advance(2 * PERIOD)
    assert (await issuer.direct.get(uri)).status_code == 404
    assert (await issuer.direct.get("/status-lists")).json() == {"status_lists": []}


@pytest.mark.spec(DRAFT, "4.1", "MUST")
@pytest.mark.parametrize(
    "places",
    [
        (),
        (0,),
        (0, 3, 4, 5, 7, 8, 9, 13, 15),
        (0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345),
        (SIZE - 1,),
    ],
)
def test_bits_are_where_another_implementation_looks_for_them(places):
    """The draft's example in section 4.1, and its test vector of one bit in appendix "Test vectors"."""
    packed = compressed(places)
    if places == (0, 3, 4, 5, 7, 8, 9, 13, 15):
        assert zlib.decompress(packed)[:2] == bytes.fromhex("b9a3")
    read = BitArray(1, zlib.decompress(packed))
    assert len(read) == SIZE
    assert all(read[place] == INVALID for place in places)
    assert sum(byte.bit_count() for byte in read.lst) == len(places)


async def test_what_strangers_ask_costs_no_more_than_one_look_at_the_store_for_a_while(issuer, app, monkeypatch):
    """It looks at all places: whoever asks a hundred times a second must not keep the revocation feed waiting."""
    await app.tokens()
    store, looks = issuer.desk.store.status_lists, 0
    published = store.published

    async def counted(**when):
        nonlocal looks
        looks += 1
        return await published(**when)

    monkeypatch.setattr(store, "published", counted)
    asked = [(await issuer.direct.get("/status-lists")).json()["status_lists"] for _ in range(20)]
    assert (looks, len(asked[0])) == (1, 1)
    assert asked == [asked[0]] * 20
    await asyncio.gather(*(issuer.direct.get("/status-lists") for _ in range(20)))
    assert looks == 1
    issuer.clock.advance(AGE)
    await issuer.direct.get("/status-lists")
    assert looks == 2


async def test_lists_that_nobody_asks_for_any_more_are_not_remembered(issuer, app):
    for _ in range(3):
        await app.tokens()
        uri = (await issuer.direct.get("/status-lists")).json()["status_lists"][-1]
        assert (await issuer.direct.get(uri)).status_code == 200
        assert len(issuer.desk.status_lists._made) == 1
        issuer.clock.advance(PERIOD + EXPIRY)
        await issuer.sign_in()


async def test_lists_of_a_database_that_was_put_back_say_nothing_of_what_it_does_not_know(issuer, app, claims):
    """Rule R21: tokens that were given since the backup have no place in it: a bit that is not set would call them good."""
    store = issuer.desk.store
    before = claims((await app.tokens())["access_token"])["status"]["status_list"]["uri"]
    await store.revocations.forget_stream()
    after = claims((await app.tokens())["access_token"])["status"]["status_list"]["uri"]
    issuer.clock.advance(AGE)
    assert (await issuer.direct.get(before)).status_code == 404
    assert (await issuer.direct.get(after)).status_code == 200
    assert (await issuer.direct.get("/status-lists")).json() == {"status_lists": [after]}
