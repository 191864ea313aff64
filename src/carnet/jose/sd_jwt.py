"""RFC 9901: JWTs whose holder chooses what to show, issued, presented and verified in the compact serialization."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from carnet.ambient import Instant
from carnet.jose import base64url
from carnet.jose.claims import (
    check_age,
    check_audience,
    check_issuer,
    check_presence,
    check_strings,
    check_times,
    check_type,
    media_type,
)
from carnet.jose.disclosures import Concealment, Path, Revelation, digest, hash_name
from carnet.jose.errors import (
    ClaimError,
    MalformedError,
    MissingClaimError,
    SignatureInvalidError,
    TooLargeError,
    shown,
)
from carnet.jose.header import parse_header
from carnet.jose.jws import allowed, check_signature, split_compact
from carnet.jose.jwt import sign_jwt
from carnet.jose.key_choice import embedded_key
from carnet.jose.key_set import KeySet
from carnet.jose.keys import SigningKey, VerifyingKey
from carnet.jose.strict_json import JsonObject, parse_object

MAX_LENGTH = 64 * 1024
MAX_DISCLOSURES = 256
_BINDING_TYPE = "kb+jwt"
_NEVER_CONCEALED = frozenset({"iss", "aud", "exp", "nbf", "iat", "cnf", "_sd_alg"})


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """What a verifier that wants the holder's proof asks of it (RFC 9901 section 7.3)."""

    algorithms: Collection[str]
    audience: str
    nonce: str
    max_age: int
    """Seconds since the proof was made."""


@dataclass(frozen=True, slots=True)
class Disclosed:
    """What a verified presentation shows. Only `verify_presentation` makes one."""

    header: JsonObject
    claims: JsonObject
    """The issuer's claims, with what was disclosed and without what was not."""
    holder: VerifyingKey | None
    """The key whose possession was proved; None where the verifier did not ask for it."""


def issue(
    claims: Mapping[str, Any],
    key: SigningKey,
    *,
    typ: str,
    disclosable: Collection[Path],
    entropy: Callable[[int], bytes],
    holder: VerifyingKey | None = None,
    decoys: int = 0,
) -> str:
    """Sign `claims`, of which the holder may keep back those at the paths `disclosable`, such as `("address", "street")`.

    With `holder`, the token is bound to that key (`cnf`), so that nobody else can present it. `entropy` makes the salts.

    Raises:
        MalformedError: there is nothing at a path, a name is reserved, or a claim that decides on validity would be concealed.
    """
    hidden = {path[0] for path in disclosable if path} & _NEVER_CONCEALED
    if hidden:
        raise MalformedError(f"{', '.join(sorted(map(str, hidden)))} must be seen by everybody (RFC 9901 section 9.7).")
    if holder is not None:
        claims = {**claims, "cnf": {"jwk": holder.to_jwk()}}
    concealment = Concealment(disclosable, entropy=entropy, decoys=decoys)
    issued = sign_jwt(concealment.payload(claims), key, typ=typ)
    return "~".join([issued, *(item.encoded for item in concealment.disclosures), ""])


def disclosable_paths(token: str) -> frozenset[Path]:
    """For the holder: the paths that a token from the issuer lets one show or keep back. Nothing is verified.

    Raises:
        JoseError: it is malformed, or is a presentation already.
    """
    return frozenset(_unverified(token).places)


def present(token: str, show: Collection[Path]) -> str:
    """For the holder: the token with the disclosures at the paths `show`, and those that these stand in.

    Raises:
        JoseError: the token is malformed, or nothing can be disclosed at one of the paths.
    """
    places = _unverified(token).places
    missing = set(show) - places.keys()
    if missing:
        raise MalformedError(f"There is nothing to disclose at {shown(min(missing, key=repr))}.")
    chosen = {path[:length] for path in show for length in range(1, len(path) + 1)}
    encoded = [disclosure.encoded for path, disclosure in places.items() if path in chosen]
    return "~".join([token.partition("~")[0], *encoded, ""])


def bind(presentation: str, key: SigningKey, *, audience: str, nonce: str, at: Instant) -> str:
    """RFC 9901 section 4.3: add the holder's proof to a presentation, for one verifier and its nonce.

    Raises:
        JoseError: the presentation is malformed, or is bound already.
    """
    issued, _, proof = _split(presentation)
    if proof:
        raise MalformedError("It is bound already.")
    payload = parse_object(base64url.decode(split_compact(issued, MAX_LENGTH)[3]))
    claims = {"iat": at, "aud": audience, "nonce": nonce, "sd_hash": digest(presentation, hash_name(payload))}
    return presentation + sign_jwt(claims, key, typ=_BINDING_TYPE)


def verify_presentation(  # noqa: PLR0913 - a verification is its policy: each rule is named where it is made
    presentation: str,
    *,
    keys: KeySet,
    algorithms: Collection[str],
    issuer: str,
    typ: str,
    at: Instant,
    audience: str | None = None,
    binding: KeyBinding | None = None,
    leeway: int = 0,
    required: Collection[str] = ("exp",),
) -> Disclosed:
    """RFC 9901 section 7: verify what a holder presents.

    Whom it is for is always checked: by `binding`, the holder's proof, or by `audience`, the token's own `aud`. A proof that was
    not asked for is refused, since nobody would check it.

    Raises:
        ValueError: neither `audience` nor `binding` is given.
        JoseError: it is refused; `code` says why.
    """
    if audience is None and binding is None:
        raise ValueError("A presentation is for somebody: give an audience or a binding.")
    issued, disclosures, proof = _split(presentation)
    signed, signature, header_segment, payload_segment = split_compact(issued, MAX_LENGTH)
    header = parse_header(header_segment)
    check_type(header.get("typ"), (media_type(typ),))
    check_signature(header, signed, signature, keys, allowed(algorithms))
    payload = parse_object(base64url.decode(payload_segment))
    claims = Revelation(payload, disclosures).claims
    check_issuer(claims, issuer)
    if audience is not None:
        check_audience(claims, (audience,))
    check_times(claims, at=at, leeway=leeway)
    check_presence(claims, required)
    check_strings(claims)
    if binding is None:
        if proof:
            raise MalformedError("There is a proof of key binding, which this verifier does not ask for.")
        return Disclosed(header, claims, None)
    if not proof:
        raise MissingClaimError("The holder's proof of key binding is missing.", claim="cnf")
    holder = _check_binding(presentation.removesuffix(proof), proof, payload, binding, at=at, leeway=leeway)
    return Disclosed(header, claims, holder)


def _check_binding(
    presented: str, proof: str, payload: JsonObject, binding: KeyBinding, *, at: Instant, leeway: int
) -> VerifyingKey:
    """RFC 9901 section 7.3, item 5."""
    signed, signature, header_segment, payload_segment = split_compact(proof, MAX_LENGTH)
    header = parse_header(header_segment)
    check_type(header.get("typ"), (_BINDING_TYPE,))
    confirmation = payload.get("cnf")  # the issuer's own (RFC 9901 section 4.1.2), never one that was disclosed
    jwk = confirmation.get("jwk") if isinstance(confirmation, JsonObject) else None
    holder = embedded_key(jwk, header["alg"], allowed(binding.algorithms))
    if not holder.verify(signed, base64url.decode(signature)):
        raise SignatureInvalidError("The proof's signature is not that of the key that the token is bound to.")
    claims = parse_object(base64url.decode(payload_segment))
    check_presence(claims, ("iat", "aud", "nonce", "sd_hash"))
    check_times(claims, at=at, leeway=leeway)
    check_age(claims, at=at, max_age=binding.max_age, leeway=leeway)
    if not isinstance(claims["aud"], str):
        raise ClaimError("The proof's 'aud' is not a single string (RFC 9901 section 4.3).", claim="aud")
    check_audience(claims, (binding.audience,))
    if claims["nonce"] != binding.nonce:
        raise ClaimError("The proof's 'nonce' is not the one that was given.", claim="nonce")
    if claims["sd_hash"] != digest(presented, hash_name(payload)):
        raise ClaimError("The proof's 'sd_hash' is of another presentation.", claim="sd_hash")
    return holder


def _split(presentation: str) -> tuple[str, list[str], str]:
    """RFC 9901 section 4: the issuer's JWT, the disclosures, and the holder's proof, which is empty if there is none.

    Raises:
        TooLargeError, MalformedError
    """
    if presentation.__class__ is not str:
        raise MalformedError(f"A presentation is a str, not a {type(presentation).__name__}.")
    if len(presentation) > MAX_LENGTH:
        raise TooLargeError(f"The presentation has {len(presentation)} characters, at most {MAX_LENGTH} are read.")
    if not presentation.isascii():
        raise MalformedError("The presentation has characters outside of ASCII.")
    issued, *parts = presentation.split("~")
    if not parts:
        raise MalformedError(
            "The presentation is not a JWT and disclosures with a tilde after each (RFC 9901 section 4)."
        )
    if len(parts) > MAX_DISCLOSURES + 1:
        raise TooLargeError(f"There are {len(parts) - 1} disclosures, at most {MAX_DISCLOSURES} are read.")
    return issued, parts[:-1], parts[-1]


def _unverified(token: str) -> Revelation:
    issued, disclosures, proof = _split(token)
    if proof:
        raise MalformedError("It is a presentation with a proof, and not what the issuer gave (RFC 9901 section 7.2).")
    return Revelation(parse_object(base64url.decode(split_compact(issued, MAX_LENGTH)[3])), disclosures)
