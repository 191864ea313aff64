"""What the issuer remembers: records, artifacts, the port that every backend offers, and the backends."""

from carnet.issuer.storage.opening import open_store

__all__ = ["open_store"]
