"""OpenID Shared Signals Framework sections 7 and 8, CAEP Interoperability Profile: what the transmitter's test plan asks for."""

import re

import pytest
from tests.issuer.signals import ISSUER, Receiver

from carnet.issuer.accounts import people
from carnet.issuer.revocation.signal_streams import MIN_VERIFICATION_INTERVAL, MOST_STREAMS
from carnet.jose import SigningKey, sign_jwt
from carnet.oauth.dpop import token_hash
from carnet.oauth.security_events import (
    ACCOUNT_DISABLED,
    POLL,
    PUSH,
    SESSION_REVOKED,
    SUPPORTED,
    VERIFICATION,
)

pytestmark = pytest.mark.anyio

SSF = "OpenID Shared Signals Framework"
INTEROP = "CAEP Interoperability Profile"
URL = "https://receiver.example/events"


@pytest.fixture
async def receiver(issuer):
    return Receiver(await issuer.service(scope="ssf.manage ssf.read"))


@pytest.fixture
async def other(issuer):
    return Receiver(await issuer.service(scope="ssf.manage ssf.read"))


@pytest.mark.spec(SSF, "7.1.1", "REQUIRED")
@pytest.mark.spec(INTEROP, "2.3", "MUST")
async def test_the_transmitter_is_found_under_its_issuer(issuer):
    answer = await issuer.direct.get("/.well-known/ssf-configuration")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    said = answer.json()
    assert said["spec_version"] == "1_0"
    assert said["issuer"] == ISSUER
    assert said["jwks_uri"] == issuer.desk.metadata["jwks_uri"]
    assert said["delivery_methods_supported"] == [PUSH, POLL]
    assert {"spec_urn": "urn:ietf:rfc:6749"} in said["authorization_schemes"]
    assert said["default_subjects"] == "ALL"
    assert "session" in said["critical_subject_members"]
    routes = {route.path for route in issuer.app.routes}
    endpoints = {name: url.removeprefix(ISSUER) for name, url in said.items() if name.endswith("_endpoint")}
    assert set(endpoints) == {
        *("configuration_endpoint", "status_endpoint", "verification_endpoint"),
        *("add_subject_endpoint", "remove_subject_endpoint"),
    }
    assert set(endpoints.values()) < routes


@pytest.mark.spec(INTEROP, "2.7.2", "MUST")
async def test_the_scope_values_of_receivers_are_told_where_resources_tell_theirs(issuer):
    told = (await issuer.direct.get("/.well-known/oauth-protected-resource")).json()
    assert {"ssf.manage", "ssf.read"} <= set(told["scopes_supported"])


@pytest.mark.spec(SSF, "8.1.1.1", "MUST")
@pytest.mark.spec(INTEROP, "2.3.8.1", "MUST")
@pytest.mark.parametrize("delivery", [{"method": POLL}, {"method": PUSH, "endpoint_url": URL}, None])
async def test_a_receiver_makes_a_stream(receiver, delivery):
    asked = {"events_requested": [SESSION_REVOKED, "urn:example:unheard-of"], "description": "For the shop"}
    answer = await receiver.ask(
        "POST", "/ssf/streams", json=asked | ({} if delivery is None else {"delivery": delivery})
    )
    assert answer.status_code == 201
    stream = answer.json()
    assert (stream["iss"], stream["aud"]) == (ISSUER, receiver.app.client_id)
    assert stream["events_supported"] == list(SUPPORTED)
    assert stream["events_requested"] == asked["events_requested"]
    assert stream["events_delivered"] == [SESSION_REVOKED]
    assert stream["description"] == "For the shop"
    assert stream["min_verification_interval"] == MIN_VERIFICATION_INTERVAL
    if delivery and delivery["method"] == PUSH:
        assert stream["delivery"] == delivery
    else:
        assert stream["delivery"] == {"method": POLL, "endpoint_url": f"{ISSUER}/ssf/poll/{stream['stream_id']}"}
    read = await receiver.ask("GET", "/ssf/streams", params={"stream_id": stream["stream_id"]})
    assert (read.status_code, read.json(), read.headers["cache-control"]) == (200, stream, "no-store")


@pytest.mark.spec(SSF, "8.1.1", "MUST")
async def test_who_asks_for_no_events_gets_none_but_those_of_the_stream_itself(receiver):
    stream = (await receiver.ask("POST", "/ssf/streams", json={})).json()
    assert stream["events_delivered"] == []
    assert "events_requested" not in stream


NO_STREAMS = (
    b"",
    b"[]",
    b'{"delivery": 1}',
    b'{"delivery": {}}',
    b'{"delivery": {"method": "urn:ietf:rfc:9999"}}',
    b'{"delivery": {"method": "urn:ietf:rfc:8935"}}',
    b'{"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "http://receiver.example/events"}}',
    b'{"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://u:p@receiver.example/events"}}',
    b'{"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://r.example", "authorization_header": "a\\r\\nb"}}',
    b'{"events_requested": "all"}',
    b'{"events_requested": [7]}',
    b'{"events_requested": [""]}',
    b'{"events_requested": ["a\\u0000b"]}',
    b'{"description": 7}',
    b'{"description": "a", "description": "b"}',
    b'{"events_requested": [' + b",".join([b'"urn:x"'] * 101) + b"]}",
)


@pytest.mark.spec(SSF, "8.1.1.1", "SHOULD")
async def test_what_cannot_be_a_stream_is_refused(receiver):
    for body in NO_STREAMS:
        answer = await receiver.ask("POST", "/ssf/streams", content=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), body
    assert (await receiver.ask("GET", "/ssf/streams")).json() == []


@pytest.mark.spec(SSF, "8.1.1.2", "MUST")
async def test_all_streams_of_a_receiver_are_listed_and_no_others(receiver, other):
    assert (await receiver.ask("GET", "/ssf/streams")).json() == []
    streams = [await receiver.create() for _ in range(2)]
    await other.create()
    listed = (await receiver.ask("GET", "/ssf/streams")).json()
    assert sorted(listed, key=str) == sorted(streams, key=str)
    assert len({stream["delivery"]["endpoint_url"] for stream in listed}) == 2


@pytest.mark.spec(SSF, "8.1.1.1", "SHOULD")
async def test_a_receiver_has_so_many_streams_and_no_more(receiver):
    for _ in range(MOST_STREAMS):
        await receiver.create()
    assert (await receiver.ask("POST", "/ssf/streams", json={})).status_code == 409


@pytest.mark.spec(SSF, "8.1.1.3", "MUST")
async def test_an_update_changes_what_it_names_and_nothing_else(receiver):
    stream = await receiver.create(description="Before")
    changed = await receiver.ask(
        "PATCH", "/ssf/streams", json={"stream_id": stream["stream_id"], "events_requested": [ACCOUNT_DISABLED]}
    )
    assert changed.status_code == 200
    expected = stream | {"events_requested": [ACCOUNT_DISABLED], "events_delivered": [ACCOUNT_DISABLED]}
    assert changed.json() == expected
    again = await receiver.ask("PATCH", "/ssf/streams", json=expected | {"description": "After"})
    assert again.json() == expected | {"description": "After"}


@pytest.mark.spec(SSF, "8.1.1.4", "MUST")
async def test_a_replacement_takes_away_what_it_does_not_name(receiver):
    stream = await receiver.create(delivery={"method": PUSH, "endpoint_url": URL}, description="Before")
    bare = (await receiver.ask("PUT", "/ssf/streams", json={"stream_id": stream["stream_id"]})).json()
    assert bare["delivery"]["method"] == POLL
    assert bare["events_delivered"] == []
    assert "description" not in bare
    assert "events_requested" not in bare
    read = await receiver.ask("GET", "/ssf/streams", params={"stream_id": stream["stream_id"]})
    assert read.json() == bare


@pytest.mark.spec(SSF, "8.1.1.3", "MUST")
@pytest.mark.spec(SSF, "8.1.1.4", "MUST")
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_what_the_transmitter_says_is_not_the_receiver_s_to_change(receiver, method):
    stream = await receiver.create()
    for changes in (
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"events_supported": []},
        {"events_delivered": [SESSION_REVOKED]},
        {"min_verification_interval": 1},
        {"events_requested": "all"},
        {"stream_id": None},
        {"stream_id": 7},
    ):
        answer = await receiver.ask(method, "/ssf/streams", json=stream | changes)
        assert answer.status_code == 400, changes
    read = await receiver.ask("GET", "/ssf/streams", params={"stream_id": stream["stream_id"]})
    assert read.json() == stream


async def test_of_two_changes_at_once_the_second_is_told_so(issuer, receiver, monkeypatch):
    stream = await receiver.create()
    signals = issuer.desk.store.signals
    kept = await signals.get(stream["stream_id"])

    async def as_it_was(_stream_id):
        return kept

    monkeypatch.setattr(signals, "get", as_it_was)
    for status, code in (("paused", 200), ("disabled", 409)):
        asked = {"stream_id": stream["stream_id"], "status": status}
        assert (await receiver.ask("POST", "/ssf/status", json=asked)).status_code == code


@pytest.mark.spec(SSF, "8.1.1.5", "MUST")
async def test_a_stream_is_deleted(receiver):
    stream = await receiver.create()
    named = {"stream_id": stream["stream_id"]}
    assert (await receiver.ask("DELETE", "/ssf/streams")).status_code == 400
    answer = await receiver.ask("DELETE", "/ssf/streams", params=named)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await receiver.ask("DELETE", "/ssf/streams", params=named)).status_code == 404
    assert (await receiver.ask("GET", "/ssf/streams", params=named)).status_code == 404


REQUESTS = [
    ("GET", "/ssf/streams", "ssf.read"),
    ("POST", "/ssf/streams", "ssf.manage"),
    ("PATCH", "/ssf/streams", "ssf.manage"),
    ("PUT", "/ssf/streams", "ssf.manage"),
    ("DELETE", "/ssf/streams", "ssf.manage"),
    ("GET", "/ssf/status", "ssf.read"),
    ("POST", "/ssf/status", "ssf.manage"),
    ("POST", "/ssf/subjects/add", "ssf.manage"),
    ("POST", "/ssf/subjects/remove", "ssf.manage"),
    ("POST", "/ssf/verification", "ssf.manage"),
    ("POST", "/ssf/poll/{}", "ssf.read"),
]


def asked(method, path, stream_id):
    """A request that would be answered if the stream were this receiver's."""
    body = {
        "/ssf/status": {"status": "paused"},
        "/ssf/subjects/add": {"subject": {"format": "email", "email": "ann@example.com"}},
        "/ssf/subjects/remove": {"subject": {"format": "email", "email": "ann@example.com"}},
    }.get(path, {})
    if method in {"GET", "DELETE"}:
        return {"params": {"stream_id": stream_id}}
    return {"json": body if path == "/ssf/streams" and method == "POST" else {"stream_id": stream_id} | body}


@pytest.mark.spec(SSF, "8.1", "MUST")
@pytest.mark.parametrize(("method", "path", "_"), [one for one in REQUESTS if one[:2] != ("POST", "/ssf/streams")])
async def test_a_stream_belongs_to_its_client(receiver, other, method, path, _):
    stream = await receiver.create()
    for stream_id in (stream["stream_id"], "unknown", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
        answer = await other.ask(method, path.format(stream_id), **asked(method, path, stream_id))
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert (await receiver.ask("GET", "/ssf/status", params={"stream_id": stream["stream_id"]})).json() == {
        "stream_id": stream["stream_id"],
        "status": "enabled",
    }


@pytest.mark.spec("RFC 6750", "3.1", "MUST")
@pytest.mark.spec(INTEROP, "2.7.3", "MUST")
@pytest.mark.parametrize(("method", "path", "needs"), REQUESTS)
async def test_nothing_is_answered_without_a_token_that_suffices(issuer, receiver, method, path, needs):
    stream = await receiver.create()
    path, given = path.format(stream["stream_id"]), asked(method, path, stream["stream_id"])

    async def send(token=None, **query):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        options = given | {"params": given.get("params", {}) | query}
        return await issuer.direct.request(method, path, headers=headers, **options)

    good = await receiver.token()
    for answer in (await send(), await send(access_token=good)):
        assert answer.status_code == 401
        assert "Bearer" in answer.headers["www-authenticate"]
        assert "error" not in answer.headers["www-authenticate"]
    answer = await send(good[:-4] + "AAAA")
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    for scope in {"ssf.manage": ("ssf.read",), "ssf.read": ()}[needs] + ("orders",):
        weak = Receiver(await issuer.service(scope=scope), scope)
        answer = await send(await weak.token())
        assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    issuer.clock.advance(301)
    assert (await send(good)).status_code == 401


@pytest.mark.spec(INTEROP, "2.7.2", "MUST")
async def test_whoever_reads_need_not_manage_and_whoever_manages_may_read(issuer, receiver):
    stream = await receiver.create()
    for scope in ("ssf.read", "ssf.manage"):
        receiver.scope = scope
        for method, path, needs in REQUESTS:
            if needs == "ssf.read":
                members = (
                    {"json": {"returnImmediately": True}}
                    if "poll" in path
                    else asked(method, path, stream["stream_id"])
                )
                assert (await receiver.ask(method, path.format(stream["stream_id"]), **members)).status_code == 200


async def test_a_token_that_was_taken_back_opens_nothing(receiver):
    token = await receiver.token()
    await receiver.app.post("/revoke", token=token)
    answer = await receiver.issuer.direct.get("/ssf/streams", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


@pytest.mark.spec("RFC 9449", "7.1", "MUST")
async def test_a_bound_token_opens_streams_with_its_proof_and_not_without(issuer, receiver):
    key = SigningKey.generate("ES256")

    def proof(method, path, **claims):
        said = {"jti": f"{method} {path} {claims}", "htm": method, "htu": ISSUER + path, "iat": issuer.clock.now()}
        return sign_jwt(said | claims, key, typ="dpop+jwt", headers={"jwk": key.public().to_jwk()})

    asked = {"grant_type": "client_credentials", "scope": receiver.scope}
    told = None
    for _ in range(2):  # the first answer says which nonce is wanted
        headers = {"DPoP": proof("POST", "/token", **({} if told is None else {"nonce": told}))}
        answer = await issuer.direct.post("/token", data=asked, headers=headers, auth=receiver.app.auth)
        told = answer.headers["dpop-nonce"]
    token = answer.json()["access_token"]
    bearer = await issuer.direct.get("/ssf/streams", headers={"Authorization": f"Bearer {token}"})
    assert bearer.status_code == 401
    for path, status in (("/ssf/streams", 200), ("/ssf/status", 404)):
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof("GET", path, nonce=told, ath=token_hash(token))}
        answer = await issuer.direct.get(
            path, headers=headers, params={"stream_id": "unknown"} if status == 404 else {}
        )
        assert answer.status_code == status
        told = answer.headers["dpop-nonce"]


async def test_no_person_can_give_a_client_what_is_told_of_others(issuer):
    await issuer.sign_in()
    app = await issuer.register(scope="openid ssf.manage")
    tokens = await app.tokens(scope="openid ssf.manage")
    answer = await issuer.direct.get("/ssf/streams", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


async def test_a_token_for_another_resource_opens_nothing(issuer):
    receiver = Receiver(await issuer.service(scope="ssf.manage ssf.read", audiences=("orders",)))
    assert (await receiver.ask("GET", "/ssf/streams")).status_code == 401


@pytest.mark.spec(SSF, "8.1.2.2", "MUST")
@pytest.mark.spec(INTEROP, "2.3.5", "MUST")
async def test_a_receiver_sets_the_status_of_its_stream(receiver):
    stream = await receiver.create()
    named = {"stream_id": stream["stream_id"]}
    for status, reason in (("paused", "Upkeep."), ("disabled", None), ("enabled", None)):
        asked = named | {"status": status} | ({"reason": reason} if reason else {})
        answer = await receiver.ask("POST", "/ssf/status", json=asked)
        assert (answer.status_code, answer.json()) == (200, asked)
        assert (await receiver.ask("GET", "/ssf/status", params=named)).json() == asked


@pytest.mark.spec(SSF, "8.1.2.2", "SHOULD")
@pytest.mark.parametrize("changes", [{"status": "stopped"}, {"status": None}, {"reason": 7}, {"stream_id": ""}])
async def test_there_are_three_statuses(receiver, changes):
    stream = await receiver.create()
    asked = {"stream_id": stream["stream_id"], "status": "paused"} | changes
    assert (await receiver.ask("POST", "/ssf/status", json=asked)).status_code == 400


async def end_sessions(issuer, *emails):
    for email in emails:
        await people.sign_out_everywhere(issuer.desk, issuer.accounts[email].subject, by=people.CLI)


@pytest.mark.spec(SSF, "8.1.3.3", "SHOULD")
@pytest.mark.spec(SSF, "8.1.3.2", "SHOULD")
@pytest.mark.parametrize("named", ["email", "iss_sub", "complex"])
async def test_nothing_is_told_of_a_person_who_was_removed_until_added_again(issuer, receiver, named):
    for email in ("ann@example.com", "bea@example.com"):
        await issuer.person(email)
    ann = issuer.accounts["ann@example.com"].subject
    subject = {
        "email": {"format": "email", "email": "ANN@example.com"},
        "iss_sub": {"format": "iss_sub", "iss": ISSUER, "sub": ann},
        "complex": {"format": "complex", "user": {"format": "iss_sub", "iss": ISSUER, "sub": ann}},
    }[named]
    stream = await receiver.create()
    body = {"stream_id": stream["stream_id"], "subject": subject}
    answer = await receiver.ask("POST", "/ssf/subjects/remove", json=body)
    assert (answer.status_code, answer.content) == (204, b"")
    await end_sessions(issuer, "ann@example.com", "bea@example.com")
    [told] = await receiver.events(stream)
    assert told["sub_id"]["sub"] == issuer.accounts["bea@example.com"].subject
    answer = await receiver.ask("POST", "/ssf/subjects/add", json=body | {"verified": True})
    assert (answer.status_code, answer.content) == (200, b"")
    await end_sessions(issuer, "ann@example.com")
    assert len(await receiver.events(stream)) == 2
    events = await issuer.events()
    assert events.index("signal_stream.subject_removed") < events.index("signal_stream.subject_added")


NOBODY = (
    {"format": "email", "email": "nobody@example.com"},
    {"format": "iss_sub", "iss": ISSUER, "sub": "nobody"},
    {"format": "iss_sub", "iss": "https://other.example", "sub": "ann"},
    {"format": "opaque", "id": "nobody"},
    {"format": "phone_number", "phone_number": "+12065550123"},
    {"format": "complex", "user": {"format": "email", "email": "ann@example.com"}, "session": {"format": "opaque"}},
)


@pytest.mark.spec(SSF, "9.1", "SHOULD")
@pytest.mark.parametrize("path", ["/ssf/subjects/add", "/ssf/subjects/remove"])
async def test_it_is_not_said_who_is_known(issuer, receiver, path):
    await issuer.person()
    stream = await receiver.create()
    for subject in NOBODY:
        answer = await receiver.ask("POST", path, json={"stream_id": stream["stream_id"], "subject": subject})
        assert (answer.status_code, answer.content) == (200 if path.endswith("add") else 204, b""), subject
    await end_sessions(issuer, "ann@example.com")
    assert len(await receiver.events(stream)) == 1


@pytest.mark.spec(SSF, "8.1.3.2", "SHOULD")
async def test_what_is_no_subject_identifier_is_refused(receiver):
    stream = await receiver.create()
    for subject in (None, "ann", {}, {"format": "email"}, {"format": "iss_sub", "iss": ISSUER}, {"format": 1}):
        asked = {"stream_id": stream["stream_id"], "subject": subject}
        assert (await receiver.ask("POST", "/ssf/subjects/remove", json=asked)).status_code == 400, subject


@pytest.mark.spec(SSF, "8.1.4", "MUST")
@pytest.mark.spec(INTEROP, "2.3.6", "MUST")
@pytest.mark.parametrize("state", [None, "VGhpcyBpcyBhbiBleGFtcGxl"])
async def test_verification_brings_an_event_with_the_state_that_was_given(receiver, state):
    stream = await receiver.create(events_requested=[])
    asked = {"stream_id": stream["stream_id"]} | ({} if state is None else {"state": state})
    answer = await receiver.ask("POST", "/ssf/verification", json=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    [told] = await receiver.events(stream)
    assert told["sub_id"] == {"format": "opaque", "id": stream["stream_id"]}
    assert told["events"] == {VERIFICATION: {} if state is None else {"state": state}}


@pytest.mark.spec(SSF, "8.1.4.2", "SHOULD")
async def test_verification_can_be_asked_for_each_few_seconds(issuer, receiver):
    stream = await receiver.create()
    for seconds, status in ((0, 204), (MIN_VERIFICATION_INTERVAL - 1, 429), (1, 204)):
        issuer.clock.advance(seconds)
        answer = await receiver.ask("POST", "/ssf/verification", json={"stream_id": stream["stream_id"]})
        assert answer.status_code == status


@pytest.mark.spec(SSF, "8.1.4.2", "SHOULD")
@pytest.mark.parametrize("state", [7, ["a"], "a" * 1_001])
async def test_a_state_is_a_text(receiver, state):
    stream = await receiver.create()
    asked = {"stream_id": stream["stream_id"], "state": state}
    assert (await receiver.ask("POST", "/ssf/verification", json=asked)).status_code == 400


@pytest.mark.spec(SSF, "8.1.2.1", "MUST NOT")
async def test_a_paused_stream_holds_a_disabled_one_drops(issuer, receiver):
    stream = await receiver.create()
    for status, kept in (("paused", 1), ("disabled", 0)):
        await receiver.ask("POST", "/ssf/status", json={"stream_id": stream["stream_id"], "status": status})
        await receiver.ask("POST", "/ssf/verification", json={"stream_id": stream["stream_id"]})
        assert await receiver.events(stream) == []
        await receiver.ask("POST", "/ssf/status", json={"stream_id": stream["stream_id"], "status": "enabled"})
        assert len(await receiver.events(stream)) == kept
        issuer.clock.advance(MIN_VERIFICATION_INTERVAL)


async def test_the_header_that_goes_with_pushes_is_never_shown(issuer, receiver):
    secret = "Bearer a-very-secret-thing"
    delivery = {"method": PUSH, "endpoint_url": URL, "authorization_header": secret}
    stream = await receiver.create(delivery=delivery)
    assert stream["delivery"] == {"method": PUSH, "endpoint_url": URL}
    kept = await issuer.desk.store.signals.get(stream["stream_id"])
    assert "a-very" not in repr(kept)
    assert b"a-very" not in kept.sealed_authorization
    # Whoever reads a stream and writes it back does not lose it, unless it goes elsewhere or is taken away.
    for url, header, stays in ((URL, {}, True), (URL + "/2", {}, False), (URL, {"authorization_header": None}, False)):
        changed = {"method": PUSH, "endpoint_url": url} | header
        await receiver.ask("PATCH", "/ssf/streams", json={"stream_id": stream["stream_id"], "delivery": changed})
        kept = await issuer.desk.store.signals.get(stream["stream_id"])
        assert (kept.sealed_authorization is not None) is stays
        if not stays:
            restored = {"stream_id": stream["stream_id"], "delivery": delivery}
            await receiver.ask("PATCH", "/ssf/streams", json=restored)


async def test_administrators_see_who_is_told_and_what_waits(issuer, receiver):
    await issuer.person(roles=("ADMIN",))
    await issuer.sign_in()
    assert "Receivers of security events" not in (await issuer.http.get("/admin/revocations")).text
    polled = await receiver.create()
    pushed = await receiver.create(delivery={"method": PUSH, "endpoint_url": URL})
    paused = {"stream_id": pushed["stream_id"], "status": "paused", "reason": "<b>Upkeep."}
    await receiver.ask("POST", "/ssf/status", json=paused)
    await receiver.ask("POST", "/ssf/verification", json={"stream_id": polled["stream_id"]})
    page = (await issuer.http.get("/admin/revocations")).text
    assert re.search(rf"polls.*?enabled.*?>1</td>.*?{polled['stream_id']}", page, re.DOTALL)
    assert re.search(rf"is pushed to.*?paused.*?&lt;b&gt;Upkeep.*?>0</td>.*?{pushed['stream_id']}", page, re.DOTALL)
