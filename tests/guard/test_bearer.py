"""RFC 6750 section 2.1: the token of a request, and what of it may be written down."""

import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carnet.guard import Checkpoint, RefusedRequestError
from carnet.guard.bearer import MAX_TOKEN, bearer_token
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer


@given(
    st.lists(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"Bearer " + rest), max_size=3),
    st.binary(),
)
@example([b"Bearer abc"], b"%")
@example([b"Bearer abc"], b"%61ccess_token=%ff")
def test_whatever_is_sent_is_a_token_or_a_refusal(authorizations: list[bytes], query: bytes) -> None:
    try:
        token = bearer_token(authorizations, query=query)
    except RefusedRequestError:
        return
    assert len(authorizations) == 1
    assert authorizations[0].strip(b" \t").endswith(token.encode())


@pytest.mark.parametrize("length", [MAX_TOKEN, MAX_TOKEN + 1])
def test_a_token_has_a_longest_length(length: int) -> None:
    header = [b"Bearer " + b"a" * length]
    if length <= MAX_TOKEN:
        assert len(bearer_token(header)) == length
        return
    with pytest.raises(RefusedRequestError) as refused:
        bearer_token(header)
    assert (refused.value.refused.status, refused.value.refused.code) == (401, "too_large")


@pytest.mark.parametrize("query", [b"access_token=a", b"a=b&access_token", b"a=b;access_token=c", b"acces%73_token=a"])
@pytest.mark.spec("RFC 6750", "2", "MUST NOT")
def test_two_ways_to_send_a_token_are_one_too_many(query: bytes) -> None:
    with pytest.raises(RefusedRequestError) as refused:
        bearer_token([b"Bearer abc"], query=query)
    assert refused.value.refused.code == "several_tokens"


@pytest.mark.parametrize("query", [b"", b"my_access_token=a", b"a=access_token", b"100%"])
def test_other_parameters_are_none_of_the_guards_business(query: bytes) -> None:
    assert bearer_token([b"Bearer abc"], query=query) == "abc"


@pytest.mark.anyio
async def test_the_log_says_why_and_never_has_the_token(
    issuer: FakeIssuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoint(issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport)
    token = issuer.token(audience="invoices", email="canary@example.test")
    with caplog.at_level(logging.DEBUG), pytest.raises(RefusedRequestError):
        await checkpoint.admit([f"Bearer {token}".encode()])
    record = next(record for record in caplog.records if record.name == "carnet.guard")
    assert "audience_mismatch" in record.getMessage()
    assert "invoices" in record.getMessage()
    everything = "".join(str(vars(record)) for record in caplog.records)
    assert not any(part in everything for part in token.split("."))
    assert "canary" not in everything
    await checkpoint.source.stop()
