"""Whatever is sent to the issuer's endpoints, the answer is the protocol's, and never a failure of ours.

`CARNET_TEST_EXAMPLES` says how many requests each test makes; `make explore` makes many more.
"""

import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from json import dumps
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.issuer.described import check

from carnet.issuer.app import create_app
from carnet.issuer.clients import Registration, register
from carnet.issuer.config import Config
from carnet.oauth import errors
from carnet.testing import Clock

EXAMPLES = int(os.environ.get("CARNET_TEST_EXAMPLES", "150"))
CODES = {
    kind.code
    for kind in vars(errors).values()
    if isinstance(kind, type) and isinstance(getattr(kind, "code", None), str)
} - {"server_error"}
"""RFC 6749 and its extensions: every error that a request can be told."""
URI = "https://app.example/callback"
ERROR = {"error", "error_description"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

NAMES = (
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "id_token_hint",
    "login_hint",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "code",
    "grant_type",
    "refresh_token",
    "token",
    "token_type_hint",
    "resource",
    "request",
    "flow",
    "csrf",
    "post_logout_redirect_uri",
    "response_mode",
    "request_uri",
    "client_assertion",
    "client_assertion_type",
    "dpop_jkt",
    "authorization_details",
    "claims",
    "acr_values",
    "ui_locales",
    "audience",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "requested_token_type",
    "assertion",
    "device_code",
    "auth_req_id",
)
VALUES = (
    "code",
    "query",
    "web",
    "service",
    URI,
    "openid profile",
    "none",
    "login",
    "0",
    "S256",
    "v" * 43,
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "a.b.c",
    "eyJhbGciOiJub25lIn0.e30.",
    "urn:ietf:params:oauth:request_uri:x",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "form_post",
    "jwt",
    '[{"type": "payment"}]',
    "",
)

parameters = st.lists(
    st.tuples(st.sampled_from(NAMES) | st.text(max_size=8), st.sampled_from(VALUES) | st.text(max_size=20)), max_size=12
)


members = st.dictionaries(
    st.sampled_from(
        ["alg", "typ", "kid", "jwk", "iss", "sub", "aud", "exp", "iat", "jti", "htm", "htu", "client_id", "crit"]
    ),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["ES256", "HS256", "none", "dpop+jwt", "oauth-authz-req+jwt", "web", "service", "POST", "x"])
    | st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "d"]), st.sampled_from(["EC", "P-256", "oct", "AA", ""])
    ),
)


def segment(value: dict) -> str:
    return urlsafe_b64encode(dumps(value).encode()).decode().rstrip("=")


tokens = st.builds(
    lambda header, payload, rest: f"{segment(header)}.{segment(payload)}.{rest}",
    members,
    members,
    st.text("Aa-_.=", max_size=90),
)
"""What looks like a signed JWT; nobody has signed it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """An issuer with two clients, and a program that sends whatever it is given."""
    config = Config(data=tmp_path_factory.mktemp("data"))
    app = create_app(config, Clock().ambient, secret=b"s" * 43)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=config.issuer)

    async def clients() -> str:
        web = Registration(client_id="web", client_name="Web", redirect_uris=(URI,), token_endpoint_auth_method="none")
        service = Registration(client_id="service", client_name="Service", grant_types=("client_credentials",))
        await register(app.state.desk, web, actor="test")
        registered = await register(app.state.desk, service, actor="test")
        assert registered.secret is not None
        return registered.secret.value

    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        secret = portal.call(clients)

        def send(method: str, path: str, **options) -> httpx2.Response:
            async def sent() -> httpx2.Response:
                answer = await http.request(method, path, **options)
                check(answer, config, app.state.desk.endpoints)
                return answer

            return portal.call(sent)

        yield SimpleNamespace(send=send, secret=secret)
        portal.call(http.aclose)


def encoded(pairs: list[tuple[str, str]]) -> bytes:
    return urlencode(
        [(name.encode("utf-8", "replace"), value.encode("utf-8", "replace")) for name, value in pairs]
    ).encode()


def redirects_home(answer: httpx2.Response) -> bool:
    location = answer.headers["location"]
    told = dict(parse_qsl(urlsplit(location).query))
    return location.startswith((f"{URI}?", "http://127.0.0.1:8080/")) and told.get("error", "access_denied") in CODES


@settings(max_examples=EXAMPLES, deadline=None)
@given(parameters)
@example([("client_id", "web"), ("redirect_uri", URI), ("prompt", "none")])
def test_an_authorization_request_gets_a_page_or_goes_where_it_may(server, pairs):
    answer = server.send("GET", f"/authorize?{encoded(pairs).decode()}")
    assert answer.status_code in {200, 303, 400}
    assert (answer.status_code == 303) == ("location" in answer.headers)
    assert answer.status_code != 303 or redirects_home(answer)
    assert answer.status_code != 200 or f'<form method="post" action="{URI}">' in answer.text


@settings(max_examples=EXAMPLES, deadline=None)
@given(parameters, st.booleans(), st.sampled_from(["/token", "/revoke", "/introspect", "/par"]))
def test_a_programs_request_gets_an_answer_of_the_protocol(server, pairs, authenticated, path):
    auth = ("service", server.secret) if authenticated else None
    answer = server.send("POST", path, content=encoded(pairs), headers=FORM, auth=auth)
    assert answer.status_code in {200, 400, 401, 429}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.status_code == 200 or (set(answer.json()), answer.json()["error"] in CODES) == (ERROR, True)
    assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["/token", "/revoke", "/introspect", "/authorize", "/end_session"]))
def test_no_bytes_in_a_body_break_anything(server, body, path):
    answer = server.send("POST", path, content=body, headers=FORM)
    assert answer.status_code in {303, 400, 401, 429, 200}


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=100))
def test_no_authorization_header_breaks_anything(server, value):
    header = {"Authorization": value.strip().encode("latin-1")}
    assert server.send("GET", "/userinfo", headers=header).status_code == 401
    assert server.send("POST", "/token", headers=header | FORM, content=b"").status_code in {400, 401, 429}


@settings(max_examples=EXAMPLES, deadline=None)
@given(tokens, st.sampled_from(["client_assertion", "request", "DPoP"]))
def test_what_looks_signed_and_is_not_is_refused(server, token, place):
    pairs = [("grant_type", "client_credentials"), ("client_id", "service"), ("redirect_uri", URI)]
    pairs.append(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"))
    given = pairs if place == "client_assertion" else pairs[:-1]
    sent = encoded(given if place == "DPoP" else [*given, (place, token)])
    headers = FORM | ({"DPoP": token} if place == "DPoP" else {})
    auth = None if place == "client_assertion" else ("service", server.secret)
    answer = server.send("POST", "/par" if place == "request" else "/token", content=sent, headers=headers, auth=auth)
    assert answer.status_code in {400, 401, 429}
    assert set(answer.json()) == {"error", "error_description"}
    if place == "DPoP":
        bound = server.send("GET", "/userinfo", headers={"Authorization": f"DPoP {token}", "DPoP": token})
        assert bound.status_code == 401


@settings(max_examples=EXAMPLES, deadline=None)
@given(parameters)
def test_a_logout_request_goes_nowhere_but_to_our_own_pages(server, pairs):
    answer = server.send("GET", f"/end_session?{encoded(pairs).decode()}")
    assert answer.status_code in {200, 400}
    assert "location" not in answer.headers
