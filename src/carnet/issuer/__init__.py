"""The issuer: an OAuth 2.1 authorization server and OpenID Connect provider (extra `carnet[issuer]`)."""
