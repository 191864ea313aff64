"""RFC 8414 section 2, OpenID Connect Discovery section 3, RFC 9207 section 3: the issuer's metadata: what works, and no more."""

from collections.abc import Iterable
from typing import Any

from carnet.issuer.authorization_request import PROMPTS
from carnet.issuer.client_auth import offered
from carnet.issuer.client_keys import ALGORITHMS
from carnet.issuer.config import ENCRYPTION_ALGORITHMS, SIGNING_ALGORITHMS, Config
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.envelope import CONTENTS, ENCS
from carnet.issuer.grants import GRANTS
from carnet.issuer.pages.catalogues import LANGUAGES
from carnet.issuer.response_modes import RESPONSE_MODES
from carnet.oauth import acr, dpop, pkce


def describe(config: Config, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Made once, of the endpoints, grants, client authentications and response modes that are there."""
    endpoints = tuple(endpoints)
    methods = [authentication.method for authentication in offered(config)]
    confidential = [method for method in methods if method != "none"]
    urls = {endpoint.metadata: config.issuer + endpoint.path for endpoint in endpoints if endpoint.metadata is not None}
    signing = [alg for authentication in offered(config) for alg in authentication.algorithms]
    return {
        "issuer": config.issuer,
        **urls,
        **_mutual_tls(config, endpoints),
        **_envelopes(config),
        "protected_resources": [config.issuer],
        "response_types_supported": ["code"],
        "response_modes_supported": [mode.name for mode in RESPONSE_MODES],
        "authorization_details_types_supported": list(config.authorization_details_types),
        "grant_types_supported": [grant.grant_type for grant in GRANTS],
        "code_challenge_methods_supported": list(pkce.METHODS),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": signing,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": signing,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": signing,
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": config.client_documents is not None,
        "subject_types_supported": ["public", "pairwise"],
        "acr_values_supported": list(acr.VALUES),
        "claim_types_supported": ["normal"],
        "prompt_values_supported": list(PROMPTS),
        "ui_locales_supported": list(LANGUAGES),
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_authentication_request_signing_alg_values_supported": list(ALGORITHMS),
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
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "require_pushed_authorization_requests": False,
    }


def _envelopes(config: Config) -> dict[str, Any]:
    """Discovery section 3, RFC 9701 section 7, JARM section 4: how clients can have answers, and encrypt requests."""
    own = config.signing_algorithm
    described: dict[str, Any] = {}
    for content in CONTENTS:
        described[f"{content}_signing_alg_values_supported"] = [own, *(alg for alg in SIGNING_ALGORITHMS if alg != own)]
        described[f"{content}_encryption_alg_values_supported"] = list(ENCRYPTION_ALGORITHMS)
        described[f"{content}_encryption_enc_values_supported"] = list(ENCS)
    if config.encryption_algorithms:
        described["request_object_encryption_alg_values_supported"] = list(config.encryption_algorithms)
        described["request_object_encryption_enc_values_supported"] = list(ENCS)
    return described


def _mutual_tls(config: Config, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """RFC 8705 sections 3.3 and 5; the aliases where clients with certificates come elsewhere than others."""
    described: dict[str, Any] = {"tls_client_certificate_bound_access_tokens": config.learns_certificates}
    if config.mtls_base is not None:
        described["mtls_endpoint_aliases"] = {
            endpoint.metadata: config.mtls_base + endpoint.path
            for endpoint in endpoints
            if endpoint.mtls and endpoint.metadata is not None
        }
    return described
