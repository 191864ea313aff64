"""Why was it refused? The replay decides as the gateway does, and says every step."""

import pytest

from carnet.guard.gateway import replay
from carnet.guard.gateway.config import parse_config
from carnet.jose import KeySet


@pytest.fixture
def why(document, issuer, clock):
    config = parse_config(document)

    def why(token, path="/orders/7", *, method="GET", host="shop.example"):
        keys = KeySet([issuer.key.public()])
        return replay(config, method=method, host=host, target=path, token=token, keys=keys, at=clock.ambient.now())

    return why


def test_what_would_pass_names_the_rule_and_what_holds(why, issuer):
    told = why(issuer.token("alice", scope="orders:read"))
    assert told.refused is None
    assert told.trace == (
        "request: GET /orders/7 on shop.example",
        "rule: rules[2] (GET HEAD, host any other, /orders and below): scope orders:read",
        "token: token-1 of alice is genuine, for orders, and of now; whether it was taken back was not asked",
        "scope orders:read: holds",
    )


def test_a_rule_that_does_not_hold_says_what_was_found_and_what_was_wanted(why, issuer):
    told = why(issuer.token("alice", roles="CLERK"), "/admin")
    assert (told.refused.status, told.refused.code) == (403, "role_missing")
    assert told.trace[-1] == "role ADMIN AUDITOR: The roles are CLERK, wanted one of ADMIN AUDITOR."


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("/public;x", "path_not_canonical", "refused: The path"),
        ("/public?x", None, "token: not looked at"),
    ],
)
def test_it_says_what_happens_before_the_token_is_looked_at(why, path, code, said):
    told = why("garbage", path)
    assert (told.refused and told.refused.code) == code
    assert told.trace[-1].startswith(said)


def test_a_host_without_a_rule_is_named(why, issuer):
    told = why(issuer.token(), "/orders", host="status.example")
    assert told.refused.code == "no_rule"
    assert told.trace[-1] == "refused: No rule is for /orders on status.example."


def test_a_token_that_is_not_good_says_why(why, issuer, clock):
    old = issuer.token("alice")
    clock.advance(3600)
    assert "expired" in why(old).trace[-1]
    assert why(issuer.token(audience="invoices")).refused.code == "audience_mismatch"
    assert why("garbage").refused.code == "malformed"
    assert why("\udcff\u00e9").refused.code == "malformed_header"
    assert why(None).refused.code == "no_token"


def test_it_says_what_a_token_is_bound_to_and_whether_the_gateway_could_see_it(document, issuer, clock, why):
    token = issuer.token("alice", scope="orders:read", cnf={"jkt": "a key", "x5t#S256": "a certificate"})
    told = why(token)
    assert told.refused.code == "certificate_missing"
    assert "client_certificate_header is not set" in told.trace[-1]
    config = parse_config(document | {"client_certificate_header": "nginx"})
    keys = KeySet([issuer.key.public()])
    told = replay(
        config, method="GET", host="shop.example", target="/orders/7", token=token, keys=keys, at=clock.ambient.now()
    )
    assert told.refused is None
    assert any("proof: the token is bound to a key" in line for line in told.trace)
    assert any("bound to the client certificate a certificate" in line for line in told.trace)
