"""`carnet client change`, clients that stand in the settings, and what is said of tokens that are too large."""

import json

import pytest


@pytest.fixture
def job(carnet):
    return carnet(
        "client", "create", "Job", "--client-id", "job", "--scope", "a", "--audience", "orders", "--json"
    ).json


def test_what_is_given_is_changed_and_all_else_stays(carnet, job):
    changed = carnet(
        "client", "change", "job", "--access-token-lifetime", "60", "--scope", "b", "--scope", "c", "--json"
    ).json
    assert (changed["access_token_lifetime"], changed["scope"]) == (60, "b c")
    assert changed["audiences"] == ["orders"]
    assert (
        carnet("client", "change", "job", "--access-token-lifetime", "0", "--json").json["access_token_lifetime"]
        is None
    )


def test_further_members_come_from_a_file(carnet, job, tmp_path):
    (tmp_path / "more.json").write_text(json.dumps({"dpop_bound_access_tokens": True}))
    assert carnet("client", "change", "job", "--metadata", "more.json", "--json").json["dpop_bound_access_tokens"]


@pytest.mark.spec("RFC 7591", "2", "MAY")
def test_what_a_client_says_about_itself_stands_beside_all_else(carnet, job, tmp_path):
    file = tmp_path / "more.json"

    def changed(**given):
        file.write_text(json.dumps(given))
        return carnet("client", "change", "job", "--metadata", "more.json", "--json")

    terms = {"tos_uri": "https://job.example/terms", "contacts": ["ann@job.example"]}
    assert changed(**terms).json["metadata"] == terms
    assert changed(policy_uri="https://job.example/privacy", contacts=None).json["metadata"] == {
        "tos_uri": terms["tos_uri"],
        "policy_uri": "https://job.example/privacy",
    }
    assert changed(metadata={"further": 1}, **terms).json["metadata"] == {"further": 1, **terms}
    for wrong, said in (
        ({"tos_uri": 1}, "$.tos_uri"),
        ({"tos_uri": "https://job.example/", "metadata": {"tos_uri": "x"}}, "tos_uri stands in metadata as well"),
        ({"tos_uri": "https://job.example/", "metadata": "x"}, "metadata is no object"),
        ({"initiate_login_uri": "http://job.example/"}, "initiate_login_uri"),
    ):
        done = changed(**wrong)
        assert (done.status, said in done.err) == (2, True), done.err
    file.write_text(json.dumps(terms))
    made = carnet("client", "create", "New", "--grant", "client_credentials", "--metadata", "more.json", "--json")
    assert carnet("client", "show", made.json["client_id"], "--json").json["metadata"] == terms


@pytest.mark.parametrize("options", [(), ("--grant", "nonsense"), ("--access-token-lifetime", "5"), ("--name", "")])
def test_what_cannot_be_is_wrong_use(carnet, job, options):
    done = carnet("client", "change", "job", *options)
    assert (done.status, done.err.count("\n")) == (2, 1)


def test_clients_of_the_settings_are_registered_and_changed_with_them_alone(carnet, tmp_path):
    settings = tmp_path / "carnet.toml"
    declared = '[[clients]]\nclient_id = "shop"\nclient_name = "Shop"\ngrant_types = ["client_credentials"]\n'
    settings.write_text(declared + "access_token_lifetime = 60\n")
    assert carnet("client", "show", "shop", "--json").json["access_token_lifetime"] == 60
    secret = carnet("client", "rotate-secret", "shop", "--json").json["client_secret"]
    assert len(secret) == 43
    settings.write_text(
        declared + 'access_token_lifetime = 120\npkce = "optional"\ntos_uri = "https://shop.example/terms"\n'
    )
    shown = carnet("client", "show", "shop", "--json").json
    assert (shown["access_token_lifetime"], shown["metadata"]) == (120, {"tos_uri": "https://shop.example/terms"})
    assert shown["pkce"] == "optional"
    for argv in (("change", "shop", "--scope", "x"), ("delete", "shop")):
        done = carnet("client", *argv)
        assert (done.status, "stands in the settings: change it there" in done.err) == (2, True)
    changes = carnet("events", "--client-id", "shop", "--actor", "settings", "--json").json
    assert [event["name"] for event in changes] == ["client.changed", "client.registered"]
    settings.unlink()
    assert carnet("client", "delete", "shop").status == 0


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ('[[clients]]\nclient_name = "Shop"', "each of them has a client_id"),
        ('[[clients]]\nclient_id = "a"\nclient_name = "A"\n' * 2, "'a' stands there twice"),
        (
            '[[clients]]\nclient_id = "a"\nclient_name = "A"\nsecret = "x"',
            "clients: a: Object contains unknown field `secret`",
        ),
        ('[[clients]]\nclient_id = "a"\nclient_name = "A"', "clients: a: redirect_uris go with the grant"),
        (
            (
                '[[clients]]\nclient_id = "a"\nclient_name = "A"\nredirect_uris = ["https://a.example/"]\n'
                'pkce = "optional"\ntoken_endpoint_auth_method = "none"'
            ),
            "clients: a: pkce optional is for confidential clients without a profile",
        ),
        ('[registration_policies.partners]\npkce = "optional"', "registration_policies"),
    ],
)
def test_settings_with_clients_that_cannot_be_are_an_error(carnet, tmp_path, document, said):
    (tmp_path / "carnet.toml").write_text(document)
    done = carnet("client", "list")
    assert done.status == 2
    assert said in done.err


def test_a_client_whose_tokens_go_beyond_the_budget_is_named(carnet):
    def finding() -> tuple[str, str]:
        found = json.loads(carnet("doctor", "--json").out)
        return next((one["verdict"], one["sentence"]) for one in found if one["subject"] == "tokens")

    roles = [part for number in range(40) for part in ("--role", f"A_ROLE_OF_QUITE_SOME_LENGTH_{number}" + "X" * 60)]
    carnet("client", "create", "Job", "--client-id", "job", *roles)
    assert "over the budget of 4096: they only name its roles." in carnet("client", "show", "job").err
    verdict, sentence = finding()
    assert (verdict, "they only name their roles" in sentence) == ("warning", True)
    audiences = [part for number in range(50) for part in ("--audience", f"https://{number}.example/" + "x" * 150)]
    carnet("client", "create", "Wide", "--client-id", "wide", *audiences)
    assert "give it fewer audiences or scope values" in carnet("client", "show", "wide").err
    verdict, sentence = finding()
    assert (verdict, "guards take none beyond 8192" in sentence) == ("bad", True)
