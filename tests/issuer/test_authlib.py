"""A client that we did not write: Authlib's, against `carnet serve` as a process of its own."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from carnet.testing.http_browser import HttpBrowser
from carnet.testing.running import RunningIssuer, running_issuer

EMAIL, PASSWORD = "ann@example.com", "ochre lantern under tidal glass"
CALLBACK = "http://127.0.0.1:1/callback"
"""Nothing listens there: the test reads the redirect's query."""


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[RunningIssuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        running.command("user", "create", EMAIL, "--name", "Ann", "--role", "USER", "--password-stdin", given=PASSWORD)
        yield running


@pytest.fixture(scope="module")
def metadata(running) -> dict:
    return httpx2.get(f"{running.url}/.well-known/openid-configuration", trust_env=False).raise_for_status().json()


def register(running, *options: str) -> dict:
    return running.command("client", "create", "Authlib", "--redirect-uri", CALLBACK, *options)


def sign_in(url: str) -> str:
    """What a person does; the answer is where the browser was sent in the end."""
    with HttpBrowser(stop=lambda url: url.startswith(CALLBACK)) as browser:
        browser.open(url)
        browser.submit(to="/login", email=EMAIL, password=PASSWORD)
        if browser.stopped_at is None:
            browser.submit(to="/consent", decision="allow")
        assert browser.stopped_at is not None, browser.page.text
        return browser.stopped_at


def check_id_token(token: dict, client_id: str, nonce: str, metadata: dict) -> None:
    keys = KeySet.import_key_set(httpx2.get(metadata["jwks_uri"], trust_env=False).json())
    decoded = jwt.decode(token["id_token"], keys, algorithms=metadata["id_token_signing_alg_values_supported"])
    claims = CodeIDToken(
        decoded.claims,
        decoded.header,
        options={"iss": {"values": [metadata["issuer"]]}, "aud": {"values": [client_id]}},
        params={"nonce": nonce, "client_id": client_id, "access_token": token["access_token"]},
    )
    claims.validate()


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_authlib_completes_code_pkce_userinfo_refresh_and_revocation(running, metadata, method):
    registered = register(running, *(("--public",) if method == "none" else ("--auth-method", method)))
    verifier, nonce = generate_token(64), generate_token(20)
    with OAuth2Client(
        registered["client_id"],
        registered.get("client_secret"),
        token_endpoint_auth_method=method,
        scope="openid profile email",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
        trust_env=False,
    ) as client:
        url, state = client.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        landed = sign_in(url)
        assert parse_qs(urlsplit(landed).query)["iss"] == [metadata["issuer"]]
        token = client.fetch_token(authorization_response=landed, state=state, code_verifier=verifier)
        check_id_token(token, registered["client_id"], nonce, metadata)
        assert client.get(metadata["userinfo_endpoint"]).json()["email"] == EMAIL
        refreshed = client.refresh_token(metadata["token_endpoint"])
        assert refreshed["refresh_token"] != token["refresh_token"]
        assert client.get(metadata["userinfo_endpoint"]).status_code == 200
        revoked = client.revoke_token(metadata["revocation_endpoint"], refreshed["refresh_token"], "refresh_token")
        assert revoked.status_code == 200
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(metadata["token_endpoint"], refreshed["refresh_token"])
        assert client.get(metadata["userinfo_endpoint"]).status_code == 401


def test_authlib_introspects_a_token(running, metadata):
    registered = running.command(
        "client", "create", "Service", "--grant", "client_credentials", "--scope", "stock:read", "--audience", "stock"
    )
    with OAuth2Client(registered["client_id"], registered["client_secret"], trust_env=False) as client:
        token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
        said = client.introspect_token(metadata["introspection_endpoint"], token["access_token"]).json()
        assert (said["active"], said["client_id"], said["aud"]) == (True, registered["client_id"], "stock")


@pytest.mark.anyio
async def test_authlibs_asynchronous_client_gets_a_token_of_its_own(running, metadata):
    registered = running.command("client", "create", "Job", "--grant", "client_credentials", "--scope", "stock:read")
    async with AsyncOAuth2Client(
        registered["client_id"], registered["client_secret"], scope="stock:read", trust_env=False
    ) as client:
        token = await client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
        assert token["scope"] == "stock:read"
