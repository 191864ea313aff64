"""One file for each URL; `carnet.issuer.app` lists them."""
