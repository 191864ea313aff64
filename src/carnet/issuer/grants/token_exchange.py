"""RFC 8693: a service exchanges a person's access token for one to pass on: no more scope, audience or time (rule O20)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from carnet.issuer.approval import Authorization, Derived
from carnet.issuer.desk import Desk
from carnet.issuer.grants.client_credentials import PEOPLES
from carnet.issuer.pairwise import sid_behind, subject_behind
from carnet.issuer.presented_tokens import Claims, audience_of, live_access_token
from carnet.issuer.rotation import authenticates
from carnet.issuer.storage.records import Client, Event
from carnet.issuer.token_policies import EXCHANGE
from carnet.oauth import scope
from carnet.oauth.access_token import SignIn
from carnet.oauth.errors import InvalidRequestError, InvalidTargetError, UnauthorizedClientError
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import Scope

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
"""Section 3: our access tokens are both; both names are taken, and the first is given."""

DEEPEST = 4
"""Actors behind one another: a longer chain is a loop, or a token too large for headers."""


@dataclass(frozen=True, slots=True)
class Asked:
    subject_token: str = field(repr=False)
    actor_token: str | None = field(repr=False)
    audience: tuple[str, ...]
    scope: Scope


class TokenExchange:
    grant_type = EXCHANGE

    def read(self, parameters: Parameters) -> Asked:
        """Section 2.1."""
        if parameters.require("subject_token_type") not in {ACCESS_TOKEN, JWT}:
            raise InvalidRequestError("Only access tokens of this issuer can be exchanged: see subject_token_type.")
        if parameters.get("requested_token_type") not in {None, ACCESS_TOKEN, JWT}:
            raise InvalidRequestError("Only access tokens are given in exchange: see requested_token_type.")
        actor_token, actor_type = parameters.get("actor_token"), parameters.get("actor_token_type")
        if (actor_token is None) != (actor_type is None):
            raise InvalidRequestError("The actor_token and the actor_token_type go together.")
        if actor_type not in {None, ACCESS_TOKEN, JWT}:
            raise InvalidRequestError("The actor is known by an access token of this issuer: see actor_token_type.")
        return Asked(
            subject_token=parameters.require("subject_token"),
            actor_token=actor_token,
            audience=tuple(dict.fromkeys((*parameters.all("audience"), *parameters.all("resource")))),
            scope=scope.parse(parameters.get("scope")),
        )

    async def redeem(self, asked: Asked, client: Client, desk: Desk) -> Authorization:
        """Section 2.2.2: a token that is invalid for whatever reason is an `invalid_request`."""
        policy = client.token_exchange
        if policy is None or not authenticates(client):
            raise UnauthorizedClientError("The client is not registered to exchange tokens.")
        subject = await _live(asked.subject_token, "subject_token", desk)
        if subject["sub"] == subject["client_id"]:
            raise InvalidRequestError("The subject_token speaks for no person.", why="a client's own token")
        if not set(audience_of(subject)) & set(policy.receives):
            raise InvalidRequestError("The subject_token was not issued for this client.")
        acting = client.client_id
        if asked.actor_token is not None:
            if policy.kind == "impersonation":
                raise InvalidRequestError("The client is registered for impersonation, which knows no actor_token.")
            acting = await _actor(asked.actor_token, client, desk)
        _check_may_act(subject, acting)
        approved = tuple(name for name in audience_of(subject) if name in client.audiences)
        if not approved or scope.excess(asked.audience, approved):
            raise InvalidTargetError("The subject_token is for no such audience, or the client may not reach it.")
        issued_to = await desk.store.clients.get(subject["client_id"])
        person = await subject_behind(subject["sub"], issued_to, desk)
        actor = _act(acting, subject) if policy.kind == "delegation" else subject.get("act")
        sid = await sid_behind(subject["sid"], issued_to, desk) if "sid" in subject else None
        await _note(desk, client, {**subject, "sub": person, "sid": sid}, policy.kind, acting)
        return Authorization(
            scope=scope.excess(scope.parse(subject["scope"]), PEOPLES),  # it is for services: never for userinfo
            asked=asked.scope,
            audience=asked.audience or approved,
            derived=Derived(
                subject=person,
                family=_family(subject),
                sid=sid,
                sign_in=_sign_in(subject),
                until=subject["exp"],
                epoch=subject.get("sep", 0),  # what takes back that token takes back this one
                actor=actor,
                may_act=subject.get("may_act"),
                issued_token_type=ACCESS_TOKEN,
            ),
        )


async def _live(token: str, name: str, desk: Desk) -> Claims:
    claims = await live_access_token(token, desk)
    if claims is None:
        raise InvalidRequestError(f"The {name} is no valid access token of this issuer.")
    return claims


async def _actor(token: str, client: Client, desk: Desk) -> str:
    """Section 1.1: whoever acts is named by a token that the client itself has got: another's would prove nothing."""
    actor = await _live(token, "actor_token", desk)
    if actor["client_id"] != client.client_id:
        raise InvalidRequestError("The actor_token was not issued to this client.")
    return str(actor["sub"])


def _check_may_act(subject: Claims, acting: str) -> None:
    """Section 4.4: a token that says who may act lets nobody else."""
    allowed = subject.get("may_act")
    if allowed is not None and (not isinstance(allowed, Mapping) or allowed.get("sub") != acting):
        raise InvalidRequestError("The subject_token lets somebody else act, and not this client.")


def _act(acting: str, subject: Claims) -> dict[str, Any]:
    """Section 4.1: the newest actor outside, those before it inside."""
    before, depth = subject.get("act"), 1
    inner = before
    while isinstance(inner, Mapping):
        depth, inner = depth + 1, inner.get("act")
    if depth > DEEPEST:
        raise InvalidRequestError(f"More than {DEEPEST} actors stand behind one another.")
    return {"sub": acting} | ({} if before is None else {"act": before})


def _family(subject: Claims) -> str | None:
    """What takes back the token's family takes back what came of it."""
    family, dot, _ = subject["jti"].partition(".")
    return family if dot else None


def _sign_in(subject: Claims) -> SignIn | None:
    if "auth_time" not in subject:
        return None
    return SignIn(auth_time=subject["auth_time"], amr=tuple(subject.get("amr", ())), acr=subject.get("acr"))


async def _note(desk: Desk, client: Client, subject: Claims, kind: str, acting: str) -> None:
    await desk.store.events.add(
        Event(
            at=desk.ambient.now(),
            name="token.exchanged",
            subject=subject["sub"],
            client_id=client.client_id,
            sid=subject.get("sid"),
            actor=acting,
            detail={"kind": kind, "of": subject["client_id"]},
        )
    )
