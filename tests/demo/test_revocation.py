"""What is taken back at the issuer is refused by services that never ask it."""

import time

import httpx2
import pytest

from carnet.testing.programs import PATIENCE

ROUTES = [("warehouse", "/stock"), ("order", "/orders"), ("invoice", "/invoices"), ("notification", "/notifications")]


@pytest.fixture
def answers(demo):
    """What each of the four services answers a token."""

    def answers(token: str) -> list[httpx2.Response]:
        headers = {"authorization": f"Bearer {token}"}
        return [
            httpx2.get(demo.urls[service] + path, headers=headers, trust_env=False, timeout=10)
            for service, path in ROUTES
        ]

    return answers


@pytest.mark.spec("RFC 7009", "2.1", "SHOULD")
@pytest.mark.parametrize("given_back", ["refresh_token", "access_token"])
def test_a_token_that_is_given_back_is_refused_everywhere_within_moments(app, answers, given_back):
    taken, kept = app.sign_in(), app.sign_in()
    assert {answer.status_code for answer in answers(taken["access_token"])} == {200}
    credentials = (app.client_id, app.client_secret)
    given = httpx2.post(f"{app.issuer}/revoke", data={"token": taken[given_back]}, auth=credentials, trust_env=False)
    assert given.status_code == 200
    deadline = time.monotonic() + PATIENCE
    while {answer.status_code for answer in answers(taken["access_token"])} != {401}:
        assert time.monotonic() < deadline
    for answer in answers(taken["access_token"]):
        assert answer.json()["error"] == "invalid_token"
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert {answer.status_code for answer in answers(kept["access_token"])} == {200}
