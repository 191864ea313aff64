"""The wire vocabulary of OAuth 2.1 and OpenID Connect: pure functions of values, shared by the issuer and the guards."""
