"""Which backend a deployment uses: decided by the scheme of its database URL."""

from dataclasses import dataclass
from importlib import import_module
from typing import cast
from urllib.parse import urlsplit

from carnet.ambient import Ambient
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.storage.ports import Store


@dataclass(frozen=True, slots=True)
class Backend:
    name: str
    module: str
    """It has `open_store(config, ambient) -> Store`, and is imported only where it is used."""
    schemes: tuple[str, ...]
    """Of database URLs; the empty one is for no URL at all."""


BACKENDS = (
    Backend("SQLite", "carnet.issuer.storage.sqlite", ("",)),
    Backend("PostgreSQL", "carnet.issuer.storage.postgresql", ("postgresql", "postgres")),
)


def open_store(config: Config, ambient: Ambient) -> Store:
    """Open the store of a deployment; call `migrate` before anything else.

    Raises:
        ConfigError: no backend takes this database URL.
        StorageError: the file or the database cannot be used.
    """
    scheme = "" if config.database is None else urlsplit(config.database).scheme
    for backend in BACKENDS:
        if scheme in backend.schemes and (config.database is None) == (scheme == ""):
            return cast(Store, import_module(backend.module).open_store(config, ambient))
    raise ConfigError("database is not a URL that starts with postgresql://; leave it out for SQLite.")
