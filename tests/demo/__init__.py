"""A package, so that what its fixtures of scope "package" start ends with the last test in here."""
