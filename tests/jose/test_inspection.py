"""What inspection says of a JOSE object, and that it never says more than it knows."""

import base64
import json
import time

import pytest

from carnet.jose.inspection import LONGEST, bare, inspect
from carnet.jose.registered import descriptions

NOW = 1_700_000_000
ARTICLE = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxZGZlZThkOC05OGE1LTQzMTQtYjRhZS1mYjU1YzRiMTg4NDUiLCJlbWFpbCI6ImFyaWVs"
    "QGNvZGluZ2x5LmlvIiwibmFtZSI6IkFyaWVsIFdlaW5iZXJnZXIiLCJyb2xlIjoiVVNFUiIsImlhdCI6MTU5ODYwODg0OCwiZXhwIjoxNTk4NjA5MTQ4fQ"
    ".oa3ziIZAoVFdn-97rweJAjjFn6a4ZSw7ogIHA74mGq0"
)


def b64(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(claims, header=None, signature="c2lnbmF0dXJl") -> str:
    return ".".join((b64(header or {"alg": "ES256", "typ": "at+jwt"}), b64(claims), signature))


def header(raw: bytes) -> str:
    return f"{b64(raw)}.e30.AA"


def payload(raw: bytes) -> str:
    return f"{b64({'alg': 'ES256'})}.{b64(raw)}.AA"


def good(**changes):
    return {"iss": "https://i.example", "aud": "orders", "sub": "a", "iat": NOW - 10, "exp": NOW + 290} | changes


def codes(found) -> list[str]:
    return [caution.code for caution in found.cautions]


def member(members, name):
    return next(each for each in members if each.name == name)


def test_the_sample_token_of_the_well_known_article_is_explained():
    found = inspect(ARTICLE, at=NOW)
    assert (found.kind, found.title) == ("jws", "JSON Web Token, signed")
    assert [part.name for part in found.parts] == ["header", "payload", "signature"]
    assert ".".join(part.text for part in found.parts) == ARTICLE
    assert {each.name: each.value for each in found.claims} == {
        "sub": "1dfee8d8-98a5-4314-b4ae-fb55c4b18845",
        "email": "ariel@codingly.io",
        "name": "Ariel Weinberger",
        "role": "USER",
        "iat": 1598608848,
        "exp": 1598609148,
    }
    assert member(found.claims, "exp").reading == "2020-08-28 10:05:48 UTC, expired 3 years 77 days ago"
    assert member(found.claims, "role").meaning == ""
    assert codes(found) == ["symmetric_alg", "no_audience", "expired", "no_issuer", "no_type"]
    assert found.defects == ()
    assert found.statement.startswith("Nothing was verified.")


def test_what_was_inspected_says_that_it_is_not_verified():
    document = inspect(token(good()), at=NOW).to_json()
    assert document["verified"] is False
    assert document["statement"].startswith("Nothing was verified.")
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_good_access_token_needs_no_look():
    found = inspect(token(good()), at=NOW)
    assert found.cautions == ()
    assert found.defects == ()
    assert member(found.header, "typ").reading == "an access token (RFC 9068)"


@pytest.mark.parametrize("prefix", ["Authorization: Bearer ", "authorization:bearer ", "Bearer ", "DPoP  ", "\n ", '"'])
def test_a_whole_authorization_header_is_taken(prefix):
    suffix = '"' if prefix == '"' else "\n"
    assert bare(prefix + ARTICLE + suffix) == ARTICLE
    assert inspect(prefix + ARTICLE + suffix, at=NOW) == inspect(ARTICLE, at=NOW)


def test_a_token_that_was_wrapped_by_a_mail_program_is_put_together():
    found = inspect(f"{ARTICLE[:50]}\r\n  {ARTICLE[50:]}", at=NOW)
    assert found.claims == inspect(ARTICLE, at=NOW).claims
    assert found.defects == ("There is white space inside; it was left out.",)


@pytest.mark.parametrize(
    ("name", "value", "reading"),
    [
        ("exp", NOW - 180, "2023-11-14 22:10:20 UTC, expired 3 min ago"),
        ("exp", NOW + 250, "2023-11-14 22:17:30 UTC, expires in 4 min 10 s"),
        ("exp", NOW, "2023-11-14 22:13:20 UTC, expired now"),
        ("exp", NOW + 86_400 * 400, "2024-12-18 22:13:20 UTC, expires in 1 year 34 days"),
        ("exp", NOW + 86_401, "2023-11-15 22:13:21 UTC, expires in 1 day"),
        ("nbf", NOW + 60, "2023-11-14 22:14:20 UTC, valid in 1 min"),
        ("nbf", NOW - 61, "2023-11-14 22:12:19 UTC, valid since 1 min 1 s"),
        ("iat", NOW - 1, "2023-11-14 22:13:19 UTC, 1 s ago"),
        ("auth_time", float(NOW - 3600), "2023-11-14 21:13:20 UTC, 1 h ago"),
        ("exp", "soon", "not a date: it must be a number of seconds since 1970-01-01 00:00:00 UTC"),
        ("exp", True, "not a date: it must be a number of seconds since 1970-01-01 00:00:00 UTC"),
        ("exp", -1, "not a date: it must be a number of seconds since 1970-01-01 00:00:00 UTC"),
        ("amr", ["pwd", "otp", "own"], "password, one-time password, own"),
        ("amr", "pwd", "not a list"),
        ("cnf", {"jkt": "x"}, "bound to a DPoP key (RFC 9449)"),
        ("cnf", 1, "not an object"),
        ("sep", 3, None),
    ],
)
def test_a_value_is_read_in_words(name, value, reading):
    assert member(inspect(token({name: value}), at=NOW).claims, name).reading == reading


def test_milliseconds_are_noticed():
    assert "milliseconds" in member(inspect(token({"exp": NOW * 1000}), at=NOW).claims, "exp").reading


@pytest.mark.parametrize(
    ("header", "claims", "code"),
    [
        ({"alg": "none", "typ": "at+jwt"}, good(), "alg_none"),
        ({"alg": "nOnE", "typ": "at+jwt"}, good(), "alg_none"),
        ({"alg": "HS256", "typ": "at+jwt"}, good(), "symmetric_alg"),
        ({"alg": "RS256", "typ": "at+jwt"}, good(), "old_padding"),
        ({"alg": "ML-DSA-44", "typ": "at+jwt"}, good(), "long_signature"),
        ({"alg": "RS1", "typ": "at+jwt"}, good(), "weak_alg"),
        ({"typ": "at+jwt"}, good(), "no_alg"),
        ({"alg": 5, "typ": "at+jwt"}, good(), "no_alg"),
        ({"alg": "ES256"}, good(), "no_type"),
        ({"alg": "ES256", "typ": "at+jwt", "jwk": {}}, good(), "embedded_key"),
        ({"alg": "ES256", "typ": "at+jwt", "jku": "https://evil.example"}, good(), "embedded_key"),
        ({"alg": "ES256", "typ": "at+jwt", "x5u": "https://evil.example"}, good(), "embedded_key"),
        ({"alg": "ES256", "typ": "at+jwt", "crit": ["x"], "x": 1}, good(), "unknown_crit"),
        ({"alg": "ES256", "typ": "at+jwt", "crit": ["x"]}, good(), "bad_crit"),
        ({"alg": "ES256", "typ": "at+jwt", "crit": ["alg"]}, good(), "bad_crit"),
        ({"alg": "ES256", "typ": "at+jwt", "crit": [[]]}, good(), "bad_crit"),
        ({"alg": "ES256", "typ": "at+jwt", "crit": []}, good(), "bad_crit"),
        ({"alg": "ES256", "typ": "at+jwt", "crit": "x"}, good(), "bad_crit"),
        (None, good(aud=[]), "no_audience"),
        (None, good(exp="soon"), "no_expiry"),
        (None, good(exp=NOW), "expired"),
        (None, good(nbf=NOW + 1), "not_yet_valid"),
        (None, good(exp=NOW + 7_200), "long_life"),
        ({"alg": "ES256", "typ": "JWT"}, good(exp=NOW + 90_000), "long_life"),
        (None, good(password="x"), "sensitive"),
        (None, good(profile={"apiKey": "x"}), "sensitive"),
        (None, good(items=[{"client-secret": "x"}]), "sensitive"),
        (None, good(card="4111 1111 1111 1111"), "sensitive"),
        (None, good(number=4111111111111111), "sensitive"),
        (None, good(cards=["5555-5555-5555-4444"]), "sensitive"),
        (None, good(cards=[["x", {"pin": 3}]]), "sensitive"),
        (None, good(note="-----BEGIN PRIVATE KEY-----"), "sensitive"),
    ],
)
def test_what_deserves_a_look_is_named(header, claims, code):
    assert code in codes(inspect(token(claims, header), at=NOW))


@pytest.mark.parametrize(
    "claims",
    [
        good(number=4111111111111112),
        good(number="4111111111111111x"),
        good(order="1234567890123456"),
        good(compass="north", secretary="Bob"),
        good(has_password=True),
        good(phone_number="+49 30 123456"),
    ],
)
def test_an_innocent_claim_is_left_alone(claims):
    assert codes(inspect(token(claims), at=NOW)) == []


def test_a_proof_of_possession_needs_neither_audience_nor_expiry():
    found = inspect(
        token({"htm": "GET", "htu": "https://a.example", "iat": NOW, "jti": "x"}, {"alg": "ES256", "typ": "dpop+jwt"}),
        at=NOW,
    )
    assert codes(found) == []


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("", "nothing to inspect"),
        ("hello", "no dot in it"),
        ("-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----", "PEM form"),
        ("a.b.c.d", "this has 4"),
        ("a.b.c.d.e.f.g.h", "more than 6"),
        (f"{b64({'alg': 'ES256'})}.{b64({'a': 1})}", "signature is missing"),
        (f"{b64({'alg': 'ES256'})}.e30=.AA", "payload has characters that are not base64url"),
        (f"{b64({'alg': 'ES256'})}.e30.AAAAA", "signature has a length that base64url never has"),
        (f"{b64({'alg': 'ES256'})}.e31.AA", "payload has bits"),
        (f"{b64({'alg': 'ES256'})}.e30.AB", "last character of the signature"),
        (header(b"[]"), "header is not a JSON object"),
        (header(b"nope"), "header is not JSON: expecting value at character 1"),
        (f".{b64({})}.AA", "header is empty"),
        (header(b'{"alg":"a","alg":"b"}'), "'alg' more than once"),
        (payload(b'{"a":{"b":1,"b":2}}'), "'b' more than once"),
        (payload(b'{"exp":NaN}'), "number NaN"),
        (payload(b'{"exp":1e999}'), "number 1e999"),
        (payload(b'{"exp":123456789012345678901234567890}'), "integer of 30 digits"),
        (payload(b'{"a":"\\ud800"}'), "lone surrogate"),
        (payload(b'{"a":"' + bytes([255]) + b'"}'), "not UTF-8"),
        (header(b"\xef\xbb\xbf{}"), "byte order mark"),
        (payload(b'{"a":' + b"[" * 20 + b"]" * 20 + b"}"), "nested 21 levels"),
        (payload(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"), "nested 5001 levels"),
        ("{}", "no token, key or key set"),
        ('{"payload":"","signatures":3}', "'signatures' is not a list"),
        ('{"ciphertext":"","recipients":[1]}', "'recipients' is not a list"),
        ('{"keys":[1]}', "'keys' is not a list"),
        ("e30.e30.e30.e30.", "iv"),
        ("{", "not JSON"),
        ("ey.a.b.c", "this has 4"),
        (f"{b64({'alg': 'ES256'})}.e30.AA~!~", "Disclosure 1 has characters"),
        (f"{b64({'alg': 'ES256'})}.e30.AA~{b64([1])}~", "Disclosure 1 is not a list of"),
        (f"{b64({'alg': 'ES256'})}.e30.AA{'~' * 102}", "the first 100 are shown"),
        (json.dumps({"keys": [{"kty": "EC"}] * 101}), "the first 100 are shown"),
        ("x" * (LONGEST + 1), "longer than"),
    ],
)
def test_what_is_malformed_is_named_and_the_rest_is_shown(text, defect):
    found = inspect(text, at=NOW)
    if defect == "iv":
        assert found.kind == "jwe"
        return
    assert any(defect in each for each in found.defects), found.defects
    json.dumps(found.to_json(), allow_nan=False)


def test_both_values_of_a_repeated_member_are_shown():
    found = inspect(header(b'{"alg":"ES256","alg":"none"}'), at=NOW)
    assert [each.value for each in found.header] == ["ES256", "none"]


def test_of_a_broken_payload_the_header_is_still_shown():
    found = inspect(f"{b64({'alg': 'ES256'})}.????.AA", at=NOW)
    assert member(found.header, "alg").value == "ES256"


def test_an_encrypted_token_shows_its_header_alone():
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "zip": "DEF", "epk": {"kty": "EC"}}
    found = inspect(f"{b64(header)}..AAAA.AAAA.AAAA", at=NOW)
    assert (found.kind, found.claims) == ("jwe", ())
    assert [part.name for part in found.parts][1:3] == ["encrypted key", "initialization vector"]
    assert codes(found) == ["compressed"]


@pytest.mark.parametrize("alg", ["RSA1_5", "PBES2-HS256+A128KW"])
def test_weak_encryption_is_named(alg):
    assert codes(inspect(f"{b64({'alg': alg, 'enc': 'A256GCM'})}.A.A.A.A", at=NOW)) == ["weak_alg"]


def test_each_signature_of_a_general_serialization_is_explained():
    document = {
        "payload": b64(good()),
        "signatures": [
            {"protected": b64({"alg": "ES256", "typ": "at+jwt"}), "header": {"kid": "k"}, "signature": "AA"},
            {"header": {"alg": "none"}, "signature": ""},
        ],
    }
    found = inspect(json.dumps(document), at=NOW)
    assert found.kind == "jws_json"
    assert [section.title for section in found.sections] == [
        "Protected header of the signature 1",
        "Unprotected header of the signature 1",
        "Protected header of the signature 2",
        "Unprotected header of the signature 2",
    ]
    assert found.claim("aud") == "orders"
    assert "alg_none" in codes(found)
    assert found.defects == ()


def test_a_flattened_serialization_is_explained():
    document = {"payload": b64(good()), "protected": b64({"alg": "ES256", "typ": "at+jwt"}), "signature": "AA"}
    found = inspect(json.dumps(document), at=NOW)
    assert (found.title, codes(found)) == ("JSON Web Signature in JSON, 1 signature", [])
    assert found.sections[0].title == "Protected header of the signature"


def test_each_recipient_of_an_encrypted_object_is_explained():
    document = {
        "protected": b64({"enc": "A128GCM"}),
        "unprotected": {"jku": "https://a.example"},
        "recipients": [{"header": {"alg": "A128KW"}, "encrypted_key": "AA"}, {"header": {"alg": "RSA1_5"}}],
        "iv": "AA",
        "ciphertext": "AA",
        "tag": "AA",
        "aad": "AA",
    }
    found = inspect(json.dumps(document), at=NOW)
    assert found.title.startswith("JSON Web Encryption in JSON, 2 recipients")
    assert [section.title for section in found.sections] == [
        "Shared unprotected header",
        "Header for recipient 1",
        "Header for recipient 2",
    ]
    assert codes(found) == ["embedded_key", "weak_alg"]


def test_a_nested_token_is_explained_inside_of_the_other():
    found = inspect(token(ARTICLE.encode(), {"alg": "ES256", "cty": "JWT"}), at=NOW)
    assert found.nested == inspect(ARTICLE, at=NOW)
    assert found.claims == ()


def test_nesting_ends():
    text = ARTICLE
    for _ in range(6):
        text = token(text.encode(), {"alg": "ES256", "cty": "JWT"})
    found, depth = inspect(text, at=NOW), 0
    while found.nested:
        found, depth = found.nested, depth + 1
    assert depth == 4
    assert found.content is not None


def test_other_content_is_shown_as_text_or_by_its_length():
    assert inspect(token(b"plain"), at=NOW).content == "plain"
    assert inspect(token(b"\xff\xfe"), at=NOW).content == "(2 bytes that are not text)"
    assert inspect(f"{b64({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}.hello.AA", at=NOW).content == "hello"


def test_disclosed_claims_are_explained_with_the_proof_of_their_holder():
    proof = token({"nonce": "n"}, {"alg": "ES256", "typ": "kb+jwt"})
    text = f"{token(good(_sd=['x']), {'alg': 'ES256', 'typ': 'dc+sd-jwt'})}~{b64(['salt', 'email', 'a@b.example'])}~{b64(['salt', 7])}~{proof}"
    found = inspect(text, at=NOW)
    assert found.kind == "sd_jwt"
    assert [(each.name, each.value) for each in found.sections[0].members] == [
        ("email", "a@b.example"),
        ("(element 2)", 7),
    ]
    assert found.nested is not None
    assert found.nested.claim("nonce") == "n"


@pytest.mark.parametrize(
    ("key", "title", "expected"),
    [
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "alg": "ES256", "kid": "k"}, "Public key", []),
        ({"kty": "EC", "crv": "P-256", "d": "cHJpdmF0ZQ", "alg": "ES256", "kid": "k"}, "Private key", ["private_key"]),
        ({"kty": "oct", "k": "c2hvcnQ"}, "Secret key", ["secret_key", "short_secret", "no_alg", "no_kid"]),
        ({"kty": "oct", "k": "c2hvcnQ" * 7, "alg": "HS256", "kid": "k"}, "Secret key", ["secret_key"]),
        ({"kty": "oct", "k": "c2hvcnQ", "alg": "A128KW", "kid": "k"}, "Secret key", ["secret_key"]),
        ({"kty": "RSA", "n": "AAAA", "e": "AQAB", "alg": "RS256", "kid": "k"}, "Public key", ["short_rsa"]),
    ],
)
def test_a_key_is_explained_and_its_private_members_are_withheld(key, title, expected):
    found = inspect(json.dumps(key), at=NOW)
    assert (found.kind, found.title, codes(found)) == ("jwk", title, expected)
    shown = json.dumps(found.to_json())
    assert "cHJpdmF0ZQ" not in shown
    assert "c2hvcnQ" not in shown


def test_a_key_set_is_explained_key_by_key():
    found = inspect(json.dumps({"keys": [{"kty": "EC", "d": "cHJpdmF0ZQ"}, {"kty": "RSA"}]}), at=NOW)
    assert found.title == "JSON Web Key Set, 2 keys"
    assert [section.title for section in found.sections] == ["1. Private key", "2. Public key"]


def test_the_text_of_a_token_is_not_in_its_representation():
    found = inspect(token(good(name="Alice")), at=NOW)
    assert "Alice" not in repr(found)
    assert found.parts[1].text not in repr(found)


def test_the_tables_are_plain_json():
    tables = descriptions()
    assert tables["claims"]["sep"]["source"] == "Carnet"
    assert {"alg", "kid", "typ"} <= tables["header"].keys()
    assert json.loads(json.dumps(tables)) == tables
    assert all(
        entry["meaning"].endswith(".") and entry["source"] for table in tables.values() for entry in table.values()
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda size: "." * size,
        lambda size: "~" * size,
        lambda size: "{" * size,
        lambda size: '{"a":"' + "\\" * size,
        lambda size: '{"signatures":[' + "{}," * (size // 3 - 20) + "{}]}",
        lambda size: "e30." + b64(b"{" + b'"a":"b",' * (size // 12)) + ".",
        lambda size: (
            "e30."
            + b64(json.dumps({"a" * (size // 3): {f"pin{i}": 1 for i in range(size // 30)}}).encode())[:size]
            + "."
        ),
        lambda size: "bearer " + " " * size,
    ],
)
def test_the_work_is_linear_in_the_length(make):
    def cost(size: int) -> float:
        text = make(size)[:LONGEST]
        begun = time.process_time()
        inspect(text, at=NOW)
        return time.process_time() - begun

    small = min(cost(16_000) for _ in range(3))
    large = min(cost(256_000) for _ in range(3))
    assert large < 16 * 4 * max(small, 0.001)


def test_a_key_says_what_it_is_for():
    key = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "1"}
    for use, said in (("sig", "signatures"), ("enc", "encryption"), ("tls", None), (1, None)):
        found = inspect(json.dumps(key | {"use": use}), at=NOW)
        assert member(found.sections[0].members, "use").reading == said
