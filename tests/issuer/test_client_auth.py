"""RFC 6749 sections 2.3 and 3.2: how a client proves who it is, and how requests of programs are read."""

from base64 import b64encode
from urllib.parse import quote_plus, urlencode

import pytest

from carnet.issuer.client_auth import FAILURES_PER_MINUTE

pytestmark = pytest.mark.anyio

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()}


def refused(answer, error: str = "invalid_client", status: int = 401) -> bool:
    return (answer.status_code, answer.json()["error"], answer.headers["cache-control"]) == (status, error, "no-store")


@pytest.fixture
async def service(issuer):
    return await issuer.service()


@pytest.fixture
def ask(issuer):
    async def ask(headers=None, **parameters):
        given = {"grant_type": "client_credentials"} | parameters
        return await issuer.direct.post("/token", data=given, headers=headers or {})

    return ask


@pytest.mark.spec("RFC 6749", "2.3.1", "MUST")
async def test_a_client_authenticates_by_basic(service, ask):
    assert (await ask(basic(service.client_id, service.secret))).status_code == 200
    assert (
        await ask(
            {"Authorization": basic(service.client_id, service.secret)["Authorization"].replace("Basic", "bAsIc")}
        )
    ).status_code == 200


@pytest.mark.spec("RFC 6749", "2.3.1", "MUST")
async def test_both_parts_of_basic_are_form_decoded(issuer, ask):
    service = await issuer.service(client_id="a.client-with_marks")
    encoded = "".join(f"%{ord(character):02x}" for character in service.client_id)
    assert (await ask(basic(encoded, quote_plus(service.secret)))).status_code == 200


@pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post"])
async def test_a_client_with_a_secret_may_show_it_either_way(issuer, ask, registered):
    client = await issuer.service(token_endpoint_auth_method=registered)
    assert (await ask(client_id=client.client_id, client_secret=client.secret)).status_code == 200
    assert (await ask(basic(client.client_id, client.secret))).status_code == 200
    assert refused(await ask(client_id=client.client_id, client_secret="wrong"))


@pytest.mark.spec("RFC 6749", "5.2", "MUST")
async def test_a_refused_client_is_challenged(service, ask):
    answer = await ask(basic(service.client_id, "wrong"))
    assert refused(answer)
    assert answer.headers["www-authenticate"] == 'Basic realm="http://127.0.0.1:8080", charset="UTF-8"'


async def test_an_unknown_client_and_a_wrong_secret_are_told_the_same(service, ask):
    wrong, unknown = await ask(basic(service.client_id, "wrong")), await ask(basic("nobody", "wrong"))
    assert wrong.status_code == unknown.status_code
    assert wrong.content == unknown.content


@pytest.mark.spec("RFC 6749", "2.3", "MUST NOT")
async def test_two_ways_at_once_are_refused(service, ask):
    answer = await ask(
        basic(service.client_id, service.secret), client_secret=service.secret, client_id=service.client_id
    )
    assert refused(answer, "invalid_request", 400)


async def test_two_authorization_headers_are_refused(issuer, service):
    header = basic(service.client_id, service.secret)["Authorization"]
    answer = await issuer.direct.post(
        "/token",
        content="grant_type=client_credentials",
        headers=[("Authorization", header), ("Authorization", header), *FORM.items()],
    )
    assert refused(answer, "invalid_request", 400)


async def test_a_body_may_repeat_the_client_id_of_the_header_and_no_other(issuer, service, ask):
    assert (await ask(basic(service.client_id, service.secret), client_id=service.client_id)).status_code == 200
    other = await issuer.service()
    assert refused(
        await ask(basic(service.client_id, service.secret), client_id=other.client_id), "invalid_request", 400
    )


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        *(f"Basic {b64encode(raw).decode()}" for raw in (b"no colon", b":secret", b"id:", b"\xff:x", b"a%00b:x")),
        "Bearer abc",
        "Digest x",
    ],
)
async def test_a_malformed_header_is_refused(ask, header):
    assert refused(await ask({"Authorization": header}))


async def test_a_header_hides_no_client_id_of_a_public_client(issuer, ask):
    public = await issuer.public()
    assert refused(await ask({"Authorization": "Bearer abc"}, client_id=public.client_id))


async def test_who_does_not_say_who_it_is_is_refused(ask):
    assert refused(await ask())


async def test_a_confidential_client_is_not_let_in_without_its_secret(service, ask):
    assert refused(await ask(client_id=service.client_id))
    assert refused(await ask(client_id=service.client_id, client_secret=""))


async def test_a_public_client_has_no_secret_to_show(issuer, ask):
    public = await issuer.public()
    assert refused(await ask(client_id=public.client_id, client_secret="anything"))
    assert refused(await ask(basic(public.client_id, "anything")))


async def test_failures_are_slowed_down_and_shut_nobody_out(issuer, service, ask):
    for _ in range(FAILURES_PER_MINUTE):
        assert refused(await ask(basic(service.client_id, "wrong")))
    slowed = await ask(basic(service.client_id, "wrong"))
    assert refused(slowed, "temporarily_unavailable", 429)
    assert slowed.headers["retry-after"] == "60"
    assert (await ask(basic(service.client_id, service.secret))).status_code == 200
    issuer.clock.advance(60)
    assert refused(await ask(basic(service.client_id, "wrong")))


async def test_names_that_are_made_up_are_counted_together(ask):
    answers = [await ask(basic(f"nobody-{number}", "wrong")) for number in range(FAILURES_PER_MINUTE + 1)]
    assert [answer.status_code for answer in answers] == [401] * FAILURES_PER_MINUTE + [429]


async def test_a_rotated_secret_takes_the_place_of_the_old_one(issuer, service, ask):
    from carnet.issuer.clients import rotate_secret

    rotated = await rotate_secret(issuer.desk, service.registered.client, actor="test")
    assert refused(await ask(basic(service.client_id, service.secret)))
    assert (await ask(basic(service.client_id, rotated.secret.value))).status_code == 200


@pytest.mark.spec("RFC 6749", "3.2", "MUST")
async def test_the_token_endpoint_takes_post_alone(issuer):
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert (await issuer.direct.request(method, "/token")).status_code == 405


@pytest.mark.spec("RFC 6749", "2.3.1", "MUST NOT")
async def test_parameters_in_the_query_are_not_looked_at(issuer, service):
    query = urlencode(
        {"client_id": service.client_id, "client_secret": service.secret, "grant_type": "client_credentials"}
    )
    assert refused(await issuer.direct.post(f"/token?{query}", content="", headers=FORM))


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_a_body_that_is_no_form_is_refused(issuer, content_type):
    answer = await issuer.direct.post("/token", content="{}", headers={"Content-Type": content_type})
    assert refused(answer, "invalid_request", 415)


async def test_a_form_may_name_its_charset(issuer, service):
    answer = await issuer.direct.post(
        "/token",
        content="grant_type=client_credentials",
        headers={"Content-Type": "Application/X-WWW-Form-URLencoded; charset=utf-8"}
        | basic(service.client_id, service.secret),
    )
    assert answer.status_code == 200


@pytest.mark.spec("RFC 6749", "3.2", "MUST NOT")
@pytest.mark.parametrize(
    "body",
    [
        "grant_type=client_credentials&grant_type=client_credentials",
        "grant_type=client_credentials&x=1&x=2",
        "&".join(f"p{number}=1" for number in range(101)),
        "grant_type=%zz",
        "grant_type=%ff",
        "grant_type=a%00b",
        "grant_type=ä",
    ],
    ids=["repeated", "repeated unknown", "too many", "no hex", "no UTF-8", "NUL", "not encoded"],
)
async def test_a_malformed_body_is_refused(issuer, service, body):
    headers = FORM | basic(service.client_id, service.secret)
    assert refused(await issuer.direct.post("/token", content=body.encode(), headers=headers), "invalid_request", 400)


async def test_a_body_beyond_64_kib_is_refused(issuer):
    answer = await issuer.direct.post("/token", content=b"a" * 65_537, headers=FORM)
    assert answer.status_code == 413
