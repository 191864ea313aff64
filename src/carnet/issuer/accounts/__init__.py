"""People: their accounts, passwords, sessions and apps."""
