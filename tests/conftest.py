"""What every test may ask for."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Carnet runs on asyncio."""
    return "asyncio"
