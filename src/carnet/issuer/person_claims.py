"""OpenID Connect Core sections 5.1 and 5.4: what is said of a person, and the scope values that let a client learn it."""

from collections.abc import Iterable
from typing import Any

from carnet.issuer.catalogue import Catalogue
from carnet.issuer.storage.records import Account
from carnet.oauth.scope import Scope


def claims_of(account: Account, scope: Scope, catalogue: Catalogue) -> dict[str, Any]:
    """What each scope value shows of an account."""
    return {"sub": account.subject} | chosen(account, catalogue.claim_names, scope, catalogue)


def chosen(account: Account, names: Iterable[str], scope: Scope, catalogue: Catalogue) -> dict[str, Any]:
    """Of these claims, those that the scope shows and that are known of the account."""
    wanted = tuple(names)
    if not wanted:
        return {}
    known: dict[str, Any] = {name: account.attributes.get(one.attribute) for name, one in catalogue.claims.items()}
    known |= {
        "name": account.name,
        "updated_at": account.updated_at,
        "email": account.email,
        "email_verified": account.email_verified,
        "roles": list(account.roles),
    }
    shown = catalogue.shown(scope)
    return {name: known[name] for name in wanted if name in shown and known.get(name) is not None}
