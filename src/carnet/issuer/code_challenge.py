"""Rule O2, RFC 7636, OAuth 2.1 section 7.5.1: which requests have a code challenge, and which clients may do without one."""

from carnet.issuer.storage.records import Client
from carnet.oauth import pkce, scope
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import Scope


class PkceError(Exception):
    """A client that may not do without PKCE; the message is a sentence that says what to do."""


def asked_challenge(parameters: Parameters, asked: Scope, client: Client) -> str | None:
    """The challenge of a request; None: there is none, and its client is registered so that there need not be.

    One that is sent is held to, whoever sends it (RFC 9700 section 2.1.1).

    Raises:
        InvalidRequestError: it is missing, or not one by S256.
    """
    challenge = parameters.get("code_challenge")
    if challenge is None:
        if "code_challenge_method" not in parameters and _spared(parameters, asked, client):
            return None
        raise InvalidRequestError("The parameter code_challenge is missing: PKCE (RFC 7636) is required.")
    if parameters.get("code_challenge_method") not in pkce.METHODS:
        raise InvalidRequestError("The code_challenge_method is not S256.")
    if not pkce.well_formed(challenge):
        raise InvalidRequestError("The code_challenge is not 43 characters of base64url.")
    return challenge


def _spared(parameters: Parameters, asked: Scope, client: Client) -> bool:
    if client.public or client.profile is not None:
        return False
    if client.pkce == "or_nonce":
        return scope.OPENID in asked and "nonce" in parameters
    return client.pkce == "optional"


def check_pkce(client: Client) -> None:
    """RFC 9700 section 2.1.1: public clients must use PKCE; so must those of a profile (FAPI 2.0 section 5.3.2.2).

    Raises:
        PkceError: it is one of them, and would not.
    """
    if client.pkce != "required" and (client.public or client.profile is not None):
        raise PkceError(
            f"pkce {client.pkce} is for confidential clients without a profile: all others are required to use PKCE."
        )


def caution(client: Client) -> str | None:
    """What is to be said of a client whose requests may come with neither PKCE nor a nonce."""
    if client.pkce != "optional":
        return None
    return (
        "With pkce optional its requests may have neither PKCE nor a nonce, and a stolen code that somebody slips into a "
        "sign-in is then not noticed (RFC 9700 section 4.5): this is for clients that cannot be mended."
    )
