"""The frozen composition that every endpoint, grant and login method gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from carnet.ambient import Ambient
from carnet.issuer.config import Config
from carnet.issuer.storage.ports import Store

if TYPE_CHECKING:  # these know the desk's neighbours themselves: no circle at run time
    from carnet.issuer.catalogue import Definitions
    from carnet.issuer.client_auth.method import ClientAuthentication
    from carnet.issuer.client_directory import ClientDirectory
    from carnet.issuer.client_keys import ClientKeys
    from carnet.issuer.egress import Egress
    from carnet.issuer.endpoint import Endpoint
    from carnet.issuer.keyring import Keyring
    from carnet.issuer.pages import Pages
    from carnet.issuer.passwords import Passwords
    from carnet.issuer.revocation.publisher import Publisher
    from carnet.issuer.revocation.status_lists import StatusLists
    from carnet.jose.client_certificates import Authorities


@dataclass(frozen=True, slots=True)
class Desk:
    """What is on the issuer's desk; `carnet.issuer.app.open_desk` makes it."""

    config: Config
    store: Store
    keyring: Keyring
    ambient: Ambient
    passwords: Passwords
    pages: Pages
    definitions: Definitions
    publisher: Publisher
    status_lists: StatusLists
    egress: Egress
    client_keys: ClientKeys
    directory: ClientDirectory
    authentications: tuple[ClientAuthentication, ...]
    """How clients can authenticate under these settings."""
    client_authorities: Authorities | None
    """RFC 8705 section 2.1: who is believed about clients' certificates."""
    secret: bytes = field(repr=False)
    """The deployment's secret key, at least 32 bytes: `Sealer` and `derive` make keys for one purpose each from it."""
    metadata: Mapping[str, Any]
    """RFC 8414 section 2: what discovery says; made from what is really there."""
    endpoints: tuple[Endpoint, ...] = field(repr=False)
    """What is really there, for whoever describes it."""
    longest_access_token: int = 3_600
    """Seconds that a new access token lives at most. In `config.lifetimes` there may still be an older bound, which the feed's
    entries have to outlive."""
    polling: set[str] = field(default_factory=set)
    """RFC 8936 section 2.4: the streams whose receivers wait at this node for the next event."""
