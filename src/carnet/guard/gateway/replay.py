"""Why a request was refused: the gateway's decision once more, with every step of it. For its operators, never for callers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carnet.ambient import Instant
from carnet.guard.bearer import bearer_token
from carnet.guard.gateway.config import GatewayConfig
from carnet.guard.gateway.original_request import original_request
from carnet.guard.issuer_choice import chosen
from carnet.guard.refusal import Refused, RefusedRequestError, invalid_token
from carnet.guard.verifier import Verifier
from carnet.jose import KeySet
from carnet.oauth.confirmation import CERTIFICATE, KEY


@dataclass(frozen=True, slots=True)
class Replay:
    """What the gateway would answer, and how it comes to that."""

    refused: Refused | None
    """None: the request would be let through."""
    trace: tuple[str, ...]


def replay(
    config: GatewayConfig, *, method: str, host: str, target: str, token: str | None, keys: KeySet, at: Instant
) -> Replay:
    """Decide about one request as the gateway does; `target` is its path with its query.

    Neither the revocation feed nor a proof of possession is looked at: a token that was taken back is not told from a good one.
    """
    trace: list[str] = []
    try:
        authorizations = () if token is None else (b"Bearer " + token.encode("utf-8", "replace"),)
        asked = original_request(method, host, target.encode("utf-8", "replace"), authorizations)
        trace.append(f"request: {asked.method} {asked.path} on {asked.host}")
        rule = config.policy().find(asked)
        trace.append(f"rule: {rule}")
        if rule.requirement is None:
            return Replay(None, (*trace, "token: not looked at"))
        others = {other.issuer: other for other in config.also}
        trusted = chosen(others, authorizations) or config.issuers[0]
        verifier = Verifier(
            issuer=trusted.issuer, audience=trusted.audience, algorithms=trusted.algorithms, leeway=trusted.leeway
        )
        principal = verifier.verify(bearer_token(asked.authorizations, query=asked.query), at=at, keys=keys)
        trace.append(
            f"token: {principal.token_id} of {principal.subject} is genuine, for {trusted.audience}, and of now; "
            "whether it was taken back was not asked"
        )
        trace += _possession(principal.claims.get("cnf"), config)
        if principal.roles_ref is not None:
            trace.append(
                "roles: the token only names them; the gateway would ask the issuer for them, which was not done"
            )
        verdict = rule.requirement.check(principal, at=at, leeway=trusted.leeway)
    except RefusedRequestError as error:
        refused = error.refused
        return Replay(refused, (*trace, f"refused: {refused.why or refused.description}"))
    if isinstance(verdict, Refused):
        return Replay(verdict, (*trace, *verdict.trace))
    return Replay(None, (*trace, *(f"{one}: holds" for one in rule.requirement.rules)))


def _possession(confirmation: Any, config: GatewayConfig) -> list[str]:
    """What the token is bound to; the request itself, which would prove it, is not here.

    Raises:
        RefusedRequestError: it is bound to a certificate, and the gateway learns of none.
    """
    bound = confirmation if isinstance(confirmation, Mapping) else {}
    lines = []
    if KEY in bound:
        lines.append(
            "proof: the token is bound to a key, whose proof must come with each request; it was not looked at"
        )
    if CERTIFICATE in bound:
        if config.client_certificate_header is None:
            why = "The token is bound to a client certificate, and client_certificate_header is not set: none is believed."
            raise RefusedRequestError(invalid_token("certificate_missing", why))
        lines.append(
            f"certificate: the token is bound to the client certificate {bound[CERTIFICATE]}, "
            "which must come with each request; it was not looked at"
        )
    return lines
