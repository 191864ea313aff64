"""RFC 9449 section 4.3: which URLs are the same, for the pure rules of proofs."""

import pytest

from carnet.oauth.dpop import normal, token_hash


@pytest.mark.spec("RFC 9449", "4.3", "SHOULD")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://id.example/token", "HTTPS://ID.EXAMPLE:443/token"),
        ("https://id.example", "https://id.example/"),
        ("https://id.example/token?a=b#c", "https://id.example/token"),
        ("https://id.example/%7Euser", "https://id.example/~user"),
        ("https://id.example/%c3%a4", "https://id.example/%C3%A4"),
        ("http://[::1]:80/", "http://[::1]/"),
    ],
)
def test_urls_that_mean_the_same_are_the_same(one, other):
    assert normal(one) == normal(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://id.example/token", "http://id.example/token"),
        ("https://id.example/token", "https://id.example:8443/token"),
        ("https://id.example/token", "https://id.example/Token"),
        ("https://id.example/token", "https://id.example/token/"),
        ("https://id.example/a%2Fb", "https://id.example/a/b"),
        ("https://id.example/token", "https://id.example.evil.example/token"),
    ],
)
def test_urls_that_differ_are_not(one, other):
    assert normal(one) != normal(other)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/token",
        "id.example/token",
        "ftp://id.example/",
        "https:///x",
        "https://a@b/",
        "https://a:b/",
        "https://[::",
    ],
)
def test_what_is_no_http_url_is_the_same_as_nothing(url):
    assert normal(url) is None


def test_the_hash_of_an_access_token_is_the_rfcs():
    """The example of section 7.1."""
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    assert token_hash(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
