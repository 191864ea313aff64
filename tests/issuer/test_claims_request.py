"""OpenID Connect Core section 5.5: the `claims` parameter; and the other parameters that a client may send along."""

import json

import pytest

from carnet.oauth import claims_request
from carnet.oauth.claims_request import ClaimsRequest
from carnet.oauth.errors import InvalidRequestError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ann(issuer):
    return await issuer.sign_in()


async def ask(app, claims, **changes):
    return await app.tokens(**({"scope": "openid", "claims": json.dumps(claims)} | changes))


@pytest.mark.spec("OpenID Connect Core", "5.5", "MUST")
async def test_a_claim_that_is_asked_for_in_the_id_token_stands_there(issuer, ann, claims):
    app = await issuer.register()
    plain = claims((await app.tokens(scope="openid email"))["id_token"])
    assert "email" not in plain
    tokens = await ask(app, {"id_token": {"email": None, "name": {"essential": True}, "unheard_of": None}})
    said = claims(tokens["id_token"])
    assert (said["email"], said["name"]) == (ann.email, "Ann")
    assert not {"email_verified", "updated_at", "unheard_of"} & set(said)
    again = claims((await app.refresh(tokens["refresh_token"])).json()["id_token"])
    assert again["email"] == ann.email


@pytest.mark.spec("OpenID Connect Core", "5.5", "MUST")
async def test_a_claim_that_is_asked_for_from_userinfo_is_there_and_the_answer_says_its_scope(issuer, ann, claims):
    app = await issuer.register()
    tokens = await ask(app, {"userinfo": {"email": {"essential": True}}})
    assert tokens["scope"] == "openid email"
    shown = (await app.userinfo(tokens["access_token"])).json()
    assert shown["email"] == ann.email
    assert "name" not in shown
    assert "email" not in claims(tokens["id_token"])


async def test_a_claim_is_no_way_around_the_client_s_scope_or_the_person_s_consent(issuer, ann, claims):
    narrow = await issuer.register(scope="openid")
    tokens = await ask(narrow, {"userinfo": {"email": None}, "id_token": {"email": None}})
    assert tokens["scope"] == "openid"
    assert "email" not in claims(tokens["id_token"])
    assert set((await narrow.userinfo(tokens["access_token"])).json()) == {"sub"}
    asking = await issuer.register(first_party=False)
    page = await issuer.follow(await asking.authorize(scope="openid", claims=json.dumps({"id_token": {"email": None}})))
    assert "See your email address" in page.text


async def test_a_claim_cannot_take_the_place_of_what_the_issuer_says(issuer, ann, claims):
    app = await issuer.register()
    said = claims((await ask(app, {"id_token": {"sub": None, "iss": None, "aud": None, "exp": None}}))["id_token"])
    assert (said["sub"], said["aud"]) == (ann.subject, app.client_id)


@pytest.mark.spec("OpenID Connect Core", "3.1.2.2", "MUST")
async def test_a_subject_that_is_asked_for_is_the_only_one_who_will_do(issuer, ann):
    app = await issuer.register()
    mine = json.dumps({"id_token": {"sub": {"value": ann.subject}}})
    other = json.dumps({"id_token": {"sub": {"value": "somebody-else"}}})
    assert "code" in app.query(await app.authorize(claims=mine, prompt="none"))
    assert app.query(await app.authorize(claims=other, prompt="none"))["error"] == "login_required"
    hint = (await app.tokens())["id_token"]
    both = app.query(await app.authorize(claims=other, id_token_hint=hint))
    assert both["error"] == "invalid_request"
    assert "code" in app.query(await app.authorize(claims=mine, id_token_hint=hint))


@pytest.mark.spec("OpenID Connect Core", "5.5.1.1", "MUST")
async def test_an_essential_context_that_was_not_reached_is_an_error_and_a_voluntary_one_is_not(issuer, ann):
    app = await issuer.register()
    strong = {"values": ["urn:example:stronger-than-anything"]}
    essential = json.dumps({"id_token": {"acr": strong | {"essential": True}}})
    assert app.query(await app.authorize(claims=essential, prompt="none"))["error"] == (
        "unmet_authentication_requirements"
    )
    for voluntary in (strong, {"essential": True}, None):
        claims = json.dumps({"id_token": {"acr": voluntary}})
        assert "code" in app.query(await app.authorize(claims=claims, prompt="none"))


@pytest.mark.parametrize(
    "text",
    ["x", "[]", "{", '"x"', '{"id_token": 1}', '{"id_token": {"email": 1}}', '{"userinfo": []}', '{"a":1,"a":2}',
     '{"id_token": {"sub": {"value": 1}}}', '{"id_token": {"acr": {"essential": true, "values": "x"}}}', "x" * 4_001],
)  # fmt: skip
async def test_what_is_not_well_formed_is_refused(issuer, ann, text):
    app = await issuer.register()
    with pytest.raises(InvalidRequestError):
        claims_request.parse(text)
    assert app.query(await app.authorize(claims=text))["error"] == "invalid_request"


def test_what_is_read_from_the_parameter():
    asked = claims_request.parse(
        json.dumps(
            {
                "id_token": {"auth_time": {"essential": True}, "acr": {"essential": True, "value": "a"}},
                "userinfo": {"email": None},
                "other": {"x": 1},
            }
        )
    )
    assert asked == ClaimsRequest(id_token=("auth_time", "acr"), userinfo=("email",), acr=("a",))
    assert claims_request.parse(None) == claims_request.parse("{}") == ClaimsRequest()


async def test_without_openid_there_is_nothing_to_ask_of(issuer, ann):
    app = await issuer.register(scope="openid email stock:read")
    answer = await app.authorize(scope="stock:read", claims="not even JSON")
    assert "code" in app.query(answer)


@pytest.mark.spec("OpenID Connect Core", "15.1", "MUST")
@pytest.mark.parametrize(
    "parameter",
    [{"display": "page"}, {"ui_locales": "se sv-SE xx"}, {"claims_locales": "se"}, {"acr_values": "1 2 unheard:of"}],
    ids=str,
)
async def test_what_is_only_a_wish_is_no_reason_for_an_error(issuer, ann, parameter):
    app = await issuer.register()
    assert "code" in app.query(await app.authorize(**parameter))


async def test_discovery_says_so(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert document["claims_parameter_supported"] is True
