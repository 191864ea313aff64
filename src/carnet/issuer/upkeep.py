"""What a running issuer does besides answering: it deletes what nobody can need any more, in small steps."""

import asyncio
import logging

from carnet.ambient import Ambient
from carnet.issuer.config import Config
from carnet.issuer.storage.ports import Store

INTERVAL = 30.0
"""Seconds between two rounds."""
STEP = 500
"""Rows at a time, so that no step keeps requests waiting."""
PAUSE = 0.1

log = logging.getLogger("carnet.upkeep")


async def sweep_forever(store: Store, config: Config, ambient: Ambient) -> None:
    """Sweep until cancelled; what fails is tried again in the next round."""
    while True:
        try:
            now = ambient.now()
            gone = await store.sweep(at=now, limit=STEP)
            old = await store.events.sweep(before=now - config.lifetimes.event, limit=STEP)
            more = max(gone, old) >= STEP
        except Exception:
            log.exception("Expired rows could not be deleted; it is tried again.")
            more = False
        await asyncio.sleep(PAUSE if more else INTERVAL)
