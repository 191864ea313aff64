"""Rule A3: a request is read in one way, or refused."""

from ipaddress import ip_network

import pytest

from carnet.guard import RefusedRequestError
from carnet.guard.certificate_source import trusted
from carnet.guard.gateway.identity import IDENTITY_HEADERS
from carnet.guard.gateway.original_request import OVERRIDES, host_name, original_request, told_by
from carnet.guard.gateway.proxies import PROXIES

NGINX, TRAEFIK, CADDY, ENVOY = PROXIES


def told(proxy=NGINX, *, method="GET", target=b"/check", headers=(), **said):
    given = {
        "x-original-method": "POST",
        "x-original-host": "Shop.Example:8443",
        "x-original-uri": "/orders/7?expand=1",
    } | said
    sent = [(name.encode(), value.encode()) for name, value in given.items() if value is not None]
    return told_by(proxy, method=method, target=target, headers=[*sent, *headers])


def refusal(call, *args, **kwargs) -> tuple[int, str]:
    with pytest.raises(RefusedRequestError) as caught:
        call(*args, **kwargs)
    return caught.value.refused.status, caught.value.refused.code


def test_nginx_says_in_headers_of_its_own_what_was_asked_for():
    asked = told(headers=[(b"authorization", b"Bearer a")])
    assert (asked.method, asked.host, asked.path, asked.query) == ("POST", "shop.example", "/orders/7", b"expand=1")
    assert list(asked.authorizations) == [b"Bearer a"]


@pytest.mark.parametrize("proxy", [TRAEFIK, CADDY])
def test_traefik_and_caddy_say_it_in_forwarded_headers(proxy):
    said = {
        "x-forwarded-method": "PUT",
        "x-forwarded-host": "shop.example",
        "x-forwarded-uri": "/a?b",
        "x-original-uri": "/public",
    }
    asked = told(proxy, **said)
    assert (asked.method, asked.host, asked.path, asked.query) == ("PUT", "shop.example", "/a", b"b")


def test_envoy_asks_with_the_request_itself_below_its_prefix():
    asked = told(ENVOY, method="DELETE", target=b"/check/orders/7?x=%2F", host="shop.example")
    assert (asked.method, asked.host, asked.path, asked.query) == ("DELETE", "shop.example", "/orders/7", b"x=%2F")
    assert refusal(told, ENVOY, target=b"/check", host="shop.example") == (400, "path_not_canonical")


@pytest.mark.parametrize("name", ["x-original-method", "x-original-host", "x-original-uri"])
def test_a_question_that_does_not_say_what_is_asked_for_is_refused(name):
    assert refusal(told, **{name: None}) == (403, "original_request_unknown")
    assert refusal(told, headers=[(name.encode(), b"/public")]) == (403, "original_request_unknown")


@pytest.mark.parametrize("name", [b"x_original_uri", b"x-forwarded-uri", b"x-original_uri"])
def test_other_headers_than_the_proxys_own_say_nothing(name):
    assert told(headers=[(name, b"/public")]).path == "/orders/7"


@pytest.mark.parametrize(
    "target",
    [
        "/%2e%2e/admin",
        "/public/%2E%2e/admin",
        "/public/../admin",
        "/public/./admin",
        "/public%2fadmin",
        "/public%5cadmin",
        "/public\\admin",
        "/public%00",
        "//admin",
        "/public//admin",
        "/public;/admin",
        "/public;x=1",
        "/public%3b",
        "/public%252e",
        "/public%2",
        "/public%zz",
        "/public#admin",
        "/public admin",
        "/caf\u00e9",
        "/%c0%af",
        "/%ff",
        "/a%0d%0ab",
        "http://shop.example/admin",
        "*",
        "",
        "admin",
        "?x",
    ],
)
def test_a_path_with_two_readings_is_refused(target):
    assert refusal(original_request, "GET", "a.example", target.encode(), ()) == (400, "path_not_canonical")


@pytest.mark.parametrize("method", ["get", "Get", "", "GET ", "G\tET", "GET\r\nX: y", "1GET", "CONNECT", "TRACE"])
def test_a_method_is_one_in_capital_letters_and_no_tunnel(method):
    assert refusal(original_request, method, "a.example", b"/", ()) == (400, "method_refused")


@pytest.mark.parametrize("method", ["GET", "PATCH", "VERSION-CONTROL"])
def test_any_other_method_may_be_asked_for(method):
    assert original_request(method, "a.example", b"/", ()).method == method


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("shop.example", "shop.example"),
        ("SHOP.Example", "shop.example"),
        ("shop.example.", "shop.example"),
        ("Shop.example:8443", "shop.example"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8080", "[::1]"),
    ],
)
def test_a_host_has_one_spelling(sent, name):
    assert host_name(sent) == name


@pytest.mark.parametrize(
    "sent",
    [
        "",
        ":80",
        "a b",
        "a.example@b.example",
        "a..example",
        "a/b",
        "a.example:80:80",
        "::1",
        "-a.example",
        "a" * 300,
        "\ufffd",
    ],
)
def test_what_is_no_host_is_refused(sent):
    with pytest.raises(ValueError, match="is not a host"):
        host_name(sent)
    assert refusal(original_request, "GET", sent, b"/", ()) == (400, "host_malformed")


def spellings(name: str) -> set[str]:
    return {name, name.replace("-", "_"), name.replace("-", "_", 1), name[::-1].replace("-", "_", 1)[::-1]}


@pytest.mark.parametrize("name", sorted(IDENTITY_HEADERS))
def test_a_client_that_sends_an_identity_header_is_refused_in_every_spelling(name):
    for spelling in spellings(name):
        assert refusal(told, headers=[(spelling.encode(), b"admin")]) == (400, "identity_claimed"), spelling


@pytest.mark.parametrize("name", sorted(OVERRIDES))
def test_a_client_that_asks_for_another_request_than_it_sends_is_refused(name):
    for spelling in spellings(name):
        assert refusal(told, headers=[(spelling.encode(), b"/admin")]) == (400, "request_overridden"), spelling


@pytest.mark.parametrize(
    ("peer", "believed"),
    [
        ("10.0.0.7", True),
        ("::ffff:10.0.0.7", True),
        ("fd00::1", True),
        ("10.0.1.7", False),
        ("127.0.0.1", False),
        ("fe80::1", False),
        ("unix:", False),
        ("", False),
        (None, False),
    ],
)
def test_only_trusted_networks_are_believed(peer, believed):
    assert trusted(peer, [ip_network("10.0.0.0/24"), ip_network("fd00::/8")]) is believed
