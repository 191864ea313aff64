"""RFC 7515-7519 and the IANA registries "JOSE" and "JWT": header parameters, claims and key members, explained to people.

`descriptions()` is the plain, JSON-able form of the tables, which the debugger page shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Registered:
    """One registered name."""

    meaning: str
    """What the member is for: a sentence for people."""
    source: str
    """The document and section that define it."""


def _table(*rows: tuple[str, str, str]) -> Mapping[str, Registered]:
    return MappingProxyType({name: Registered(meaning, source) for name, source, meaning in rows})


HEADER_PARAMETERS = _table(
    ("alg", "RFC 7515 4.1.1", "Which algorithm signs this object, or manages the key of an encrypted one."),
    ("enc", "RFC 7516 4.1.2", "Which algorithm encrypts the content."),
    ("zip", "RFC 7516 4.1.3", "The content was compressed before it was encrypted. Carnet refuses that."),
    ("jku", "RFC 7515 4.1.2", "An address to fetch the key from. A verifier must not follow what a token says."),
    ("jwk", "RFC 7515 4.1.3", "A public key inside the token. Trusting it would let everyone sign for themselves."),
    ("kid", "RFC 7515 4.1.4", "Which key of the issuer's key set was used."),
    ("x5u", "RFC 7515 4.1.5", "An address to fetch a certificate from. A verifier must not follow what a token says."),
    ("x5c", "RFC 7515 4.1.6", "A certificate chain inside the token."),
    ("x5t", "RFC 7515 4.1.7", "SHA-1 thumbprint of the key's certificate."),
    ("x5t#S256", "RFC 7515 4.1.8", "SHA-256 thumbprint of the key's certificate."),
    ("typ", "RFC 7515 4.1.9", "What kind of object this is, so that one kind is never taken for another."),
    ("cty", "RFC 7515 4.1.10", "What kind of content is inside; JWT means another token."),
    ("crit", "RFC 7515 4.1.11", "Extensions that the receiver must understand, or else refuse the object."),
    ("b64", "RFC 7797 3", "Whether the payload is base64url-encoded before it is signed."),
    ("url", "RFC 8555 6.4.1", "The address that this request is sent to (certificate management)."),
    ("nonce", "RFC 8555 6.5.2", "A value from the server that makes a replay detectable."),
    ("iv", "RFC 7518 4.7.1.1", "The nonce with which AES-GCM wrapped the content key."),
    ("tag", "RFC 7518 4.7.1.2", "The authentication tag with which AES-GCM wrapped the content key."),
    ("epk", "RFC 7518 4.6.1.1", "The sender's one-time public key for the key agreement."),
    ("apu", "RFC 7518 4.6.1.2", "About the sender: goes into the derived key."),
    ("apv", "RFC 7518 4.6.1.3", "About the recipient: goes into the derived key."),
    ("p2s", "RFC 7518 4.8.1.1", "Salt with which a key is derived from a password."),
    (
        "p2c",
        "RFC 7518 4.8.1.2",
        "How many times the password is hashed. A sender can burn the receiver's time with it.",
    ),
    ("iss", "RFC 7519 5.3", "The issuer, copied from the encrypted claims so that the receiver can find its way."),
    ("sub", "RFC 7519 5.3", "The subject, copied from the encrypted claims."),
    ("aud", "RFC 7519 5.3", "The audience, copied from the encrypted claims."),
    ("jwt", "OpenID4VP", "A token that attests the sender."),
    ("trust_chain", "OpenID Federation 4.3", "Statements that lead from the signer to a trust anchor."),
    ("ppt", "RFC 8225 8.1", "Extension of a telephone call's token (PASSporT)."),
    ("svt", "RFC 9321", "A signature validation token."),
)

CLAIMS = _table(
    ("iss", "RFC 7519 4.1.1", "Issuer: who made this token."),
    ("sub", "RFC 7519 4.1.2", "Subject: whom the token is about."),
    ("aud", "RFC 7519 4.1.3", "Audience: for whom the token is meant. Everybody else must refuse it."),
    ("exp", "RFC 7519 4.1.4", "Expiry: from this moment on the token must be refused."),
    ("nbf", "RFC 7519 4.1.5", "Not before: the token must be refused until then."),
    ("iat", "RFC 7519 4.1.6", "Issued at: when the token was made."),
    ("jti", "RFC 7519 4.1.7", "The token's own identifier, so that it can be taken back or used only once."),
    # OpenID Connect Core: the act of signing in
    ("auth_time", "OIDC Core 2", "When the person last proved who they are."),
    ("nonce", "OIDC Core 2", "The client's value that ties the token to its own sign-in request."),
    ("acr", "OIDC Core 2", "How strong the sign-in was."),
    ("amr", "OIDC Core 2, RFC 8176", "By which means the person signed in."),
    ("azp", "OIDC Core 2", "The client that the token was issued to."),
    ("at_hash", "OIDC Core 3.1.3.6", "Ties the access token that was issued together with this one."),
    ("c_hash", "OIDC Core 3.3.2.11", "Ties the authorization code that was issued together with this token."),
    ("s_hash", "FAPI 1.0 Advanced 5.1", "Ties the request's state."),
    ("sub_jwk", "OIDC Core 7.4", "The public key of a self-issued identity."),
    ("sid", "OIDC Front-Channel Logout 3", "The session at the issuer in which the token was made."),
    # OpenID Connect Core 5.1: about a person
    ("name", "OIDC Core 5.1", "Full name, for display."),
    ("given_name", "OIDC Core 5.1", "First name."),
    ("family_name", "OIDC Core 5.1", "Last name."),
    ("middle_name", "OIDC Core 5.1", "Middle name."),
    ("nickname", "OIDC Core 5.1", "Casual name."),
    ("preferred_username", "OIDC Core 5.1", "The name that the person likes to be addressed by; it may change hands."),
    ("profile", "OIDC Core 5.1", "Address of the person's profile page."),
    ("picture", "OIDC Core 5.1", "Address of the person's picture."),
    ("website", "OIDC Core 5.1", "The person's web site."),
    ("email", "OIDC Core 5.1", "E-mail address. It may change hands: use sub to recognise a person."),
    ("email_verified", "OIDC Core 5.1", "Whether the issuer has checked the e-mail address."),
    ("gender", "OIDC Core 5.1", "Gender."),
    ("birthdate", "OIDC Core 5.1", "Date of birth."),
    ("zoneinfo", "OIDC Core 5.1", "Time zone."),
    ("locale", "OIDC Core 5.1", "Language and region."),
    ("phone_number", "OIDC Core 5.1", "Telephone number."),
    ("phone_number_verified", "OIDC Core 5.1", "Whether the issuer has checked the telephone number."),
    ("address", "OIDC Core 5.1.1", "Postal address."),
    ("updated_at", "OIDC Core 5.1", "When the person's record last changed."),
    ("verified_claims", "OIDC Identity Assurance", "Claims together with how they were checked."),
    ("place_of_birth", "OIDC Identity Assurance", "Place of birth."),
    ("nationalities", "OIDC Identity Assurance", "Nationalities."),
    ("also_known_as", "OIDC Identity Assurance", "Stage name, religious name or another that the person goes by."),
    # OAuth
    ("client_id", "RFC 8693 4.3, RFC 9068 2.2", "The client that the token was issued to."),
    ("scope", "RFC 8693 4.2, RFC 9068 2.2.3", "What the token allows, as names with spaces between them."),
    ("roles", "RFC 9068 2.2.3.1", "The subject's roles."),
    ("groups", "RFC 9068 2.2.3.1", "The groups that the subject belongs to."),
    ("entitlements", "RFC 9068 2.2.3.1", "What the subject is entitled to."),
    ("authorization_details", "RFC 9396 9.1", "What exactly was allowed: one object for each permission."),
    ("act", "RFC 8693 4.1", "Who acts on behalf of the subject."),
    ("may_act", "RFC 8693 4.4", "Who is allowed to act on behalf of the subject."),
    ("cnf", "RFC 7800 3.1", "Confirmation: only the holder of this key may use the token."),
    ("htm", "RFC 9449 4.2", "The HTTP method of the request that this proof was made for."),
    ("htu", "RFC 9449 4.2", "The address of the request that this proof was made for."),
    ("ath", "RFC 9449 4.2", "Hash of the access token that this proof goes with."),
    ("token_introspection", "RFC 9701 5", "The answer of an introspection endpoint."),
    ("software_id", "RFC 7591 2", "Which software the client is."),
    ("software_version", "RFC 7591 2", "The version of the client's software."),
    ("response_type", "RFC 6749 3.1.1, RFC 9101", "What an authorization request asks for."),
    ("redirect_uri", "RFC 6749 3.1.2, RFC 9101", "Where an authorization request wants the answer sent."),
    ("state", "RFC 6749 4.1.1, RFC 9101", "The client's value that comes back with the answer."),
    ("code_challenge", "RFC 7636 4.3, RFC 9101", "The challenge of PKCE."),
    ("code_challenge_method", "RFC 7636 4.3, RFC 9101", "How the challenge of PKCE was made."),
    # Events, revocation, status
    ("events", "RFC 8417 2.2", "What has happened: one member for each kind of event."),
    ("toe", "RFC 8417 2.2", "When the event happened."),
    ("txn", "RFC 8417 2.2", "The transaction that the event belongs to."),
    ("sub_id", "RFC 9493 4.1", "Subject identifier: whom the event concerns."),
    ("event_timestamp", "OpenID CAEP 2", "When the event happened."),
    ("status", "Token Status List", "Where to see whether this token has been taken back."),
    ("status_list", "Token Status List", "The states of many tokens, compressed."),
    ("ttl", "Token Status List", "For how many seconds the list may be kept."),
    ("sep", "Carnet", "The subject's epoch: a token below the subject's current epoch has been taken back."),
    # Selective disclosure and credentials
    ("_sd", "RFC 9901", "Digests of claims that the holder may disclose."),
    ("_sd_alg", "RFC 9901", "The hash with which the digests were made."),
    ("...", "RFC 9901", "Digest of a list's element that the holder may disclose."),
    ("sd_hash", "RFC 9901", "Hash of the credential that this presentation goes with."),
    ("vct", "SD-JWT VC", "What kind of credential this is."),
    ("vc", "W3C Verifiable Credentials", "A verifiable credential."),
    ("vp", "W3C Verifiable Credentials", "A verifiable presentation."),
    # Vectors of trust, telephony
    ("vot", "RFC 8485 3.1", "Vector of trust: how the identity was proved."),
    ("vtm", "RFC 8485 3.1", "The document that defines the vector of trust."),
    ("orig", "RFC 8225 5.2.1", "The caller (telephony)."),
    ("dest", "RFC 8225 5.2.1", "The called (telephony)."),
    ("attest", "RFC 8588", "How sure the operator is of the caller's number (telephony)."),
    ("origid", "RFC 8588", "Opaque identifier of the call's origin (telephony)."),
)

KEY_MEMBERS = _table(
    ("kty", "RFC 7517 4.1", "The family of the key."),
    ("use", "RFC 7517 4.2", "What the key is for: sig (signatures) or enc (encryption)."),
    ("key_ops", "RFC 7517 4.3", "The operations that the key may be used for."),
    ("alg", "RFC 7517 4.4", "The one algorithm that the key is for."),
    ("kid", "RFC 7517 4.5", "The key's name in its set."),
    ("x5u", "RFC 7517 4.6", "Address of the key's certificate."),
    ("x5c", "RFC 7517 4.7", "The key's certificate chain."),
    ("x5t", "RFC 7517 4.8", "SHA-1 thumbprint of the key's certificate."),
    ("x5t#S256", "RFC 7517 4.9", "SHA-256 thumbprint of the key's certificate."),
    ("crv", "RFC 7518 6.2.1.1, RFC 8037 2", "The curve."),
    ("x", "RFC 7518 6.2.1.2, RFC 8037 2", "The public point: its x coordinate, or all of it."),
    ("y", "RFC 7518 6.2.1.3", "The public point's y coordinate."),
    ("n", "RFC 7518 6.3.1.1", "The RSA modulus."),
    ("e", "RFC 7518 6.3.1.2", "The RSA public exponent."),
    ("d", "RFC 7518 6.2.2.1, 6.3.2.1, RFC 8037 2", "The private key."),
    ("p", "RFC 7518 6.3.2.2", "Private: the first prime."),
    ("q", "RFC 7518 6.3.2.3", "Private: the second prime."),
    ("dp", "RFC 7518 6.3.2.4", "Private: exponent of the first prime."),
    ("dq", "RFC 7518 6.3.2.5", "Private: exponent of the second prime."),
    ("qi", "RFC 7518 6.3.2.6", "Private: the coefficient."),
    ("oth", "RFC 7518 6.3.2.7", "Private: further primes."),
    ("k", "RFC 7518 6.4.1", "The secret key."),
    ("pub", "RFC 9964", "The public key."),
    ("priv", "RFC 9964", "The private key."),
    ("iat", "OpenID Federation 8.7", "When the key was made."),
    ("nbf", "OpenID Federation 8.7", "The key is not used before."),
    ("exp", "OpenID Federation 8.7", "The key is not used from then on."),
)

PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
"""RFC 7517 section 8.1, RFC 7518 section 6: members of a key that are secret."""

ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "HS256": "HMAC with SHA-256; one secret both signs and verifies",
        "HS384": "HMAC with SHA-384; one secret both signs and verifies",
        "HS512": "HMAC with SHA-512; one secret both signs and verifies",
        "RS256": "RSA PKCS #1 v1.5 signature with SHA-256",
        "RS384": "RSA PKCS #1 v1.5 signature with SHA-384",
        "RS512": "RSA PKCS #1 v1.5 signature with SHA-512",
        "PS256": "RSA-PSS signature with SHA-256",
        "PS384": "RSA-PSS signature with SHA-384",
        "PS512": "RSA-PSS signature with SHA-512",
        "ES256": "ECDSA signature on P-256 with SHA-256",
        "ES384": "ECDSA signature on P-384 with SHA-384",
        "ES512": "ECDSA signature on P-521 with SHA-512",
        "ES256K": "ECDSA signature on secp256k1 with SHA-256",
        "ESP256": "ECDSA signature on P-256 with SHA-256, fully specified (RFC 9864)",
        "ESP384": "ECDSA signature on P-384 with SHA-384, fully specified (RFC 9864)",
        "ESP512": "ECDSA signature on P-521 with SHA-512, fully specified (RFC 9864)",
        "EdDSA": "Edwards-curve signature; the key says which curve (RFC 9864 prefers Ed25519 or Ed448)",
        "Ed25519": "Edwards-curve signature on Curve25519",
        "Ed448": "Edwards-curve signature on Curve448",
        "ML-DSA-44": "lattice signature that withstands quantum computers (FIPS 204)",
        "ML-DSA-65": "lattice signature that withstands quantum computers (FIPS 204)",
        "ML-DSA-87": "lattice signature that withstands quantum computers (FIPS 204)",
        "none": "no signature at all",
        "dir": "the shared secret itself encrypts the content",
        "A128KW": "AES-128 key wrap with a shared secret",
        "A192KW": "AES-192 key wrap with a shared secret",
        "A256KW": "AES-256 key wrap with a shared secret",
        "A128GCMKW": "AES-128-GCM key wrap with a shared secret",
        "A192GCMKW": "AES-192-GCM key wrap with a shared secret",
        "A256GCMKW": "AES-256-GCM key wrap with a shared secret",
        "RSA1_5": "RSA PKCS #1 v1.5 encryption, which padding oracles break; Carnet refuses it",
        "RSA-OAEP": "RSA-OAEP encryption with SHA-1",
        "RSA-OAEP-256": "RSA-OAEP encryption with SHA-256",
        "ECDH-ES": "elliptic-curve key agreement; the agreed key encrypts the content",
        "ECDH-ES+A128KW": "elliptic-curve key agreement, then AES-128 key wrap",
        "ECDH-ES+A192KW": "elliptic-curve key agreement, then AES-192 key wrap",
        "ECDH-ES+A256KW": "elliptic-curve key agreement, then AES-256 key wrap",
        "PBES2-HS256+A128KW": "a key derived from a password, then AES-128 key wrap",
        "PBES2-HS384+A192KW": "a key derived from a password, then AES-192 key wrap",
        "PBES2-HS512+A256KW": "a key derived from a password, then AES-256 key wrap",
        "A128CBC-HS256": "AES-128-CBC with HMAC-SHA-256",
        "A192CBC-HS384": "AES-192-CBC with HMAC-SHA-384",
        "A256CBC-HS512": "AES-256-CBC with HMAC-SHA-512",
        "A128GCM": "AES-128-GCM",
        "A192GCM": "AES-192-GCM",
        "A256GCM": "AES-256-GCM",
    }
)

TYPES: Mapping[str, str] = MappingProxyType(
    {
        "jwt": "a JSON Web Token of no particular kind",
        "at+jwt": "an access token (RFC 9068)",
        "logout+jwt": "a logout token (OIDC Back-Channel Logout)",
        "dpop+jwt": "a proof of possession for one request (RFC 9449)",
        "secevent+jwt": "a security event (RFC 8417)",
        "oauth-authz-req+jwt": "an authorization request (RFC 9101)",
        "token-introspection+jwt": "an introspection answer (RFC 9701)",
        "client-authentication+jwt": "a client's assertion",
        "kb+jwt": "the holder's proof for a disclosure (RFC 9901)",
        "sd+jwt": "a token with selective disclosure (RFC 9901)",
        "dc+sd-jwt": "a digital credential with selective disclosure",
        "statuslist+jwt": "a list of token states",
        "revocations+jwt": "a message of Carnet's revocation feed",
        "entity-statement+jwt": "a statement of OpenID Federation",
        "jose": "a compact JOSE object",
        "jose+json": "a JOSE object in JSON",
    }
)
"""Media types (without `application/`, RFC 7515 section 4.1.9) that `typ` names."""

AUTHENTICATION_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "face": "face recognition",
        "fpt": "fingerprint",
        "geo": "location",
        "hwk": "key in hardware",
        "iris": "iris scan",
        "kba": "knowledge-based answer",
        "mca": "several channels",
        "mfa": "several factors",
        "otp": "one-time password",
        "pin": "PIN or pattern",
        "pop": "proof of possession of a key",
        "pwd": "password",
        "rba": "risk-based",
        "retina": "retina scan",
        "sc": "smart card",
        "sms": "text message",
        "swk": "key in software",
        "tel": "telephone call",
        "user": "presence of the person",
        "vbm": "voice",
        "wia": "Windows integrated sign-in",
    }
)
"""RFC 8176 section 2."""


def descriptions() -> dict[str, dict[str, dict[str, str]]]:
    """The tables as plain JSON values: `header`, `claims` and `key`, each name with its `meaning` and `source`."""
    tables = {"header": HEADER_PARAMETERS, "claims": CLAIMS, "key": KEY_MEMBERS}
    return {
        title: {name: {"meaning": entry.meaning, "source": entry.source} for name, entry in table.items()}
        for title, table in tables.items()
    }
