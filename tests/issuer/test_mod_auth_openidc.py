"""A relying party that we did not write: Debian's libapache2-mod-auth-openidc in a real Apache, against `carnet serve`.

The configuration of each test is what an operator would write: the issuer's metadata URL, a client_id and its secret.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from carnet.testing.http_browser import HttpBrowser
from carnet.testing.ports import free_port
from carnet.testing.programs import PATIENCE, Quiet, await_port, running_program, serving
from carnet.testing.running import RunningIssuer, running_issuer

MODULES = Path("/usr/lib/apache2/modules")
PROGRAM = Path("/usr/sbin/apache2")
NEEDED = ("mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "proxy", "proxy_http")
EMAIL, PASSWORD = "ann@example.com", "ochre lantern under tidal glass"

CONFIGURATION = """
ServerName 127.0.0.1
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
Mutex posixsem
ErrorLog {folder}/error.log
User nobody
Group nogroup
StartServers 1
ThreadsPerChild 8
Listen 127.0.0.1:{port}
{modules}

OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client_id}
OIDCClientSecret {client_secret}
OIDCRedirectURI {url}/callback
OIDCCryptoPassphrase a-passphrase-for-this-test-alone
OIDCScope "openid profile email"
OIDCPKCEMethod S256
OIDCRemoteUserClaim email
OIDCInfoHook access_token id_token userinfo refresh_token session
OIDCDefaultLoggedOutURL {url}/bye

<Location />
    AuthType openid-connect
    Require valid-user
</Location>
<Location /bye>
    AuthType None
    Require all granted
</Location>
ProxyPass /callback !
ProxyPass / http://127.0.0.1:{service}/
"""


class Echo(Quiet):
    """The service: it says what reaches it."""

    def do_GET(self) -> None:
        self.answer(200, json.dumps({"headers": self.headers.items()}).encode())


@dataclass
class Apache:
    """In front of a service that says what reaches it."""

    url: str
    issuer: RunningIssuer
    log: Path

    def sign_in(self, browser: HttpBrowser) -> None:
        browser.open(f"{self.url}/orders")
        browser.submit(to="/login", email=EMAIL, password=PASSWORD)
        assert str(browser.page.url) == f"{self.url}/orders", self.log.read_text()

    def headers(self, browser: HttpBrowser) -> dict[str, str]:
        """What the service is told."""
        browser.open(f"{self.url}/orders")
        return dict(json.loads(browser.page.text)["headers"])

    def session(self, browser: HttpBrowser, *, refresh: bool = False) -> dict:
        """What the module itself holds, refreshed before it is told."""
        interval = "&access_token_refresh_interval=0" if refresh else ""
        return browser.open(f"{self.url}/callback?info=json{interval}").json()

    def knows(self, browser: HttpBrowser) -> bool:
        """Whether it lets the browser in without sending it anywhere."""
        with HttpBrowser(
            cookies={"mod_auth_openidc_session": browser.cookies["mod_auth_openidc_session"]}, stop=lambda _: True
        ) as again:
            return again.open(f"{self.url}/orders").status_code == 200


@pytest.fixture(scope="module")
def apache(tmp_path_factory) -> Iterator[Apache]:
    if not (PROGRAM.exists() and (MODULES / "mod_auth_openidc.so").exists()):
        pytest.skip("Debian's apache2-bin and libapache2-mod-auth-openidc are not installed")
    folder = tmp_path_factory.mktemp("apache")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running_issuer(tmp_path_factory.mktemp("issuer")) as issuer, serving(Echo) as service:
        issuer.command("user", "create", EMAIL, "--name", "Ann", "--password-stdin", given=PASSWORD)
        client = issuer.command(
            "client", "create", "Apache", "--first-party", "--redirect-uri", f"{url}/callback",
            "--post-logout-redirect-uri", f"{url}/bye",
            "--backchannel-logout-uri", f"{url}/callback?logout=backchannel",
        )  # fmt: skip
        file = folder / "apache.conf"
        modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in NEEDED)
        file.write_text(
            CONFIGURATION.format(
                folder=folder, port=port, url=url, issuer=issuer.url, service=service, modules=modules,
                client_id=client["client_id"], client_secret=client["client_secret"],
            )
        )  # fmt: skip
        with running_program(str(PROGRAM), "-f", str(file), "-D", "FOREGROUND", folder=folder) as running:
            await_port(port, running, folder / "apache2.log")
            yield Apache(url, issuer, folder / "error.log")


@pytest.fixture
def browser() -> Iterator[HttpBrowser]:
    with HttpBrowser() as browser:
        yield browser


def test_people_sign_in_and_the_service_is_told_their_claims(apache, browser):
    apache.sign_in(browser)
    told = apache.headers(browser)
    assert told["OIDC_CLAIM_email"] == EMAIL
    assert told["OIDC_CLAIM_name"] == "Ann"
    assert told["OIDC_CLAIM_iss"] == apache.issuer.url
    assert told["OIDC_access_token"].count(".") == 2


def test_it_refreshes_its_tokens_and_each_refresh_token_is_another(apache, browser):
    apache.sign_in(browser)
    before = apache.session(browser)
    after = apache.session(browser, refresh=True)
    assert after["refresh_token"] != before["refresh_token"]
    assert after["access_token"] != before["access_token"]
    assert after["userinfo"]["email"] == EMAIL
    assert apache.session(browser, refresh=True)["refresh_token"] != after["refresh_token"]


def test_signing_out_at_the_app_signs_out_at_the_issuer_and_comes_back(apache, browser):
    apache.sign_in(browser)
    browser.open(f"{apache.url}/callback?logout={quote(f'{apache.url}/bye', safe='')}")
    assert str(browser.page.url) == f"{apache.url}/bye"
    browser.open(f"{apache.url}/orders")
    assert str(browser.page.url).startswith(f"{apache.issuer.url}/login")


def test_signing_out_elsewhere_ends_the_app_s_session_by_the_back_channel(apache, browser):
    apache.sign_in(browser)
    assert apache.knows(browser)
    apache.issuer.command("user", "sign-out", EMAIL)
    deadline = time.monotonic() + PATIENCE
    while apache.knows(browser):
        assert time.monotonic() < deadline, apache.log.read_text()
