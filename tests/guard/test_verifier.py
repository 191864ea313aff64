"""RFC 9068 section 4: which tokens are taken, and what is made of them."""

from collections.abc import Callable
from typing import Any

import pytest

from carnet.guard import RefusedRequestError, Verifier
from carnet.jose import KeySet, sign_jwt
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer


@pytest.fixture
def verifier(issuer: FakeIssuer) -> Verifier:
    return Verifier(issuer=issuer.issuer, audience="orders", remembered=8)


@pytest.fixture
def code(verifier: Verifier, issuer: FakeIssuer, clock: Clock) -> Callable[[str], str]:
    """`admitted`, or the code of the refusal."""

    def verify(token: str) -> str:
        keys = KeySet([key.public() for key in issuer.keys])
        try:
            verifier.verify(token, at=clock.now(), keys=keys)
        except RefusedRequestError as error:
            return error.refused.code
        return "admitted"

    return verify


def test_the_claims_become_a_principal(verifier: Verifier, issuer: FakeIssuer, clock: Clock) -> None:
    token = issuer.token(
        "alice",
        scope="b a",
        roles=["USER", "ADMIN"],
        acr="gold",
        amr=["pwd", "otp"],
        auth_time=clock.now() - 5,
        sid="s1",
        sep=3,
        tenant="x",
    )
    principal = verifier.verify(token, at=clock.now(), keys=KeySet([issuer.key.public()]))
    assert (principal.subject, principal.client_id, principal.issuer) == ("alice", "front-end", issuer.issuer)
    assert (principal.scope, principal.roles) == ({"a", "b"}, {"ADMIN", "USER"})
    assert (principal.acr, principal.amr, principal.auth_time) == ("gold", ("pwd", "otp"), clock.now() - 5)
    assert (principal.session_id, principal.epoch, principal.key_id) == ("s1", 3, issuer.key.kid)
    assert principal.claims["tenant"] == "x"
    with pytest.raises(TypeError):
        principal.claims["tenant"] = "y"  # type: ignore[index]


@pytest.mark.parametrize(
    "changed",
    [
        {"roles": "USER"},
        {"roles": [1]},
        {"roles": {"USER": True}},
        {"scope": ["orders:read"]},
        {"acr": 1},
        {"amr": "pwd"},
        {"auth_time": "yesterday"},
        {"auth_time": True},
        {"sid": ""},
        {"sid": 1},
        {"sep": "1"},
        {"client_id": ""},
        {"client_id": 1},
        {"sub": ""},
        {"jti": 1},
    ],
)
@pytest.mark.spec("RFC 9068", "2.2", "MUST")
def test_a_claim_of_another_form_refuses(
    issuer: FakeIssuer, code: Callable[[str], str], changed: dict[str, Any]
) -> None:
    token = sign_jwt(issuer.claims() | changed, issuer.key, typ="at+jwt")
    assert code(token) in {"claim_malformed", "invalid_claim", "malformed"}


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "AT+JWT"])
@pytest.mark.spec("RFC 9068", "4", "MUST")
def test_the_type_of_an_access_token_has_these_spellings(
    issuer: FakeIssuer, code: Callable[[str], str], typ: str
) -> None:
    assert code(issuer.token(typ=typ)) == "admitted"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "logout+jwt", "dpop+jwt", "at+jwt2", "text/at+jwt"])
@pytest.mark.spec("RFC 9068", "4", "MUST")
def test_another_type_is_refused(issuer: FakeIssuer, code: Callable[[str], str], typ: str) -> None:
    assert code(issuer.token(typ=typ)) == "type_mismatch"


@pytest.mark.parametrize(("seconds", "verdict"), [(-59, "admitted"), (-60, "expired"), (-61, "expired")])
@pytest.mark.spec("RFC 9068", "4", "MUST")
def test_a_token_ends_with_its_expiry_and_the_leeway(
    issuer: FakeIssuer, code: Callable[[str], str], seconds: int, verdict: str
) -> None:
    assert code(issuer.token(expires_in=seconds, iat=1_700_000_000)) == verdict


@pytest.mark.spec("RFC 9068", "4", "MUST")
def test_several_audiences_may_have_ours_among_them(issuer: FakeIssuer, code: Callable[[str], str]) -> None:
    assert code(issuer.token(audience=["invoices", "orders"])) == "admitted"
    assert code(issuer.token(audience=["invoices", "order"])) == "audience_mismatch"


def test_a_remembered_token_expires_as_any_other(issuer: FakeIssuer, clock: Clock, code: Callable[[str], str]) -> None:
    token = issuer.token(expires_in=300)
    assert code(token) == "admitted"
    clock.advance(359)
    assert code(token) == "admitted"
    clock.advance(1)
    assert code(token) == "expired"


def test_a_token_without_a_kid_names_no_key_of_several(issuer: FakeIssuer, code: Callable[[str], str]) -> None:
    unnamed = _without_kid(issuer)
    issuer.rotate()
    assert code(unnamed) == "unknown_key"


def _without_kid(issuer: FakeIssuer) -> str:
    from base64 import urlsafe_b64encode

    def part(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    signed = part(b'{"alg":"ES256","typ":"at+jwt"}') + "." + issuer.token().split(".")[1]
    return signed + "." + part(issuer.key.sign(signed.encode()))


def test_what_is_remembered_has_a_bound(verifier: Verifier, issuer: FakeIssuer, clock: Clock) -> None:
    keys = KeySet([issuer.key.public()])
    for _ in range(100):
        verifier.verify(issuer.token(), at=clock.now(), keys=keys)
        assert len(verifier._principals) <= 8


def test_the_same_token_gives_the_same_principal(verifier: Verifier, issuer: FakeIssuer, clock: Clock) -> None:
    keys, token = KeySet([issuer.key.public()]), issuer.token()
    assert verifier.verify(token, at=clock.now(), keys=keys) is verifier.verify(token, at=clock.now(), keys=keys)


@pytest.mark.parametrize("leeway", [-1, 61])
def test_no_token_outlives_the_entry_that_takes_it_back(issuer: FakeIssuer, leeway: int) -> None:
    """Rule R24: with more leeway a token would be taken when the feed does not speak of it any more."""
    with pytest.raises(ValueError, match="leeway is 0 to 60"):
        Verifier(issuer=issuer.issuer, audience="orders", leeway=leeway)
