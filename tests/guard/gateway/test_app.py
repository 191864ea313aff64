"""The gateway over HTTP: 2xx for an explicit allow and for nothing else, and the RFC's challenge with each refusal."""

import logging

import httpx2
import pytest
from tests.certificates import certificate

from carnet.guard.gateway import GATEWAY_TOKEN_TYP, Gateway, gateway_token_verifier
from carnet.guard.gateway.config import parse_config
from carnet.guard.gateway.identity import IDENTITY_HEADERS
from carnet.jose import JoseError, KeySet, SigningKey, sign_jwt
from carnet.jose.profiles import ACCESS_TOKEN
from carnet.jose.strict_json import encode_object
from carnet.oauth.dpop import token_hash
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio


async def ask(gateway: Gateway, path="/orders/7", *, method="GET", host="shop.example", client="127.0.0.1", **headers):
    question = {"X-Original-Method": method, "X-Original-Host": host, "X-Original-URI": path} | headers
    transport = httpx2.ASGITransport(gateway, client=(client, 40_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
        answer = await http.get("/check", headers=question)
    await gateway.checkpoint.stop()
    return answer


def identity_of(answer: httpx2.Response) -> dict[str, str]:
    return {name.removeprefix("x-carnet-"): answer.headers[name] for name in IDENTITY_HEADERS if answer.headers[name]}


async def test_a_good_token_is_let_through_with_what_services_are_told(make_gateway, issuer):
    token = issuer.token(
        "alice", scope="orders:read email", roles=["CLERK", "Chef de caf\u00e9"], sid="s-1", acr="gold"
    )
    answer = await ask(make_gateway(), authorization=f"Bearer {token}")
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert identity_of(answer) == {
        "issuer": issuer.issuer,
        "subject": "alice",
        "client": "front-end",
        "roles": "CLERK Chef%20de%20caf%C3%A9",
        "scope": "email orders:read",
        "acr": "gold",
        "session": "s-1",
    }


@pytest.fixture
def partnered(document, issuer, clock):
    """A gateway that takes a partner's tokens where a rule names it."""
    partner = FakeIssuer("https://partner.test", audience="shop", ambient=clock.ambient)
    network = httpx2.MockTransport(
        lambda request: (partner if request.url.host == "partner.test" else issuer).answer(request)
    )
    rules = [
        {"path": "/"},
        {"path": "/partners", "issuer": ["https://partner.test"], "role": "ADMIN"},
        {"path": "/both", "issuer": f"{issuer.issuer} https://partner.test"},
    ]
    also = [{"issuer": "https://partner.test", "audience": "shop"}]
    config = parse_config(document | {"rules": rules, "also": also})

    async def answers(path, token):
        gateway = Gateway(config, ambient=clock.ambient, transport=network)
        return await ask(gateway, path, authorization=f"Bearer {token}")

    return answers, partner


async def test_a_partners_token_passes_where_a_rule_names_its_issuer_and_nowhere_else(partnered, issuer):
    answers, partner = partnered
    own, theirs = issuer.token("alice", roles="ADMIN"), partner.token("alice", roles="ADMIN")
    expected = {"/orders": (200, 403), "/partners": (403, 200), "/both": (200, 200)}
    for path, statuses in expected.items():
        assert tuple([(await answers(path, token)).status_code for token in (own, theirs)]) == statuses, path
    told = [identity_of(await answers("/both", token)) for token in (own, theirs)]
    assert [one["issuer"] for one in told] == [issuer.issuer, "https://partner.test"]
    assert [one["subject"] for one in told] == ["alice", "alice"]


async def test_a_partner_cannot_speak_for_the_gateways_own_issuer(partnered, issuer):
    answers, partner = partnered
    forged = partner.token("alice", iss=issuer.issuer, audience=issuer.audience)
    assert (await answers("/orders", forged)).status_code == 401
    assert (await answers("/both", partner.token("alice", audience="elsewhere"))).status_code == 401


async def test_a_subject_cannot_write_further_headers(make_gateway, issuer):
    token = issuer.token("al\r\nX-Carnet-Roles: ADMIN 100%", scope="orders:read")
    answer = await ask(make_gateway(), authorization=f"Bearer {token}")
    assert identity_of(answer)["subject"] == "al%0D%0AX-Carnet-Roles:%20ADMIN%20100%25"
    assert "roles" not in identity_of(answer)


async def test_a_public_path_needs_nothing_and_tells_services_of_nobody(make_gateway, issuer):
    for headers in ({}, {"authorization": "Bearer garbage"}, issuer.headers("alice")):
        answer = await ask(make_gateway(), "/public/page", **headers)
        assert (answer.status_code, identity_of(answer)) == (200, {})
        assert set(answer.headers) >= IDENTITY_HEADERS, "empty ones too: a proxy overwrites what the client sent"


@pytest.mark.spec("RFC 6750", "3", "MUST")
@pytest.mark.parametrize(
    ("path", "asked", "status", "challenge"),
    [
        ("/orders", None, 401, "Bearer"),
        ("/orders", {"scope": "orders:write"}, 403, 'error="insufficient_scope", error_description='),
        ("/orders", {"scope": "orders:read", "expires_in": -3600}, 401, 'error="invalid_token"'),
        ("/orders", {"scope": "orders:read", "audience": "invoices"}, 401, 'error="invalid_token"'),
        ("/admin", {"roles": "CLERK"}, 403, 'error="insufficient_scope"'),
        ("/payments", {"scope": "orders:write"}, 401, 'error="insufficient_user_authentication"'),
        ("/payments", {"scope": "orders:write", "auth_time": 0}, 401, 'max_age="300"'),
    ],
)
async def test_a_refusal_carries_the_challenge_that_says_what_would_do(
    make_gateway, issuer, path, asked, status, challenge
):
    headers = {} if asked is None else issuer.headers("alice", **asked)
    answer = await ask(make_gateway(), path, **headers)
    assert answer.status_code == status
    assert challenge in answer.headers["www-authenticate"]
    assert answer.headers["x-carnet-status"] == str(status)
    assert not IDENTITY_HEADERS & set(answer.headers)


async def test_a_role_a_scope_and_a_fresh_sign_in_are_let_through(make_gateway, issuer, clock):
    fresh = issuer.headers("alice", scope="orders:write", auth_time=clock.ambient.now() - 100)
    assert (await ask(make_gateway(), "/payments", **fresh)).status_code == 200
    assert (await ask(make_gateway(), "/admin", **issuer.headers("ada", roles="AUDITOR"))).status_code == 200
    assert (await ask(make_gateway(), "/orders", method="POST", **issuer.headers(scope="orders:write"))).is_success


@pytest.mark.parametrize("host", ["status.example", "STATUS.Example", "status.example.", "Status.example:443"])
async def test_a_host_is_the_same_in_all_of_its_spellings(make_gateway, host):
    assert (await ask(make_gateway(), "/", host=host)).status_code == 200
    assert (await ask(make_gateway(), "/orders", host=host)).status_code == 403


async def test_what_is_refused_says_why_to_the_log_and_to_nobody_else(make_gateway, issuer, caplog):
    with caplog.at_level(logging.INFO, logger="carnet"):
        answer = await ask(make_gateway(), "/admin", **issuer.headers("alice", roles="CLERK"))
    (record,) = [record for record in caplog.records if record.name == "carnet.guard"]
    assert record.carnet_code == "role_missing"
    assert record.carnet_trace == ("role ADMIN AUDITOR: The roles are CLERK, wanted one of ADMIN AUDITOR.",)
    assert "CLERK" not in answer.text + str(answer.headers)
    assert "GET /admin on shop.example: role_missing by rules[5]" in caplog.messages


@pytest.mark.parametrize("client", ["10.1.2.3", "::1", "testclient"])
async def test_whoever_is_no_trusted_proxy_is_believed_nothing(make_gateway, issuer, client):
    for path in ("/public", "/orders"):
        answer = await ask(make_gateway(), path, client=client, **issuer.headers(scope="orders:read"))
        assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/public/%2e%2e/admin", "//admin", "/public;/admin", "/public%2fadmin", "/a%00"])
async def test_a_path_with_two_readings_is_a_bad_request(make_gateway, issuer, path):
    answer = await ask(make_gateway(), path, **issuer.headers("ada", roles="ADMIN"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_without_keys_the_answer_is_503_and_never_401(make_gateway, issuer, monkeypatch):
    monkeypatch.setattr(issuer, "answer", lambda request: httpx2.Response(500))
    answer = await ask(make_gateway(), **issuer.headers(scope="orders:read"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "www-authenticate" not in answer.headers


async def test_whatever_fails_in_a_decision_refuses(make_gateway, issuer, monkeypatch, caplog):
    gateway = make_gateway()

    async def broken(*args, **kwargs):
        raise RuntimeError("a secret")

    monkeypatch.setattr(gateway.checkpoint, "admit", broken)
    answer = await ask(gateway, **issuer.headers(scope="orders:read"))
    assert answer.status_code == 503
    assert "decision raised RuntimeError in broken, line" in caplog.text
    assert "a secret" not in caplog.text + answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/health/live", 200), ("/health/ready", 503), ("/check/orders", 404), ("/", 404), ("/public", 404)],
)
async def test_what_is_no_question_is_not_answered_as_one(make_gateway, path, status):
    transport = httpx2.ASGITransport(make_gateway(), client=("127.0.0.1", 40_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
        assert (await http.get(path)).status_code == status


async def test_it_is_ready_when_it_has_keys(make_gateway, issuer):
    gateway = make_gateway()
    await ask(gateway, **issuer.headers(scope="orders:read"))
    transport = httpx2.ASGITransport(gateway, client=("127.0.0.1", 40_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
        assert (await http.get("/health/ready")).status_code == 200


async def test_envoys_question_is_the_request_itself(make_gateway, issuer):
    gateway = make_gateway(proxy="envoy")
    transport = httpx2.ASGITransport(gateway, client=("127.0.0.1", 40_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop.example") as http:
        for method, status in (("GET", 403), ("POST", 200)):
            headers = issuer.headers(scope="orders:write")
            assert (await http.request(method, "/check/orders/7?x=1", headers=headers)).status_code == status
        assert (await http.get("/check/orders/7?access_token=x", headers=issuer.headers())).status_code == 400
        assert (await http.get("/check/public")).status_code == 200
        assert (await http.get("/check/public%2f..")).status_code == 400
    await gateway.checkpoint.stop()


async def test_headers_that_a_service_believes_can_be_refused_too(make_gateway):
    gateway = make_gateway(refused_headers=["Remote-User"])
    for name in ("Remote-User", "REMOTE_USER"):
        assert (await ask(gateway, "/public", **{name: "admin"})).status_code == 400
    assert (await ask(make_gateway(), "/public", **{"Remote-User": "admin"})).status_code == 200


@pytest.fixture
def vouching(make_gateway, tmp_path):
    key = SigningKey.generate("ES256")
    (tmp_path / "key.jwk").write_bytes(encode_object(key.to_jwk()))
    identity = {"key_file": str(tmp_path / "key.jwk"), "issuer": "gateway", "audience": "orders-service"}
    rules = [
        {"path": "/"},
        {"path": "/invoices", "audience": "invoice-service"},
        {"path": "/public", "public": True},
    ]
    return make_gateway(identity=identity, rules=rules)


async def test_services_can_be_given_a_token_of_the_gateway_for_them_alone(vouching, issuer, clock):
    headers = issuer.headers("alice", roles="CLERK", sid="s-1", scope="a b")
    answer = await ask(vouching, "/invoices/3", **headers)
    assert set(identity_of(answer)) == {"token"}
    transport = httpx2.ASGITransport(vouching)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
        keys = KeySet.from_jwks((await http.get("/jwks")).content, algorithms=("ES256",))
    token, now = answer.headers["x-carnet-token"], clock.ambient.now()
    settings = {"keys": keys, "algorithms": ("ES256",), "issuer": "gateway"}
    verified = gateway_token_verifier(audience="invoice-service", **settings).verify(token, at=now)
    assert verified.header["typ"] == GATEWAY_TOKEN_TYP
    assert {name: verified.claims[name] for name in ("sub", "roles", "scope", "sid", "exp")} == {
        "sub": "alice",
        "roles": ("CLERK",),
        "scope": "a b",
        "sid": "s-1",
        "exp": now + 60,
    }
    with pytest.raises(JoseError):
        gateway_token_verifier(audience="orders-service", **settings).verify(token, at=now)
    with pytest.raises(JoseError):
        gateway_token_verifier(audience="invoice-service", **settings).verify(token, at=now + 65)


async def test_a_token_of_the_gateway_lives_no_longer_than_the_access_token(vouching, issuer, clock):
    answer = await ask(vouching, "/", **issuer.headers("alice", expires_in=20))
    keys = KeySet([vouching._key.public()])
    settings = {"keys": keys, "algorithms": ("ES256",), "issuer": "gateway", "audience": "orders-service"}
    verified = gateway_token_verifier(**settings).verify(answer.headers["x-carnet-token"], at=clock.ambient.now())
    assert verified.claims["exp"] == clock.ambient.now() + 20


async def test_a_token_of_the_gateway_and_an_access_token_are_not_taken_for_each_other(vouching, issuer, clock):
    answer = await ask(vouching, "/", **issuer.headers("alice"))
    own, now = answer.headers["x-carnet-token"], clock.ambient.now()
    keys = KeySet([vouching._key.public(), issuer.key.public()])
    settings = {"keys": keys, "algorithms": ("ES256",)}
    with pytest.raises(JoseError) as caught:
        ACCESS_TOKEN.verifier(issuer="gateway", audience="orders-service", **settings).verify(own, at=now)
    assert caught.value.code == "type_mismatch"
    with pytest.raises(JoseError) as caught:
        gateway_token_verifier(issuer=issuer.issuer, audience="orders", **settings).verify(issuer.token(), at=now)
    assert caught.value.code == "type_mismatch"


async def test_nobody_is_vouched_for_on_a_public_path(vouching, issuer):
    assert identity_of(await ask(vouching, "/public", **issuer.headers("alice"))) == {}


async def test_what_was_taken_back_is_refused(make_gateway, clock):
    from carnet.testing.issuer import FakeIssuer

    issuer = FakeIssuer("https://issuer.test", audience="orders", ambient=clock.ambient, feed=True)
    gateway = make_gateway(revocation={"bound": 30})
    with issuer.trusted_by(gateway):
        headers = issuer.headers("alice", sid="s-1", scope="orders:read")
        assert (await ask(gateway, **headers)).status_code == 200
        issuer.revoke("session", "s-1")
        assert (await ask(gateway, **headers)).status_code == 401


@pytest.mark.spec("RFC 9449", "7.1", "MUST")
async def test_a_token_that_is_bound_to_a_key_comes_with_a_proof_for_the_original_request(make_gateway, issuer, clock):
    key = SigningKey.generate("ES256")
    token = issuer.token("alice", scope="orders:read", cnf={"jkt": key.thumbprint()})

    def headers(number: int, url: str, *, scheme="DPoP", method="GET") -> dict[str, str]:
        claims = {"jti": f"{number}", "htm": method, "htu": url, "iat": clock.ambient.now(), "ath": token_hash(token)}
        proof = sign_jwt(claims, key, typ="dpop+jwt", headers={"jwk": key.public().to_jwk()})
        return {"authorization": f"{scheme} {token}", "dpop": proof}

    gateway, url = make_gateway(), "https://shop.example/orders/7"
    assert (await ask(gateway, "/orders/7?x=1", **headers(1, url))).status_code == 200
    for wrong in (
        headers(1, url),
        headers(2, "https://shop.example/orders/8"),
        headers(3, "http://gateway/check"),
        headers(4, url, method="POST"),
        headers(5, url, scheme="Bearer"),
        {"authorization": f"DPoP {token}"},
    ):
        answer = await ask(gateway, "/orders/7?x=1", **wrong)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer" if "Bearer" in wrong["authorization"] else "DPoP")
    elsewhere = make_gateway(origin="http://127.0.0.1:8088")
    assert (await ask(elsewhere, **headers(6, "http://127.0.0.1:8088/orders/7"))).status_code == 200


@pytest.mark.spec("RFC 8705", "3", "MUST")
async def test_a_token_that_is_bound_to_a_certificate_needs_the_one_that_the_proxy_passes(make_gateway, issuer, caplog):
    caplog.set_level(logging.INFO, "carnet.guard")
    shown, other = certificate("CN=front-end"), certificate("CN=front-end")
    headers = issuer.headers("alice", scope="orders:read", cnf={"x5t#S256": shown.thumbprint})
    envoy = f'Hash={"0" * 64};Cert="{shown.escaped}"'
    for way, name, value in (
        ("nginx", "SSL-Client-Cert", shown.escaped),
        ("rfc9440", "Client-Cert", shown.byte_sequence),
        ("envoy", "X-Forwarded-Client-Cert", envoy),
    ):
        gateway = make_gateway(client_certificate_header=way)
        assert (await ask(gateway, **headers | {name: value})).status_code == 200
        assert (await ask(gateway, **headers)).status_code == 401
        assert (await ask(gateway, client="203.0.113.9", **headers | {name: value})).status_code == 403
        assert (await ask(make_gateway(), **headers | {name: value})).status_code == 401, "nothing is believed unasked"
    nginx = make_gateway(client_certificate_header="nginx")
    refusals = {other.escaped: "other_certificate", "garbage": "certificate_unreadable", "": "certificate_missing"}
    for value, code in refusals.items():
        caplog.clear()
        answer = await ask(nginx, **headers | {"SSL-Client-Cert": value})
        assert (answer.status_code, 'error="invalid_token"' in answer.headers["www-authenticate"]) == (401, True)
        assert [record.carnet_code for record in caplog.records if hasattr(record, "carnet_code")] == [code]
