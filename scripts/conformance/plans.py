"""What each plan of the suite is run with: its variant, the issuer's settings, the clients, and what fails by design."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from browsing import EMAIL
from issuer import ATTRIBUTES, SCOPES, Issuer
from steps import Approving, Browsing, Rotating, Telling
from suite import Steps

KNOWN_METADATA = ("roles_endpoint", "revocations_endpoint", "revocations_snapshot_endpoint")
"""Members of discovery that are Carnet's own."""
DEFINITIONS = """
scopes = ["openid", "profile", "email", "address", "phone", "offline_access", "roles"]
[[define.scopes]]
name = "profile"
claims = ["name", "updated_at", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile",
  "picture", "website", "gender", "birthdate", "zoneinfo", "locale"]
[[define.scopes]]
name = "phone"
claims = ["phone_number", "phone_number_verified"]
[[define.scopes]]
name = "address"
claims = ["address"]
"""


@dataclass(frozen=True)
class Difference:
    """Why modules fail, and the suite's conditions at which they do: any other one is a surprise."""

    why: str
    conditions: tuple[str, ...]

    def __call__(self, *modules: str) -> dict[str, "Difference"]:
        return dict.fromkeys(modules, self)


NO_NONCE = Difference(
    "it sends neither PKCE nor a nonce, which no client may do that registers itself (OAuth 2.1 section 7.5.1)",
    ("CheckIfAuthorizationEndpointError",),
)("oidcc-ensure-request-without-nonce-succeeds-for-code-flow")
CODE_ALONE = Difference(
    "there are no implicit and hybrid flows (OAuth 2.1 section 10.1)",
    ("OIDCCCheckDiscEndpointResponseTypesSupportedDynamic", "OIDCCCheckDiscEndpointGrantTypesSupportedDynamic"),
)("oidcc-discovery-endpoint-verification")
FOR_THE_ISSUER = Difference(
    "its assertion is for the token endpoint, and must be for the issuer (the revision of RFC 7523)",
    ("CheckTokenEndpointHttpStatus200",),
)


@dataclass(frozen=True)
class Plan:
    name: str
    variant: dict[str, str]
    configure: Callable[[Issuer, str], dict[str, Any]]
    """The members of the plan's configuration for clients whose addresses begin so."""
    settings: str = 'signing_algorithm = "RS256"\n'
    steps: Callable[[Issuer], Steps] = lambda _: Steps()
    scripted: bool = True
    """Whether the suite's own browser signs in; else `steps` does."""
    by_design: Mapping[str, Difference] = field(default_factory=dict)
    """Modules that fail."""


def settings(plan: Plan) -> str:
    """The issuer's, with the standard claims."""
    claims = (f'[[define.claims]]\nname = "{name}"\nattribute = "{name}"\n' for name in ATTRIBUTES)
    return plan.settings + DEFINITIONS + "".join(claims)


def _openid(issuer: Issuer, place: str) -> dict[str, Any]:
    options = ("--first-party", "--pkce", "optional", "--redirect-uri", f"{place}callback")
    return {
        "client": issuer.client("suite-1", *options),
        "client2": issuer.client("suite-2", *options),
        "client_secret_post": issuer.client("suite-3", *options, "--auth-method", "client_secret_post"),
    }


def _logout(*notice: str) -> Callable[[Issuer, str], dict[str, Any]]:
    """With the URI of the plan's own notice and no other: the suite stops at a notice that it does not wait for."""

    def configure(issuer: Issuer, place: str) -> dict[str, Any]:
        options = ("--first-party", "--pkce", "or_nonce", "--redirect-uri", f"{place}callback")
        told = [part for name in notice for part in (f"--{name}-uri", place + name.replace("-", "_"))]
        after = ("--post-logout-redirect-uri", f"{place}post_logout_redirect")
        return {"client": issuer.client("logout", *options, *after, *told, scopes=("openid",))}

    return configure


def _dynamic(issuer: Issuer, _place: str) -> dict[str, Any]:
    token = issuer.command("client", "registration-token", "--reusable", "--pkce", "or_nonce")["token"]
    return {name: {"client_name": name, "initial_access_token": token} for name in ("client", "client2")}


def _fapi(profile: str, algorithm: str, *, certificates: bool = False) -> Callable[[Issuer, str], dict[str, Any]]:
    def configure(issuer: Issuer, place: str) -> dict[str, Any]:
        base = issuer.mtls_url if certificates else issuer.url
        made: dict[str, Any] = {"resource": {"resourceUrl": f"{base}/userinfo"}}
        for number, query in (("", ""), ("2", "?dummy1=lorem&dummy2=ipsum")):
            name = f"fapi{number}"
            file, keys = issuer.key(name, algorithm)
            options = ["--profile", profile, "--redirect-uri", f"{place}callback{query}"]
            if certificates:
                options += ["--tls-subject-dn", f"CN={name}", "--certificate-bound"]
                made[f"mtls{number}"] = issuer.certificate(name)
            if not certificates or profile == "fapi2-message-signing":
                options += ["--jwks", file]
            client = issuer.client(name, *options)
            own = {"scope": " ".join(SCOPES), "jwks": keys, "dpop_signing_alg": algorithm}
            made[f"client{number}"] = client | own
        return made

    return configure


def _ciba(issuer: Issuer, _place: str) -> dict[str, Any]:
    made: dict[str, Any] = {"resource": {"resourceUrl": f"{issuer.mtls_url}/userinfo"}}
    signs = issuer.directory / "signs.json"
    signs.write_text('{"backchannel_authentication_request_signing_alg": "PS256"}')
    grants = ("--grant", "urn:openid:params:grant-type:ciba", "--grant", "refresh_token")
    hint = {"hint_type": "login_hint", "hint_value": EMAIL.format(number=0), "acr_value": "urn:carnet:acr:1fa"}
    for number in ("", "2"):
        name = f"ciba{number}"
        file, keys = issuer.key(name, "PS256")
        bound = ("--tls-subject-dn", f"CN={name}", "--certificate-bound")
        options = ("--profile", "fapi2", *bound, *grants, "--jwks", file, "--metadata", str(signs))
        made[f"client{number}"] = issuer.client(name, *options) | {"scope": " ".join(SCOPES), "jwks": keys} | hint
        made[f"mtls{number}"] = issuer.certificate(name)
    return made


def _signals(issuer: Issuer, _place: str) -> dict[str, Any]:
    client = issuer.client(
        "ssf", "--client-id", "ssf", "--grant", "client_credentials", scopes=("ssf.manage", "ssf.read")
    )
    subjects = {
        "valid": {"format": "email", "email": EMAIL.format(number=1)},
        "invalid": {"format": "email", "email": "nobody@example.com"},
    }
    transmitter = {"issuer": issuer.url, "push_endpoint_authorization_header": "Bearer a-secret-of-the-receiver"}
    return {
        "client": client | {"scope": "ssf.manage ssf.read"},
        "ssf": {"subjects": subjects, "transmitter": transmitter},
    }


def _transmitter(name: str, delivery: str, **variant: str) -> Plan:
    settled = {
        "client_auth_type": "client_secret_basic",
        "client_registration": "static_client",
        "server_metadata": "discovery",
        "ssf_server_metadata": "discovery",
        "ssf_auth_mode": "dynamic",
        "ssf_delivery_mode": delivery,
    }
    return Plan(name, settled | variant, _signals, steps=Telling, scripted=False)


_STATIC = {"server_metadata": "discovery", "client_registration": "static_client"}
_CODE = {"response_type": "code", "client_registration": "static_client"}
_FAPI = {"authorization_request_type": "simple", "openid": "openid_connect", "fapi_profile": "plain_fapi"}
_SIGNED = {"fapi_request_method": "signed_non_repudiation", "fapi_response_mode": "jarm"}
_DPOP = {"client_auth_type": "private_key_jwt", "sender_constrain": "dpop"}
_MTLS = {"client_auth_type": "mtls", "sender_constrain": "mtls"}
_REGISTRATION = 'signing_algorithm = "RS256"\nclient_registration = true\n'

PLANS = {
    "basic": Plan("oidcc-basic-certification-test-plan", _STATIC, _openid),
    "form-post": Plan("oidcc-formpost-basic-certification-test-plan", _STATIC, _openid),
    "config": Plan("oidcc-config-certification-test-plan", {}, _openid),
    "registered": Plan(
        "oidcc-test-plan",
        {
            "client_registration": "dynamic_client",
            "client_auth_type": "client_secret_basic",
            "response_type": "code",
            "response_mode": "default",
        },
        _dynamic,
        settings=_REGISTRATION,
        steps=Rotating,
        by_design=NO_NONCE | CODE_ALONE,
    ),
    "dynamic": Plan(
        "oidcc-dynamic-certification-test-plan",
        {"response_type": "code"},
        _dynamic,
        settings=_REGISTRATION,
        steps=Rotating,
        by_design=CODE_ALONE
        | FOR_THE_ISSUER(
            "oidcc-idtoken-rs256",
            "oidcc-userinfo-rs256",
            "oidcc-redirect-uri-query-OK",
            "oidcc-server",
            "oidcc-registration-jwks-uri",
            "oidcc-refresh-token-rp-key-rotation",
            "oidcc-request-uri-signed-rs256",
            "oidcc-refresh-token",
        ),
    ),
    "rp-logout": Plan("oidcc-rp-initiated-logout-certification-test-plan", _CODE, _logout()),
    "back-channel": Plan(
        "oidcc-backchannel-rp-initiated-logout-certification-test-plan", _CODE, _logout("backchannel-logout")
    ),
    "front-channel": Plan(
        "oidcc-frontchannel-rp-initiated-logout-certification-test-plan", _CODE, _logout("frontchannel-logout")
    ),
    "session": Plan(
        "oidcc-session-management-certification-test-plan",
        _CODE,
        _logout(),
        settings="session_management = true\n",
        steps=Browsing,
        scripted=False,
    ),
    "third-party": Plan(
        "oidcc-3rdparty-init-login-certification-test-plan",
        {"response_type": "code"},
        _dynamic,
        settings=_REGISTRATION,
    ),
    "fapi": Plan(
        "fapi2-security-profile-final-test-plan",
        _DPOP | _FAPI,
        _fapi("fapi2", "PS256"),
        settings='signing_algorithm = "PS256"\n',
    ),
    "fapi-mtls": Plan(
        "fapi2-security-profile-final-test-plan",
        _MTLS | _FAPI,
        _fapi("fapi2", "PS256", certificates=True),
        settings='signing_algorithm = "PS256"\n',
    ),
    "message-signing": Plan(
        "fapi2-message-signing-final-test-plan",
        _DPOP | _FAPI | _SIGNED,
        _fapi("fapi2-message-signing", "ES256"),
        settings='signing_algorithm = "ES256"\n',
    ),
    "ciba": Plan(
        "fapi-ciba-id1-test-plan",
        {
            "client_auth_type": "mtls",
            "ciba_mode": "poll",
            "fapi_ciba_profile": "plain_fapi",
            "client_registration": "static_client",
        },
        _ciba,
        settings='signing_algorithm = "PS256"\n',
        steps=Approving,
    ),
    "signals-push": _transmitter("openid-ssf-transmitter-test-plan", "push", ssf_profile="default"),
    "signals-poll": _transmitter("openid-ssf-transmitter-test-plan", "poll", ssf_profile="default"),
    "caep-push": _transmitter("openid-ssf-transmitter-caep-test-plan", "push"),
    "caep-poll": _transmitter("openid-ssf-transmitter-caep-test-plan", "poll"),
}
