"""The `carnet` command."""
