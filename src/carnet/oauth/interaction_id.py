"""FAPI 1.0 Baseline section 6.2.1: the name that one request to a resource has in the logs of client and server."""

import re
from typing import Final
from uuid import UUID

from carnet.ambient import Ambient

HEADER: Final = "x-fapi-interaction-id"

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def of(given: str | None, ambient: Ambient) -> str:
    """What the answer says: the client's own name if that is a UUID (RFC 9562), else a new one."""
    if given is not None and _UUID.fullmatch(given):
        return given
    return str(UUID(bytes=ambient.entropy(16), version=4))
