"""RFC 8725 section 3.12: the kinds of JWT exclude each other (rule J17)."""

import pytest

from carnet.jose import JoseError, KeySet, sign_jwt
from carnet.jose.profiles import (
    ACCESS_TOKEN,
    BACKCHANNEL_REQUEST,
    CLIENT_ASSERTION,
    ID_TOKEN,
    LOGOUT_TOKEN,
    PROFILES,
    REQUEST_OBJECT,
    REVOCATIONS,
    SECURITY_EVENT,
)
from carnet.jose.proof import verify_proof

ISSUER, AUDIENCE, NOW = "https://issuer.example", "https://other.example", 1_800_000_000
COMMON = {"iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, "jti": "1"}
REQUEST_TYPE = "oauth-authz-req+jwt"
EVENT = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
EVENTS = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}

GOOD = {
    ACCESS_TOKEN.name: COMMON | {"sub": "ada", "client_id": "shop", "scope": "openid", "auth_time": NOW - 5},
    ID_TOKEN.name: COMMON | {"sub": "ada", "nonce": "n", "auth_time": NOW - 5},
    LOGOUT_TOKEN.name: COMMON | {"sub": "ada", "sid": "s"} | EVENTS,
    CLIENT_ASSERTION.name: COMMON | {"sub": ISSUER},
    REQUEST_OBJECT.name: COMMON
    | {"client_id": ISSUER, "response_type": "code", "redirect_uri": "https://shop.example/cb"},
    BACKCHANNEL_REQUEST.name: COMMON | {"nbf": NOW, "scope": "openid", "login_hint": "ada@example.com"},
    REVOCATIONS.name: COMMON | {"sequence": 7},
    SECURITY_EVENT.name: {name: value for name, value in COMMON.items() if name != "exp"}
    | {"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": "ada"}, "events": {EVENT: {"reason": "hijacking"}}},
}
"""A good token of each kind: the same issuer, audience and key, so that nothing but its kind sets it apart."""

TYPED = [(profile, typ) for profile in PROFILES for typ in profile.types]
IDS = [f"{profile.name} {typ}" for profile, typ in TYPED]


@pytest.fixture
def token_of(key, forge):
    def made(profile, typ, **changes):
        header = {"alg": "ES256", "kid": key.kid} | ({} if typ is None else {"typ": typ})
        return forge(
            header, {name: value for name, value in (GOOD[profile.name] | changes).items() if value is not None}, key
        )

    return made


@pytest.fixture
def accepted(key):
    def accepts(profile, token):
        verifier = profile.verifier(
            keys=KeySet([key.public()]), algorithms=("ES256",), issuer=ISSUER, audience=AUDIENCE
        )
        try:
            verifier.verify(token, at=NOW)
        except JoseError:
            return False
        return True

    return accepts


@pytest.mark.parametrize(
    ("verified_as", "_"), [(profile, None) for profile in PROFILES], ids=lambda value: getattr(value, "name", "")
)
@pytest.mark.parametrize(("made_as", "typ"), TYPED, ids=IDS)
@pytest.mark.spec("RFC 8725", "3.12", "MUST")
def test_a_token_of_one_kind_is_refused_as_every_other(verified_as, _, made_as, typ, token_of, accepted):
    assert accepted(verified_as, token_of(made_as, typ)) is (made_as is verified_as)


@pytest.mark.parametrize(("made_as", "typ"), TYPED, ids=IDS)
def test_no_token_of_an_issuer_is_a_proof_of_possession(made_as, typ, token_of):
    with pytest.raises(JoseError):
        verify_proof(token_of(made_as, typ), algorithms=("ES256",), at=NOW, max_age=60)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_proof_of_possession_is_refused_as_every_kind_of_token(profile, key, accepted, forge):
    claims = GOOD[profile.name] | {"htm": "GET", "htu": "https://orders.example/"}
    token = forge({"alg": "ES256", "kid": key.kid, "typ": "dpop+jwt", "jwk": key.public().to_jwk()}, claims, key)
    assert not accepted(profile, token)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_claim_that_a_kind_requires_is_missed(profile, token_of, accepted):
    assert accepted(profile, token_of(profile, profile.types[0]))
    for name in ("iss", "aud", *profile.required):
        assert not accepted(profile, token_of(profile, profile.types[0], **{name: None})), name
    for name in profile.forbidden:
        assert not accepted(profile, token_of(profile, profile.types[0], **{name: "x"})), name


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_only_a_token_that_may_come_again_is_remembered(profile, key, token_of):
    """The same object comes back, and not one that was verified anew."""
    verifier = profile.verifier(keys=KeySet([key.public()]), algorithms=("ES256",), issuer=ISSUER, audience=AUDIENCE)
    token = token_of(profile, profile.types[0])
    remembered = verifier.verify(token, at=NOW) is verifier.verify(token, at=NOW)
    assert remembered is (profile not in (LOGOUT_TOKEN, CLIENT_ASSERTION, BACKCHANNEL_REQUEST, SECURITY_EVENT))


@pytest.mark.parametrize(
    "profile", [one for one in PROFILES if "exp" not in one.forbidden], ids=lambda profile: profile.name
)
def test_clocks_may_not_differ_unless_it_is_said(profile, key, token_of):
    policy = {"keys": KeySet([key.public()]), "algorithms": ("ES256",), "issuer": ISSUER, "audience": AUDIENCE}
    token = token_of(profile, profile.types[0])
    profile.verifier(**policy).verify(token, at=NOW + 299)
    with pytest.raises(JoseError):
        profile.verifier(**policy).verify(token, at=NOW + 300)
    profile.verifier(**policy, leeway=1).verify(token, at=NOW + 300)


def test_the_kinds_have_names_of_their_own_and_types_that_only_claims_may_share():
    assert len({profile.name for profile in PROFILES}) == len(PROFILES)
    distinct = [typ for profile in PROFILES for typ in profile.types if typ not in {"JWT", None, REQUEST_TYPE}]
    assert len(set(distinct)) == len(distinct)
    sharing = [profile for profile in PROFILES if REQUEST_TYPE in profile.types]
    assert sharing == [REQUEST_OBJECT, BACKCHANNEL_REQUEST]
    assert {profile.name for profile in PROFILES if "JWT" in profile.types} == {
        ID_TOKEN.name,
        CLIENT_ASSERTION.name,
        REQUEST_OBJECT.name,
        BACKCHANNEL_REQUEST.name,
    }


@pytest.mark.spec("OpenID Connect Back-Channel Logout", "2.4", "REQUIRED")
@pytest.mark.parametrize(
    "changes",
    [
        {"events": {}}, {"events": {"http://schemas.openid.net/event/backchannel-logout": "x"}}, {"events": []}, {"events": "x"},
        {"sub": None, "sid": None}, {"nonce": "n"},
    ],
)  # fmt: skip
def test_a_logout_token_says_what_happened_and_to_whom(changes, token_of, accepted):
    assert not accepted(LOGOUT_TOKEN, token_of(LOGOUT_TOKEN, "logout+jwt", **changes))


@pytest.mark.parametrize("changes", [{"sub": None}, {"sid": None}])
def test_a_logout_token_names_a_subject_or_a_session(changes, token_of, accepted):
    assert accepted(LOGOUT_TOKEN, token_of(LOGOUT_TOKEN, "logout+jwt", **changes))


@pytest.mark.spec("RFC 7523", "3", "MUST")
def test_a_client_s_assertion_is_about_the_client_itself_and_for_the_issuer_alone(token_of, accepted):
    assert not accepted(CLIENT_ASSERTION, token_of(CLIENT_ASSERTION, "client-authentication+jwt", sub="another"))
    assert accepted(CLIENT_ASSERTION, token_of(CLIENT_ASSERTION, "client-authentication+jwt", aud=[AUDIENCE]))
    assert not accepted(CLIENT_ASSERTION, token_of(CLIENT_ASSERTION, "client-authentication+jwt", aud=[AUDIENCE, "x"]))


@pytest.mark.spec("OpenID Connect Core", "3.1.3.7", "SHOULD")
def test_an_id_token_for_several_says_who_asked_for_it(token_of, accepted):
    assert not accepted(ID_TOKEN, token_of(ID_TOKEN, "JWT", aud=[AUDIENCE, "x"]))
    assert accepted(ID_TOKEN, token_of(ID_TOKEN, "JWT", aud=[AUDIENCE, "x"], azp=AUDIENCE))
    assert accepted(ID_TOKEN, token_of(ID_TOKEN, "JWT", aud=[AUDIENCE]))


@pytest.mark.parametrize("value", ["yesterday", True, -1])
def test_the_time_of_authentication_in_an_access_token_is_a_date(value, token_of, accepted):
    assert not accepted(ACCESS_TOKEN, token_of(ACCESS_TOKEN, "at+jwt", auth_time=value))


def test_a_token_that_is_used_once_is_not_remembered(key):
    for profile in PROFILES:
        verifier = profile.verifier(
            keys=KeySet([key.public()]), algorithms=("ES256",), issuer=ISSUER, audience=AUDIENCE
        )
        verifier.verify(sign_jwt(GOOD[profile.name], key, typ=str(profile.types[0])), at=NOW)
        assert len(verifier._recent) == (0 if profile.single_use else 1)


@pytest.mark.spec("RFC 8417", "2.2", "REQUIRED")
@pytest.mark.spec("OpenID Shared Signals Framework", "4.1", "MUST NOT")
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + 300},
        {"sub": "ada"},
        {"events": {}},
        {"events": {EVENT: "disabled"}},
        {"events": {EVENT: {}, EVENT + "2": {}}},
        {"events": [EVENT]},
        {"sub_id": "ada"},
        {"sub_id": {"sub": "ada"}},
        {"sub_id": {"format": 1}},
    ],
    ids=str,
)
def test_a_security_event_says_one_thing_of_one_subject_and_does_not_expire(changes, token_of, accepted):
    assert accepted(SECURITY_EVENT, token_of(SECURITY_EVENT, SECURITY_EVENT.types[0]))
    assert not accepted(SECURITY_EVENT, token_of(SECURITY_EVENT, SECURITY_EVENT.types[0], **changes))
