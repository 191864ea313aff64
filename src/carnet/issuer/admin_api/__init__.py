"""The admin API: what administrators' programs change and look at, under `/api/admin`. Each resource is one file."""

from carnet.issuer.admin_api import (
    accounts,
    audiences,
    claims,
    clients,
    defining,
    events,
    keys,
    registration_tokens,
    revocations,
    scopes,
    streams,
)
from carnet.issuer.admin_api.resource import Resource

RESOURCES: tuple[Resource, ...] = (
    accounts.RESOURCE,
    clients.RESOURCE,
    scopes.RESOURCE,
    claims.RESOURCE,
    audiences.RESOURCE,
    registration_tokens.RESOURCE,
    keys.RESOURCE,
    events.RESOURCE,
    revocations.RESOURCE,
    streams.RESOURCE,
)

REFUSALS = (accounts.problem, clients.problem, defining.problem)
"""Each says what the API answers to its domain's refusals."""
