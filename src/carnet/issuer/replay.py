"""RFC 7519 section 4.1.7, rule O3: identifiers that are accepted once."""

from hashlib import sha256

from carnet.ambient import Instant
from carnet.issuer.desk import Desk
from carnet.issuer.storage.ports import AlreadyExistsError
from carnet.issuer.storage.records import Artifact


async def seen_before(purpose: str, owner: str, identifier: str, desk: Desk, *, until: Instant) -> bool:
    """Note an owner's identifier; True if it was noted before. One of two requests at once gets False.

    `until`: when what carries it is refused for its age anyhow.
    """
    digest = sha256(f"{purpose}\0{owner}\0{identifier}".encode()).digest()
    note = Artifact(kind="replay_id", digest=digest, created_at=desk.ambient.now(), expires_at=until)
    try:
        await desk.store.artifacts.put(note)
    except AlreadyExistsError:
        return True
    return False
