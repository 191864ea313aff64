"""`carnet scope`, `carnet claim`, `carnet audience`, and what of it stands in the settings."""

import pytest

PASSWORD = "ochre lantern under tidal glass"


def test_a_claim_and_the_scope_value_that_shows_it_are_defined(carnet):
    carnet("claim", "define", "department", "--attribute", "department", "--json").json  # noqa: B018
    made = carnet(
        "scope", "define", "work", "--description", "en=See where you work", "--claim", "department", "--json"
    )
    assert made.json == {
        "name": "work",
        "description": {"en": "See where you work"},
        "claims": ["department"],
        "origin": "stored",
    }
    assert carnet("scope", "show", "work", "--json").json == made.json
    again = carnet("scope", "define", "work", "--description", "de=Sehen, wo Sie arbeiten", "--json").json
    assert (again["description"], again["claims"]) == ({"de": "Sehen, wo Sie arbeiten"}, [])
    assert "work" in carnet("scope", "list").out
    assert carnet("scope", "remove", "work").status == 0
    gone = carnet("scope", "show", "work")
    assert (gone.status, gone.err) == (1, "carnet: There is no definition of the scope 'work'.\n")


def test_an_audience_is_defined_with_its_scope_values_and_its_tokens_lifetime(carnet):
    options = ("--scope", "orders:read", "--scope", "orders:write", "--access-token-lifetime", "60")
    made = carnet("audience", "define", "orders", "--description", "The Order service", *options, "--json").json
    assert (made["scopes"], made["access_token_lifetime"]) == (["orders:read", "orders:write"], 60)
    assert carnet("audience", "list", "--json").json == [made]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("scope", "define", "two words"), "is not a scope value"),
        (("scope", "define", "work", "--description", "See it"), "write the language before it"),
        (("scope", "define", "work", "--claim", "unheard_of"), "There is no claim 'unheard_of': define it first."),
        (("claim", "define", "sub", "--attribute", "x"), "means something already"),
        (("audience", "define", "orders", "--access-token-lifetime", "5"), "between 10 and"),
    ],
)
def test_what_cannot_be_defined_is_wrong_use(carnet, argv, said):
    done = carnet(*argv)
    assert done.status == 2
    assert said in done.err


def test_what_stands_in_the_settings_counts_and_is_changed_there_alone(carnet, tmp_path):
    (tmp_path / "carnet.toml").write_text(
        """
        [[define.scopes]]
        name = "work"
        description = { en = "See where you work" }
        claims = ["department"]

        [[define.claims]]
        name = "department"
        attribute = "department"

        [[define.audiences]]
        name = "orders"
        scopes = ["orders:read"]
        """
    )
    assert carnet("scope", "show", "work", "--json").json["origin"] == "settings"
    done = carnet("scope", "define", "work")
    assert (done.status, "stands in the settings: change it there" in done.err) == (1, True)
    assert carnet("audience", "remove", "orders").status == 1


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ('[[define.scopes]]\nname = "a b"', "define: 'a b' is not a scope value"),
        ('[[define.claims]]\nname = "x"\nattribute = "x"\n' * 2, "define: the claim 'x' is defined twice"),
        ('[[define.scopes]]\nname = "x"\nclaim = "y"', "unknown field `claim`"),
        ("[define]\nscope = []", "unknown field `scope`"),
    ],
)
def test_settings_that_define_nonsense_are_an_error(carnet, tmp_path, document, said):
    (tmp_path / "carnet.toml").write_text(document)
    done = carnet("scope", "list")
    assert done.status == 2
    assert said in done.err


def test_an_account_s_details_and_attributes_are_changed(carnet):
    carnet("user", "create", "ann@example.com", "--password-stdin", stdin=PASSWORD)
    options = ("--attribute", "department=law", "--attribute", "floor=3", "--attribute", 'teams=["a", "b"]')
    options += ("--attribute", 'address={"locality": "Bonn"}', "--attribute", 'odd={"floor": 3}')
    changed = carnet("user", "change", "ann@example.com", "--name", "Ann", *options, "--json").json
    assert changed["name"] == "Ann"
    assert changed["attributes"] == {
        "address": {"locality": "Bonn"},
        "department": "law",
        "floor": 3,
        "odd": '{"floor": 3}',
        "teams": ["a", "b"],
    }
    less = carnet(
        "user", "change", "ann@example.com", "--attribute", "floor=", "--email", "anna@example.com", "--json"
    ).json
    assert (less["email"], set(less["attributes"])) == ("anna@example.com", {"address", "department", "odd", "teams"})
    assert carnet("user", "change", "anna@example.com", "--attribute", "Floor=3").status == 2
    assert carnet("user", "change", "anna@example.com", "--attribute", "floor").status == 2
