"""Rule O17, RFC 6750, RFC 9470: a token for the admin API opens it, with the scope value, to somebody who administers now."""

from starlette.requests import Request

from carnet.issuer.accounts.people import ADMIN, Actor
from carnet.issuer.admin_api.resource import PATH, Caller
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.freshness import FRESH, strong_and_recent
from carnet.issuer.http_security import written_address
from carnet.issuer.presented_tokens import Claims
from carnet.oauth import acr, scope
from carnet.oauth.errors import InsufficientScopeError, InsufficientUserAuthenticationError


def resource_of(config: Config) -> str:
    """RFC 8707: the audience that admin tokens have."""
    return config.issuer + PATH


async def admitted(request: Request, claims: Claims, desk: Desk, *, needs: str, changes: bool) -> Caller:
    """Let a token through that has the scope value `needs`; a person who changes something has just proved who they are.

    The role is that of the account or the client at this moment, whatever the token says.

    Raises:
        InsufficientScopeError: the scope value or the role is missing.
        InsufficientUserAuthenticationError: the person's proof is too old, or not by both factors of somebody who has two.
    """
    granted = scope.parse(claims.get("scope"))
    if needs not in granted:
        raise InsufficientScopeError(f"This needs the scope value {needs}.", scope=needs)
    subject, client_id = str(claims["sub"]), str(claims["client_id"])
    account = await desk.store.accounts.get(subject)
    client = await desk.store.clients.get(client_id)
    holder = account if account is not None else client if subject == client_id else None
    if holder is None or ADMIN not in holder.roles:
        raise InsufficientScopeError(f"This needs the role {ADMIN}.", scope=needs)
    now = desk.ambient.now()
    if (
        account is not None
        and changes
        and not strong_and_recent(account, claims.get("acr"), claims.get("auth_time", 0), at=now)
    ):
        wanted = acr.TWO_FACTORS if account.totp is not None else None
        raise InsufficientUserAuthenticationError(
            "A change needs a proof that was just given.", max_age=FRESH, acr_values=wanted
        )
    return Caller(Actor(subject, written_address(request, desk.config)), client_id, granted)
