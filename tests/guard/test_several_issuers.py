"""RFC 8725 section 3.8: a guard that takes tokens of several issuers tries each with its own issuer's keys and settings alone."""

from base64 import urlsafe_b64encode

import httpx2
import pytest

from carnet.guard import BlockingCheckpoint, Checkpoint, RefusedRequestError, require
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio


@pytest.fixture
def partner(clock) -> FakeIssuer:
    return FakeIssuer("https://partner.test", audience="partners-orders", ambient=clock.ambient, algorithm="RS256")


@pytest.fixture
def network(issuer, partner) -> httpx2.MockTransport:
    """Each answers under its own name."""
    return httpx2.MockTransport(
        lambda request: (partner if request.url.host == "partner.test" else issuer).answer(request)
    )


@pytest.fixture(params=[Checkpoint, BlockingCheckpoint], ids=["asyncio", "threads"])
async def admit(request, clock, network):
    checkpoint = request.param(
        issuer="https://issuer.test",
        audience="orders",
        also=[{"issuer": "https://partner.test", "audience": "partners-orders", "algorithms": ("RS256",), "leeway": 0}],
        ambient=clock.ambient,
        transport=network,
    )

    async def admit(*tokens: str | bytes, requirement=None):
        sent = [b"Bearer " + (token if isinstance(token, bytes) else token.encode()) for token in tokens]
        made = checkpoint.admit(sent, requirement or require())
        return await made if request.param is Checkpoint else made

    yield admit
    stopped = checkpoint.stop()
    if stopped is not None:
        await stopped


async def refusal(admit, *tokens, **others) -> str:
    with pytest.raises(RefusedRequestError) as caught:
        await admit(*tokens, **others)
    return caught.value.refused.code


@pytest.mark.spec("RFC 8725", "3.8", "MUST")
async def test_a_token_of_each_issuer_is_let_through_and_says_whose_it_is(admit, issuer, partner):
    for who in (issuer, partner, issuer):
        principal = await admit(who.token("alice"))
        assert (principal.issuer, principal.subject) == (who.issuer, "alice")


@pytest.mark.spec("RFC 8725", "3.8", "MUST")
async def test_one_issuers_key_does_not_sign_for_the_other(admit, issuer, partner):
    for who, other in ((issuer, partner), (partner, issuer)):
        forged = who.token(key=other.key, iss=who.issuer, aud=who.audience)
        assert await refusal(admit, forged) in {"unknown_key", "algorithm_not_allowed"}
        signed_for_itself = other.token(iss=who.issuer, aud=who.audience)
        assert await refusal(admit, signed_for_itself) in {"unknown_key", "algorithm_not_allowed"}


async def test_audience_algorithms_and_leeway_are_each_issuers_own(admit, issuer, partner):
    assert await refusal(admit, partner.token(audience="orders")) == "audience_mismatch"
    assert await refusal(admit, issuer.token(audience="partners-orders")) == "audience_mismatch"
    assert (await admit(issuer.token(expires_in=-30))).issuer == issuer.issuer
    assert await refusal(admit, partner.token(expires_in=-30)) == "expired"


async def test_what_a_route_asks_for_holds_for_all_of_them(admit, partner):
    admins = require(role="ADMIN")
    assert await refusal(admit, partner.token(roles="USER"), requirement=admins) == "role_missing"
    assert (await admit(partner.token(roles="ADMIN"), requirement=admins)).roles == {"ADMIN"}


async def test_an_issuer_that_nobody_named_is_refused(admit, issuer):
    stranger = FakeIssuer("https://stranger.test", audience="orders")
    assert await refusal(admit, stranger.token()) == "unknown_key"
    assert await refusal(admit, issuer.token(iss="https://partner.test/")) == "issuer_mismatch"


PAYLOADS = (
    "[]",
    "{",
    "{}",
    '{"iss": 7}',
    '{"iss": "https://partner.test", "iss": "https://issuer.test"}',
)


def of(payload: str) -> str:
    return f"a.{urlsafe_b64encode(payload.encode()).rstrip(b'=').decode()}.c"


@pytest.mark.parametrize("token", [*map(of, PAYLOADS), "a.b", "a.!.c", "a" * 20_000 + ".b.c", b"\xff.\xff.\xff"])
async def test_what_names_no_issuer_is_refused_as_ever(admit, token):
    assert await refusal(admit, token) in {"malformed", "malformed_header", "too_large", "duplicate_member"}


async def test_two_tokens_are_refused_whosever_they_are(admit, issuer, partner):
    assert await refusal(admit, partner.token(), issuer.token()) == "several_tokens"


async def test_an_issuer_that_is_away_does_not_keep_out_the_others_people(admit, issuer, partner, monkeypatch):
    monkeypatch.setattr(partner, "answer", lambda request: httpx2.Response(500))
    assert (await admit(issuer.token())).issuer == issuer.issuer
    assert await refusal(admit, partner.token()) == "guard_not_ready"


def test_an_issuer_has_its_settings_once():
    with pytest.raises(ValueError, match="once"):
        Checkpoint(issuer="https://a.test", audience="x", also=[{"issuer": "https://a.test", "audience": "y"}])
