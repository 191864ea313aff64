"""What tests of Carnet, and of what is built on it, need: a clock that can be set, and the storage conformance suite."""

from carnet.testing.ambient import Clock

__all__ = ["Clock"]
