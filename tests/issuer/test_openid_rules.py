"""OpenID Connect Core and Registration: rules that the Foundation's plans try, and that have no better place elsewhere.

`docs/conformance.md` says which test of ours answers which module of a plan.
"""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from msgspec import structs

from carnet.issuer.clients import ClientError, Registration, register
from carnet.issuer.registration import initial_token
from carnet.jose import JwtVerifier, KeySet, SigningKey, sign_jwt
from carnet.oauth.acr import TWO_FACTORS

from .conftest import ISSUER, REDIRECT_URI
from .test_end_session import end, signed_in
from .test_pushed_requests import page

pytestmark = pytest.mark.anyio


@pytest.fixture
def config(config):
    return structs.replace(config, client_registration=True)


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(post_logout_redirect_uris=("https://app.example/goodbye",))


class TestParameters:
    @pytest.mark.spec("OpenID Connect Core", "15.1", "MUST")
    @pytest.mark.parametrize(
        "parameters",
        [
            {"display": "page"},
            {"display": "popup"},
            {"display": "touch"},
            {"display": "wap"},
            {"ui_locales": "se"},
            {"ui_locales": "fr-CA fr en"},
            {"claims_locales": "se"},
            {"acr_values": "1 2"},
            {"extra": "foobar"},
            {"login_hint": "somebody@example.org"},
        ],
        ids=str,
    )
    async def test_what_only_wishes_is_no_reason_for_an_error(self, app, parameters):
        assert "code" in app.query(await app.authorize(**parameters))

    @pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "OPTIONAL")
    async def test_a_code_flow_needs_no_nonce(self, app, claims):
        tokens = await app.tokens(nonce=None)
        assert "nonce" not in claims(tokens["id_token"])

    @pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MUST")
    async def test_a_request_without_a_redirect_uri_gets_a_page(self, app):
        assert page(await app.authorize(redirect_uri=None), "foreign_redirect_uri")

    @pytest.mark.spec("OpenID Connect Core", "6.1", "MUST NOT")
    async def test_what_a_request_object_says_of_the_redirect_uri_leads_nowhere_else(self, issuer, app):
        """Unsigned, or signed by somebody else: neither is taken, and nothing is sent to where it points."""
        elsewhere = "https://elsewhere.example/callback"
        for inner in (
            "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2Vsc2V3aGVyZS5leGFtcGxlL2NhbGxiYWNrIn0.",
            sign_jwt({"redirect_uri": elsewhere}, SigningKey.generate("ES256"), typ="oauth-authz-req+jwt"),
        ):
            answer = await app.authorize(request=inner)
            assert answer.headers["location"].startswith(REDIRECT_URI)
            assert app.query(answer)["error"] == "invalid_request_object"

    @pytest.mark.spec("OpenID Connect Core", "5.5", "MUST")
    async def test_an_essential_claim_that_nobody_has_is_no_error(self, app):
        asked = '{"userinfo":{"name":{"essential":true},"website":{"essential":true}}}'
        tokens = await app.tokens(claims=asked)
        shown = (await app.userinfo(tokens["access_token"])).json()
        assert shown["name"] == "Ann"
        assert "website" not in shown

    @pytest.mark.spec("OpenID Connect Core", "5.3.1", "MUST")
    async def test_userinfo_takes_a_token_in_a_form(self, issuer, app):
        token = (await app.tokens())["access_token"]
        answer = await issuer.direct.post("/userinfo", data={"access_token": token})
        assert answer.json()["sub"] == issuer.accounts["ann@example.com"].subject


class TestKeys:
    @pytest.mark.spec("OpenID Connect Core", "10.1.1", "SHOULD")
    async def test_a_client_that_reads_the_key_set_again_verifies_what_is_signed_after_a_rotation(self, issuer, app):
        await issuer.desk.keyring.rotate()
        issuer.clock.advance(issuer.desk.config.lifetimes.key_publication)
        tokens = await app.tokens()
        keys = KeySet.from_jwks((await issuer.direct.get("/jwks")).content, algorithms=("ES256",))
        verifier = JwtVerifier(
            keys=keys, algorithms=("ES256",), issuer=ISSUER, audience=app.client_id, typ="JWT", required=()
        )
        said = verifier.verify(tokens["id_token"], at=issuer.clock.now())
        assert said.header["kid"] == (await issuer.desk.keyring.signing_key()).kid

    @pytest.mark.spec("OpenID Connect Core", "2", "MUST NOT")
    async def test_an_id_token_is_never_unsigned(self, issuer):
        for alg in ("none", "HS256"):
            asked = Registration(client_name="App", redirect_uris=(REDIRECT_URI,), id_token_signed_response_alg=alg)
            with pytest.raises(ClientError):
                await register(issuer.desk, asked, actor="test")


class TestSignOut:
    @pytest.mark.spec("RP-Initiated Logout", "2", "OPTIONAL")
    async def test_parameters_that_only_hint_change_nothing(self, issuer, app):
        token = (await app.tokens())["id_token"]
        answer = await end(
            issuer,
            id_token_hint=token,
            client_id=app.client_id,
            logout_hint="ann@example.com",
            ui_locales="fr en",
            post_logout_redirect_uri="https://app.example/goodbye",
        )
        assert answer.headers["location"] == "https://app.example/goodbye"
        assert not await signed_in(app)

    @pytest.mark.spec("RP-Initiated Logout", "3", "MUST NOT")
    async def test_without_a_redirect_uri_a_state_leads_nowhere(self, issuer, app):
        answer = await end(issuer, state="a state")
        assert (answer.status_code, "location" in answer.headers) == (200, False)
        assert await signed_in(app), "nobody has agreed yet"

    @pytest.mark.spec("RP-Initiated Logout", "2", "MUST")
    async def test_a_query_that_was_added_makes_it_another_address(self, issuer, app):
        token = (await app.tokens())["id_token"]
        answer = await end(issuer, id_token_hint=token, post_logout_redirect_uri="https://app.example/goodbye?extra=1")
        assert page(answer, "foreign_redirect_uri")
        assert await signed_in(app)

    @pytest.mark.spec("RP-Initiated Logout", "2", "MUST")
    async def test_a_hint_that_was_altered_ends_nothing(self, issuer, app):
        head, payload, signature = (await app.tokens())["id_token"].split(".")
        altered = f"{head}.{payload}.{signature[:-8]}{'AAAAAAAA' if signature[-8:] != 'AAAAAAAA' else 'BBBBBBBB'}"
        answer = await end(
            issuer, id_token_hint=altered, post_logout_redirect_uri="https://app.example/goodbye", state="s"
        )
        assert page(answer, "bad_request")
        assert await signed_in(app)


class TestRegistration:
    async def ask(self, issuer, **metadata):
        secret = (await initial_token(issuer.desk)).secret.value
        return await issuer.direct.post(
            "/register",
            json={"redirect_uris": [REDIRECT_URI]} | metadata,
            headers={"Authorization": f"Bearer {secret}"},
        )

    @pytest.mark.spec("OpenID Connect Registration", "2", "OPTIONAL")
    async def test_a_client_registers_what_its_requests_ask_for_where_they_do_not_say_it(self, issuer):
        wanted = {"default_max_age": 0, "default_acr_values": [TWO_FACTORS], "require_auth_time": True}
        made = await self.ask(issuer, **wanted)
        assert (made.status_code, made.json()) == (201, made.json() | wanted)

    @pytest.mark.spec("OpenID Connect Registration", "2", "OPTIONAL")
    async def test_a_client_s_own_max_age_counts_where_its_request_has_none(self, issuer):
        await issuer.sign_in()
        app = await issuer.register(default_max_age=100)
        issuer.clock.advance(101)
        assert urlsplit((await app.authorize()).headers["location"]).path == "/login"
        assert app.query(await app.authorize(prompt="none"))["error"] == "login_required"
        assert "code" in app.query(await app.authorize(max_age="1000"))

    @pytest.mark.parametrize(
        "metadata",
        [
            {"default_max_age": -1},
            {"default_max_age": "1"},
            {"default_max_age": 10**11},
            {"default_acr_values": ["urn:elsewhere"]},
            {"default_acr_values": TWO_FACTORS},
            {"require_auth_time": "yes"},
        ],
    )
    async def test_what_no_request_could_ask_for_is_not_registered(self, issuer, metadata):
        answer = await self.ask(issuer, **metadata)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")

    @pytest.mark.spec("OpenID Connect Core", "4", "MUST")
    async def test_where_a_sign_in_begins_is_registered_and_read_back(self, issuer):
        made = (await self.ask(issuer, initiate_login_uri="https://app.example/login")).json()
        assert made["initiate_login_uri"] == "https://app.example/login"
        headers = {"Authorization": f"Bearer {made['registration_access_token']}"}
        read = await issuer.direct.get(made["registration_client_uri"], headers=headers)
        assert read.json()["initiate_login_uri"] == "https://app.example/login"

    @pytest.mark.spec("OpenID Connect Core", "4", "MUST")
    @pytest.mark.parametrize("uri", ["http://app.example/login", "javascript:alert(1)", 7, "https://"])
    async def test_a_sign_in_begins_at_https_alone(self, issuer, uri):
        answer = await self.ask(issuer, initiate_login_uri=uri)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
        asked = Registration(client_name="App", redirect_uris=(REDIRECT_URI,), metadata={"initiate_login_uri": uri})
        with pytest.raises(ClientError, match="initiate_login_uri"):
            await register(issuer.desk, asked, actor="test")

    @pytest.mark.spec("OpenID Connect Core", "4", "MUST")
    async def test_only_an_administrator_lets_one_begin_without_tls_on_a_developers_machine(self, issuer):
        uri = "http://127.0.0.1:3000/login"
        answer = await self.ask(issuer, initiate_login_uri=uri)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
        asked = Registration(client_name="App", redirect_uris=(REDIRECT_URI,), metadata={"initiate_login_uri": uri})
        assert (await register(issuer.desk, asked, actor="test")).client.metadata["initiate_login_uri"] == uri

    @pytest.mark.spec("OpenID Connect Core", "4", "REQUIRED")
    async def test_people_begin_a_sign_in_to_an_app_from_their_account_page(self, issuer):
        await issuer.sign_in()
        app = await issuer.register(
            client_name="Printer", metadata={"initiate_login_uri": "https://app.example/login?x=1"}
        )
        await app.tokens()
        found = (await issuer.http.get("/account")).text
        [link] = [part.partition('"')[0] for part in found.split('href="') if "app.example" in part.partition('"')[0]]
        parts = urlsplit(link.replace("&amp;", "&"))
        assert (parts.netloc, parts.path) == ("app.example", "/login")
        assert dict(parse_qsl(parts.query)) == {"x": "1", "iss": ISSUER}

    @pytest.mark.spec("OpenID Connect Registration", "2", "SHOULD")
    async def test_people_are_shown_the_terms_before_they_allow_anything_and_no_picture_of_somebody_elses(self, issuer):
        await issuer.sign_in()
        app = await issuer.register(
            first_party=False,
            metadata={
                "policy_uri": "https://app.example/privacy",
                "tos_uri": "javascript:alert(1)",
                "logo_uri": "https://app.example/logo.png",
            },
        )
        shown = await issuer.follow(await app.authorize())
        assert 'href="https://app.example/privacy"' in shown.text
        assert "javascript:" not in shown.text
        assert "logo.png" not in shown.text

    @pytest.mark.spec("OpenID Connect Registration", "2", "MUST")
    async def test_a_client_that_registers_itself_gets_the_algorithms_that_it_asks_for(self, issuer):
        made = (
            await self.ask(issuer, id_token_signed_response_alg="RS256", userinfo_signed_response_alg="RS256")
        ).json()
        assert (made["id_token_signed_response_alg"], made["userinfo_signed_response_alg"]) == ("RS256", "RS256")

    @pytest.mark.spec("OpenID Connect Registration", "2", "MUST")
    async def test_a_client_registers_pairwise_subjects(self, issuer):
        made = (await self.ask(issuer, subject_type="pairwise")).json()
        assert made["subject_type"] == "pairwise"


def test_every_test_that_the_conformance_page_names_is_there():
    root = Path(__file__).parents[2]
    named = re.findall(r"`(test_\w+)::(test_\w+)`", (root / "docs" / "conformance.md").read_text("utf-8"))
    assert len(named) > 60
    files = {name: [*(root / "tests").glob(f"*/{name}.py")] for name, _ in named}
    missing = [
        (name, test)
        for name, test in named
        if not any(f"def {test}(" in file.read_text("utf-8") for file in files[name])
    ]
    assert missing == []
