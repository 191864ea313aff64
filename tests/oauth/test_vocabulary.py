"""RFC 6749, 6750, 7636, 8414, 9068 and OpenID Connect Core: the small rules of the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.oauth import errors, id_token, metadata, pkce, scope
from carnet.oauth.access_token import AccessToken, SignIn
from carnet.oauth.challenge import bearer_token, challenge
from carnet.oauth.errors import InvalidGrantError, InvalidScopeError, OAuthError


@pytest.mark.spec("RFC 7636", "B", "MUST")
def test_the_challenge_of_the_rfcs_verifier_is_the_rfcs():
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert pkce.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert pkce.proves(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")


@pytest.mark.spec("RFC 7636", "4.1", "MUST")
@pytest.mark.parametrize("verifier", ["a" * 42, "a" * 129, "a" * 42 + "=", "a" * 42 + " ", "", "a" * 43 + "\n"])
def test_a_verifier_of_another_form_proves_nothing(verifier):
    assert not pkce.proves(verifier, pkce.challenge(verifier))


@given(st.text(alphabet="abc-._~XYZ019", min_size=43, max_size=128))
def test_a_verifier_proves_its_own_challenge_and_no_other(verifier):
    assert pkce.proves(verifier, pkce.challenge(verifier))
    assert not pkce.proves(verifier, pkce.challenge(verifier + "x"))
    assert pkce.well_formed(pkce.challenge(verifier))


@pytest.mark.spec("RFC 6749", "3.3", "MUST")
def test_a_scope_is_a_set_in_its_own_order():
    assert scope.parse("b a  b c ") == ("b", "a", "c")
    assert scope.parse(None) == scope.parse("") == scope.parse("  ") == ()


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\tb", "ä", "x" * 101])
def test_a_scope_value_of_other_characters_is_refused(text):
    with pytest.raises(InvalidScopeError):
        scope.parse(text)


def test_a_scope_is_narrowed_and_never_widened():
    assert scope.narrow((), ("a", "b")) == ("a", "b")
    assert scope.narrow(("b",), ("a", "b")) == ("b",)
    with pytest.raises(InvalidScopeError, match="c d"):
        scope.narrow(("a", "c", "d"), ("a", "b"))


@pytest.mark.spec("RFC 6749", "5.2", "MUST NOT")
@given(st.text())
def test_an_error_description_has_no_forbidden_character_and_no_private_reason(sentence):
    error = InvalidGrantError(sentence, why="the canary sings")
    described = error.to_json()["error_description"]
    assert all(
        character in range(0x20, 0x22) or 0x23 <= character <= 0x5B or 0x5D <= character <= 0x7E
        for character in map(ord, described)
    )
    assert "canary" not in str(error.to_json())
    assert "canary" in str(error)


def test_each_error_has_a_code_of_its_own_words():
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, OAuthError) and kind is not OAuthError:
            assert kind.code.replace("_", "").isalpha()
            assert 400 <= kind.status < 600


@pytest.mark.spec("RFC 6750", "2.1", "MUST")
@pytest.mark.parametrize("header", ["Bearer abc.d-e_f~g+h/i==", "bearer abc", "BEARER abc", "Bearer  abc"])
def test_a_bearer_token_is_taken_from_its_header(header):
    assert bearer_token(header) == header.split()[1]


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer a b", "Basic abc", "Bearer =", "Bearer ü", "Bearer,a", "Bearer a,b"],
)
def test_what_is_no_bearer_token_is_none(header):
    assert bearer_token(header) is None


@pytest.mark.spec("RFC 9110", "11.6.1", "MUST")
def test_a_challenge_is_quoted_and_cannot_be_broken_out_of():
    assert challenge("Bearer") == "Bearer"
    assert challenge("Bearer", realm="a", scope=None, error="x") == 'Bearer realm="a", error="x"'
    assert challenge("Bearer", realm='a"b\\c\r\nSet-Cookie: x') == "Bearer realm=\"a'b'c''Set-Cookie: x\""


@pytest.mark.spec("RFC 8414", "3.1", "MUST")
def test_the_well_known_part_is_inserted_for_oauth_and_appended_for_openid():
    assert metadata.well_known_paths("https://example.com") == (
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    )
    assert metadata.well_known_paths("https://example.com/issuer1") == (
        "/issuer1/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/issuer1",
    )


@pytest.mark.spec("RFC 8414", "3.3", "MUST")
@pytest.mark.parametrize("said", ["https://example.com/", "https://EXAMPLE.com", "https://evil.example", None])
def test_metadata_of_another_issuer_is_refused(said):
    assert metadata.check({"issuer": "https://example.com"}, issuer="https://example.com")
    with pytest.raises(metadata.MetadataError):
        metadata.check({"issuer": said}, issuer="https://example.com")


def access_token(**changes):
    given = {
        "issuer": "https://as.example",
        "subject": "s",
        "audience": ("a",),
        "client_id": "c",
        "scope": ("x",),
        "issued_at": 100,
        "expires_at": 400,
        "token_id": "j",
    }
    return AccessToken(**(given | changes))


@pytest.mark.spec("RFC 9068", "2.2", "MUST")
def test_an_access_token_always_has_an_audience_and_a_life():
    assert access_token().claims()["aud"] == "a"
    assert access_token(audience=("a", "b")).claims()["aud"] == ["a", "b"]
    with pytest.raises(ValueError, match="audience"):
        access_token(audience=()).claims()
    with pytest.raises(ValueError, match="expires"):
        access_token(expires_at=100).claims()


def test_an_access_token_says_nothing_of_what_is_not_there():
    assert not {"sid", "sep", "acr", "amr", "auth_time"} & set(access_token().claims())
    signed_in = access_token(sign_in=SignIn(auth_time=1, amr=("pwd",), acr="aal2"), sid="s", epoch=0).claims()
    assert (signed_in["auth_time"], signed_in["amr"], signed_in["acr"], signed_in["sep"]) == (1, ["pwd"], "aal2", 0)


@pytest.mark.spec("OpenID Connect Core", "3.1.3.6", "MUST")
def test_the_hash_of_an_access_token_is_that_of_the_specifications_example():
    token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
    assert id_token.at_hash(token, "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"


def test_an_unknown_algorithm_has_no_hash():
    """Rule J18."""
    with pytest.raises(KeyError):
        id_token.at_hash("x", "none")
