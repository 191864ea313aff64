"""The records that the cases store: one person, one client and one session, and artifacts of theirs."""

from hashlib import sha256
from typing import Any

from carnet.issuer.storage.ports import Fresh, Spent, Store
from carnet.issuer.storage.records import (
    Account,
    Artifact,
    ArtifactKind,
    Client,
    Consent,
    Digest,
    Revocation,
    RevocationKind,
    Session,
    SigningKeyRecord,
)

NOW = 1_800_000_000
DAY = 86_400


def digest(text: str) -> Digest:
    return sha256(text.encode()).digest()


def account(subject: str = "ada", **members: Any) -> Account:
    given = {"subject": subject, "email": f"{subject}@example.org", "created_at": NOW, "updated_at": NOW, **members}
    return Account(**given)


def client(client_id: str = "shop", **members: Any) -> Client:
    given = {"client_id": client_id, "client_name": client_id.title(), "created_at": NOW, "updated_at": NOW, **members}
    return Client(**given)


def session(sid: str = "s1", *, subject: str = "ada", **members: Any) -> Session:
    given = {
        "sid": sid,
        "digest": digest(f"cookie of {sid}"),
        "subject": subject,
        "auth_time": NOW,
        "amr": ("pwd",),
        "created_at": NOW,
        "seen_at": NOW,
        "expires_at": NOW + 14 * DAY,
        **members,
    }
    return Session(**given)


def artifact(name: str, kind: ArtifactKind = "refresh_token", **members: Any) -> Artifact:
    """Ada's, at the shop, in session s1 and family f1, unless it is said otherwise."""
    given = {
        "kind": kind,
        "digest": digest(name),
        "family": "f1",
        "subject": "ada",
        "client_id": "shop",
        "sid": "s1",
        "document": name.encode(),
        "created_at": NOW,
        "expires_at": NOW + 30 * DAY,
        **members,
    }
    return Artifact(**given)


def ownerless(name: str, kind: ArtifactKind = "replay_id", **members: Any) -> Artifact:
    """What belongs to nobody, such as the `jti` of a proof that must not come twice."""
    return artifact(name, kind, **{"family": None, "subject": None, "client_id": None, "sid": None, **members})


def consent(*scope: str, subject: str = "ada", client_id: str = "shop") -> Consent:
    return Consent(subject=subject, client_id=client_id, scope=scope, granted_at=NOW)


def signing_key(kid: str, **members: Any) -> SigningKeyRecord:
    given = {
        "kid": kid,
        "alg": "ES256",
        "public": {"kty": "EC", "kid": kid},
        "sealed": b"sealed " + kid.encode(),
        "created_at": NOW,
        "signs_from": NOW,
        **members,
    }
    return SigningKeyRecord(**given)


def revocation(value: str, kind: RevocationKind = "session", **members: Any) -> Revocation:
    given = {"kind": kind, "value": value, "expires_at": NOW + 400, **members}
    return Revocation(**given)


async def settle(store: Store, *subjects: str) -> None:
    """Store an account (ada, unless others are named), the client shop, and a session s1, s2… for each account."""
    await store.clients.add(client())
    for number, subject in enumerate(subjects or ("ada",), start=1):
        await store.accounts.add(account(subject))
        assert await store.sessions.start(session(f"s{number}", subject=subject))


async def rotate(store: Store, before: str, after: str, *, at: int = NOW, **members: Any) -> Fresh | Spent | None:
    """Spend one refresh token into the next."""
    return await store.artifacts.spend(
        "refresh_token", digest(before), at=at, into=[artifact(after, **members)], receipt=after.encode()
    )


async def lives(store: Store, name: str, kind: ArtifactKind = "refresh_token", *, at: int = NOW) -> bool:
    return isinstance(await store.artifacts.get(kind, digest(name), at=at), Artifact)
