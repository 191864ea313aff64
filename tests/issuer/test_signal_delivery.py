"""RFC 8417, RFC 8935, RFC 8936: security events arrive, each as what happened, with receivers that poll and that are pushed to."""

import asyncio

import pytest
from tests.issuer.signals import ISSUER, Pushes, Receiver

from carnet.issuer.accounts import factors, people
from carnet.issuer.endpoints import signal_poll
from carnet.issuer.pairwise import sid_for, subject_for
from carnet.issuer.revocation import signal_pushes
from carnet.issuer.revocation.signal_pushes import LONGEST_WAIT, PAUSES, push, restrain
from carnet.issuer.storage.ports import StorageError
from carnet.issuer.totp import code_at, step_at
from carnet.oauth.security_events import (
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    ACCOUNT_PURGED,
    CREDENTIAL_CHANGE,
    SESSION_REVOKED,
    STREAM_UPDATED,
    TOKEN_CLAIMS_CHANGE,
    VERIFICATION,
)

pytestmark = pytest.mark.anyio

SSF = "OpenID Shared Signals Framework"
INTEROP = "CAEP Interoperability Profile"


@pytest.fixture
async def receiver(issuer):
    return Receiver(await issuer.service(scope="ssf.manage ssf.read"))


@pytest.fixture
async def pushes():
    pushes = Pushes()
    server = await asyncio.start_server(pushes.answer, "127.0.0.1", 0)
    pushes.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    async with server:
        yield pushes


@pytest.fixture
def still(monkeypatch):
    """The issuer's own rounds do nothing: the test says when something is pushed."""

    async def nothing(_desk):
        return 0

    monkeypatch.setattr(signal_pushes, "push", nothing)


async def verification(receiver, stream, state):
    await receiver.issuer.desk.store.throttle.clear(f"signal-verification:{stream['stream_id']}")
    asked = {"stream_id": stream["stream_id"], "state": state}
    assert (await receiver.ask("POST", "/ssf/verification", json=asked)).status_code == 204


async def everyone(desk):
    while await push(desk):
        pass


async def sign_out(issuer, subject):
    page = await issuer.http.get("/end_session")
    await issuer.submit("/end_session", issuer.fields(page))


async def enrol(issuer, subject):
    key = factors.new_key(issuer.desk)
    account = await issuer.desk.store.accounts.get(subject)
    code = code_at(key, step_at(issuer.clock.ambient.now()))
    await factors.enrol(issuer.desk, account, key, code, by=people.CLI)


HAPPENINGS = {
    "sign-out": (sign_out, [SESSION_REVOKED]),
    "sign-out everywhere": (
        lambda issuer, subject: people.sign_out_everywhere(issuer.desk, subject, by=people.CLI),
        [SESSION_REVOKED],
    ),
    "another password": (
        lambda issuer, subject: people.set_password(issuer.desk, subject, "umber lantern under tide", by=people.CLI),
        [CREDENTIAL_CHANGE, SESSION_REVOKED],
    ),
    "a second factor": (enrol, [CREDENTIAL_CHANGE]),
    "other roles": (
        lambda issuer, subject: people.set_roles(issuer.desk, subject, ["AUDITOR"], by=people.CLI),
        [TOKEN_CLAIMS_CHANGE],
    ),
    "a disabled account": (
        lambda issuer, subject: people.disable(issuer.desk, subject, by=people.CLI),
        [ACCOUNT_DISABLED, SESSION_REVOKED],
    ),
    "a deleted account": (
        lambda issuer, subject: people.remove(issuer.desk, subject, by=people.CLI),
        [ACCOUNT_PURGED, SESSION_REVOKED],
    ),
}


@pytest.mark.spec(SSF, "4.1", "MUST")
@pytest.mark.spec("RFC 8417", "2.2", "REQUIRED")
@pytest.mark.spec("RFC 9493", "3.2.4", "MUST")
@pytest.mark.spec("OpenID CAEP", "3.3.1", "REQUIRED")
@pytest.mark.spec("OpenID CAEP", "3.2.1", "REQUIRED")
@pytest.mark.spec("OpenID RISC", "2.2", "OPTIONAL")
@pytest.mark.spec("OpenID RISC", "2.3", "OPTIONAL")
@pytest.mark.spec(INTEROP, "3.1", "MUST")
@pytest.mark.spec(INTEROP, "3.2", "MUST")
@pytest.mark.parametrize("happening", HAPPENINGS)
async def test_what_happens_to_a_person_is_told_to_those_who_poll(issuer, receiver, happening):
    account = await issuer.sign_in()
    [session] = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.ambient.now())
    stream = await receiver.create()
    happen, expected = HAPPENINGS[happening]
    await happen(issuer, account.subject)
    told = await receiver.events(stream)
    assert [next(iter(one["events"])) for one in told] == expected
    assert len({one["txn"] for one in told}) == 1
    assert len({one["jti"] for one in told}) == len(told)
    person = {"format": "iss_sub", "iss": ISSUER, "sub": account.subject}
    for one in told:
        assert not {"sub", "exp"} & set(one)
        assert one["iat"] == issuer.clock.ambient.now()
        [(event, claims)] = one["events"].items()
        if happening == "sign-out":
            sid = {"format": "opaque", "id": session.sid}
            assert one["sub_id"] == {"format": "complex", "session": sid, "user": person}
        else:
            assert one["sub_id"] == person
        if event in {SESSION_REVOKED, CREDENTIAL_CHANGE, TOKEN_CLAIMS_CHANGE}:
            assert claims["event_timestamp"] == issuer.clock.ambient.now()
            assert claims["reason_admin"]["en"]
        if event == CREDENTIAL_CHANGE:
            kind, change = ("app", "create") if happening == "a second factor" else ("password", "update")
            assert (claims["credential_type"], claims["change_type"]) == (kind, change)
        if event == TOKEN_CLAIMS_CHANGE:
            assert claims["claims"] == {"roles": ("AUDITOR",)}


async def test_what_had_ended_before_is_told_no_second_time(issuer, receiver):
    account = await issuer.person()
    await people.disable(issuer.desk, account.subject, by=people.CLI)
    stream = await receiver.create()
    await people.disable(issuer.desk, account.subject, by=people.CLI)
    await people.enable(issuer.desk, account.subject, by=people.CLI)
    assert [next(iter(one["events"])) for one in await receiver.events(stream)] == [ACCOUNT_ENABLED]


async def test_a_pairwise_receiver_is_told_of_people_under_its_own_names(issuer, claims):
    app = await issuer.register(
        grant_types=("authorization_code", "client_credentials"),
        scope="openid ssf.manage ssf.read",
        subject_type="pairwise",
    )
    receiver, client = Receiver(app), app.registered.client
    account = await issuer.sign_in()
    [session] = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.ambient.now())
    tokens = await app.tokens(scope="openid")
    stream = await receiver.create()
    await sign_out(issuer, account.subject)
    [told] = await receiver.events(stream)
    known = claims(tokens["id_token"])
    assert told["sub_id"]["user"]["sub"] == known["sub"] == subject_for(client, account.subject, issuer.desk)
    assert told["sub_id"]["session"]["id"] == known["sid"] == sid_for(client, session.sid, issuer.desk)
    assert account.subject not in str(told)
    named = {"format": "iss_sub", "iss": ISSUER, "sub": known["sub"]}
    await receiver.ask("POST", "/ssf/subjects/remove", json={"stream_id": stream["stream_id"], "subject": named})
    await people.sign_out_everywhere(issuer.desk, account.subject, by=people.CLI)
    assert len(await receiver.events(stream)) == 1


@pytest.mark.spec("RFC 8936", "2.4", "MUST")
async def test_what_is_acknowledged_does_not_come_again(receiver):
    stream = await receiver.create()
    for state in ("1", "2", "3"):
        await verification(receiver, stream, state)
    first = await receiver.poll(stream, maxEvents=2)
    assert (len(first["sets"]), first["moreAvailable"]) == (2, True)
    again = await receiver.poll(stream, maxEvents=2)
    assert list(again["sets"]) == list(first["sets"])
    only_acknowledged = await receiver.poll(stream, maxEvents=0, ack=list(first["sets"]), returnImmediately=False)
    assert only_acknowledged == {"sets": {}, "moreAvailable": True}
    last = await receiver.poll(stream, ack=["unknown", "9999999999999999999-1", "-", "²-1"])
    assert [(await receiver.verified(token))["events"][VERIFICATION]["state"] for token in last["sets"].values()] == [
        "3"
    ]
    assert await receiver.poll(stream, ack=list(last["sets"])) == {"sets": {}}


async def test_nobody_takes_events_off_a_stream_of_somebody_else_s(issuer, receiver):
    other = Receiver(await issuer.service(scope="ssf.manage ssf.read"))
    stream, theirs = await receiver.create(), await other.create()
    await verification(receiver, stream, "mine")
    sets = (await receiver.poll(stream))["sets"]
    await other.poll(theirs, ack=list(sets))
    assert list((await receiver.poll(stream))["sets"]) == list(sets)


@pytest.mark.spec("RFC 8936", "2.6", "MUST")
async def test_an_event_that_the_receiver_cannot_use_is_noted_and_not_offered_again(issuer, receiver):
    stream = await receiver.create()
    await verification(receiver, stream, "1")
    [jti] = (await receiver.poll(stream))["sets"]
    error = {"err": "invalid_state", "description": "The state is not the one that was given."}
    assert await receiver.poll(stream, maxEvents=0, setErrs={jti: error}) == {"sets": {}}
    assert await receiver.events(stream) == []
    [(_, event)] = await issuer.desk.store.events.list(name="signal.refused")
    assert event.detail == {"stream_id": stream["stream_id"], "jti": jti, "err": "invalid_state"}


@pytest.mark.spec("RFC 8936", "2.2", "SHOULD")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"maxEvents": -1}',
        b'{"maxEvents": "5"}',
        b'{"returnImmediately": 1}',
        b'{"ack": "a"}',
        b'{"setErrs": []}',
    ],
)
async def test_a_poll_that_is_none_is_refused(receiver, body):
    stream = await receiver.create()
    answer = await receiver.ask("POST", stream["delivery"]["endpoint_url"], content=body)
    assert answer.status_code == 400


async def test_a_stream_that_is_pushed_is_not_polled(receiver, pushes, still):
    stream = await receiver.create_pushed(pushes)
    answer = await receiver.ask("POST", f"/ssf/poll/{stream['stream_id']}", json={})
    assert answer.status_code == 404


@pytest.mark.spec("RFC 8936", "2.4", "SHOULD")
async def test_a_receiver_that_waits_gets_the_next_event_at_once(issuer, receiver, monkeypatch):
    monkeypatch.setattr(signal_poll, "TURN", 0.001)
    stream = await receiver.create()
    waiting = asyncio.create_task(receiver.poll(stream, returnImmediately=False))
    while not issuer.desk.polling:
        await asyncio.sleep(0)
    # A second one for the same stream is not kept.
    assert await receiver.poll(stream, returnImmediately=False) == {"sets": {}}
    await verification(receiver, stream, "1")
    assert len((await asyncio.wait_for(waiting, 20))["sets"]) == 1
    assert issuer.desk.polling == set()


async def test_nobody_waits_for_longer_than_is_allowed(issuer, receiver, monkeypatch):
    monkeypatch.setattr(signal_poll, "TURN", 0.001)
    stream = await receiver.create()
    waiting = asyncio.create_task(receiver.poll(stream, returnImmediately=False))
    while not issuer.desk.polling:
        await asyncio.sleep(0)
    issuer.clock.advance(int(signal_poll.LONGEST_POLL))
    assert await asyncio.wait_for(waiting, 20) == {"sets": {}}


async def test_so_many_wait_and_no_more_and_nobody_once_the_issuer_stops(issuer, receiver, monkeypatch):
    stream = await receiver.create()
    monkeypatch.setattr(signal_poll, "MOST_WAITING", 0)
    assert await receiver.poll(stream, returnImmediately=False) == {"sets": {}}
    monkeypatch.setattr(signal_poll, "MOST_WAITING", 1)
    issuer.desk.publisher.channel.close()
    assert await receiver.poll(stream, returnImmediately=False) == {"sets": {}}


@pytest.mark.spec("RFC 8935", "2.1", "MUST")
async def test_events_are_pushed_in_order_with_the_header_that_was_given(issuer, receiver, pushes, still):
    stream = await receiver.create_pushed(pushes, authorization_header="Bearer Of-The-Receiver")
    for number in range(12):
        await verification(receiver, stream, str(number))
    await everyone(issuer.desk)
    taken = pushes.taken()
    for headers, _ in taken:
        assert headers["content-type"] == "application/secevent+jwt"
        assert headers["accept"] == "application/json"
        assert headers["authorization"] == "Bearer Of-The-Receiver"
    told = [await receiver.verified(token) for _, token in taken]
    assert [one["events"][VERIFICATION]["state"] for one in told] == [str(number) for number in range(12)]
    await everyone(issuer.desk)
    assert pushes.taken() == []


@pytest.mark.spec(SSF, "8.1.2.1", "MUST NOT")
async def test_nothing_more_is_pushed_once_a_stream_is_paused(issuer, receiver, pushes, still):
    stream = await receiver.create_pushed(pushes)
    for state in ("1", "2"):
        await verification(receiver, stream, state)
    send = issuer.desk.egress.request

    async def and_pause(*given, **more):
        answer = await send(*given, **more)
        await receiver.ask("POST", "/ssf/status", json={"stream_id": stream["stream_id"], "status": "paused"})
        return answer

    issuer.desk.egress.request = and_pause
    await everyone(issuer.desk)
    assert len(pushes.taken()) == 1


async def test_a_receiver_that_takes_its_time_keeps_others_waiting_for_seconds_alone(
    issuer, receiver, pushes, still, monkeypatch
):
    stream = await receiver.create_pushed(pushes)
    for state in map(str, range(5)):
        await verification(receiver, stream, state)
    request = issuer.desk.egress.request

    async def slow(*asked, **more):
        issuer.clock.advance(2)
        return await request(*asked, **more)

    monkeypatch.setattr(issuer.desk.egress, "request", slow)
    taken = []
    for _ in range(3):
        assert await push(issuer.desk) == 1
        taken.append(len(pushes.taken()))
    assert taken == [2, 2, 1], "the next round goes on where this one ended"


async def test_the_issuer_pushes_by_itself(issuer, receiver, pushes, monkeypatch):
    monkeypatch.setattr(signal_pushes, "INTERVAL", 0.001)
    stream = await receiver.create_pushed(pushes)
    await verification(receiver, stream, "1")
    _, token = await asyncio.wait_for(pushes.heard.get(), 20)
    assert (await receiver.verified(token))["events"] == {VERIFICATION: {"state": "1"}}


async def test_what_fails_is_tried_again(issuer, receiver, pushes, monkeypatch, caplog):
    monkeypatch.setattr(signal_pushes, "INTERVAL", 0.001)
    due = issuer.desk.store.signals.due

    async def once(**given):
        monkeypatch.setattr(issuer.desk.store.signals, "due", due)
        raise StorageError("The database did not answer.")

    stream = await receiver.create_pushed(pushes)
    monkeypatch.setattr(issuer.desk.store.signals, "due", once)
    await verification(receiver, stream, "1")
    await asyncio.wait_for(pushes.heard.get(), 20)
    assert "it is tried again" in caplog.text


@pytest.mark.spec("RFC 8935", "2", "SHOULD")
@pytest.mark.parametrize(
    ("status", "body"),
    [(500, ""), (302, ""), (401, ""), (400, ""), (400, '{"err": "authentication_failed", "description": "Who?"}')],
)
async def test_what_could_not_be_delivered_is_pushed_again_later_each_time(
    issuer, receiver, pushes, still, status, body
):
    stream = await receiver.create_pushed(pushes)
    pushes.status, pushes.body = status, body
    for state in ("1", "2"):
        await verification(receiver, stream, state)
    for pause in PAUSES[:2]:
        await everyone(issuer.desk)
        assert len(pushes.taken()) == 1
        issuer.clock.advance(pause - 1)
        await everyone(issuer.desk)
        assert pushes.taken() == []
        issuer.clock.advance(1)
    pushes.status, pushes.body = 202, ""
    await everyone(issuer.desk)
    told = [await receiver.verified(token) for _, token in pushes.taken()]
    assert [one["events"][VERIFICATION]["state"] for one in told] == ["1", "2"]


@pytest.mark.spec("RFC 8935", "2.4", "SHOULD")
async def test_an_event_that_the_receiver_refuses_does_not_hold_up_the_others(issuer, receiver, pushes, still):
    stream = await receiver.create_pushed(pushes)
    for state in ("1", "2"):
        await verification(receiver, stream, state)
    pushes.status, pushes.body = 400, '{"err": "invalid_state", "description": "Another state was given."}'
    await everyone(issuer.desk)
    assert len(pushes.taken()) == 2
    assert len(await issuer.desk.store.events.list(name="signal.refused")) == 2


@pytest.mark.spec(SSF, "8.1.5", "MUST")
async def test_a_stream_whose_endpoint_stays_away_is_paused_and_told_so(issuer, receiver, pushes, still):
    stream = await receiver.create_pushed(pushes)
    pushes.status = 503
    await verification(receiver, stream, "1")
    for pause in PAUSES:
        await everyone(issuer.desk)
        issuer.clock.advance(pause)
    await push(issuer.desk)
    status = (await receiver.ask("GET", "/ssf/status", params={"stream_id": stream["stream_id"]})).json()
    assert status == {"stream_id": stream["stream_id"], "status": "paused", "reason": signal_pushes.GIVEN_UP}
    assert "signal_stream.paused" in await issuer.events()
    pushes.taken()
    pushes.status = 202
    await everyone(issuer.desk)
    [(_, token)] = pushes.taken()
    notice = await receiver.verified(token)
    assert notice["sub_id"] == {"format": "opaque", "id": stream["stream_id"]}
    assert notice["events"] == {STREAM_UPDATED: {"status": "paused", "reason": signal_pushes.GIVEN_UP}}
    # What it holds comes once its receiver enables it again.
    await receiver.ask("POST", "/ssf/status", json={"stream_id": stream["stream_id"], "status": "enabled"})
    await everyone(issuer.desk)
    [(_, token)] = pushes.taken()
    assert (await receiver.verified(token))["events"] == {VERIFICATION: {"state": "1"}}


async def test_the_word_that_a_stream_is_paused_is_given_up_in_the_end(issuer, receiver, pushes, still):
    stream = await receiver.create_pushed(pushes)
    pushes.status = 503
    await verification(receiver, stream, "1")
    for _ in range(2):
        for pause in (*PAUSES, 0):
            await push(issuer.desk)
            issuer.clock.advance(pause)
    assert await push(issuer.desk) == 0
    [(_, waiting)] = await issuer.desk.store.signals.list()
    assert waiting == 1


@pytest.mark.spec(SSF, "8.1.2", "MUST")
async def test_a_stream_that_nobody_polls_is_paused_and_told_so(issuer, receiver):
    stream = await receiver.create()
    await verification(receiver, stream, "1")
    issuer.clock.advance(LONGEST_WAIT)
    await restrain(issuer.desk)
    [notice] = await receiver.events(stream)
    assert notice["events"][STREAM_UPDATED]["status"] == "paused"
    assert "signal_stream.paused" in await issuer.events()


async def test_nothing_is_pushed_to_where_the_issuer_must_not_go(issuer, receiver, still):
    stream = await receiver.create(
        delivery={"method": "urn:ietf:rfc:8935", "endpoint_url": "https://receiver.example/events"}
    )
    await verification(receiver, stream, "1")

    async def inside(_host, _port):
        return ["10.0.0.1"]

    issuer.desk.egress._resolve = inside
    await push(issuer.desk)
    [(_, waiting)] = await issuer.desk.store.signals.list()
    assert waiting == 1
