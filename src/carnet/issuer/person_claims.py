"""OpenID Connect Core sections 5.1 and 5.4: what is said of a person, and the scope value that lets a client learn it."""

from collections.abc import Iterable
from typing import Any

from carnet.issuer.storage.records import Account
from carnet.oauth.scope import Scope

SCOPE_OF = {
    "name": "profile",
    "updated_at": "profile",
    "email": "email",
    "email_verified": "email",
    "roles": "roles",
}
"""Each claim, and the scope value that shows it."""

CLAIMS = ("sub", *SCOPE_OF)


def claims_of(account: Account, scope: Scope) -> dict[str, Any]:
    """What each scope value shows of an account."""
    return {"sub": account.subject} | chosen(account, CLAIMS, scope)


def chosen(account: Account, names: Iterable[str], scope: Scope) -> dict[str, Any]:
    """Of these claims, those that the scope shows and that are known of the account."""
    known: dict[str, Any] = {
        "name": account.name,
        "updated_at": account.updated_at,
        "email": account.email,
        "email_verified": account.email_verified,
        "roles": list(account.roles),
    }
    return {name: known[name] for name in names if SCOPE_OF.get(name) in scope and known.get(name) is not None}


def scope_for(names: Iterable[str]) -> Scope:
    """The scope values that claims need; of a claim that is not known, none."""
    return tuple(dict.fromkeys(SCOPE_OF[name] for name in names if name in SCOPE_OF))
