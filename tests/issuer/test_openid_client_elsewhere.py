"""npm openid-client where the person is elsewhere, against `carnet serve` as a process of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carnet.testing.http_browser import HttpBrowser
from carnet.testing.running import RunningIssuer, running_issuer

pytestmark = pytest.mark.node

EMAIL, PASSWORD = "ann@example.com", "ochre lantern under tidal glass"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CIBA = "urn:openid:params:grant-type:ciba"

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[RunningIssuer]:
    folder = tmp_path_factory.mktemp("issuer")
    settings = folder / "settings.toml"
    settings.write_text("client_registration = true\n")
    with running_issuer(folder / "data", options=("--config", str(settings))) as running:
        running.command("user", "create", EMAIL, "--name", "Ann", "--password-stdin", given=PASSWORD)
        yield running


@pytest.fixture
def ask(node_peer) -> Ask:
    return node_peer("openid_client_elsewhere.mjs")


@pytest.fixture
def person() -> Iterator[HttpBrowser]:
    with HttpBrowser() as browser:
        yield browser


def test_openid_client_signs_a_device_in(running, ask, person):
    tv = running.command("client", "create", "The TV", "--public", "--grant", DEVICE)
    ask("discover", issuer=running.url, client_id=tv["client_id"])
    asked = ask("device", scope="openid profile")
    person.open(asked["verification_uri_complete"])
    person.submit(to="/login", email=EMAIL, password=PASSWORD)
    person.submit(to="/device")
    assert "The TV" in person.page.text
    person.submit(to="/device", decision="allow")
    tokens = ask("device_tokens")
    assert tokens["claims"]["aud"] == tv["client_id"]
    assert tokens["scope"] == "openid profile"


def test_openid_client_asks_somebody_who_is_elsewhere(running, ask, person):
    bank = running.command("client", "create", "The Bank", "--grant", CIBA)
    ask("discover", issuer=running.url, client_id=bank["client_id"], client_secret=bank["client_secret"])
    person.open(f"{running.url}/approvals")
    person.submit(to="/login", email=EMAIL, password=PASSWORD)
    for decision, answer in (("allow", "backchannel_tokens"), ("deny", "refused")):
        ask("backchannel", scope="openid", login_hint=EMAIL)
        person.open(f"{running.url}/approvals")
        person.submit(to="/approvals", decision=decision)
        got = ask(answer)
        assert got == "access_denied" if decision == "deny" else got["claims"]["aud"] == bank["client_id"]


def test_openid_client_registers_itself_and_then_a_device_with_it(running, ask, person):
    token = running.command("client", "registration-token")["token"]
    metadata = {"client_name": "Itself", "grant_types": [DEVICE], "response_types": [], "scope": "openid email"}
    registered = ask("register", issuer=running.url, token=token, metadata=metadata)
    assert registered["client_secret"]
    assert registered["registration_client_uri"].startswith(f"{running.url}/register/")
    asked = ask("device", scope="openid")
    person.open(asked["verification_uri"])
    person.submit(to="/login", email=EMAIL, password=PASSWORD)
    person.submit(to="/device", user_code=asked["user_code"].lower())
    assert "Itself" in person.page.text
    person.submit(to="/device", decision="allow")
    assert ask("device_tokens")["claims"]["aud"] == registered["client_id"]
