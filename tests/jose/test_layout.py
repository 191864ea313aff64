"""What the token core keeps to: every algorithm and key type is in its visible tuple, and only verifiers vouch for a token."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import carnet.jose
from carnet.jose.algorithms import SIGNATURES, signature_algorithm
from carnet.jose.algorithms.signature import SignatureAlgorithm
from carnet.jose.key_types import KeyType
from carnet.jose.key_types.known import KEY_TYPES

JOSE = Path(carnet.jose.__file__).parent


def modules(folder):
    return [import_module(f"carnet.jose.{folder}.{path.stem}") for path in sorted((JOSE / folder).glob("*.py"))]


def test_every_signature_algorithm_of_a_file_is_in_the_tuple():
    offered = [
        item
        for module in modules("algorithms")
        for item in getattr(module, "ALGORITHMS", ())
        if isinstance(item, SignatureAlgorithm)
    ]
    assert sorted(item.name for item in offered) == sorted(SIGNATURES)
    assert [signature_algorithm(name).name for name in SIGNATURES] == list(SIGNATURES)


def test_every_key_type_of_a_file_is_in_the_tuple():
    offered = {
        item.kty for module in modules("key_types") for item in vars(module).values() if isinstance(item, KeyType)
    }
    assert offered == {item.kty for item in KEY_TYPES}


def test_only_the_verifier_makes_a_verified():
    makers = set()
    for path in JOSE.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "carnet.jose.verified":
                makers |= {path.name for name in node.names if name.name in {"verified", "*"}}
            elif isinstance(node, ast.Import) and any(name.name == "carnet.jose.verified" for name in node.names):
                makers.add(path.name)
    assert makers == {"jwt.py"}


def test_what_explains_tokens_is_loaded_on_demand_and_nothing_else_is_there():
    assert carnet.jose.inspect is import_module("carnet.jose.inspection").inspect
    assert all(hasattr(carnet.jose, name) for name in carnet.jose.__all__)
    assert not hasattr(carnet.jose, "none")


NOT_TO_START_WITH = {
    "asyncio",
    "carnet.jose.algorithms.hmac",
    "carnet.jose.algorithms.mldsa",
    "carnet.jose.algorithms.rsa",
    "carnet.jose.certificates",
    "carnet.jose.encryption_keys",
    "carnet.jose.inspection",
    "carnet.jose.jwe",
    "carnet.jose.profiles",
    "carnet.jose.sd_jwt",
    "carnet.jose.unverified",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.x509",
    "hashlib",
    "json",
    "logging",
    "socket",
    "ssl",
}


def test_a_program_that_signs_and_verifies_loads_no_more_than_it_needs():
    program = """
from carnet.jose import JwtVerifier, KeySet, SigningKey, sign_jwt
key = SigningKey.from_jwk(SigningKey.generate("ES256").to_jwk(), alg="ES256")
keys = KeySet.from_jwks({"keys": [key.public().to_jwk()]}, algorithms=("ES256",))
verifier = JwtVerifier(keys=keys, algorithms=("ES256",), issuer="a", audience="b", typ="at+jwt", required=())
verifier.verify(sign_jwt({"iss": "a", "aud": "b"}, key, typ="at+jwt"), at=0)
"""
    loaded = loaded_by(program)
    assert "carnet.jose.algorithms.ecdsa" in loaded
    assert sorted(loaded & NOT_TO_START_WITH) == []


def loaded_by(program):
    """The modules that a fresh interpreter has then."""
    command = [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_the_import_alone_loads_neither_the_parser_nor_an_algorithm():
    loaded = loaded_by("import carnet.jose")
    assert "carnet.jose.jwt" in loaded
    assert sorted(name for name in loaded if "msgspec" in name or "primitives.asymmetric" in name) == []
    families = {f"carnet.jose.algorithms.{path.stem}" for path in (JOSE / "algorithms").glob("[!_]*.py")}
    assert loaded & families == {"carnet.jose.algorithms.signature"}


def test_a_verifier_has_loaded_all_that_it_works_with_before_the_first_token():
    verifier = """
from carnet.jose import JwtVerifier, KeySet
verifier = JwtVerifier(keys=KeySet(()), algorithms=("ES256",), issuer="a", audience="b", typ="at+jwt")
"""
    assert {"msgspec.json", "carnet.jose.algorithms.ecdsa"} <= loaded_by(verifier)
