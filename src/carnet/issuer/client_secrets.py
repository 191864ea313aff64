"""OpenID Connect Core section 10.1: secrets of clients that sign with them, sealed at rest."""

from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.sealing import Sealer


def seal_secret(client_id: str, secret: Opaque, desk: Desk) -> bytes:
    """Seal it for this client alone."""
    return _sealer(desk).seal(secret.value.encode("ascii"), context=client_id.encode())


def open_secret(client_id: str, sealed: bytes, desk: Desk) -> Opaque:
    """Open what `seal_secret` made.

    Raises:
        SealBrokenError: it was sealed under another secret key.
    """
    return Opaque(_sealer(desk).open(sealed, context=client_id.encode()).decode("ascii"))


def _sealer(desk: Desk) -> Sealer:
    return Sealer(desk.secret, "client_secret", ambient=desk.ambient)
