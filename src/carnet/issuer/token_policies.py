"""RFC 8693, RFC 7523 section 2.1: which tokens of others a client may bring, and for whom: nothing unless it is registered so."""

from urllib.parse import urlsplit

from carnet.issuer.client_keys import ALGORITHMS
from carnet.issuer.egress import Egress, EgressError
from carnet.issuer.storage.records import AssertionIssuer, Client, TokenExchange
from carnet.jose import JoseError, KeySet

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class PolicyError(ValueError):
    """A policy that must not be registered; the message is a sentence that says what to do."""


def check_policies(client: Client, egress: Egress) -> None:
    """Refuse a grant without its policy, a policy without its grant, and whatever a policy cannot mean.

    Raises:
        PolicyError: says what to do.
    """
    public = client.token_endpoint_auth_method == "none"
    for grant_type, name, policy in (
        (EXCHANGE, "token_exchange", client.token_exchange),
        (ASSERTION, "assertion_issuers", client.assertion_issuers or None),
    ):
        if (grant_type in client.grant_types) != (policy is not None):
            raise PolicyError(f"The grant {grant_type} goes with {name}: give both or neither.")
        if policy is not None and public:
            raise PolicyError(f"A client with the grant {grant_type} authenticates: it cannot be public.")
    if client.token_exchange is not None:
        _check_exchange(client.token_exchange)
    names = [trusted.issuer for trusted in client.assertion_issuers]
    if len(set(names)) < len(names) or len(names) > 20:
        raise PolicyError("assertion_issuers names at most 20 issuers, and each once.")
    for trusted in client.assertion_issuers:
        _check_issuer(trusted, egress)


def _check_exchange(policy: TokenExchange) -> None:
    if not policy.receives or not all(policy.receives):
        raise PolicyError(
            "token_exchange.receives names at least one audience under which the client gets people's tokens."
        )


def _check_issuer(trusted: AssertionIssuer, egress: Egress) -> None:
    where = f"assertion_issuers, {trusted.issuer!r}"
    if not trusted.issuer or not trusted.issuer.isprintable() or len(trusted.issuer) > 500:
        raise PolicyError(f"{where}: the issuer is what its assertions have as iss.")
    if urlsplit(trusted.issuer).scheme == "http":
        raise PolicyError(f"{where}: an issuer at a plain http URL cannot be trusted.")
    if (trusted.jwks is None) == (trusted.jwks_uri is None):
        raise PolicyError(f"{where}: give jwks or jwks_uri, and not both.")
    if trusted.jwks_uri is not None:
        try:
            egress.check_url(trusted.jwks_uri)
        except EgressError as error:
            raise PolicyError(f"{where}: {error}") from None
    if trusted.jwks is not None:
        try:
            usable = len(KeySet.from_jwks(trusted.jwks, algorithms=ALGORITHMS))
        except JoseError as error:
            raise PolicyError(f"{where}: {error}") from None
        if not usable:
            raise PolicyError(f"{where}: jwks has no key that can be used with one of {', '.join(ALGORITHMS)}.")
    if trusted.subjects is not None and not all(there and here for there, here in trusted.subjects.items()):
        raise PolicyError(f"{where}: subjects maps the issuer's subjects to accounts' subjects.")
