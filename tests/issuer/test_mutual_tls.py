"""RFC 8705: clients that authenticate in their TLS handshake, and tokens that are bound to their certificates."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.certificates import Authority, Shown, certificate

from carnet.issuer.admission import RegistrationPolicy
from carnet.issuer.app import create_app
from carnet.issuer.clients import ClientError, change
from carnet.issuer.config import Config, ConfigError, check
from carnet.issuer.registration import initial_token
from carnet.testing import Clock

from .conftest import ISSUER, REDIRECT_URI, App, Issuer
from .test_dpop import Holder

pytestmark = pytest.mark.anyio

ALIAS = "https://mtls.example"
NOW = datetime.fromtimestamp(Clock().now(), UTC)
AUTHORITY = Authority()
SUBJECT = "CN=billing,OU=Back office,O=Acme"
BILLING = AUTHORITY.issue(SUBJECT)
SELF, OTHER = certificate("CN=self"), certificate("CN=self")
BY_NAME = {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": SUBJECT}
REGISTERED = {"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": {"keys": [SELF.jwk]}}
BOUND = {"tls_client_certificate_bound_access_tokens": True}


@pytest.fixture
def config(tmp_path) -> Config:
    (tmp_path / "authorities.pem").write_bytes(AUTHORITY.pem)
    return check(
        Config(
            issuer=ISSUER,
            data=tmp_path,
            tls_client_ca=tmp_path / "authorities.pem",
            trusted_proxies=("127.0.0.1/32",),
            client_certificate_header="nginx",
            mtls_origin=ALIAS,
            client_registration=True,
        )
    )


@dataclass
class Client:
    """A client with a certificate, and the proxy that ends its TLS."""

    app: App
    shown: Shown | None

    @property
    def issuer(self) -> Issuer:
        return self.app.issuer

    async def post(
        self, path: str = "/token", *, headers: Any = None, shown: Shown | None = None, **parameters: str
    ) -> httpx2.Response:
        shown = shown or self.shown
        given = {"grant_type": "client_credentials", "client_id": self.app.client_id} | parameters
        passed = headers if headers is not None else {} if shown is None else {"SSL-Client-Cert": shown.escaped}
        return await self.issuer.direct.post(path, data=given, headers=passed)


async def client(issuer: Issuer, shown: Shown | None, **metadata: Any) -> Client:
    return Client(await issuer.service(**metadata), shown)


def refused(answer: httpx2.Response, error: str = "invalid_client") -> bool:
    return (answer.status_code, answer.json()["error"]) == (401 if error == "invalid_client" else 400, error)


@pytest.mark.spec("RFC 8705", "2.1", "MUST")
async def test_a_client_authenticates_by_the_name_that_an_authority_vouches_for(issuer):
    billing = await client(issuer, BILLING, **BY_NAME)
    answer = await billing.post()
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
    assert billing.app.registered.secret is None


NAMES = [
    ("san_dns", "billing.example", {"dns": "billing.example"}, True),
    ("san_dns", "Billing.example", {"dns": "billing.EXAMPLE"}, True),
    ("san_dns", "billing.example", {"dns": "*.example"}, False),
    ("san_dns", "billing.example", {"dns": "billing.example.attacker.test"}, False),
    ("san_dns", "billing.example", {"uri": "billing.example"}, False),
    ("san_dns", "billing", None, False),
    ("san_uri", "spiffe://acme/billing", {"uri": "spiffe://acme/billing"}, True),
    ("san_uri", "spiffe://acme/billing", {"uri": "spiffe://acme/Billing"}, False),
    ("san_uri", "spiffe://acme/billing", {"uri": "spiffe://acme/billing/"}, False),
    ("san_ip", "2001:db8::1", {"ip": "2001:0db8:0:0::1"}, True),
    ("san_ip", "192.0.2.1", {"ip": "192.0.2.1"}, True),
    ("san_ip", "192.0.2.1", {"ip": "192.0.2.2"}, False),
    ("san_ip", "192.0.2.1", {"dns": "192.0.2.1"}, False),
    ("san_email", "billing@acme.example", {"email": "billing@ACME.example"}, True),
    ("san_email", "billing@acme.example", {"email": "Billing@acme.example"}, False),
    ("subject_dn", "OU=Back office,CN=billing,O=Acme", None, False),
    ("subject_dn", "CN=billing\\,OU\\=Back office,O=Acme", None, False),
    ("subject_dn", "CN=billing+OU=Back office,O=Acme", None, False),
    ("subject_dn", "O=Acme", None, False),
    ("subject_dn", "cn=BILLING,ou=Back  office,o=Acme", None, True),
]


@pytest.mark.spec("RFC 8705", "2.1.2", "MUST")
async def test_the_registered_name_is_compared_as_a_whole(issuer):
    for member, value, names, proved in NAMES:
        shown = AUTHORITY.issue(SUBJECT, names=names)
        metadata = {"token_endpoint_auth_method": "tls_client_auth", f"tls_client_auth_{member}": value}
        answer = await (await client(issuer, shown, **metadata)).post()
        assert (answer.status_code == 200) is proved, (member, value, names)


async def test_a_certificate_that_nobody_vouches_for_proves_nothing(issuer):
    billing = await client(issuer, None, **BY_NAME)
    for what, shown in {
        "none": None,
        "another authority of the same name": Authority().issue(SUBJECT),
        "self-signed": certificate(SUBJECT),
        "another name": AUTHORITY.issue("CN=orders,OU=Back office,O=Acme"),
        "expired": AUTHORITY.issue(SUBJECT, ends=NOW - timedelta(seconds=1)),
        "early": AUTHORITY.issue(SUBJECT, begins=NOW + timedelta(seconds=1)),
        "a server's": AUTHORITY.issue(SUBJECT, usage=(ExtendedKeyUsageOID.SERVER_AUTH,)),
        "an authority's": AUTHORITY.issue(SUBJECT, authority=True),
    }.items():
        assert refused(await billing.post(shown=shown)), what


@pytest.mark.spec("RFC 8705", "2.2", "MUST")
async def test_a_client_authenticates_by_a_certificate_that_it_has_registered(issuer):
    signer = await client(issuer, SELF, **REGISTERED)
    assert (await signer.post()).status_code == 200
    for other in (OTHER, certificate("CN=self", key=SELF.key), BILLING):
        assert refused(await signer.post(shown=other))
    signer.shown = None
    assert refused(await signer.post())


async def test_a_registered_certificate_that_has_expired_proves_nothing(issuer):
    shown = certificate("CN=self", ends=NOW + timedelta(seconds=10))
    signer = await client(issuer, shown, **REGISTERED | {"jwks": {"keys": [shown.jwk]}})
    assert (await signer.post()).status_code == 200
    issuer.clock.advance(11)
    assert refused(await signer.post())


async def test_the_certificates_at_a_url_are_fetched_again_when_one_is_not_among_them(issuer, monkeypatch):
    served = [SELF.jwk]

    async def get(url: str, **_: object) -> bytes:
        assert url == "https://keys.example/jwks"
        return httpx2.Response(200, json={"keys": served}).content

    monkeypatch.setattr(type(issuer.desk.egress), "get", lambda _, url, **more: get(url, **more))
    metadata = {"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks_uri": "https://keys.example/jwks"}
    signer = await client(issuer, SELF, **metadata)
    assert (await signer.post()).status_code == 200
    assert refused(await signer.post(shown=OTHER))
    served[:] = [OTHER.jwk]
    issuer.clock.advance(11)
    assert (await signer.post(shown=OTHER)).status_code == 200


@pytest.mark.spec("RFC 8705", "2", "MUST")
async def test_each_method_is_for_the_clients_that_are_registered_with_it(issuer):
    billing = await client(issuer, BILLING, **BY_NAME)
    assert refused(await billing.post(client_secret="guess"))
    assert refused(await billing.post(client_id="unknown"))
    service = await issuer.service()
    assert refused(await Client(service, BILLING).post()), "a certificate is no secret"
    proved = await issuer.direct.post(
        "/token",
        data={"grant_type": "client_credentials"},
        auth=service.auth,
        headers={"SSL-Client-Cert": BILLING.escaped},
    )
    assert proved.status_code == 200, "a client with a secret may show a certificate besides"


# How it arrives


async def test_a_header_that_does_not_come_from_the_proxy_is_not_believed(issuer):
    billing = await client(issuer, BILLING, **BY_NAME)
    for header, value in (("SSL-Client-Cert", BILLING.escaped), ("Client-Cert", BILLING.byte_sequence)):
        transport = httpx2.ASGITransport(issuer.app, client=("203.0.113.9", 40_000))
        async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as stranger:
            given = {"grant_type": "client_credentials", "client_id": billing.app.client_id}
            headers = {header: value, "X-Forwarded-For": "127.0.0.1"}
            assert refused(await stranger.post("/token", data=given, headers=headers))
    assert refused(await billing.post(headers={"Client-Cert": BILLING.byte_sequence})), (
        "and no other header of the proxy"
    )


async def test_what_is_not_one_certificate_is_refused(issuer):
    billing = await client(issuer, BILLING, **BY_NAME)
    empty = "-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----"
    for headers in (
        [("SSL-Client-Cert", BILLING.escaped), ("SSL-Client-Cert", BILLING.escaped)],
        [("SSL-Client-Cert", SELF.escaped), ("SSL_Client_Cert", BILLING.escaped)],
        [("SSL-Client-Cert", f"{SELF.escaped},{BILLING.escaped}")],
        [("SSL-Client-Cert", SELF.escaped + BILLING.escaped)],
        [("SSL-Client-Cert", "garbage")],
        [("SSL-Client-Cert", empty)],
        [("SSL-Client-Cert", BILLING.escaped + "%0A" * 20_000)],
    ):
        assert refused(await billing.post(headers=headers), "invalid_request"), headers


@asynccontextmanager
async def handshakes(config: Config) -> AsyncIterator[Callable[..., Awaitable[httpx2.Response]]]:
    """Requests to an issuer whose own server has the handshake, in which the given chain is shown."""
    clock = Clock()
    app = create_app(config, clock.ambient, secret=b"s" * 43)
    pems: list[str] = []

    async def server(scope, receive, send):
        await app(scope | {"extensions": {"tls": {"client_cert_chain": list(pems)}}}, receive, send)

    transport = httpx2.ASGITransport(server)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
        billing = await Issuer(app, clock, http, http).service(**BY_NAME)

        async def shown(*chain: bytes) -> httpx2.Response:
            pems[:] = [each.decode() for each in chain]
            return await billing.post(grant_type="client_credentials")

        yield shown


async def test_our_own_handshake_shows_the_chain_with_the_certificate(config, tmp_path):
    direct = Config(issuer=ISSUER, data=tmp_path, tls_client_ca=config.tls_client_ca, mtls_port=8443)
    below = Authority("CN=Below,O=Acme", by=AUTHORITY)
    leaf = below.issue(SUBJECT).pem
    async with handshakes(direct) as shown:
        assert (await shown(leaf, below.pem)).status_code == 200
        assert refused(await shown(leaf))
        assert refused(await shown())
        assert refused(await shown(b"garbage"), "invalid_request")
        assert refused(await shown(leaf, *[below.pem] * 10), "invalid_request")


async def test_the_proxys_own_handshake_with_us_is_not_its_clients(config):
    async with handshakes(config) as shown:
        assert refused(await shown(BILLING.pem))


# Bound tokens


@pytest.mark.spec("RFC 8705", "3", "MUST")
async def test_access_tokens_are_bound_to_the_certificate(issuer, claims):
    billing = await client(issuer, BILLING, **BY_NAME | BOUND, audiences=("orders",))
    answer = (await billing.post()).json()
    assert answer["token_type"] == "Bearer"
    assert claims(answer["access_token"])["cnf"] == {"x5t#S256": BILLING.thumbprint}
    told = (await billing.post("/introspect", token=answer["access_token"])).json()
    assert (told["active"], told["token_type"], told["cnf"]) == (True, "Bearer", {"x5t#S256": BILLING.thumbprint})


async def test_without_the_setting_a_certificate_authenticates_and_binds_nothing(issuer, claims):
    billing = await client(issuer, BILLING, **BY_NAME)
    assert "cnf" not in claims((await billing.post()).json()["access_token"])


async def test_a_client_of_bound_tokens_gets_none_without_a_certificate(issuer):
    service = await issuer.service(**BOUND)
    assert refused(await service.post(grant_type="client_credentials"), "invalid_request")


@pytest.fixture
async def phone(issuer):
    """A public client whose tokens are bound to the certificate that it made itself."""
    await issuer.sign_in()
    return Client(await issuer.public(**BOUND), SELF)


async def redeemed(phone: Client, **more: Any) -> httpx2.Response:
    given = {"grant_type": "authorization_code", "code": await phone.app.code(), "code_verifier": phone.app.verifier}
    return await phone.post(**given | {"redirect_uri": REDIRECT_URI} | more)


@pytest.mark.spec("RFC 8705", "4", "MUST")
async def test_a_public_clients_refresh_token_is_bound_to_its_certificate(phone, claims):
    tokens = (await redeemed(phone)).json()
    assert claims(tokens["access_token"])["cnf"] == {"x5t#S256": SELF.thumbprint}
    asked = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert refused(await phone.post(**asked, shown=OTHER), "invalid_grant")
    assert refused(await phone.post(**asked, headers={}), "invalid_request")
    again = await phone.post(**asked)
    assert again.status_code == 200, again.text
    assert claims(again.json()["access_token"])["cnf"] == {"x5t#S256": SELF.thumbprint}
    lost = await phone.post(**asked)
    assert lost.json()["refresh_token"] == again.json()["refresh_token"], "bound: a lost answer may be asked for again"


async def test_a_bound_refresh_token_stays_bound_when_the_client_is_no_longer_registered_so(phone, claims):
    tokens = (await redeemed(phone)).json()
    before = phone.app.registered.client
    await change(
        phone.issuer.desk,
        before,
        type(before)(**{name: getattr(before, name) for name in before.__struct_fields__} | {next(iter(BOUND)): False}),
        actor="test",
    )
    asked = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert refused(await phone.post(**asked, headers={}), "invalid_grant")
    again = await phone.post(**asked)
    assert claims(again.json()["access_token"])["cnf"] == {"x5t#S256": SELF.thumbprint}


async def test_a_confidential_clients_refresh_token_follows_its_new_certificate(issuer, claims):
    await issuer.sign_in()
    metadata = REGISTERED | BOUND | {"jwks": {"keys": [SELF.jwk, OTHER.jwk]}}
    web = Client(await issuer.register(**metadata), SELF)
    tokens = (await redeemed(web)).json()
    again = await web.post(grant_type="refresh_token", refresh_token=tokens["refresh_token"], shown=OTHER)
    assert claims(again.json()["access_token"])["cnf"] == {"x5t#S256": OTHER.thumbprint}


@pytest.mark.spec("RFC 8705", "3", "MUST")
async def test_userinfo_wants_the_certificate_that_the_token_is_bound_to(phone):
    token = (await redeemed(phone)).json()["access_token"]

    async def shown(certificate: Shown | None) -> httpx2.Response:
        return await phone.app.userinfo(
            token, **({} if certificate is None else {"SSL-Client-Cert": certificate.escaped})
        )

    assert (await shown(SELF)).status_code == 200
    for other in (OTHER, None):
        answer = await shown(other)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_token_may_be_bound_to_a_key_and_a_certificate(phone, claims):
    holder = Holder(phone.app)
    answer = await redeemed(phone, headers={"SSL-Client-Cert": SELF.escaped, "DPoP": holder.proof()})
    holder.nonce = answer.headers["dpop-nonce"]
    answer = await redeemed(phone, headers={"SSL-Client-Cert": SELF.escaped, "DPoP": holder.proof()})
    tokens = answer.json()
    assert tokens["token_type"] == "DPoP"
    assert claims(tokens["access_token"])["cnf"] == {"jkt": holder.jkt, "x5t#S256": SELF.thumbprint}


# Registration, discovery, aliases, profiles


async def test_a_client_that_could_never_authenticate_is_not_registered(issuer):
    for metadata in (
        {"token_endpoint_auth_method": "tls_client_auth"},
        BY_NAME | {"tls_client_auth_san_dns": "billing.example"},
        BY_NAME | {"tls_client_auth_subject_dn": "billing"},
        BY_NAME | {"tls_client_auth_subject_dn": ""},
        {"tls_client_auth_subject_dn": SUBJECT},
        {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "*.example"},
        {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_uri": "billing"},
        {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_ip": "192.0.2.0/24"},
        {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_email": "billing"},
        {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_uri": "urn:" + "a" * 500},
        {"token_endpoint_auth_method": "self_signed_tls_client_auth"},
    ):
        with pytest.raises(ClientError):
            await issuer.service(**metadata)


async def test_a_client_registers_its_certificate_itself(issuer):
    token = (await initial_token(issuer.desk, RegistrationPolicy(uses=None))).secret.value
    wanted = {"redirect_uris": [REDIRECT_URI]} | BOUND
    for metadata in (
        wanted | REGISTERED,
        wanted | {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "billing.example"},
    ):
        answer = await issuer.direct.post("/register", json=metadata, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 201, answer.text
        assert metadata.items() <= answer.json().items()
        assert "client_secret" not in answer.json()
    several = wanted | BY_NAME | {"tls_client_auth_san_dns": "billing.example"}
    answer = await issuer.direct.post("/register", json=several, headers={"Authorization": f"Bearer {token}"})
    assert refused(answer, "invalid_client_metadata")


@pytest.mark.spec("RFC 8705", "5", "MUST")
async def test_discovery_names_the_methods_and_where_clients_with_certificates_go(issuer):
    metadata = (await issuer.direct.get("/.well-known/oauth-authorization-server")).json()
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(metadata["token_endpoint_auth_methods_supported"])
    assert metadata["tls_client_certificate_bound_access_tokens"] is True
    aliases = metadata["mtls_endpoint_aliases"]
    assert aliases["token_endpoint"] == f"{ALIAS}/token"
    assert all(metadata[name].removeprefix(ISSUER) == url.removeprefix(ALIAS) for name, url in aliases.items())


async def test_without_a_way_for_certificates_nothing_of_it_is_offered(tmp_path):
    app = create_app(Config(issuer=ISSUER, data=tmp_path), Clock().ambient, secret=b"s" * 43)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ISSUER) as http,
    ):
        metadata = (await http.get("/.well-known/openid-configuration")).json()
        issuer = Issuer(app, Clock(), http, http)
        for asked in (BY_NAME, REGISTERED, BOUND):
            with pytest.raises(ClientError):
                await issuer.service(**asked)
    assert not any(name.endswith("tls_client_auth") for name in metadata["token_endpoint_auth_methods_supported"])
    assert metadata["tls_client_certificate_bound_access_tokens"] is False
    assert "mtls_endpoint_aliases" not in metadata


async def test_the_aliases_serve_what_is_for_clients_and_no_pages(issuer):
    billing = await client(issuer, BILLING, **BY_NAME)
    transport = httpx2.ASGITransport(issuer.app)
    async with httpx2.AsyncClient(transport=transport, base_url=ALIAS) as alias:
        billing.issuer.direct = alias
        assert (await billing.post()).status_code == 200
        for path in ("/login", "/authorize", "/account", "/.well-known/openid-configuration", "/jwks"):
            assert (await alias.get(path)).status_code == 421
        for path in (
            "/api/admin/accounts/someone",
            "/api/admin/scopes/https://orders.example/read",
            "/ssf/streams",
            "/ssf/status?stream_id=x",
        ):
            assert (await alias.get(path)).status_code == 401, "names in paths are no other paths"
        for path in ("/api/admin", "/api/admin/accounts/a/b/c", "/x/api/admin/accounts/a", "/token/", "/token/x"):
            assert (await alias.get(path)).status_code == 421, path
    async with httpx2.AsyncClient(transport=transport, base_url="https://elsewhere.example") as elsewhere:
        assert (await elsewhere.post("/token")).status_code == 421


async def test_a_proof_names_the_alias_where_the_request_goes_there(phone):
    holder = Holder(phone.app)
    transport = httpx2.ASGITransport(phone.issuer.app)
    async with httpx2.AsyncClient(transport=transport, base_url=ALIAS) as alias:
        phone.issuer.direct = alias
        for url, error in ((f"{ALIAS}/token", "use_dpop_nonce"), (f"{ISSUER}/token", "invalid_dpop_proof")):
            headers = {"SSL-Client-Cert": SELF.escaped, "DPoP": holder.proof(htu=url)}
            assert refused(await phone.post(headers=headers, grant_type="authorization_code", code="x"), error)


async def test_a_profile_takes_mutual_tls_beside_private_key_jwt_and_dpop(issuer, claims):
    for metadata in (REGISTERED, BY_NAME):
        kept = (await issuer.service(**metadata | BOUND, profile="fapi2")).registered.client
        assert (kept.dpop_bound_access_tokens, kept.require_pushed_authorization_requests) == (False, True)
        assert (await issuer.service(**metadata, profile="fapi2")).registered.client.dpop_bound_access_tokens
    with pytest.raises(ClientError, match="mutual TLS"):
        await issuer.service(profile="fapi2", **BOUND)
    bank = await client(issuer, SELF, **REGISTERED | BOUND, profile="fapi2")
    assert claims((await bank.post()).json()["access_token"])["cnf"] == {"x5t#S256": SELF.thumbprint}


@pytest.mark.parametrize(
    "settings",
    [
        {"client_certificate_header": "nginx"},
        {"mtls_port": 8443},
        {"mtls_origin": ALIAS},
        {
            "client_certificate_header": "nginx",
            "trusted_proxies": ("10.0.0.0/8",),
            "mtls_origin": "https://mtls.example/",
        },
        {
            "client_certificate_header": "nginx",
            "trusted_proxies": ("10.0.0.0/8",),
            "mtls_origin": "http://mtls.example",
        },
        {
            "client_certificate_header": "nginx",
            "trusted_proxies": ("10.0.0.0/8",),
            "mtls_origin": "https://a@mtls.example",
        },
        {"client_certificate_header": "nginx", "trusted_proxies": ("0.0.0.0/0",)},
    ],
)
def test_settings_that_would_believe_nobody_or_anybody_are_refused(settings):
    with pytest.raises(ConfigError):
        check(Config(**settings))


def test_authorities_without_a_way_for_certificates_are_refused(tmp_path):
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    with pytest.raises(ConfigError, match="mtls-port"):
        check(Config(tls_client_ca=tmp_path / "ca.pem"))
    with pytest.raises(ConfigError, match="does not exist"):
        check(Config(tls_client_ca=tmp_path / "none.pem"))


def test_the_aliases_of_our_own_port_are_under_the_issuers_name(tmp_path):
    assert Config(issuer="https://id.example/auth", mtls_port=8443).mtls_base == "https://id.example:8443/auth"
    assert Config(issuer="https://[::1]:9443", mtls_port=8443).mtls_base == "https://[::1]:8443"
    assert Config(issuer="https://id.example").mtls_base is None
