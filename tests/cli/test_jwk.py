"""`carnet jwk`: keys from a shell."""

import io
import json
import stat
import sys

import pytest

from carnet.cli import main
from carnet.jose import SigningKey, VerifyingKey
from carnet.jose.encryption_keys import DecryptionKey
from carnet.jose.thumbprint import jwk_thumbprint

KEY = SigningKey.generate("ES256", kid="k")


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key.jwk"
    file.write_text(json.dumps(KEY.to_jwk() | {"key_ops": ["sign"]}))
    return str(file)


@pytest.mark.parametrize("alg", ["ES256", "Ed25519", "PS256", "HS256", "ES384"])
def test_a_generated_key_is_for_its_one_algorithm(alg, capsys):
    assert main(["jwk", "generate", "--alg", alg, "--kid", "mine"]) == 0
    jwk = json.loads(capsys.readouterr().out)
    assert (jwk["alg"], jwk["kid"]) == (alg, "mine")
    assert SigningKey.from_jwk(jwk, alg=alg).kid == "mine"


def test_the_private_key_goes_into_a_file_for_its_owner_alone(tmp_path, capsys):
    file = tmp_path / "new.jwk"
    assert main(["jwk", "generate", "--alg", "ES256", "--out", str(file), "--json"]) == 0
    public = json.loads(capsys.readouterr().out)
    assert "d" not in public
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SigningKey.from_jwk(json.loads(file.read_text()), alg="ES256").public().to_jwk() == public
    assert main(["jwk", "generate", "--alg", "ES256", "--out", str(file)]) == 1
    assert "cannot be written: File exists." in capsys.readouterr().err


def test_a_secret_in_a_file_is_not_printed(tmp_path, capsys):
    file = tmp_path / "secret.jwk"
    assert main(["jwk", "generate", "--alg", "HS256", "--out", str(file)]) == 0
    assert json.loads(file.read_text())["k"] not in capsys.readouterr().out


def test_at_a_terminal_the_danger_of_a_private_key_is_told(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["jwk", "generate", "--alg", "ES256"]) == 0
    assert "This is private" in capsys.readouterr().err


def test_the_thumbprint_is_that_of_rfc_7638(key_file, capsys):
    expected = jwk_thumbprint(KEY.public().to_jwk())
    assert main(["jwk", "thumbprint", key_file]) == 0
    assert capsys.readouterr().out == f"{expected}\n"
    assert main(["jwk", "thumbprint", key_file, "--uri", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "thumbprints": [f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{expected}"]
    }


def test_each_key_of_a_set_has_its_thumbprint(tmp_path, capsys):
    file = tmp_path / "set.json"
    file.write_text(json.dumps({"keys": [KEY.public().to_jwk(), SigningKey.generate("Ed25519").public().to_jwk()]}))
    assert main(["jwk", "thumbprint", str(file)]) == 0
    assert len(capsys.readouterr().out.split()) == 2


def test_a_key_is_read_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(KEY.to_jwk()).encode())))
    assert main(["jwk", "public", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == KEY.public().to_jwk()


def test_the_public_half_has_nothing_private_and_the_matching_operations(key_file, capsys):
    assert main(["jwk", "public", key_file, "--json"]) == 0
    public = json.loads(capsys.readouterr().out)
    assert "d" not in public
    assert public["key_ops"] == ["verify"]
    assert VerifyingKey.from_jwk(public, alg="ES256").kid == "k"


def test_the_public_half_of_a_set_is_a_set(tmp_path, capsys):
    file = tmp_path / "set.json"
    file.write_text(json.dumps({"keys": [KEY.to_jwk()]}))
    assert main(["jwk", "public", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {"keys": [KEY.public().to_jwk()]}


@pytest.mark.parametrize("pem", [KEY.to_pem(), KEY.public().to_pem()])
def test_a_key_in_pem_becomes_a_jwk(pem, tmp_path, capsys):
    file = tmp_path / "key.pem"
    file.write_bytes(pem)
    assert main(["jwk", "public", str(file), "--alg", "ES256"]) == 0
    public = json.loads(capsys.readouterr().out)
    assert jwk_thumbprint(public) == KEY.thumbprint()
    assert main(["jwk", "thumbprint", str(file), "--alg", "ES256"]) == 0
    assert capsys.readouterr().out == f"{KEY.thumbprint()}\n"


@pytest.mark.parametrize(
    ("content", "argv", "sentence"),
    [
        ('{"kty":"XY"}', ["public"], "a key of type 'XY' is not known."),
        ('{"kty":"XY"}', ["thumbprint"], "'XY'"),
        ('{"kty":"oct","k":"AAAA"}', ["public"], "a secret has no public half."),
        ('{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}', ["public"], "octets"),
        ('{"keys":[1]}', ["public"], "'keys' is not a list of keys."),
        ("-----BEGIN PUBLIC KEY-----", ["public"], "give --alg"),
        ("-----BEGIN PUBLIC KEY-----", ["public", "--alg", "ES256"], "not a public key in PEM"),
    ],
)
def test_a_key_that_cannot_be_used_exits_2_with_one_line(content, argv, sentence, tmp_path, capsys):
    file = tmp_path / "key"
    file.write_text(content)
    assert main(["jwk", argv[0], str(file), *argv[1:]]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "kty"),
    [
        (["RSA-OAEP-256"], "RSA"),
        (["ECDH-ES"], "EC"),
        (["ECDH-ES+A256KW", "--curve", "X25519"], "OKP"),
        (["A256KW"], "oct"),
        (["dir", "--enc", "A256GCM"], "oct"),
    ],
)
def test_a_key_for_encryption_is_generated(argv, kty, capsys):
    assert main(["jwk", "generate", "--alg", *argv]) == 0
    jwk = json.loads(capsys.readouterr().out)
    assert (jwk["kty"], jwk["use"]) == (kty, "enc")
    assert DecryptionKey.from_jwk(jwk, alg=argv[0]).to_jwk() == jwk


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["none"], "'none' is not the name of an algorithm that Carnet has. It has HS256, "),
        (["RSA1_5"], "'RSA1_5' is not the name of an algorithm"),
        (["dir"], "needs the enc that it is for, one of A128GCM, "),
        (["ES256", "--curve", "P-256"], "ES256 has nothing to choose"),
        (["A128KW", "--curve", "P-256"], "neither a curve nor an enc"),
        (["PBES2-HS256+A128KW"], "for passwords alone"),
    ],
)
def test_a_key_that_cannot_be_made_exits_2_with_one_line(argv, sentence, capsys):
    assert main(["jwk", "generate", "--alg", *argv]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
