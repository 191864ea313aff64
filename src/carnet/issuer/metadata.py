"""RFC 8414 section 2, OpenID Connect Discovery section 3, RFC 9207 section 3: the issuer's metadata: what works, and no more."""

from collections.abc import Iterable
from typing import Any

from carnet.issuer.authorization_request import PROMPTS
from carnet.issuer.client_auth import CLIENT_AUTHENTICATIONS
from carnet.issuer.client_keys import ALGORITHMS
from carnet.issuer.config import Config
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.grants import GRANTS
from carnet.issuer.pages import LANGUAGES
from carnet.issuer.person_claims import CLAIMS
from carnet.issuer.response_modes import RESPONSE_MODES
from carnet.oauth import acr, dpop, pkce


def describe(config: Config, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Made once, of the endpoints, grants, client authentications and response modes that are there."""
    methods = [authentication.method for authentication in CLIENT_AUTHENTICATIONS]
    confidential = [method for method in methods if method != "none"]
    urls = {endpoint.metadata: config.issuer + endpoint.path for endpoint in endpoints if endpoint.metadata is not None}
    signing = [alg for authentication in CLIENT_AUTHENTICATIONS for alg in authentication.algorithms]
    return {
        "issuer": config.issuer,
        **urls,
        "protected_resources": [config.issuer],
        "scopes_supported": list(config.scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": [mode.name for mode in RESPONSE_MODES],
        "authorization_signing_alg_values_supported": [config.signing_algorithm],
        "authorization_details_types_supported": list(config.authorization_details_types),
        "grant_types_supported": [grant.grant_type for grant in GRANTS],
        "code_challenge_methods_supported": list(pkce.METHODS),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": signing,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": signing,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": signing,
        "introspection_signing_alg_values_supported": [config.signing_algorithm],
        "authorization_response_iss_parameter_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [config.signing_algorithm],
        "acr_values_supported": list(acr.VALUES),
        "claim_types_supported": ["normal"],
        "claims_supported": ["iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", *CLAIMS],
        "prompt_values_supported": list(PROMPTS),
        "ui_locales_supported": list(LANGUAGES),
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_user_code_parameter_supported": False,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "claims_parameter_supported": True,
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": list(ALGORITHMS),
        "require_signed_request_object": False,
        "request_uri_parameter_supported": False,
        "require_pushed_authorization_requests": False,
    }
