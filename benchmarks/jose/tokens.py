"""Sign and verify access tokens with Carnet, its peers and the raw primitive, in one run: `python benchmarks/jose/tokens.py`.

Each figure is the median of several rounds in microseconds of the process's own time; the rounds of all contestants are
interleaved, so that a slow moment of the machine meets all of them. Ratios are to Carnet's figure: above 1 is slower than Carnet.
`raw` is `cryptography`'s own verify or sign (the standard library's HMAC for HS256) with the standard library's base64 and JSON,
and no check of anything else.
"""

import argparse
import base64
import gc
import hmac
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from hashlib import sha256, sha384
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from carnet.jose import JoseError, JwtVerifier, KeySet, SigningKey, sign_jwt

ALGORITHMS = ("HS256", "RS256", "PS256", "ES256", "ES384", "Ed25519")
ISSUER, AUDIENCE = "https://issuer.example", "https://orders.example"
Act = Callable[[], Any]


def claims_at(now: int) -> dict[str, Any]:
    """The claims of an RFC 9068 access token."""
    return {
        "iss": ISSUER,
        "sub": "5f0c3a34-7f5d-4c1c-9d9b-0ad5a1a7a0a5",
        "aud": AUDIENCE,
        "exp": now + 300,
        "iat": now,
        "jti": "8sJ3kq2vQd0a1gq9.Zt5xL1Yw3m0bN7cR",
        "client_id": "storefront",
        "scope": "openid orders:read orders:write",
        "auth_time": now - 60,
        "amr": ["pwd", "otp"],
        "sid": "3yZ8a0bK5rQ1xW7d",
        "sep": 3,
        "roles": ["USER"],
    }


def carnet_verify(key: SigningKey, token: str, now: int, *, cache_size: int = 0) -> Act:
    verifier = JwtVerifier(
        keys=KeySet((key.public(),)),
        algorithms=(key.alg,),
        issuer=ISSUER,
        audience=AUDIENCE,
        typ="at+jwt",
        cache_size=cache_size,
    )
    return lambda: verifier.verify(token, at=now)


def unpadded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def padded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_primitives(key: SigningKey, secret: bytes) -> tuple[Callable[[bytes, bytes], Any], Callable[[bytes], bytes]]:
    """The bare verify(signature, data) and sign(data)."""
    if key.alg == "HS256":
        return (
            lambda signature, data: hmac.compare_digest(signature, hmac.digest(secret, data, "sha256")),
            lambda data: hmac.digest(secret, data, "sha256"),
        )
    private: Any = load_pem_private_key(key.to_pem(), None)
    public: Any = private.public_key()
    if key.alg in {"RS256", "PS256"}:
        scheme: Any = padding.PKCS1v15()
        if key.alg == "PS256":
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return (
            lambda signature, data: public.verify(signature, data, scheme, hashes.SHA256()),
            lambda data: private.sign(data, scheme, hashes.SHA256()),
        )
    if key.alg in {"ES256", "ES384"}:
        size, digest = (32, hashes.SHA256()) if key.alg == "ES256" else (48, hashes.SHA384())

        def verify(signature: bytes, data: bytes) -> None:
            r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
            public.verify(encode_dss_signature(r, s), data, ec.ECDSA(digest))

        def sign(data: bytes) -> bytes:
            r, s = decode_dss_signature(private.sign(data, ec.ECDSA(digest)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")

        return verify, sign
    return public.verify, private.sign


def raw(key: SigningKey, secret: bytes, token: str, claims: dict[str, Any]) -> tuple[Act, Act]:
    verify_with, sign_with = raw_primitives(key, secret)
    head = json.dumps({"alg": key.alg, "typ": "at+jwt", "kid": "k"}).encode()

    def verify() -> Any:
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        json.loads(unpadded(header))
        verify_with(unpadded(signature), signed.encode())
        return json.loads(unpadded(payload))

    def sign() -> str:
        signed = f"{padded(head)}.{padded(json.dumps(claims).encode())}"
        return f"{signed}.{padded(sign_with(signed.encode()))}"

    return verify, sign


def pyjwt(key: SigningKey, secret: bytes, token: str, claims: dict[str, Any]) -> tuple[Act, Act]:
    import jwt

    alg = {"Ed25519": "EdDSA"}.get(key.alg, key.alg)
    if key.alg == "HS256":
        private = public = secret
    else:
        private = load_pem_private_key(key.to_pem(), None)
        public = load_pem_public_key(key.public().to_pem())
    options = {"require": ["exp", "iat", "sub", "iss", "aud"]}
    peer_token = jwt.encode(claims, private, alg)
    return (
        lambda: jwt.decode(peer_token, public, [alg], audience=AUDIENCE, issuer=ISSUER, options=options),
        lambda: jwt.encode(claims, private, alg, headers={"typ": "at+jwt", "kid": "k"}),
    )


def joserfc(key: SigningKey, secret: bytes, token: str, claims: dict[str, Any]) -> tuple[Act, Act]:
    from joserfc import jwt
    from joserfc.jwk import import_key

    private = import_key(key.to_jwk())
    public = private if key.alg == "HS256" else import_key(key.public().to_jwk())
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
    )

    def verify() -> Any:
        found = jwt.decode(token, public, algorithms=[key.alg])
        registry.validate(found.claims)
        return found

    return verify, lambda: jwt.encode(
        {"alg": key.alg, "typ": "at+jwt", "kid": "k"}, claims, private, algorithms=[key.alg]
    )


def authlib(key: SigningKey, secret: bytes, token: str, claims: dict[str, Any]) -> tuple[Act, Act]:
    from authlib.jose import JsonWebKey, JsonWebToken

    alg = {"Ed25519": "EdDSA"}.get(key.alg, key.alg)
    peer = JsonWebToken([alg])

    def imported(jwk: dict[str, Any]) -> Any:
        return JsonWebKey.import_key({name: value for name, value in jwk.items() if name not in {"alg", "use"}})

    private = imported(key.to_jwk())
    public = private if key.alg == "HS256" else imported(key.public().to_jwk())
    options = {
        "iss": {"essential": True, "value": ISSUER},
        "aud": {"essential": True, "value": AUDIENCE},
        "exp": {"essential": True},
    }
    peer_token = peer.encode({"alg": alg}, claims, private)

    def verify() -> Any:
        found = peer.decode(peer_token, public, claims_options=options)
        found.validate()
        return found

    return verify, lambda: peer.encode({"alg": alg, "typ": "at+jwt", "kid": "k"}, claims, private)


def python_jose(key: SigningKey, secret: bytes, token: str, claims: dict[str, Any]) -> tuple[Act, Act] | None:
    from jose import jwt
    from jose.constants import ALGORITHMS as KNOWN

    if key.alg not in KNOWN.SUPPORTED:
        return None
    private: Any = secret if key.alg == "HS256" else key.to_pem().decode()
    public: Any = secret if key.alg == "HS256" else key.public().to_pem().decode()
    return (
        lambda: jwt.decode(token, public, [key.alg], audience=AUDIENCE, issuer=ISSUER),
        lambda: jwt.encode(claims, private, key.alg, headers={"typ": "at+jwt", "kid": "k"}),
    )


def jwcrypto(key: SigningKey, secret: bytes, token: str, claims: dict[str, Any]) -> tuple[Act, Act]:
    from jwcrypto import jwk, jwt

    alg = {"Ed25519": "EdDSA"}.get(key.alg, key.alg)
    members = {name: value for name, value in key.to_jwk().items() if name not in {"alg", "use"}}
    private = jwk.JWK(**members)
    public = private
    if key.alg != "HS256":
        public = jwk.JWK(**{n: v for n, v in key.public().to_jwk().items() if n not in {"alg", "use"}})

    def sign() -> str:
        made = jwt.JWT(header={"alg": alg, "typ": "at+jwt", "kid": "k"}, claims=claims)
        made.make_signed_token(private)
        serialized: str = made.serialize()
        return serialized

    peer_token = sign()
    checks = {"iss": ISSUER, "aud": AUDIENCE, "exp": None, "iat": None, "sub": None}

    def verify() -> Any:
        return jwt.JWT(key=public, jwt=peer_token, algs=[alg], check_claims=checks, expected_type="JWS").claims

    return verify, sign


PEERS = (pyjwt, joserfc, authlib, python_jose, jwcrypto)


def median_times(contestants: dict[str, Act], *, rounds: int, seconds: float) -> dict[str, float]:
    """Microseconds a call, the median of interleaved rounds."""
    calls = {}
    for name, act in contestants.items():
        began = time.process_time()
        for _ in range(5):
            act()
        calls[name] = max(5, int(seconds / ((time.process_time() - began) / 5)))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    gc.disable()
    for _ in range(rounds):
        for name, act in contestants.items():
            n = calls[name]
            began = time.process_time()
            for _ in range(n):
                act()
            times[name].append((time.process_time() - began) / n * 1e6)
    gc.enable()
    return {name: statistics.median(found) for name, found in times.items()}


def row(title: str, times: dict[str, float]) -> None:
    own = times["carnet"]
    cells = [f"{name} {value:8.1f} ({value / own:5.2f}x)" for name, value in times.items() if name != "carnet"]
    print(f"{title:16} carnet {own:8.1f} | " + " | ".join(cells))


def compare(algorithm: str, *, rounds: int, seconds: float) -> None:
    now = int(time.time())
    claims = claims_at(now)
    secret = sha256(b"a benchmark's secret").digest()
    if algorithm == "HS256":
        key = SigningKey.from_secret(secret, alg=algorithm, kid="k")
    else:
        key = SigningKey.from_jwk(SigningKey.generate(algorithm).to_jwk() | {"kid": "k"}, alg=algorithm)
    token = sign_jwt(claims, key, typ="at+jwt")
    raw_verify, raw_sign = raw(key, secret, token, claims)
    verifies: dict[str, Act] = {"carnet": carnet_verify(key, token, now), "raw": raw_verify}
    signs: dict[str, Act] = {"carnet": lambda: sign_jwt(claims, key, typ="at+jwt"), "raw": raw_sign}
    for peer in PEERS:
        acts = peer(key, secret, token, claims)
        if acts is not None:
            verifies[peer.__name__], signs[peer.__name__] = acts
    row(f"verify {algorithm}", median_times(verifies, rounds=rounds, seconds=seconds))
    row(f"sign {algorithm}", median_times(signs, rounds=rounds, seconds=seconds))


def cache_hit(*, rounds: int, seconds: float) -> None:
    now = int(time.time())
    key = SigningKey.generate("ES256")
    token = sign_jwt(claims_at(now), key, typ="at+jwt")
    verifier = JwtVerifier(
        keys=KeySet((key.public(),)), algorithms=("ES256",), issuer=ISSUER, audience=AUDIENCE, typ="at+jwt"
    )
    verifier.verify(token, at=now)
    parts = token.split(".")
    batch = [".".join(parts) for _ in range(1000)]  # as many strings, since a server gets a new one with each request

    def hits() -> None:
        for fresh in batch:
            verifier.verify(fresh, at=now)

    times = []
    for _ in range(rounds):
        batch = [".".join(parts) for _ in range(1000)]
        began = time.process_time()
        hits()
        times.append((time.process_time() - began) / 1000 * 1e6)
    print(f"cache hit        carnet {statistics.median(times):8.2f} µs (a new string each time, its hash included)")


CRYPTOGRAPHY = (
    "import cryptography.hazmat.primitives.hmac; "
    "from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa, x448, x25519"
)
EVERYTHING = (
    "import carnet.jose; from carnet.jose.algorithms import SIGNATURES, signature_algorithm; "
    "from carnet.jose.strict_json import prepare; prepare(); [signature_algorithm(name) for name in SIGNATURES]"
)
IMPORTS = {
    "carnet": "import carnet.jose",
    "cryptography": CRYPTOGRAPHY,
    "pyjwt": "import jwt",
    "joserfc": "import joserfc.jwt",
    "authlib": "import authlib.jose",
    "python_jose": "import jose.jwt",
    "jwcrypto": "import jwcrypto.jwt",
}
LOADED = {
    "carnet": EVERYTHING,
    "cryptography": CRYPTOGRAPHY,
    "cryptography, msgspec": f"{CRYPTOGRAPHY}; import msgspec",
}
VERIFIED = {
    "carnet": """
from carnet.jose import JwtVerifier, KeySet
keys = KeySet.from_jwks({{"keys": [{jwk}]}}, algorithms=("ES256",))
policy = {{"issuer": {issuer!r}, "audience": {audience!r}, "typ": "at+jwt"}}
JwtVerifier(keys=keys, algorithms=("ES256",), **policy).verify({token!r}, at={now})
""",
    "raw": """
import json
from base64 import urlsafe_b64decode
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
read = lambda text: urlsafe_b64decode(text + "=" * (-len(text) % 4))
number = lambda octets: int.from_bytes(octets, "big")
jwk, (header, payload, signature) = {jwk}, {token!r}.split(".")
key = EllipticCurvePublicNumbers(number(read(jwk["x"])), number(read(jwk["y"])), SECP256R1()).public_key()
r, s = read(signature)[:32], read(signature)[32:]
key.verify(encode_dss_signature(number(r), number(s)), f"{{header}}.{{payload}}".encode(), ECDSA(SHA256()))
json.loads(read(header)), json.loads(read(payload))
""",
    "pyjwt": """
import jwt
key = jwt.PyJWK({jwk})
jwt.decode({token!r}, key, ["ES256"], audience={audience!r}, issuer={issuer!r}, options={{"verify_exp": False}})
""",
    "joserfc": """
from joserfc import jwt
from joserfc.jwk import ECKey
found = jwt.decode({token!r}, ECKey.import_key({jwk}), algorithms=["ES256"])
jwt.JWTClaimsRegistry(iss={{"value": {issuer!r}}}, aud={{"value": {audience!r}}}, now={now}).validate(found.claims)
""",
}


def imports(*, rounds: int) -> None:
    """Milliseconds that a fresh interpreter needs, all of it compiled before.

    `import` is what the statement itself takes: msgspec, and each family of algorithms, is loaded by what first uses it and is
    not counted there; in `cryptography` are all the parts that signatures and key agreements are made of. `loaded` counts
    everything, with all the algorithms, whether one has a use for them or not. `first token` is a program's whole way to its
    first verified ES256 token: import, key, verifier, verification.
    """
    now = int(time.time())
    key = SigningKey.generate("ES256")
    values = {
        "jwk": key.public().to_jwk(),
        "token": sign_jwt(claims_at(now), key, typ="at+jwt"),
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "now": now,
    }
    first_token = {name: program.format(**values) for name, program in VERIFIED.items()}
    for title, programs in (("import", IMPORTS), ("loaded", LOADED), ("first token", first_token)):
        times = fresh_interpreters(programs, rounds=rounds)
        row(f"{title}, ms", {name: statistics.median(found) for name, found in times.items()})
        own = times.pop("carnet")
        for name, found in list(times.items())[:2]:
            least, middle = min(own) / min(found), statistics.median(own) / statistics.median(found)
            print(f"{title:16} carnet is {least:.2f} times {name} by the least, {middle:.2f} times by the median")


def fresh_interpreters(programs: dict[str, str], *, rounds: int) -> dict[str, list[float]]:
    """The milliseconds of each program in interpreters of its own, the rounds of all of them interleaved."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as compiled:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = compiled
        for number in range(rounds + 1):
            for name, statement in programs.items():
                program = f"import time; b=time.process_time()\n{statement}\nprint(time.process_time()-b)"
                command = [sys.executable, "-W", "ignore", "-c", program]
                out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                if number:  # the first round compiles
                    times[name].append(float(out.stdout) * 1e3)
    return times


def memory(*, count: int) -> None:
    """How much the heap and the process grow over many verifications, and over as many distinct malformed tokens."""
    now = int(time.time())
    secret = sha384(b"a benchmark's secret").digest()
    key = SigningKey.from_secret(secret, alg="HS256", kid="k")
    verifier = JwtVerifier(
        keys=KeySet((key.public(),)), algorithms=("HS256",), issuer=ISSUER, audience=AUDIENCE, typ="at+jwt"
    )
    valid = sign_jwt(claims_at(now), key, typ="at+jwt")
    head, payload, _ = valid.split(".")

    def good(_: int) -> None:
        verifier.forget()
        verifier.verify(valid, at=now)

    def bad(index: int) -> None:
        token = (f"{head}.{payload}.{padded(index.to_bytes(32, 'big'))}", f"{padded(str(index).encode())}.{payload}.AA")
        try:
            verifier.verify(token[index & 1], at=now)
        except JoseError:
            return
        raise AssertionError("a malformed token was accepted")

    for title, act in (("valid", good), ("distinct malformed", bad)):
        for index in range(2000):
            act(index)
        tracemalloc.start()
        before, peak = tracemalloc.get_traced_memory()[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for index in range(count):
            act(index)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        print(
            f"memory           {count} {title} tokens: heap {grown / 1024:+.1f} KiB, peak of the process {resident:+d} KiB"
        )


def refusals(*, rounds: int, seconds: float) -> None:
    """Microseconds to refuse tokens of growing length: linear, and flat above the limit."""
    key = SigningKey.generate("ES256")
    verifier = JwtVerifier(
        keys=KeySet((key.public(),)),
        algorithms=("ES256",),
        issuer=ISSUER,
        audience=AUDIENCE,
        typ="at+jwt",
        max_length=65536,
    )
    shapes = {"dots": ".", "letters": "A", "brackets": padded(b"[" * 3000)}
    for name, unit in shapes.items():
        cells = []
        for length in (1000, 8000, 64000, 1_000_000):
            token = (unit * (length // len(unit) + 1))[:length]

            def act(token: str = token) -> None:
                try:
                    verifier.verify(token, at=0)
                except JoseError:
                    return

            cells.append(f"{length} {median_times({'carnet': act}, rounds=rounds, seconds=seconds)['carnet']:.1f}")
        print(f"refuse, µs       {name}: " + " | ".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.05, help="length of one round of one contestant")
    parser.add_argument("--imports", type=int, default=25, help="how many fresh interpreters import each contestant")
    parser.add_argument("--tokens", type=int, default=100_000, help="how many tokens the memory row verifies")
    parser.add_argument("--only", choices=[*ALGORITHMS, "cache", "import", "memory", "refusals"], action="append")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    wanted = options.only or [*ALGORITHMS, "cache", "import", "memory", "refusals"]
    print("microseconds a call; in brackets: times Carnet's")
    for algorithm in ALGORITHMS:
        if algorithm in wanted:
            compare(algorithm, rounds=options.rounds, seconds=options.seconds)
    if "cache" in wanted:
        cache_hit(rounds=options.rounds, seconds=options.seconds)
    if "import" in wanted:
        imports(rounds=options.imports)
    if "memory" in wanted:
        memory(count=options.tokens)
    if "refusals" in wanted:
        refusals(rounds=options.rounds, seconds=options.seconds)


if __name__ == "__main__":
    main()
