"""OpenID Connect Core section 10, RFC 9701, JARM: JWTs as their client is registered to get them, signed and encrypted.

Only to public keys, which clients publish: of a client's secret Carnet keeps no more than a digest, so that nothing can be
encrypted under it (section 10.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from carnet.issuer.config import ENCRYPTION_ALGORITHMS, SIGNING_ALGORITHMS
from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.issuer.storage.records import Client
from carnet.jose import JoseError, SigningKey, sign_jwt
from carnet.jose.encryption_keys import EncryptionKey
from carnet.jose.errors import MalformedError
from carnet.jose.jwe import decrypt_compact, encrypt_compact
from carnet.jose.nested_jwt import MAX_LENGTH, sign_then_encrypt
from carnet.jose.strict_json import encode_object
from carnet.oauth.errors import InvalidRequestError, TemporarilyUnavailableError

Content: TypeAlias = Literal["id_token", "userinfo", "introspection", "authorization"]
CONTENTS: tuple[Content, ...] = get_args(Content)
"""What a client may want in a way of its own: `<content>_signed_response_alg`, `<content>_encrypted_response_alg` and `…_enc`."""

USUAL_ID_TOKEN_ALG = "RS256"
"""OpenID Connect Registration section 2: with what ID tokens are signed where nobody says otherwise. No profile allows it."""

ENVELOPE_MEMBERS = (
    *(
        f"{content}_{member}"
        for content in CONTENTS
        for member in ("signed_response_alg", "encrypted_response_alg", "encrypted_response_enc")
    ),
    "request_object_encryption_alg",
    "request_object_encryption_enc",
)
"""Of a registration; `Client` has them all."""

ENCS = ("A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM", "A256GCM")
"""RFC 7518 section 5.1; the first is the default (OpenID Connect Registration section 2)."""

_JWE_DOTS = 4
"""RFC 7516 section 3.1."""


class EnvelopeError(ValueError):
    """A registration whose answers could not be written; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client is registered for, of one content."""

    signed: str | None
    """None: as the issuer signs by itself, or, where it need not be signed at all, not."""
    encrypted: str | None
    enc: str | None


def wishes(client: Client, content: Content) -> Wishes:
    """Read them from its metadata."""
    return Wishes(
        getattr(client, f"{content}_signed_response_alg"),
        getattr(client, f"{content}_encrypted_response_alg"),
        getattr(client, f"{content}_encrypted_response_enc"),
    )


@dataclass(frozen=True, slots=True)
class Envelope:
    """A key to sign with, and the client's own where it wants that nobody else reads it."""

    key: SigningKey
    recipient: EncryptionKey | None = None
    enc: str = ENCS[0]

    def close(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Section 10.2: signed, and then encrypted."""
        if self.recipient is None:
            return sign_jwt(claims, self.key, typ=typ)
        return sign_then_encrypt(claims, self.key, self.recipient, typ=typ, enc=self.enc)

    def conceal(self, claims: Mapping[str, Any]) -> str:
        """Section 5.3.2: encrypted and not signed, for a client that is registered for that."""
        if self.recipient is None:
            raise ValueError("There is nobody to encrypt to.")
        return encrypt_compact(encode_object(claims), self.recipient, enc=self.enc)


async def envelope(content: Content, client: Client, desk: Desk) -> Envelope:
    """The client's envelope for a content.

    Raises:
        TemporarilyUnavailableError: its keys cannot be fetched.
        InvalidRequestError: none of its keys is for what it is registered for.
    """
    wanted = wishes(client, content)
    key = await desk.keyring.signing_key(wanted.signed)
    if wanted.encrypted is None:
        return Envelope(key)
    alg = wanted.encrypted
    try:
        document = await desk.client_keys.document(client, has=lambda jwks: recipient(jwks, alg) is not None)
    except EgressError as error:
        raise TemporarilyUnavailableError(
            "The keys that the client wants to be encrypted to cannot be had now.", why=str(error)
        ) from None
    found = recipient(document, alg)
    if found is None:
        raise InvalidRequestError(
            f"The client is registered for {content}_encrypted_response_alg {alg}, and has no such key."
        )
    return Envelope(key, found, wanted.enc or ENCS[0])


def recipient(jwks: Mapping[str, Any], alg: str) -> EncryptionKey | None:
    """RFC 7517 section 4.2: the first key for `alg`, one that says that it is for encryption before one that does not say."""
    keys = [key for key in jwks["keys"] if isinstance(key, Mapping)]
    for jwk in sorted(keys, key=lambda key: key.get("use") != "enc"):
        try:
            return EncryptionKey.from_jwk(jwk, alg=alg)
        except JoseError:
            continue
    return None


async def out_of_envelope(token: str, desk: Desk) -> str:
    """RFC 9101 section 6.1, Core section 3.1.2.1: a JWT that a client has encrypted to the issuer; any other as it is.

    Raises:
        JoseError: it cannot be opened, or there is no JWT inside.
    """
    if token.count(".") != _JWE_DOTS:
        return token
    opened = decrypt_compact(token, await desk.keyring.decryption_keys(), enc=ENCS, max_length=MAX_LENGTH)
    if str(opened.header.get("cty", "JWT")).upper() != "JWT" or not opened.plaintext.isascii():
        raise MalformedError("What is encrypted is no JWT.")
    return opened.plaintext.decode("ascii")


def check_envelopes(client: Client) -> None:
    """Refuse what is not there, or could not be done.

    Raises:
        EnvelopeError: says why.
    """
    for content in CONTENTS:
        wanted = wishes(client, content)
        if wanted.signed not in {None, *SIGNING_ALGORITHMS}:
            raise EnvelopeError(f"{content}_signed_response_alg is one of {', '.join(SIGNING_ALGORITHMS)}.")
        _check_encryption(client, content, wanted)
    if client.request_object_encryption_alg not in {None, *ENCRYPTION_ALGORITHMS}:
        raise EnvelopeError(f"request_object_encryption_alg is one of {', '.join(ENCRYPTION_ALGORITHMS)}.")
    if client.request_object_encryption_enc is not None and client.request_object_encryption_alg is None:
        raise EnvelopeError("request_object_encryption_enc goes with request_object_encryption_alg.")
    if client.request_object_encryption_enc not in {None, *ENCS}:
        raise EnvelopeError(f"request_object_encryption_enc is one of {', '.join(ENCS)}.")


def _check_encryption(client: Client, content: Content, wanted: Wishes) -> None:
    if wanted.encrypted is None:
        if wanted.enc is not None:
            raise EnvelopeError(f"{content}_encrypted_response_enc goes with {content}_encrypted_response_alg.")
        return
    if wanted.encrypted not in ENCRYPTION_ALGORITHMS:
        raise EnvelopeError(
            f"{content}_encrypted_response_alg is one of {', '.join(ENCRYPTION_ALGORITHMS)}: "
            "nothing is encrypted under a client's secret, of which only a digest is kept."
        )
    if wanted.enc not in {None, *ENCS}:
        raise EnvelopeError(f"{content}_encrypted_response_enc is one of {', '.join(ENCS)}.")
    if client.jwks is None and client.jwks_uri is None:
        raise EnvelopeError(f"{content}_encrypted_response_alg needs the client's public keys: give jwks or jwks_uri.")
    if client.jwks is not None and recipient(client.jwks, wanted.encrypted) is None:
        raise EnvelopeError(f"jwks has no key that can be encrypted to with {wanted.encrypted}.")
