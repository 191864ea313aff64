"""RFC 9110 section 7.2, RFC 6797, CSP Level 3: what holds for every request and every answer."""

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from carnet.issuer.config import Config
from carnet.issuer.http_security import MAX_BODY, SecurityMiddleware, address_block, client_address, leave_cookie

pytestmark = pytest.mark.anyio

PLAIN = Config(issuer="http://127.0.0.1:8080")
PROXIED = Config(issuer="https://id.example", trusted_proxies=("10.0.0.0/8", "fd00::/8"))


async def app(scope, receive, send):
    request = Request(scope, receive)
    body = await request.body()
    leave_cookie(request, "seen=1; Path=/")
    address = client_address(request, scope["config"])
    await PlainTextResponse(f"{len(body)} {address} {address_block(address) if address else ''}")(scope, receive, send)


def server(config: Config, *, peer: str = "127.0.0.1"):
    secured = SecurityMiddleware(app, config=config)

    async def with_config(scope, receive, send):
        await secured(scope | {"config": config}, receive, send)

    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(with_config, client=(peer, 4711)),
        base_url=config.issuer.replace("https", "http"),
    )


def by_proxy(**headers: str):
    return {"Host": "id.example", "X-Forwarded-Proto": "https"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }


@pytest.mark.spec("RFC 9110", "15.5.20", "MAY")
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:8081", "127.0.0.1:8080.evil.example", "[", ""]
)
async def test_a_request_for_another_host_is_misdirected(host):
    async with server(PLAIN) as http:
        answer = await http.get("/account", headers={"Host": host})
    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers


async def test_a_request_with_two_hosts_is_misdirected():
    sent = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "headers": [(b"host", b"127.0.0.1:8080"), (b"host", b"evil.example")],
    }

    async def send(message):
        sent.append(message)

    await SecurityMiddleware(app, config=PLAIN)(scope, None, send)
    assert sent[0]["status"] == 421


async def test_x_forwarded_host_is_never_believed():
    async with server(PROXIED, peer="10.0.0.1") as http:
        answer = await http.get("/", headers=by_proxy(Host="inner", X_Forwarded_Host="id.example"))
    assert answer.status_code == 421


async def test_the_health_of_the_process_is_seen_by_any_name_and_without_tls():
    async with server(PROXIED) as http:
        assert (await http.get("/health/live", headers={"Host": "10.1.2.3:8080"})).status_code == 200


async def test_every_answer_is_dressed():
    async with server(PLAIN) as http:
        answers = [await http.get("/"), await http.get("/", headers={"Host": "evil.example"})]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "camera=()" in answer.headers["permissions-policy"]
        policy = answer.headers["content-security-policy"]
        assert policy == "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
        assert "strict-transport-security" not in answer.headers


@pytest.mark.spec("RFC 6797", "7.1", "SHOULD")
async def test_over_tls_browsers_are_told_to_stay_there():
    async with server(PROXIED, peer="10.0.0.1") as http:
        answer = await http.get("/", headers=by_proxy())
    assert (answer.status_code, answer.headers["strict-transport-security"]) == (200, "max-age=31536000")


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.1", by_proxy(X_Forwarded_Proto="http")),
        ("10.0.0.1", {"Host": "id.example"}),
        ("192.0.2.1", by_proxy()),
        ("127.0.0.1", by_proxy()),
    ],
)
async def test_what_did_not_come_over_tls_by_a_named_proxy_is_refused(peer, headers):
    async with server(PROXIED, peer=peer) as http:
        answer = await http.get("/", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        (None, "10.0.0.1"),
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("10.2.2.2", "10.2.2.2"),
        ("198.51.100.7, nonsense", "10.0.0.1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2:3::4"),
    ],
)
async def test_the_address_is_the_first_from_the_right_that_is_no_named_proxy(forwarded, seen):
    headers = by_proxy() if forwarded is None else by_proxy(X_Forwarded_For=forwarded)
    async with server(PROXIED, peer="10.0.0.1") as http:
        answer = await http.get("/", headers=headers)
    assert answer.text.split()[1] == seen


async def test_x_forwarded_for_of_anybody_else_is_not_believed():
    async with server(PLAIN, peer="192.0.2.1") as http:
        answer = await http.get("/", headers={"X-Forwarded-For": "198.51.100.7"})
    assert answer.text.split()[1] == "192.0.2.1"


async def test_an_ipv6_address_counts_by_its_64_and_however_it_is_written():
    async with server(PLAIN, peer="2001:0DB8:1:2:0:0:0:99") as http:
        assert (await http.get("/")).text.split()[2] == "2001:db8:1:2::/64"


async def test_a_body_of_64_kib_is_read_and_one_byte_more_is_refused():
    async with server(PLAIN) as http:
        assert (await http.post("/", content=b"x" * MAX_BODY)).text.startswith(str(MAX_BODY))
        assert (await http.post("/", content=b"x" * (MAX_BODY + 1))).status_code == 413


async def test_a_body_whose_length_is_not_declared_is_counted_as_it_comes():
    async def chunks():
        for _ in range(MAX_BODY // 1024 + 1):
            yield b"x" * 1024

    async with server(PLAIN) as http:
        answer = await http.post("/", content=chunks())
    assert answer.status_code == 413
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("length", ["-1", "abc", "9" * 30, "٣"])
async def test_a_length_that_is_no_number_is_refused(length):
    sent = []
    headers = [(b"host", b"127.0.0.1:8080"), (b"content-length", length.encode("utf-8"))]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "scheme": "http", "headers": headers}

    async def send(message):
        sent.append(message)

    await SecurityMiddleware(app, config=PLAIN)(scope, None, send)
    assert sent[0]["status"] == 413


async def test_cookies_that_were_left_go_with_whatever_answer_comes():
    async with server(PLAIN) as http:
        assert (await http.get("/")).headers["set-cookie"] == "seen=1; Path=/"
