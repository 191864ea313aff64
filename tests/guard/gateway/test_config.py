"""The gateway's settings are read strictly: what is unknown or could be meant in two ways is an error that says where it stands."""

import re
from pathlib import Path

import pytest

from carnet.cli.key_file import read_key
from carnet.guard.gateway import GatewayConfig, GatewayConfigError, read_config
from carnet.guard.gateway.config import (
    IdentitySettings,
    IssuerSettings,
    RevocationSettings,
    RuleSettings,
    parse_config,
)
from carnet.jose import SigningKey
from carnet.jose.strict_json import encode_object


def fault(document, **changed) -> str:
    with pytest.raises(GatewayConfigError) as caught:
        parse_config(document | changed)
    return str(caught.value)


def test_the_example_is_good(document):
    config = parse_config(document)
    assert config.proxy == "nginx"
    assert len(config.rules) == 7


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"isuer": "x"}, "isuer"),
        ({"audience": 7}, "audience"),
        ({"issuer": "http://id.example"}, "plain http"),
        ({"issuer": "id.example"}, "not an https URL"),
        ({"proxy": "apache"}, "proxy"),
        ({"trusted_proxies": []}, "names no network"),
        ({"trusted_proxies": ["0.0.0.0/0"]}, "every address"),
        ({"trusted_proxies": ["::/0"]}, "every address"),
        ({"trusted_proxies": ["10.0.0.1/24"]}, "trusted_proxies"),
        ({"trusted_proxies": ["proxy.internal"]}, "trusted_proxies"),
        ({"rules": []}, "no rules"),
        ({"origin": "shop.example"}, "origin is a scheme and a host"),
        ({"origin": "https://shop.example/path"}, "origin is a scheme and a host"),
        ({"also": [{"issuer": "https://partner.example"}]}, "audience"),
        ({"also": [{"issuer": "http://partner.example", "audience": "a"}]}, "plain http"),
        ({"also": [{"issuer": "https://b.example", "audience": "a"}] * 2}, "An issuer has its settings once"),
        ({"also": [{"issuer": "https://b.example", "audience": "a", "revocation": {"client_id": "x"}}]}, "together"),
        ({"client_certificate_header": "apache"}, "client_certificate_header"),
        ({"leeway": -1}, "leeway"),
        ({"leeway": 100_000}, "leeway"),
        ({"algorithms": ["none"]}, "none"),
        ({"algorithms": []}, "algorithm"),
        ({"revocation": {"bound": 1}}, "bound"),
        ({"revocation": {"client_id": "gateway"}}, "given together"),
        ({"revocation": {"when_stale": "introspect"}}, "needs revocation.client_id"),
        ({"revocation": {"when_stale": "hope"}}, "when_stale"),
        ({"identity": {"key_file": "/nowhere/key.jwk", "issuer": "gateway"}}, "/nowhere/key.jwk cannot be read"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_an_error(document, changed, said):
    assert said in fault(document, **changed)


@pytest.mark.parametrize("missing", ["issuer", "audience", "proxy", "trusted_proxies", "rules"])
def test_what_must_be_said_is_never_guessed(document, missing):
    del document[missing]
    assert missing in fault(document)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "path"),
        ({"path": "/a", "pubic": True}, "pubic"),
        ({"path": "/a", "public": "yes"}, "public"),
        ({"path": "/a", "public": True, "scope": "b"}, "it is public, and yet names scope"),
        ({"path": "/a", "public": True, "max_age": 0}, "it is public, and yet names max_age"),
        ({"path": "a"}, "rules[0]"),
        ({"path": "/a/"}, "without the slash at its end"),
        ({"path": "/a//b"}, "empty segment"),
        ({"path": "/a/../b"}, "dot segment"),
        ({"path": "/a;b"}, "rules[0]"),
        ({"path": "/a*"}, None),
        ({"path": "/a", "methods": ["get"]}, "methods are written like GET"),
        ({"path": "/a", "methods": [""]}, "methods are written like GET"),
        ({"path": "/a", "host": "a b"}, "is not a host"),
        ({"path": "/a", "scope": 'a"b'}, "characters that a scope"),
        ({"path": "/a", "role": [""]}, "at least one character"),
        ({"path": "/a", "max_age": -1}, "max_age"),
        ({"path": "/a", "when_stale": "introspect"}, "needs revocation.client_id"),
        ({"path": "/a", "audience": "orders"}, "there is no [identity]"),
        ({"path": "/a", "issuer": "https://partner.example"}, "neither issuer nor in also"),
        ({"path": "/a", "public": True, "issuer": "https://partner.example"}, "it is public, and yet names issuer"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_an_error(document, rule, said):
    if said is None:
        parse_config(document | {"rules": [rule]})
    else:
        assert said in fault(document, rules=[rule])


def test_two_rules_for_the_same_are_an_error_that_names_both(document):
    assert "rules[1] and rules[0]" in fault(document, rules=[{"path": "/%61"}, {"path": "/a"}])


def test_a_file_is_read_with_what_it_names_beside_it(tmp_path, document):
    (tmp_path / "key.jwk").write_bytes(encode_object(SigningKey.generate("ES256").to_jwk()))
    (tmp_path / "secret").write_text("s3cret\n")
    file = tmp_path / "gateway.toml"
    file.write_text(
        """
        issuer = "https://id.example"
        audience = "orders"
        proxy = "envoy"
        trusted_proxies = ["10.0.0.0/24"]
        [identity]
        key_file = "key.jwk"
        issuer = "gateway"
        audience = "orders"
        [revocation]
        when_stale = "introspect"
        client_id = "gateway"
        client_secret_file = "secret"
        [[rules]]
        path = "/"
        """
    )
    config = read_config(file)
    assert config.signing_key().kid == SigningKey.from_jwk(read_key(tmp_path / "key.jwk"), alg="ES256").kid
    assert config.guard_settings()["introspection"].client_secret == "s3cret"


@pytest.mark.parametrize(
    ("content", "said"), [(b"a = [", "is not TOML"), (b"\xff", "cannot be read"), (b"a = 1\na = 2", "is not TOML")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, said):
    file = tmp_path / "gateway.toml"
    file.write_bytes(content)
    with pytest.raises(GatewayConfigError, match=said) as caught:
        read_config(file)
    assert str(file) in str(caught.value)
    with pytest.raises(GatewayConfigError, match="cannot be read: No such file"):
        read_config(Path(tmp_path / "nowhere.toml"))


@pytest.mark.parametrize(
    ("jwk", "said"),
    [
        (SigningKey.from_secret(b"s" * 32, alg="HS256").to_jwk() | {"alg": "HS256"}, "public-key signature"),
        ({"kty": "EC"}, "names no alg"),
        (SigningKey.generate("ES256").public().to_jwk() | {"alg": "ES256"}, "key.jwk: "),
    ],
)
def test_the_gateways_key_is_a_private_one_whose_public_half_services_have(tmp_path, document, jwk, said):
    (tmp_path / "key.jwk").write_bytes(encode_object(jwk))
    identity = {"key_file": str(tmp_path / "key.jwk"), "issuer": "gateway", "audience": "orders"}
    assert said in fault(document, identity=identity)


def test_a_token_of_the_gateway_is_for_somebody(tmp_path, document):
    (tmp_path / "key.jwk").write_bytes(encode_object(SigningKey.generate("ES256").to_jwk()))
    identity = {"key_file": str(tmp_path / "key.jwk"), "issuer": "gateway"}
    assert "for whom is the token?" in fault(document, identity=identity)
    named = [{"path": "/", "audience": "orders"}, {"path": "/public", "public": True}]
    assert parse_config(document | {"identity": identity, "rules": named}).signing_key() is not None


PAGE = Path(__file__).parents[3] / "docs/how-to/put-a-gateway-in-front.md"


def test_the_examples_in_the_documents_are_good(tmp_path):
    settings, others, identity = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "gateway-key.jwk").write_bytes(encode_object(SigningKey.generate("ES256").to_jwk()))
    (tmp_path / "gateway.toml").write_text(settings + others + identity)
    config = read_config(tmp_path / "gateway.toml")
    assert (len(config.rules), config.identity.audience) == (6, "orders-service")
    assert [one.issuer for one in config.issuers] == ["https://id.example", "https://partner.example"]


def test_every_setting_is_described():
    page = PAGE.read_text("utf-8")
    tables = {"revocation": RevocationSettings, "identity": IdentitySettings}
    names = set(GatewayConfig.__struct_fields__) - {*tables, "rules"} | set(IssuerSettings.__struct_fields__) - {
        *tables
    }
    names |= set(RuleSettings.__struct_fields__)
    names |= {f"{table}.{field}" for table, kind in tables.items() for field in kind.__struct_fields__}
    assert {name for name in names if f"`{name}`" not in page} == set()
