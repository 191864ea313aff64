"""The demo: an issuer, four services and a shop's front end, each a process of its own, with sample people and goods."""
