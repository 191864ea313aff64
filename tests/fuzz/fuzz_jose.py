"""RFC 7515-7519, 9901: whatever a stranger sends, the token core answers with its own errors, and accepts nothing that peers refuse.

Coverage-guided (atheris, libFuzzer): `make fuzz` runs it for five minutes; options go to libFuzzer (`-max_total_time=3600`,
`-runs=…`, or a file that was written for a failure). What was found to be interesting is kept in the folder `.fuzz`.

The first byte of an input chooses what the rest is. Two of the kinds are signed by an honest key here, so that the fuzzer gets
past the signature; what is verified then is given to PyJWT and joserfc too.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["carnet"]):
    from carnet.jose import JoseError, JwtVerifier, KeySet, SigningKey, VerifyingKey, inspect, sign_jwt
    from carnet.jose.base64url import encode
    from carnet.jose.encryption_keys import DecryptionKey
    from carnet.jose.jwe import decrypt_compact, encrypt_compact
    from carnet.jose.jwe_json import decrypt_flattened, decrypt_general, encrypt_flattened
    from carnet.jose.jws import verify_compact
    from carnet.jose.jws_json import sign_flattened, sign_general, verify_flattened, verify_general
    from carnet.jose.proof import verify_proof
    from carnet.jose.sd_jwt import KeyBinding, issue, verify_presentation
    from carnet.jose.strict_json import encode_object, parse_object

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own deprecations
    import joserfc.jwk
    import joserfc.jws
    import jwt

CORPUS = Path(__file__).parents[2] / ".fuzz"
NOW = int(time.time())
ISSUER, AUDIENCE = "https://i.example", "orders"
SECRET = bytes(range(64))
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": NOW - 10, "exp": NOW + 86_400}

KEY = SigningKey.from_secret(SECRET, alg="HS256", kid="k")
KEYS = KeySet([KEY.public()])
CURVE = SigningKey.generate("ES256")
CURVES = KeySet([CURVE.public()])
WRAP = DecryptionKey.from_secret(SECRET[:32], alg="A256KW")
DIRECT = DecryptionKey.from_secret(SECRET[:32], alg="dir")
PEER = joserfc.jwk.OctKey.import_key(SECRET)
VERIFIER = JwtVerifier(keys=KEYS, algorithms=("HS256",), issuer=ISSUER, audience=AUDIENCE, typ="at+jwt", cache_size=0)
PRESENTED = {"keys": KEYS, "algorithms": ("HS256",), "issuer": ISSUER, "typ": "dc+sd-jwt", "at": NOW}
BINDING = KeyBinding(algorithms=("ES256",), audience=AUDIENCE, nonce="n", max_age=60)


def refused(call, *arguments, **options):
    """What the call answers, or None where it refuses; any other error is the fuzzer's find."""
    try:
        return call(*arguments, **options)
    except JoseError:
        return None


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def token(data: bytes) -> None:
    """A whole token: the verifiers refuse it, inspection explains it."""
    given = text(data)
    refused(VERIFIER.verify, given, at=NOW)
    refused(verify_compact, given, CURVES, algorithms=("ES256",))
    refused(verify_proof, given, algorithms=("ES256",), at=NOW, max_age=60)
    refused(verify_presentation, given, **PRESENTED | {"keys": CURVES, "algorithms": ("ES256",)}, audience=AUDIENCE)
    json.dumps(inspect(text(data).encode("utf-8", "replace").decode(), at=NOW).to_json(), allow_nan=False)


def honest(header: bytes, payload: bytes) -> str:
    signed = encode(header) + b"." + encode(payload)
    return (signed + b"." + encode(KEY.sign(signed))).decode()


def signed_content(data: bytes) -> None:
    """A header and a payload under an honest signature: what Carnet takes, a peer takes too, and reads alike."""
    header, _, payload = data.partition(b"\n")
    given = honest(header, payload)
    found = refused(verify_compact, given, KEYS, algorithms=("HS256",))
    if found is not None:
        assert found.payload == payload
        assert payload in peers_read(given), "only Carnet accepts this"
    refused(VERIFIER.verify, given, at=NOW)


def peers_read(given: str) -> set[bytes]:
    read = set()
    for peer in (
        lambda: jwt.PyJWS().decode(given, SECRET, algorithms=["HS256"]),
        lambda: joserfc.jws.deserialize_compact(given.encode(), PEER, algorithms=["HS256"]).payload,
    ):
        try:
            read.add(peer())
        except Exception:  # noqa: BLE001 - whatever it raises, it did not accept
            continue
    return read


def signed_claims(data: bytes) -> None:
    """Claims under an honest signature and header: what Carnet verifies as an access token, PyJWT verifies too."""
    given = honest(b'{"alg":"HS256","kid":"k","typ":"at+jwt"}', data)
    found = refused(VERIFIER.verify, given, at=NOW)
    if found is None:
        return
    options = {"require": ["exp", "iat", "sub", "iss", "aud"]}
    peer = jwt.decode(
        given, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, options=options, leeway=3600
    )
    assert json.loads(json.dumps(found.claims)) == peer
    assert parse_object(encode_object(found.claims)) == found.claims


def document(data: bytes) -> None:
    """A JSON serialization, a key or a key set."""
    refused(verify_flattened, data, KEYS, algorithms=("HS256",))
    refused(verify_general, data, KEYS, algorithms=("HS256",))
    refused(decrypt_flattened, data, [WRAP], enc=("A256GCM",))
    refused(decrypt_general, data, [WRAP], enc=("A256GCM",))
    refused(KeySet.from_jwks, data, algorithms=("ES256", "RS256", "Ed25519"))
    members = refused(parse_object, data)
    if members is not None:
        for alg in ("ES256", "RS256", "Ed25519", "HS256", "ML-DSA-44"):
            refused(VerifyingKey.from_jwk, members, alg=alg)
            refused(SigningKey.from_jwk, members, alg=alg)
    json.dumps(inspect(data.decode("utf-8", "replace"), at=NOW).to_json(), allow_nan=False)


def encrypted(data: bytes) -> None:
    """An encrypted token."""
    refused(decrypt_compact, text(data), [WRAP], enc=("A256GCM", "A128CBC-HS256"))
    refused(decrypt_compact, text(data), [DIRECT], enc=("A256GCM", "A128CBC-HS256"))


def disclosed(data: bytes) -> None:
    """A presentation whose issuer-signed token is honest: claims, then what is appended to it."""
    claims, _, rest = data.partition(b"\n")
    given = honest(b'{"alg":"HS256","kid":"k","typ":"dc+sd-jwt"}', claims) + "~" + text(rest)
    refused(verify_presentation, given, **PRESENTED, audience=AUDIENCE)
    refused(verify_presentation, given, **PRESENTED, binding=BINDING)


KINDS = (token, signed_content, signed_claims, document, encrypted, disclosed)


def test_one_input(data: bytes) -> None:
    """One run: libFuzzer calls it."""
    if data:
        KINDS[data[0] % len(KINDS)](data[1:])


def seeds() -> list[tuple[int, bytes]]:
    """Inputs to begin with, each with the number of its kind."""
    credential = issue(CLAIMS | {"email": "a@b.example"}, KEY, typ="dc+sd-jwt", disclosable=[("email",)], entropy=bytes)
    issued, _, rest = credential.partition("~")
    payload = inspect(issued, at=NOW).claims
    claims = json.dumps({member.name: member.value for member in payload}).encode()
    return [
        (0, sign_jwt(CLAIMS, KEY, typ="at+jwt").encode()),
        (0, sign_jwt(CLAIMS, CURVE, typ="dpop+jwt", headers={"jwk": CURVE.public().to_jwk()}).encode()),
        (0, credential.encode()),
        (1, b'{"alg":"HS256","kid":"k"}\ncontent'),
        (1, b'{"alg":"HS256","kid":"k","crit":["b64"],"b64":false}\ncontent'),
        (2, json.dumps(CLAIMS | {"aud": [AUDIENCE], "nbf": NOW, "nested": {"a": [1, 2.5, None, True]}}).encode()),
        (3, sign_flattened(b"content", KEY)),
        (3, sign_general(b"content", [KEY])),
        (3, encrypt_flattened(b"content", WRAP.public(), enc="A256GCM")),
        (3, json.dumps(KeySet([CURVE.public()]).to_jwks()).encode()),
        (3, json.dumps(CURVE.to_jwk()).encode()),
        (3, json.dumps(SigningKey.generate("Ed25519").to_jwk()).encode()),
        (4, encrypt_compact(b"content", WRAP.public(), enc="A256GCM").encode()),
        (4, encrypt_compact(b"content", DIRECT.public(), enc="A256GCM").encode()),
        (5, claims + b"\n" + rest.encode()),
    ]


def main() -> None:
    """Write the seeds, and hand over to libFuzzer, which does not come back."""
    CORPUS.mkdir(exist_ok=True)
    for number, (kind, seed) in enumerate(seeds()):
        (CORPUS / f"seed-{number:02}").write_bytes(bytes([kind]) + seed)
    given = sys.argv[1:]
    files = [argument for argument in given if not argument.startswith("-")]
    options = ["-max_total_time=300", "-max_len=4096", "-timeout=5", f"-artifact_prefix={CORPUS}/"]
    atheris.Setup([sys.argv[0], *options, *given, *([] if files else [str(CORPUS)])], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
