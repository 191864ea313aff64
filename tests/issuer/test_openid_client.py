"""A client that we did not write: npm openid-client, against `carnet serve` as a process of its own."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carnet.testing.http_browser import HttpBrowser
from carnet.testing.running import RunningIssuer, running_issuer

pytestmark = pytest.mark.node

EMAIL, PASSWORD = "ann@example.com", "ochre lantern under tidal glass"
CALLBACK = "http://127.0.0.1:1/callback"
"""Nothing listens there: the test reads where the browser was sent."""

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[RunningIssuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        running.command("user", "create", EMAIL, "--name", "Ann", "--role", "USER", "--password-stdin", given=PASSWORD)
        yield running


@pytest.fixture
def ask(node_peer) -> Ask:
    return node_peer("openid_client_peer.mjs")


def begin(ask: Ask, running: RunningIssuer, method: str, *options: str) -> str:
    kind = ("--public",) if method == "none" else ("--auth-method", method)
    registered = running.command("client", "create", "openid-client", *kind, "--redirect-uri", CALLBACK, *options)
    return ask(
        "begin",
        issuer=running.url,
        client_id=registered["client_id"],
        client_secret=registered.get("client_secret"),
        method=method,
        redirect_uri=CALLBACK,
        scope="openid profile email",
    )


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "client_secret_jwt", "none"])
def test_openid_client_completes_discovery_code_pkce_userinfo_refresh_and_revocation(running, ask, method):
    with HttpBrowser(stop=lambda url: url.startswith(CALLBACK)) as browser:
        browser.open(begin(ask, running, method))
        browser.submit(to="/login", email=EMAIL, password=PASSWORD)
        browser.submit(to="/consent", decision="allow")
        assert browser.stopped_at is not None, browser.page.text
        done = ask("finish", landed=browser.stopped_at)
    assert done["claims"]["iss"] == running.url
    assert done["userinfo"]["email"] == EMAIL
    assert done["userinfo"]["name"] == "Ann"
    assert done["again"] == done["userinfo"]
    assert done["rotated"]
    assert done["expires_in"] == 300
    assert done["afterwards"] == "invalid_grant"
    assert done["end_session"].startswith(running.url)


def test_openid_client_gets_and_introspects_a_token_of_its_own(running, ask):
    begin(
        ask,
        running,
        "client_secret_basic",
        *("--grant", "authorization_code", "--grant", "client_credentials"),
        *("--scope", "openid", "--scope", "stock:read", "--audience", "stock", "--audience", "orders"),
    )
    said = ask("own_token", resource="stock")
    assert said["active"]
    assert said["aud"] == "stock"


def test_openid_client_signs_pushes_and_binds_what_fapi_2_wants(running, ask, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(ask("keys")))
    registered = running.command(
        *("client", "create", "bank", "--profile", "fapi2-message-signing"),
        *("--jwks", str(keys), "--redirect-uri", CALLBACK, "--first-party"),
    )
    url = ask(
        "begin_signed",
        issuer=running.url,
        client_id=registered["client_id"],
        redirect_uri=CALLBACK,
        scope="openid profile email",
    )
    with HttpBrowser(stop=lambda url: url.startswith(CALLBACK)) as browser:
        browser.open(url)
        browser.submit(to="/login", email=EMAIL, password=PASSWORD)
        assert browser.stopped_at is not None, browser.page.text
        done = ask("finish_signed", landed=browser.stopped_at)
    assert done["parameters"] == ["response"]
    assert done["token_type"].lower() == "dpop"
    assert done["userinfo"]["email"] == EMAIL
    assert done["bare"] == "invalid_dpop_proof"


def test_openid_client_opens_what_is_encrypted_to_it_and_knows_a_pairwise_subject(running, ask, tmp_path):
    wanted = {
        f"{answer}_{member}": value
        for answer in ("id_token", "userinfo", "introspection", "authorization")
        for member, value in (
            ("signed_response_alg", "RS256"),
            ("encrypted_response_alg", "ECDH-ES+A256KW"),
            ("encrypted_response_enc", "A256GCM"),
        )
    }
    keys, metadata = tmp_path / "keys.json", tmp_path / "metadata.json"
    keys.write_text(json.dumps(ask("encryption_keys")))
    metadata.write_text(json.dumps(wanted))
    registered = running.command(
        *("client", "create", "sealed", "--auth-method", "client_secret_basic", "--jwks", str(keys)),
        *("--metadata", str(metadata), "--pairwise", "--redirect-uri", CALLBACK, "--first-party"),
    )
    url = ask(
        "begin_encrypted",
        issuer=running.url,
        client_id=registered["client_id"],
        client_secret=registered["client_secret"],
        redirect_uri=CALLBACK,
        scope="openid email",
        metadata=wanted,
    )
    with HttpBrowser(stop=lambda url: url.startswith(CALLBACK)) as browser:
        browser.open(url)
        browser.submit(to="/login", email=EMAIL, password=PASSWORD)
        assert browser.stopped_at is not None, browser.page.text
        done = ask("finish_encrypted", landed=browser.stopped_at)
    assert done["algorithms"] == ["RS256"] * 3
    assert len(set(done["subjects"])) == 1
    assert len(done["subjects"][0]) == 43, "the name of its sector"
    assert done["email"] == EMAIL
