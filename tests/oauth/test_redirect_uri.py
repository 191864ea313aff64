"""RFC 8252 sections 7 and 8, RFC 9700 section 2.1, rules O1 and O5."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.oauth.redirect_uri import RedirectUriError, check, matches, origin


@given(st.text(), st.text())
def test_unlike_strings_match_only_as_two_ports_of_one_loopback_address(asked, registered):
    if matches(asked, registered) and asked != registered:
        assert registered.startswith(("http://127.0.0.1", "http://[::1]"))


@pytest.mark.spec("RFC 9700", "2.1", "MUST")
@pytest.mark.parametrize(
    "uri", ["https://app.example/cb", "com.example.app:/cb", "http://127.0.0.1/cb", "anything at all"]
)
def test_a_uri_matches_itself(uri):
    assert matches(uri, uri)


@pytest.mark.spec("RFC 8252", "7.3", "MUST")
@pytest.mark.parametrize(
    "asked", ["http://127.0.0.1:1/cb?x=1", "http://127.0.0.1:65535/cb?x=1", "http://127.0.0.1/cb?x=1"]
)
def test_any_port_of_a_loopback_address_matches(asked):
    assert matches(asked, "http://127.0.0.1:8000/cb?x=1")


@pytest.mark.parametrize(
    "asked",
    [
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:123456/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:+1/cb",
        "http://127.0.0.1:１/cb",
        "http://127.0.0.1:1/cb/",
        "http://127.0.0.1:1/cb?x",
        "http://127.0.0.1:1/cb#x",
        "http://127.0.0.1:1@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:1\\@evil.example/cb",
        "http://127.1/cb",
        "http://[::1]:1/cb",
        "https://127.0.0.1:1/cb",
        "HTTP://127.0.0.1:1/cb",
        "http://127.0.0.1:1/cb\n",
        "",
    ],
)
def test_nothing_else_matches_a_loopback_address(asked):
    assert not matches(asked, "http://127.0.0.1/cb")


@pytest.mark.parametrize("registered", ["http://localhost/cb", "https://127.0.0.1/cb", "http://app.example/cb"])
def test_the_port_of_any_other_host_is_fixed(registered):
    assert not matches(registered.replace("/cb", ":1234/cb"), registered)


@given(st.text(max_size=50))
def test_whatever_may_be_registered_runs_no_script_and_names_one_place(uri):
    for native in (True, False):
        with contextlib.suppress(RedirectUriError):
            check(uri, native=native)
            assert not uri.lower().startswith(("javascript:", "data:", "vbscript:", "file:"))
            assert "#" not in uri


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://app.example/cb", "https://app.example"),
        ("https://APP.example:443/cb", "https://app.example"),
        ("https://app.example:8443/cb", "https://app.example:8443"),
        ("http://127.0.0.1:80/cb", "http://127.0.0.1"),
        ("http://[::1]:4000/cb", "http://[::1]:4000"),
        ("com.example.app:/cb", None),
    ],
)
def test_the_origin_is_as_a_browser_writes_it(uri, expected):
    assert origin(uri) == expected
