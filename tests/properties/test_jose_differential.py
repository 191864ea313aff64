"""Carnet beside two peers on the same tokens: nothing that only Carnet accepts, and the same content wherever several accept."""

import json
import warnings
from base64 import urlsafe_b64encode
from contextlib import suppress
from functools import cache

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import event, given, settings
from hypothesis import strategies as st

from carnet.jose import JoseError, JwtVerifier, KeySet, SigningKey
from carnet.jose.encryption_keys import DecryptionKey
from carnet.jose.jwe import decrypt_compact
from carnet.jose.jws import verify_compact

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own deprecations
    import joserfc.jwe
    import joserfc.jwk
    import joserfc.jws
    import joserfc.jwt
    import jwcrypto.jwe
    import jwcrypto.jwk
    import jwcrypto.jws

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")

ALGORITHMS = ("HS256", "RS256", "PS256", "ES256")


@cache
def key_of(alg):
    return SigningKey.from_jwk(SigningKey.generate(alg).to_jwk() | {"kid": "k"}, alg=alg)


@cache
def peer_keys(alg):
    jwk = key_of(alg).to_jwk() if alg == "HS256" else key_of(alg).public().to_jwk()
    return joserfc.jwk.import_key(jwk), jwcrypto.jwk.JWK(**jwk)


def carnet(alg, token):
    try:
        return verify_compact(token, KeySet([key_of(alg).public()]), algorithms=[alg]).payload
    except JoseError:
        return None


def by_joserfc(alg, token):
    try:
        return joserfc.jws.deserialize_compact(token.encode(), peer_keys(alg)[0], algorithms=[alg]).payload
    except Exception:  # noqa: BLE001 - whatever it raises, it did not accept
        return None


def by_jwcrypto(alg, token):
    try:
        found = jwcrypto.jws.JWS()
        found.allowed_algs = [alg]
        found.deserialize(token, peer_keys(alg)[1])
    except Exception:  # noqa: BLE001
        return None
    return found.payload


def encoded(octets):
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


spaces = st.sampled_from(["", " ", "\n", "\t "])
names = st.sampled_from(["kid", "typ", "cty", "x", "crit", "b64", "jwk", "zip", "\\u0061lg"])
values = st.sampled_from(
    ['"k"', '"JWT"', '"x"', "1", "null", "true", "[]", '["x"]', '["b64"]', "{}", '"\\ud800"', "1e400", "NaN"]
)


@st.composite
def headers(draw):
    """The text of a header: mostly a good one, with members, spaces and spellings that parsers disagree on."""
    alg = draw(st.sampled_from(ALGORITHMS))
    members = [f'"alg":{draw(spaces)}"{alg}"'] + [
        f'"{draw(names)}"{draw(spaces)}:{draw(values)}' for _ in range(draw(st.integers(0, 2)))
    ]
    text = "{" + ",".join(draw(st.permutations(members))) + "}" + draw(spaces)
    return alg, draw(st.sampled_from([text, text, text, "\ufeff" + text, f"[{text}]", text + "}"])).encode(
        "utf-8", "surrogatepass"
    )


@given(headers(), st.binary(max_size=12))
@settings(deadline=None, max_examples=200)
def test_no_header_that_an_honest_key_signed_is_accepted_by_carnet_alone(header, payload):
    alg, text = header
    signed = f"{encoded(text)}.{encoded(payload)}"
    token = f"{signed}.{encoded(key_of(alg).sign(signed.encode()))}"
    found = carnet(alg, token)
    if found is None:
        return
    assert found == payload
    assert payload in {by_joserfc(alg, token), by_jwcrypto(alg, token)}


@given(st.sampled_from(ALGORITHMS), st.data())
@settings(deadline=None, max_examples=200)
def test_no_spelling_of_a_good_token_is_accepted_by_carnet_alone(alg, data):
    key = key_of(alg)
    signed = f"{encoded(json.dumps({'alg': alg, 'kid': 'k'}).encode())}.{encoded(b'content')}"
    token = f"{signed}.{encoded(key.sign(signed.encode()))}"
    position = data.draw(st.integers(0, len(token)))
    change = data.draw(st.sampled_from(["", "=", ".", "A", "-", "_", "+", "\n", " ", "\0", "é"]))
    spoilt = token[:position] + change + token[position + data.draw(st.integers(0, 1)) :]
    found = carnet(alg, spoilt)
    if found is None:
        return
    assert spoilt == token
    assert by_joserfc(alg, token) == by_jwcrypto(alg, token) == found == b"content"


# Encrypted content

CONTENT_KEY = DecryptionKey.from_secret(bytes(range(16)), alg="dir", kid="k")


def decrypted(token):
    try:
        return decrypt_compact(token, [CONTENT_KEY], enc=["A128GCM"]).plaintext
    except JoseError:
        return None


def decrypted_by_peers(token):
    jwk = {"kty": "oct", "k": encoded(CONTENT_KEY.material.value)}
    algorithms = ["dir", "A128GCM"]
    found = []
    with suppress(Exception):  # whatever they raise, they did not accept
        found.append(joserfc.jwe.decrypt_compact(token, joserfc.jwk.import_key(jwk), algorithms=algorithms).plaintext)
    with suppress(Exception):
        peer = jwcrypto.jwe.JWE(algs=algorithms)
        peer.deserialize(token, jwcrypto.jwk.JWK(**jwk))
        found.append(peer.payload)
    return found


def sealed(header: bytes, plaintext: bytes) -> str:
    protected = encoded(header)
    octets = AESGCM(CONTENT_KEY.material.value).encrypt(bytes(12), plaintext, protected.encode())
    return ".".join((protected, "", encoded(bytes(12)), encoded(octets[:-16]), encoded(octets[-16:])))


@st.composite
def encryption_headers(draw):
    """As `headers`, for a key that is shared."""
    members = [f'"alg":{draw(spaces)}"dir"', f'"enc":{draw(spaces)}"A128GCM"'] + [
        f'"{draw(names)}"{draw(spaces)}:{draw(values)}' for _ in range(draw(st.integers(0, 2)))
    ]
    text = "{" + ",".join(draw(st.permutations(members))) + "}" + draw(spaces)
    return draw(st.sampled_from([text, text, text, f"[{text}]", text + "}"])).encode("utf-8", "surrogatepass")


@given(encryption_headers(), st.binary(min_size=1, max_size=12))  # jwcrypto does not tell empty content from none
@settings(deadline=None, max_examples=200)
def test_no_header_that_the_key_s_holder_encrypted_under_is_accepted_by_carnet_alone(header, plaintext):
    token = sealed(header, plaintext)
    found = decrypted(token)
    event("refused" if found is None else "accepted")
    if found is not None:
        assert found == plaintext
        assert plaintext in decrypted_by_peers(token)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_no_spelling_of_encrypted_content_is_accepted_by_carnet_alone(data):
    token = sealed(b'{"alg":"dir","enc":"A128GCM"}', b"content")
    position = data.draw(st.integers(0, len(token)))
    change = data.draw(st.sampled_from(["", "=", ".", "A", "-", "_", "+", "\n", " ", "\0", "é"]))
    spoilt = token[:position] + change + token[position + data.draw(st.integers(0, 1)) :]
    if (found := decrypted(spoilt)) is not None:
        assert spoilt == token
        assert decrypted_by_peers(token) == [found, found] == [b"content", b"content"]


# Claims

NOW = 1_700_000_000
ISSUER, AUDIENCE = "https://i.example", "orders"
moments = st.one_of(
    st.integers(NOW - 2, NOW + 2),
    st.sampled_from([0, -1, NOW + 0.5, float(NOW), 1e300, True, None, "1700000001", [NOW + 1], 2**53 - 1]),
)
CLAIMS = {
    "iss": st.sampled_from([ISSUER, ISSUER, ISSUER, f"{ISSUER}/", "", None, [ISSUER], 1]),
    "aud": st.sampled_from(
        [AUDIENCE, AUDIENCE, [AUDIENCE], ["a", AUDIENCE], "Orders", [], "", None, [None], {AUDIENCE: 1}]
    ),
    "sub": st.sampled_from(["ada", "ada", "", None, 7, ["ada"]]),
    "exp": moments,
    "iat": moments,
    "nbf": moments,
}


GOOD = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 1, "iat": NOW}
some = st.sets(st.sampled_from(sorted(CLAIMS)), max_size=2)


@given(st.fixed_dictionaries(CLAIMS), some, some)
@settings(deadline=None, max_examples=400)
def test_no_claims_are_accepted_by_carnet_alone(drawn, changed, gone):
    claims = {name: value for name, value in GOOD.items() if name not in gone} | {name: drawn[name] for name in changed}
    key = key_of("HS256")
    header = {"alg": "HS256", "kid": "k", "typ": "at+jwt"}
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    token = f"{signed}.{encoded(key.sign(signed.encode()))}"
    verifier = JwtVerifier(
        keys=KeySet([key.public()]), algorithms=("HS256",), issuer=ISSUER, audience=AUDIENCE, typ="at+jwt"
    )
    try:
        found = verifier.verify(token, at=NOW)
    except JoseError:
        event("refused")
        return
    event("accepted")
    decoded = joserfc.jwt.decode(token, peer_keys("HS256")[0], algorithms=["HS256"])
    joserfc.jwt.JWTClaimsRegistry(
        now=NOW,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    ).validate(decoded.claims)
    assert json.loads(json.dumps(found.claims)) == decoded.claims == claims
