"""`carnet client`."""

import json
from typing import get_args

import pytest

from carnet.cli import client_change
from carnet.issuer.storage.records import Pkce
from carnet.jose import SigningKey

URI = "https://shop.example/callback"


@pytest.fixture
def shop(carnet):
    return carnet(
        "client", "create", "Shop", "--redirect-uri", URI, "--scope", "openid", "--audience", "orders", "--json"
    ).json


def test_a_confidential_client_gets_a_secret_that_is_shown_once(carnet, shop):
    assert len(shop["client_secret"]) == 43
    shown = carnet("client", "show", shop["client_id"], "--json").json
    assert "client_secret" not in shown
    assert shown == {name: value for name, value in shop.items() if name != "client_secret"}


def test_what_people_are_shown_of_a_client_are_words_and_no_python(carnet, shop):
    lines = dict(line.split(None, 1) for line in carnet("client", "show", shop["client_id"]).out.splitlines())
    assert lines["grant_types"] == "authorization_code refresh_token"
    assert (lines["audiences"], lines["roles"]) == ("orders", "-")
    assert (lines["dpop_bound_access_tokens"], lines["metadata"]) == ("no", "-")


def test_a_client_that_people_sign_in_to_gets_the_code_grant(shop):
    assert shop["grant_types"] == ["authorization_code", "refresh_token"]
    assert shop["token_endpoint_auth_method"] == "client_secret_basic"
    assert (shop["redirect_uris"], shop["scope"], shop["audiences"]) == ([URI], "openid", ["orders"])


def test_a_client_without_redirect_uris_acts_for_itself(carnet):
    job = carnet("client", "create", "Job", "--scope", "a", "--scope", "b", "--role", "ROBOT", "--json").json
    assert (job["grant_types"], job["scope"], job["roles"]) == (["client_credentials"], "a b", ["ROBOT"])


def test_a_public_client_has_no_secret(carnet):
    app = carnet("client", "create", "App", "--public", "--redirect-uri", "http://127.0.0.1/callback", "--json").json
    assert "client_secret" not in app
    assert app["token_endpoint_auth_method"] == "none"
    done = carnet("client", "rotate-secret", app["client_id"])
    assert (done.status, "it has no secret" in done.err) == (2, True)


def test_for_people_the_secret_stands_alone_with_a_warning(carnet):
    done = carnet("client", "create", "Job", "--client-id", "job")
    assert done.out.startswith("client_id      job\nclient_secret  ")
    assert done.err == "The secret is shown this once: keep it where only the client can read it.\n"


def test_a_new_secret_takes_the_place_of_the_old_one(carnet, shop):
    rotated = carnet("client", "rotate-secret", shop["client_id"], "--json").json
    assert rotated["client_secret"] != shop["client_secret"]


def test_a_deleted_client_is_gone(carnet, shop):
    assert carnet("client", "delete", shop["client_id"], "--json").json == {
        "client_id": shop["client_id"],
        "deleted": True,
    }
    assert carnet("client", "list", "--json").json == []
    assert carnet("client", "delete", shop["client_id"]).status == 1


def test_a_client_with_keys_has_no_secret(carnet, tmp_path):
    key = SigningKey.generate("ES256")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key.public().to_jwk()]}))
    done = carnet("client", "create", "Job", "--jwks", str(tmp_path / "keys.json"), "--json").json
    assert "client_secret" not in done
    assert done["token_endpoint_auth_method"] == "private_key_jwt"
    assert done["jwks"] == {"keys": [key.public().to_jwk()]}
    remote = carnet("client", "create", "Job", "--jwks", "https://job.example/jwks", "--json").json
    assert (remote["jwks"], remote["jwks_uri"]) == (None, "https://job.example/jwks")
    assert "public" not in carnet("client", "list").out


def test_id_tokens_are_signed_as_every_library_takes_them_unless_something_else_is_said(carnet, tmp_path):
    def made(*options: str) -> str | None:
        client = carnet("client", "create", "App", *options, "--json").json
        return client.get("id_token_signed_response_alg")

    people = ("--redirect-uri", "https://app.example/")
    file = tmp_path / "more.json"
    file.write_text(json.dumps({"id_token_signed_response_alg": "PS256"}))
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [SigningKey.generate("ES256").public().to_jwk()]}))
    assert made(*people) == "RS256"
    assert made(*people, "--id-token-alg", "ES256") == "ES256"
    assert made(*people, "--metadata", str(file)) == "PS256"
    assert made(*people, "--profile", "fapi2", "--jwks", str(keys)) is None
    assert made("--grant", "client_credentials") is None
    done = carnet("client", "create", "App", *people, "--id-token-alg", "none")
    assert (done.status, "id_token_signed_response_alg is one of" in done.err) == (2, True)


def test_a_profile_is_one_option(carnet):
    made = carnet(
        "client", "create", "Bank", "--profile", "fapi2", "--jwks", "https://bank.example/jwks", "--json"
    ).json
    assert (made["profile"], made["token_endpoint_auth_method"]) == ("fapi2", "private_key_jwt")
    assert made["require_pushed_authorization_requests"] is made["dpop_bound_access_tokens"] is True


@pytest.mark.parametrize("content", [None, "", "[]", '{"keys": 1, "keys": []}', '{"kty": "EC"}'])
def test_a_file_that_holds_no_keys_exits_2(carnet, tmp_path, content):
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_text(content)
    done = carnet("client", "create", "Job", "--jwks", str(file))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "jwks" in done.err


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["Shop", "--redirect-uri", "http://shop.example/callback"], "http"),
        (["Shop", "--redirect-uri", "javascript:alert(1)"], "javascript"),
        (["Shop", "--grant", "password"], "grant type 'password' is none of"),
        (["Shop", "--public"], "A public client has no credentials of its own"),
        (["Shop", "--public", "--auth-method", "client_secret_post"], "--public goes with no --auth-method but none"),
        (["Shop", "--profile", "fapi2"], "private_key_jwt: give jwks or jwks_uri"),
        (["Shop", "--profile", "fapi1", "--jwks", "https://a.example/jwks"], "profile 'fapi1' is none of"),
        (["Shop", "--client-id", "no spaces"], "client_id 'no spaces' is not"),
        (["Shop", "--access-token-lifetime", "999999"], "access_token_lifetime is between"),
    ],
)
def test_a_registration_that_cannot_be_accepted_exits_2(carnet, argv, sentence):
    done = carnet("client", "create", *argv)
    assert (done.status, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_a_token_lets_a_client_register_itself_and_says_if_that_is_off(carnet):
    made = carnet("client", "registration-token")
    assert len(made.out.strip()) == 43
    assert "client_registration is off" in made.err
    many = carnet("client", "registration-token", "--reusable", "--lifetime", "60", "--json").json
    assert (len(many["token"]), many["reusable"]) == (43, True)
    assert carnet("client", "registration-token", "--lifetime", "0").status == 2


def test_a_token_for_registration_has_a_policy_of_the_settings_or_of_the_options(carnet, tmp_path):
    settings = tmp_path / "policies.toml"
    settings.write_text('[registration_policies.partners]\nuses = 5\nhosts = ["partner.example"]\n')
    named = carnet("client", "registration-token", "--config", str(settings), "--policy", "partners", "--json").json
    assert (named["uses"], named["reusable"]) == (5, False)
    changed = carnet(
        "client", "registration-token", "--config", str(settings), "--policy", "partners", "--uses", "2",
        "--audience", "orders", "--scope", "orders:read", "--grant", "client_credentials", "--host", "a.example", "--json",
    ).json  # fmt: skip
    assert changed["uses"] == 2
    unknown = carnet("client", "registration-token", "--policy", "partners")
    assert (unknown.status, "no such registration policy" in unknown.err) == (2, True)
    for wrong in (["--host", "https://a.example"], ["--uses", "0"], ["--scope", "a b"], ["--uses", "2", "--reusable"]):
        assert carnet("client", "registration-token", *wrong).status == 2, wrong


def test_what_a_client_without_pkce_and_a_nonce_gives_up_is_said(carnet):
    options = ("App", "--client-id", "app", "--redirect-uri", URI, "--pkce", "optional")
    made = carnet("client", "create", *options)
    assert made.status == 0
    said = "neither PKCE nor a nonce, and a stolen code that somebody slips into a sign-in is then not noticed"
    shown = carnet("client", "show", "app", "--json")
    assert (shown.json["pkce"], said in shown.err, said in made.err) == ("optional", True, True)
    changed = carnet("client", "change", "app", "--pkce", "or_nonce", "--json")
    assert (changed.json["pkce"], changed.err, carnet("client", "show", "app").err) == ("or_nonce", "", "")
    assert said in carnet("client", "change", "app", "--pkce", "optional").err


def test_only_what_is_a_rule_of_pkce_is_taken(carnet):
    assert get_args(Pkce) == client_change.PKCE
    public = carnet("client", "create", "App", "--public", "--redirect-uri", URI, "--pkce", "optional")
    assert (public.status, "pkce optional is for confidential clients without a profile" in public.err) == (2, True)
    for wrong in (("create", "App", "--pkce", "never"), ("registration-token", "--pkce", "optional")):
        assert carnet("client", *wrong).status == 2
    assert carnet("client", "registration-token", "--pkce", "or_nonce", "--json").json["uses"] == 1


def test_further_members_of_a_registration_come_from_a_file(carnet, tmp_path):
    grant = "urn:ietf:params:oauth:grant-type:token-exchange"
    policy = {"kind": "delegation", "receives": ["orders"]}
    file = tmp_path / "orders.json"
    file.write_text(json.dumps({"token_exchange": policy}))
    made = carnet("client", "create", "Orders", "--grant", grant, "--metadata", str(file), "--json").json
    assert made["token_exchange"] == policy
    assert carnet("client", "show", made["client_id"], "--json").json["token_exchange"] == policy
    assert '{"kind": "delegation"' in carnet("client", "show", made["client_id"]).out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "not an object"),
        ("{", "JSON"),
        ('{"unheard_of": 1}', "unheard_of"),
        ('{"client_name": "x"}', "client_name is given by an option as well"),
        ('{"token_exchange": {"kind": "other", "receives": []}}', "token_exchange"),
        ('{"token_exchange": {"kind": "delegation", "receives": ["orders"]}}', "goes with token_exchange"),
    ],
)
def test_a_file_that_is_not_right_exits_2(carnet, tmp_path, content, sentence):
    file = tmp_path / "metadata.json"
    file.write_text(content)
    done = carnet("client", "create", "Orders", "--metadata", str(file))
    assert (done.status, sentence in done.err) == (2, True), done.err


def test_a_client_is_told_subjects_of_its_own(carnet):
    made = carnet("client", "create", "App", "--pairwise", "--redirect-uri", "https://app.example/cb", "--json").json
    shown = carnet("client", "show", made["client_id"], "--json").json
    assert shown["subject_type"] == "pairwise"
    done = carnet(
        "client", "create", "App", "--pairwise",
        "--redirect-uri", "https://app.example/cb", "--redirect-uri", "https://other.example/cb",
    )  # fmt: skip
    assert (done.status, "sector_identifier_uri" in done.err) == (2, True)


def test_the_tokens_of_a_client_have_places_in_status_lists_if_that_is_wished(carnet):
    given = {True: ("--status-list",), False: ()}
    for wished, options in given.items():
        app = carnet("client", "create", "App", *options, "--json").json
        shown = carnet("client", "show", app["client_id"], "--json").json
        assert shown.get("access_token_status_list", False) is wished
