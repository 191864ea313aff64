"""What ends a command early: one line on standard error, and the exit status that scripts look at."""


class CommandError(Exception):
    """The command could not do what was asked; exit 1. The message is one line that says what to do."""

    status = 1


class UsageError(CommandError):
    """The command was called in a way that cannot be meant; exit 2."""

    status = 2
