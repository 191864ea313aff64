"""What the issuer remembers: records, artifacts, the port that every backend offers, and the backends."""
