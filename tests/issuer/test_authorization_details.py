"""RFC 9396: requests that say in detail what they ask for."""

from json import dumps

import pytest

from carnet.issuer.clients import ClientError
from carnet.issuer.config import Config
from carnet.issuer.endpoints.consent import written_details
from carnet.issuer.grants.ciba import GRANT_TYPE as CIBA
from carnet.issuer.grants.device_code import GRANT_TYPE as DEVICE_CODE

from .test_pushed_requests import bring, pushed, refused

pytestmark = pytest.mark.anyio

PAYMENT = {"type": "payment", "actions": ["initiate"], "amount": {"value": "12.50", "currency": "EUR"}}
FILE = {"type": "file", "identifier": "f-1", "locations": ["https://files.example/"], "note": "<b>bold</b>"}
BOTH = dumps([PAYMENT, FILE])


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(issuer="http://127.0.0.1:8080", data=tmp_path, authorization_details_types=("payment", "file", "tax"))


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(authorization_details_types=("payment", "file"))


def plain(details) -> list[dict]:
    """As JSON writes them."""
    from json import loads

    return loads(dumps(details))


@pytest.mark.spec("RFC 9396", "7", "MUST")
async def test_what_was_approved_stands_in_the_token_and_in_the_answer(app, claims):
    tokens = await app.tokens(authorization_details=BOTH)
    assert tokens["authorization_details"] == [PAYMENT, FILE]
    assert plain(claims(tokens["access_token"])["authorization_details"]) == [PAYMENT, FILE]
    seen = await app.post("/introspect", token=tokens["access_token"])
    assert seen.json()["authorization_details"] == [PAYMENT, FILE]


async def test_without_them_nothing_is_said_of_them(app, claims):
    tokens = await app.tokens()
    assert "authorization_details" not in tokens
    assert "authorization_details" not in claims(tokens["access_token"])


@pytest.mark.spec("RFC 9396", "6.1", "MUST")
async def test_a_token_request_narrows_them_and_never_widens_them(app, claims):
    first = await app.redeem(await app.code(authorization_details=BOTH), authorization_details=dumps([FILE]))
    assert first.json()["authorization_details"] == [FILE]
    again = await app.refresh(first.json()["refresh_token"])
    assert again.json()["authorization_details"] == [PAYMENT, FILE]
    token = again.json()["refresh_token"]
    for asked in (FILE | {"identifier": "f-2"}, PAYMENT | {"actions": ["initiate", "cancel"]}, {"type": "payment"}):
        answer = await app.refresh(token, authorization_details=dumps([asked]))
        assert refused(answer, "invalid_authorization_details")
    narrowed = await app.refresh(token, authorization_details=dumps([dict(reversed(PAYMENT.items()))]))
    assert narrowed.json()["authorization_details"] == [PAYMENT]


async def test_what_was_not_approved_is_not_had_by_asking_for_it_later(app):
    answer = await app.redeem(await app.code(), authorization_details=dumps([FILE]))
    assert refused(answer, "invalid_authorization_details")


@pytest.mark.spec("RFC 9396", "5", "MUST")
@pytest.mark.parametrize(
    "details",
    [
        "x",
        "{}",
        dumps(PAYMENT),
        '[{"type": "payment", "type": "file"}]',
        "[NaN]",
        dumps(["payment"]),
        dumps([{}]),
        dumps([{"type": 1}]),
        dumps([{"type": "tax"}]),
        dumps([{"type": "unheard-of"}]),
        dumps([PAYMENT, {"type": "Payment"}]),
        dumps([PAYMENT | {"actions": "initiate"}]),
        dumps([PAYMENT | {"locations": [1]}]),
        dumps([PAYMENT | {"datatypes": {}}]),
        dumps([PAYMENT | {"privileges": None}]),
        dumps([PAYMENT | {"identifier": 1}]),
        dumps([PAYMENT] * 11),
        dumps([PAYMENT | {"note": "x" * 4_096}]),
        "[" * 20 + "]" * 20,
    ],
)
async def test_details_that_are_not_right_are_refused(app, details):
    answer = await app.authorize(authorization_details=details)
    assert app.query(answer)["error"] == "invalid_authorization_details"
    assert refused(
        await app.post("/par", **app.request(authorization_details=details)), "invalid_authorization_details"
    )
    code = await app.code(authorization_details=BOTH)
    assert refused(await app.redeem(code, authorization_details=details), "invalid_authorization_details")


async def test_they_may_be_pushed_and_signed(issuer):
    from carnet.jose import SigningKey

    from .test_request_objects import ask, signed

    await issuer.sign_in()
    key = SigningKey.generate("ES256", kid="one")
    app = await issuer.register(authorization_details_types=("payment",), jwks={"keys": [key.public().to_jwk()]})
    code = app.query(await bring(app, await pushed(app, authorization_details=dumps([PAYMENT]))))["code"]
    assert (await app.redeem(code)).json()["authorization_details"] == [PAYMENT]
    answer = await ask(app, signed(app, key=key, authorization_details=[PAYMENT]))
    assert (await app.redeem(app.query(answer)["code"])).json()["authorization_details"] == [PAYMENT]


async def test_a_client_of_its_own_account_asks_for_its_own(issuer, claims):
    service = await issuer.service(authorization_details_types=("file",))
    answer = await service.post(grant_type="client_credentials", authorization_details=dumps([FILE]))
    assert answer.json()["authorization_details"] == [FILE]
    assert plain(claims(answer.json()["access_token"])["authorization_details"]) == [FILE]
    other = await service.post(grant_type="client_credentials", authorization_details=dumps([PAYMENT]))
    assert refused(other, "invalid_authorization_details")


async def test_a_type_that_is_taken_away_is_gone_from_the_next_token(issuer, app):
    from msgspec.structs import replace

    from carnet.issuer.clients import change

    tokens = await app.tokens(authorization_details=BOTH)
    client = app.registered.client
    await change(issuer.desk, client, replace(client, authorization_details_types=("file",)), actor="test")
    assert (await app.refresh(tokens["refresh_token"])).json()["authorization_details"] == [FILE]


@pytest.mark.spec("RFC 9396", "7.1", "SHOULD")
def test_what_stands_inside_of_a_member_is_written_out_for_people():
    detail = {
        "type": "payment",
        "instructedAmount": {"currency": "EUR", "amount": "12.50"},
        "creditors": [{"name": "Eve; amount: 1"}, {"name": "Bob", "urgent": True}],
        "locations": ["https://one.example/", "https://two.example/"],
        "nothing": {},
        "none": [],
    }
    assert written_details((detail,)) == [
        (
            "payment",
            [
                ("instructedAmount / currency", "EUR"),
                ("instructedAmount / amount", "12.50"),
                ("creditors 1 / name", "Eve; amount: 1"),
                ("creditors 2 / name", "Bob"),
                ("creditors 2 / urgent", "true"),
                ("locations", "https://one.example/, https://two.example/"),
                ("nothing", "{}"),
                ("none", "[]"),
            ],
        )
    ]


@pytest.mark.spec("RFC 9396", "7.1", "SHOULD")
async def test_the_person_sees_all_of_them_and_is_asked_each_time(issuer):
    await issuer.sign_in()
    app = await issuer.register(first_party=False, authorization_details_types=("payment", "file"))

    async def allow(**changes):
        page = await issuer.follow(await app.authorize(**changes))
        answer = await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
        return page.text, await issuer.follow(answer)

    _, answer = await allow()
    assert "code" in app.query(answer)
    assert "code" in app.query(await app.authorize())
    for _ in range(2):
        text, answer = await allow(authorization_details=BOTH)
        assert "12.50" in text
        assert "initiate" in text
        assert "https://files.example/" in text
        assert "<b>bold" not in text
        tokens = await app.redeem(app.query(answer)["code"])
        assert tokens.json()["authorization_details"] == [PAYMENT, FILE]
    silent = await app.authorize(authorization_details=BOTH, prompt="none")
    assert app.query(silent)["error"] == "consent_required"


async def test_a_yes_to_another_request_of_the_client_is_no_yes_to_this_one(issuer):
    await issuer.sign_in()
    app = await issuer.register(first_party=False, authorization_details_types=("payment", "file"))
    waiting = await app.authorize(authorization_details=BOTH)
    other = await issuer.follow(await app.authorize())
    done = await issuer.follow(await issuer.submit("/consent", issuer.fields(other) | {"decision": "allow"}))
    assert "code" in app.query(done)
    resumed = await issuer.http.get("/authorize", params={"flow": app.query(waiting)["flow"]})
    assert "/consent?" in resumed.headers["location"]


async def test_only_types_of_the_issuers_are_registered(issuer):
    with pytest.raises(ClientError, match="authorization_details_types"):
        await issuer.register(authorization_details_types=("unheard-of",))


async def test_discovery_says_so(issuer):
    document = (await issuer.direct.get("/.well-known/oauth-authorization-server")).json()
    assert document["authorization_details_types_supported"] == ["payment", "file", "tax"]


async def test_a_device_asks_for_them_and_its_person_reads_them(issuer, claims):
    await issuer.sign_in()
    tv = await issuer.public(
        redirect_uris=(), grant_types=(DEVICE_CODE,), first_party=False, authorization_details_types=("file",)
    )
    assert refused(await tv.post("/device_authorization", authorization_details=BOTH), "invalid_authorization_details")
    asked = (await tv.post("/device_authorization", authorization_details=dumps([FILE]))).json()
    page = await issuer.http.get("/device")
    page = await issuer.submit("/device", issuer.fields(page) | {"user_code": asked["user_code"]})
    assert "&lt;b&gt;bold&lt;/b&gt;" in page.text
    await issuer.submit("/device", issuer.fields(page) | {"decision": "allow"})
    answer = await tv.post(grant_type=DEVICE_CODE, device_code=asked["device_code"])
    assert answer.json()["authorization_details"] == [FILE]
    assert plain(claims(answer.json()["access_token"])["authorization_details"]) == [FILE]


async def test_an_app_elsewhere_asks_for_them_and_its_person_reads_them(issuer):
    await issuer.sign_in()
    bank = await issuer.register(
        redirect_uris=(), grant_types=(CIBA, "refresh_token"), authorization_details_types=("payment", "file")
    )
    given = {"scope": "openid", "login_hint": "ann@example.com", "authorization_details": BOTH}
    bad = await bank.post("/backchannel_authentication", **(given | {"authorization_details": "x"}))
    assert refused(bad, "invalid_authorization_details")
    asked = (await bank.post("/backchannel_authentication", **given)).json()
    page = await issuer.http.get("/approvals")
    assert "payment" in page.text
    assert "12.50" in page.text
    await issuer.submit("/approvals", issuer.fields(page) | {"decision": "allow"})
    tokens = (await bank.post(grant_type=CIBA, auth_req_id=asked["auth_req_id"])).json()
    assert tokens["authorization_details"] == [PAYMENT, FILE]
    narrowed = await bank.refresh(tokens["refresh_token"], authorization_details=dumps([PAYMENT]))
    assert narrowed.json()["authorization_details"] == [PAYMENT]
