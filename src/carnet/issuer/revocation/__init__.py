"""The revocation feed as the issuer gives it: one publisher for each node, and what its endpoints answer."""
