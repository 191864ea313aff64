"""OpenID Connect Core section 8: pairwise subject identifiers: what the clients of one sector know somebody as, and nobody else.

The name is a keyed hash of the sector and the subject: whoever lacks the deployment's secret key can neither make one nor go
back. Sessions have such names too (`sid`), for they would tell two sectors that they speak of the same person. Each name is
stored before it is first given out, so that whatever takes tokens back takes back those that carry it: guards know no other.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from carnet.issuer.config import Config, loopback
from carnet.issuer.desk import Desk
from carnet.issuer.egress import Egress, EgressError
from carnet.issuer.storage.records import Client, Pseudonym
from carnet.jose import base64url
from carnet.sealing import derive

NOBODY = ""
"""The subject of no account."""

_Of: TypeAlias = Literal["subject", "session"]


class SectorError(ValueError):
    """A sector that a client cannot have; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a client knows a person and a session as."""

    subject: str
    sid: str | None


def sector_of(client: Client | None) -> str | None:
    """Section 8.1: the host of the `sector_identifier_uri`, or that of the redirect URIs; None: it gets public subjects."""
    if client is None or client.subject_type == "public":
        return None
    return _host(client.sector_identifier_uri or next(iter(client.redirect_uris), ""))


def subject_for(client: Client, subject: str, desk: Desk) -> str:
    """The `sub` that a client is told. Whoever issues a token under it uses `names_for`."""
    sector = sector_of(client)
    return subject if sector is None else _pseudonym("subject", sector, subject, desk.secret)


def sid_for(client: Client, sid: str, desk: Desk) -> str:
    """The `sid` that a client is told."""
    sector = sector_of(client)
    return sid if sector is None else _pseudonym("session", sector, sid, desk.secret)


async def names_for(client: Client, subject: str, sid: str | None, desk: Desk) -> Names:
    """What tokens of a client say.

    To be asked before the account is read: what is read then is newer than any revocation that does not name them.
    """
    sector = sector_of(client)
    if sector is None:
        return Names(subject, sid)
    kept = [Pseudonym(value=subject_for(client, subject, desk), sector=sector, subject=subject)]
    if sid is not None:
        kept.append(Pseudonym(value=sid_for(client, sid, desk), sector=sector, subject=subject, sid=sid))
    for pseudonym in kept:
        if await desk.store.pseudonyms.find(pseudonym.value) is None:
            await desk.store.pseudonyms.keep(kept)
            break
    return Names(kept[0].value, kept[-1].value if sid is not None else None)


def known_as(subject: str, sectors: Iterable[str], secret: bytes) -> list[Pseudonym]:
    """What each of these sectors knows somebody as, under a deployment's secret key."""
    return [
        Pseudonym(value=_pseudonym("subject", sector, subject, secret), sector=sector, subject=subject)
        for sector in sectors
    ]


async def subject_behind(name: str, client: Client | None, desk: Desk) -> str:
    """The subject that a client, or a token of its own, names; `NOBODY` if its sector knows nobody by that name."""
    sector = sector_of(client)
    if client is None or sector is None or name == client.client_id:
        return name
    found = await desk.store.pseudonyms.find(name)
    return found.subject if found is not None and (found.sector, found.sid) == (sector, None) else NOBODY


async def sid_behind(name: str, client: Client | None, desk: Desk) -> str:
    """The session that a client names; as `subject_behind`."""
    sector = sector_of(client)
    if sector is None:
        return name
    found = await desk.store.pseudonyms.find(name)
    return found.sid if found is not None and found.sector == sector and found.sid is not None else NOBODY


def check_pairwise(client: Client, config: Config) -> None:
    """Refuse a client that has no sector, or that would see more than its own names.

    Raises:
        SectorError: says why.
    """
    if client.sector_identifier_uri is not None:
        try:
            Egress(config).check_url(client.sector_identifier_uri)
        except EgressError as error:
            raise SectorError(f"sector_identifier_uri: {error}") from None
    if client.subject_type == "public":
        return
    if client.token_exchange is not None or client.receives:
        raise SectorError(
            "A client that receives the tokens of others reads their subjects there: subject_type pairwise would be no secret."
        )
    if client.sector_identifier_uri is not None:
        return
    hosts = {_host(uri) for uri in client.redirect_uris}
    if len(hosts) != 1 or "" in hosts:
        raise SectorError(
            "subject_type pairwise needs redirect URIs of one host, or a sector_identifier_uri (Core section 8.1)."
        )
    if loopback(*hosts) and not loopback(urlsplit(config.issuer).hostname):
        raise SectorError("A redirect URI on the person's own machine is no sector: give a sector_identifier_uri.")


async def check_sector(client: Client, desk: Desk) -> None:
    """Section 8.1: the document at the `sector_identifier_uri` lists all of the client's redirect URIs.

    OpenID CIBA Core section 4: where it has none, the client's `jwks_uri`.

    Raises:
        SectorError: it does not, or cannot be had.
    """
    if client.sector_identifier_uri is None:
        return
    try:
        listed = msgspec.json.decode(await desk.egress.get(client.sector_identifier_uri), type=list[str])
    except EgressError as error:
        raise SectorError(f"sector_identifier_uri: {error}") from None
    except msgspec.DecodeError:
        raise SectorError("What stands at the sector_identifier_uri is no JSON array of URIs.") from None
    wanted = client.redirect_uris or ((client.jwks_uri,) if client.jwks_uri is not None else ())
    missing = [uri for uri in wanted if uri not in listed]
    if missing or not wanted:
        raise SectorError(
            f"The sector_identifier_uri does not list {missing[0] if missing else 'anything of this client'}."
        )


def _pseudonym(of: _Of, sector: str, value: str, secret: bytes) -> str:
    """43 characters of base64url; neither a host nor a subject has U+0000 in it."""
    key = derive(secret, f"pairwise-{of}")
    return base64url.text(hmac.digest(key, f"{sector}\0{value}".encode(), "sha256"))


def _host(uri: str) -> str:
    return (urlsplit(uri).hostname or "").lower()
