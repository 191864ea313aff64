"""The public conformance suite, on every backend of Carnet."""

import pytest

from carnet.testing.storage import *  # noqa: F403 - as whoever writes a backend runs it

pytestmark = pytest.mark.anyio
