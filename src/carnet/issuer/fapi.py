"""FAPI 2.0 Security Profile, FAPI 2.0 Message Signing: what it means for a client to be registered with one of these profiles.

A profile is one setting. What it implies is written into the client's other settings when it is registered (`applied`), so
that they are enforced, shown and explained like anybody's own; what has no setting is asked here.
"""

from msgspec.structs import replace

from carnet.issuer.client_keys import ALGORITHMS as USUAL_ALGORITHMS
from carnet.issuer.config import Config
from carnet.issuer.envelope import CONTENTS
from carnet.issuer.storage.records import Client

SECURITY = "fapi2"
MESSAGE_SIGNING = "fapi2-message-signing"
PROFILES = (SECURITY, MESSAGE_SIGNING)

ALGORITHMS = ("PS256", "ES256", "Ed25519", "EdDSA")
"""FAPI 2.0 Security Profile section 5.4.1."""
CODE_LIFETIME = 60
"""Seconds, section 5.3.2.1."""


class ProfileError(Exception):
    """A client that cannot have the profile; the message is a sentence that says what to do."""


def applied(client: Client) -> Client:
    """The client with all that its profile implies: pushed requests, bound tokens, and for message signing signed requests."""
    if client.profile is None:
        return client
    return replace(
        client,
        require_pushed_authorization_requests=True,
        dpop_bound_access_tokens=client.dpop_bound_access_tokens
        or not client.tls_client_certificate_bound_access_tokens,
        require_signed_request_object=client.require_signed_request_object or client.profile == MESSAGE_SIGNING,
    )


def check(client: Client, config: Config) -> None:
    """Refuse a client that cannot keep to its profile, and an issuer that cannot.

    Raises:
        ProfileError
    """
    if client.profile is None:
        return
    if client.profile not in PROFILES:
        raise ProfileError(f"profile {client.profile!r} is none of {', '.join(PROFILES)}.")
    if client.token_endpoint_auth_method != "private_key_jwt" and not client.mutual_tls:
        raise ProfileError(
            f"The profile {client.profile} wants clients that authenticate by private_key_jwt: give jwks or jwks_uri; "
            "or by mutual TLS (RFC 8705)."
        )
    for name in (
        "token_endpoint_auth_signing_alg",
        "request_object_signing_alg",
        "backchannel_authentication_request_signing_alg",
        *(f"{content}_signed_response_alg" for content in CONTENTS),
    ):
        if getattr(client, name) not in {None, *ALGORITHMS}:
            raise ProfileError(f"{name}: the profile {client.profile} allows {', '.join(ALGORITHMS)}.")
    if config.signing_algorithm not in ALGORITHMS:
        raise ProfileError(
            f"The issuer signs with {config.signing_algorithm}, and the profile {client.profile} allows {', '.join(ALGORITHMS)}: "
            "set signing_algorithm to one of these."
        )


def signing_algorithms(client: Client) -> tuple[str, ...]:
    """With which a client may sign."""
    return USUAL_ALGORITHMS if client.profile is None else ALGORITHMS


def code_lifetime(client: Client, config: Config) -> int:
    """Seconds that a code for the client lives."""
    return config.lifetimes.code if client.profile is None else min(config.lifetimes.code, CODE_LIFETIME)


def keeps_refresh_tokens(client: Client) -> bool:
    """Section 5.3.2.1: refresh tokens are not rotated: a lost answer costs nothing, and a thief has not the client's key."""
    return client.profile is not None


def wants_dated_requests(client: Client) -> bool:
    """FAPI 2.0 Message Signing section 5.3.1: request objects have `nbf` and `exp`."""
    return client.profile == MESSAGE_SIGNING


def wants_signed_responses(client: Client) -> bool:
    """FAPI 2.0 Message Signing section 5.4: authorization responses are JWTs."""
    return client.profile == MESSAGE_SIGNING
