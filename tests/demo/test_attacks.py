"""RFC 6750, RFC 8725, RFC 9068: every service of the running demo refuses what is not a genuine access token for it."""

import base64
import hashlib
import hmac
import itertools
import json
import time

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from carnet.jose import SigningKey, sign_jwt

ROUTES = {"warehouse": "/stock", "order": "/orders", "invoice": "/invoices", "notification": "/notifications"}
"""A route of each service that a USER may read."""
AUDIENCES = ["warehouse", "orders", "invoices", "notifications"]
LEEWAY = 60
"""Seconds by which the services let clocks differ."""

pytestmark = pytest.mark.parametrize("service", ROUTES)


def segments(token: str) -> tuple[dict, dict, str]:
    header, payload, signature = token.split(".")
    return decoded(header), decoded(payload), signature


def decoded(segment: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def encoded(value: dict | bytes) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def send(demo, service, user_tokens):
    """Send a token to the service. Afterwards the genuine one still opens it: nothing was lost."""
    url = demo.urls[service] + ROUTES[service]

    def send(token: str) -> httpx2.Response:
        return httpx2.get(url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=10)

    yield send
    assert send(user_tokens["access_token"]).status_code == 200


@pytest.fixture
def claims(user_tokens) -> dict:
    """The claims of a genuine token, to be signed again by the issuer's own key with one difference."""
    return segments(user_tokens["access_token"])[1]


def refused(response: httpx2.Response, error: str = "invalid_token", status: int = 401) -> bool:
    """Whether it is the RFC's refusal, and says no more than that."""
    told = response.json()
    words = response.text.lower()
    return (
        response.status_code == status
        and response.headers["www-authenticate"].startswith("Bearer ")
        and f'error="{error}"' in response.headers["www-authenticate"]
        and told["error"] == error
        and set(told) == {"error", "error_description"}
        and not any(word in words for word in ("traceback", "signature", "audience", "expired", "kid", "eyj"))
        and response.headers["cache-control"] == "no-store"
    )


def test_a_genuine_token_is_let_in(send, user_tokens):
    assert send(user_tokens["access_token"]).status_code == 200


def test_a_token_signed_again_with_the_same_claims_is_let_in(send, claims, issuer_key):
    """So that the refusals below are for their one difference alone."""
    assert send(sign_jwt(claims, issuer_key, typ="at+jwt")).status_code == 200


def test_a_token_signed_with_the_other_published_key_is_let_in(send, claims, issuer_keys):
    assert send(sign_jwt(claims, issuer_keys["RS256"], typ="at+jwt")).status_code == 200


@pytest.mark.spec("RFC 6750", "3.1", "MUST")
def test_no_token_gets_a_challenge_without_an_error(demo, service):
    response = httpx2.get(demo.urls[service] + ROUTES[service], trust_env=False)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.spec("RFC 7515", "5.2", "MUST")
def test_a_payload_edited_from_user_to_admin_is_refused(send, user_tokens):
    header, payload, signature = segments(user_tokens["access_token"])
    assert payload["roles"] == ["USER"]
    forged = ".".join((encoded(header), encoded(payload | {"roles": ["ADMIN"]}), signature))
    assert refused(send(forged))


@pytest.mark.spec("RFC 8725", "3.1", "MUST")
@pytest.mark.parametrize("name", ["".join(letters) for letters in itertools.product(*zip("none", "NONE", strict=True))])
def test_alg_none_is_refused_in_every_case_variation(send, user_tokens, name):
    header, payload, signature = segments(user_tokens["access_token"])
    stripped = f"{encoded(header | {'alg': name})}.{encoded(payload | {'roles': ['ADMIN']})}"
    for forged in (f"{stripped}.", f"{stripped}.{signature}", stripped):
        assert refused(send(forged))


@pytest.mark.spec("RFC 8725", "3.1", "MUST")
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("confused", ["ES256", "RS256"])
def test_an_hmac_keyed_with_the_public_key_is_refused(send, demo, user_tokens, confused, alg):
    """In each form in which a library could take the public key for a secret."""
    _, payload, _ = segments(user_tokens["access_token"])
    published = httpx2.get(demo.urls["issuer"] + "/jwks", trust_env=False)
    jwk = next(key for key in published.json()["keys"] if key["alg"] == confused)
    secrets = [
        public_pem(jwk).strip().encode(),
        public_pem(jwk).encode(),
        published.content,
        json.dumps(jwk).encode(),
        json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        jwk.get("x", jwk.get("n", "")).encode(),
        b"",
    ]
    header = {"alg": alg, "kid": jwk["kid"], "typ": "at+jwt"}
    signed = f"{encoded(header)}.{encoded(payload | {'roles': ['ADMIN']})}"
    digest = getattr(hashlib, alg.replace("HS", "sha"))
    for secret in secrets:
        assert refused(send(f"{signed}.{encoded(hmac.digest(secret, signed.encode(), digest))}"))


@pytest.mark.spec("RFC 8725", "3.1", "MUST")
def test_a_key_is_not_used_with_another_algorithm_of_its_kind(send, claims, issuer_keys):
    """A genuine RSA key and a genuine signature, but the header names another algorithm than the key is for."""
    key = issuer_keys["RS256"]
    for alg in ("RS384", "PS256", "ES256", "rs256", "RS256 "):
        signed = f"{encoded({'alg': alg, 'kid': key.kid, 'typ': 'at+jwt'})}.{encoded(claims)}"
        assert refused(send(f"{signed}.{encoded(key.sign(signed.encode()))}"))


def public_pem(jwk: dict) -> str:
    def number(name: str) -> int:
        return int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "=="))

    if jwk["kty"] == "RSA":
        key = RSAPublicNumbers(number("e"), number("n")).public_key()
    else:
        key = EllipticCurvePublicNumbers(number("x"), number("y"), SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.spec("RFC 7519", "4.1.4", "MUST")
def test_an_expired_token_is_refused(send, claims, issuer_key):
    past = int(time.time()) - LEEWAY - 1
    assert refused(send(sign_jwt(claims | {"iat": past - 300, "exp": past}, issuer_key, typ="at+jwt")))


@pytest.mark.spec("RFC 9068", "4", "MUST")
@pytest.mark.parametrize(
    "audience", ["elsewhere", ["elsewhere"], "Warehouse", "order", "warehouse2", "https://orders", ""]
)
def test_a_token_for_another_audience_is_refused(send, claims, issuer_key, audience):
    assert refused(send(sign_jwt(claims | {"aud": audience}, issuer_key, typ="at+jwt")))


@pytest.mark.spec("RFC 9068", "4", "MUST")
def test_a_token_for_the_other_services_is_refused(send, claims, issuer_key, service):
    own = AUDIENCES[list(ROUTES).index(service)]
    others = [audience for audience in AUDIENCES if audience != own]
    assert refused(send(sign_jwt(claims | {"aud": others}, issuer_key, typ="at+jwt")))


@pytest.mark.spec("RFC 8725", "3.9", "MUST")
@pytest.mark.parametrize("audience", [None, [], {}, 1])
def test_a_token_without_an_audience_is_refused(send, claims, issuer_key, audience):
    without = {name: value for name, value in claims.items() if name != "aud"}
    made = without if audience is None else without | {"aud": audience}
    header = {"alg": issuer_key.alg, "kid": issuer_key.kid, "typ": "at+jwt"}
    signed = f"{encoded(header)}.{encoded(made)}"
    assert refused(send(f"{signed}.{encoded(issuer_key.sign(signed.encode()))}"))


@pytest.mark.spec("RFC 9068", "4", "MUST")
@pytest.mark.parametrize("issuer", ["https://issuer.example", "{own}/", "{own}/tenant", "HTTP://127.0.0.1", ""])
def test_a_token_of_another_issuer_is_refused(send, claims, issuer_key, issuer):
    other = issuer.format(own=claims["iss"])
    assert refused(send(sign_jwt(claims | {"iss": other}, issuer_key, typ="at+jwt")))


@pytest.mark.spec("RFC 9068", "4", "MUST")
def test_an_id_token_sent_as_an_access_token_is_refused(send, user_tokens):
    assert refused(send(user_tokens["id_token"]))


@pytest.mark.spec("RFC 9068", "4", "MUST")
@pytest.mark.parametrize("typ", ["JWT", "at-jwt", "logout+jwt", "dpop+jwt", "", "at+jwt+jwt"])
def test_a_token_of_another_type_is_refused(send, claims, issuer_key, typ):
    assert refused(send(sign_jwt(claims, issuer_key, typ=typ)))


def test_a_refresh_token_sent_as_a_bearer_is_refused(send, user_tokens):
    assert refused(send(user_tokens["refresh_token"]))


@pytest.mark.spec("RFC 8725", "3.8", "MUST")
def test_a_token_by_a_foreign_key_with_a_known_kid_is_refused(send, claims, issuer_key):
    foreign = SigningKey.generate(issuer_key.alg, kid=issuer_key.kid)
    assert refused(send(sign_jwt(claims | {"roles": ["ADMIN"]}, foreign, typ="at+jwt")))


def test_a_token_by_a_foreign_key_with_an_unknown_kid_is_refused(send, claims, issuer_key):
    foreign = SigningKey.generate(issuer_key.alg)
    assert refused(send(sign_jwt(claims, foreign, typ="at+jwt")))


@pytest.mark.spec("RFC 8725", "3.10", "SHOULD")
def test_a_key_inside_of_the_token_is_not_used(send, claims, issuer_key):
    foreign = SigningKey.generate(issuer_key.alg)
    for extra in (
        {"jwk": foreign.public().to_jwk()},
        {"jku": "http://127.0.0.1:1/jwks"},
        {"x5u": "http://127.0.0.1:1/chain.pem"},
    ):
        assert refused(send(sign_jwt(claims, foreign, typ="at+jwt", headers=extra)))


@pytest.mark.spec("RFC 7515", "4.1.11", "MUST")
def test_a_critical_extension_that_is_not_understood_is_refused(send, claims, issuer_key):
    header = {"alg": issuer_key.alg, "kid": issuer_key.kid, "typ": "at+jwt", "crit": ["urn:x"], "urn:x": 1}
    signed = f"{encoded(header)}.{encoded(claims)}"
    assert refused(send(f"{signed}.{encoded(issuer_key.sign(signed.encode()))}"))


def test_an_oversized_token_is_refused(send, claims, issuer_key):
    assert refused(send(sign_jwt(claims | {"padding": "x" * 9_000}, issuer_key, typ="at+jwt")))
    assert refused(send("a" * 9_000))


@pytest.mark.parametrize(
    "token",
    [
        "not-a-token",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "a.b.c.d.e",
        "...",
        "..",
        ".",
        "eyJhbGciOiJFUzI1NiJ9..",
        "eyJ.eyJ.eyJ",
        "bnVsbA.bnVsbA.bnVsbA",
        "W10.W10.W10",
        "eyJhbGciOiJFUzI1NiJ9.eyJhbGciOiJFUzI1NiJ9.AAAA",
        "-" * 300,
        "~" * 30,
        "." * 4_000,
    ],
    ids=lambda token: token[:24],
)
def test_a_malformed_token_is_refused(send, token):
    assert refused(send(token))


def test_a_genuine_token_with_anything_around_it_is_refused(send, user_tokens):
    token = user_tokens["access_token"]
    header, payload, signature = token.split(".")
    for malleated in (
        f"{token}.",
        f".{token}",
        f"{token}=",
        f"{token}A",
        f"{header}.{payload}.{signature[:-1]}",
        f"{header}.{payload}.{encoded(bytes(64))}",
    ):
        assert refused(send(malleated))


@pytest.mark.spec("RFC 6750", "3.1", "MUST")
def test_what_is_not_one_bearer_token_is_an_invalid_request(demo, service, user_tokens):
    url, token = demo.urls[service] + ROUTES[service], user_tokens["access_token"]
    for headers in (
        [("authorization", f"Bearer {token} {token}")],
        [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")],
        [("authorization", f'Bearer token="{token}"')],
        [("authorization", f"Bearer {token.replace('.', '=.')}")],
    ):
        response = httpx2.get(url, headers=headers, trust_env=False)
        assert refused(response, "invalid_request", 400)


@pytest.mark.spec("RFC 6750", "2.3", "SHOULD")
def test_a_token_in_the_query_is_not_taken(demo, service, user_tokens):
    url = f"{demo.urls[service]}{ROUTES[service]}?access_token={user_tokens['access_token']}"
    assert httpx2.get(url, trust_env=False).status_code == 401
