"""Four small services that trust the issuer's tokens: read them, copy them."""
