"""The deployment's secret key: whoever has it can open what is sealed at rest."""

import os
import stat
from pathlib import Path

from carnet.ambient import Ambient
from carnet.issuer.config import ConfigError
from carnet.jose import base64url

NAME = "secret.key"
_SHORTEST = 32


def secret_key(directory: Path, ambient: Ambient) -> bytes:
    """The key in the file `secret.key`, which is made where there is none; for its owner's eyes alone.

    Raises:
        ConfigError: others can read the file, or it is too short to be one.
    """
    path = directory / NAME
    if not path.exists():
        _make(path, ambient)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"{path} can be read by others than its owner: run `chmod 600 {path}`.")
    key = path.read_bytes().strip()
    if len(key) < _SHORTEST:
        raise ConfigError(f"{path} holds fewer than {_SHORTEST} bytes: it is not a key that Carnet made.")
    return key


def _make(path: Path, ambient: Ambient) -> None:
    """Two processes that start at once get one key: a link is made whole or not at all, and only once."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{NAME}.{ambient.entropy(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64url.encode(ambient.entropy(32)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
