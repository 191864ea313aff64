"""`carnet user`."""

from argparse import Namespace

import pytest

from carnet.cli.deployment import at_desk
from carnet.issuer import totp
from carnet.issuer.accounts import factors, people

PASSWORD = "seven odd walruses hum"


@pytest.fixture
def ben(carnet):
    return carnet("user", "create", "ben@example.com", "--name", "Ben", "--role", "USER", "--json").json


def test_a_new_account_comes_with_a_one_time_link(carnet, ben):
    assert ben["invitation"].startswith("http://127.0.0.1:8080/welcome?invitation=")
    assert (ben["email"], ben["name"], ben["roles"], ben["password"]) == ("ben@example.com", "Ben", ["USER"], False)


def test_a_password_is_read_from_standard_input(carnet):
    account = carnet("user", "create", "ada@example.com", "--password-stdin", "--json", stdin=PASSWORD + "\n").json
    assert account["password"] is True
    assert "invitation" not in account


def test_an_address_is_verified_where_somebody_says_so(carnet, ben):
    assert ben["email_verified"] is False
    assert carnet("user", "change", "ben@example.com", "--email-verified", "--json").json["email_verified"] is True
    assert carnet("user", "change", "ben@example.com", "--no-email-verified", "--json").json["email_verified"] is False
    assert carnet("user", "create", "eve@example.com", "--email-verified", "--json").json["email_verified"] is True


def test_no_option_takes_a_password(carnet):
    done = carnet("user", "create", "ada@example.com", "--password", PASSWORD)
    assert done.status == 2
    assert "unrecognized arguments: --password" in done.err


def test_an_empty_standard_input_is_no_password(carnet):
    done = carnet("user", "create", "ada@example.com", "--password-stdin")
    assert (done.status, done.err) == (2, "carnet: --password-stdin: there was no password on standard input.\n")


@pytest.mark.parametrize(
    ("argv", "stdin", "status", "sentence"),
    [
        (["create", "nobody"], "", 2, "This is not an email address"),
        (["create", "a@example.com", "--role", "two words"], "", 2, "A role is 1 to 64 letters"),
        (["create", "a@example.com", "--password-stdin"], "short\n", 2, "The password is too short"),
        (["create", "ben@example.com"], "", 1, "There is an account with this email address already."),
        (["show", "eve@example.com"], "", 1, "there is no account 'eve@example.com'."),
        (["disable", "no-such-subject"], "", 1, "there is no account 'no-such-subject'."),
    ],
)
def test_what_cannot_be_done_is_one_line(carnet, ben, argv, stdin, status, sentence):
    done = carnet("user", *argv, stdin=stdin)
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith("carnet: ")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_accounts_are_listed_and_searched(carnet, ben):
    carnet("user", "create", "ada@example.com")
    assert [account["email"] for account in carnet("user", "list", "--json").json] == [
        "ada@example.com",
        "ben@example.com",
    ]
    assert [account["email"] for account in carnet("user", "list", "--search", "BEN", "--json").json] == [
        "ben@example.com"
    ]
    assert "ben@example.com  Ben" in carnet("user", "list").out


def test_an_account_is_found_by_email_and_by_subject(carnet, ben):
    assert (
        carnet("user", "show", "Ben@Example.com", "--json").json
        == carnet("user", "show", ben["subject"], "--json").json
    )


def test_roles_are_replaced(carnet, ben):
    assert carnet("user", "set-roles", "ben@example.com", "ADMIN", "STAFF", "--json").json["roles"] == [
        "ADMIN",
        "STAFF",
    ]
    assert carnet("user", "set-roles", "ben@example.com", "--json").json["roles"] == []


def test_a_disabled_account_can_be_enabled_again(carnet, ben):
    assert carnet("user", "disable", "ben@example.com", "--json").json["disabled_at"] is not None
    assert "disabled" in carnet("user", "list").out
    assert carnet("user", "invite", "ben@example.com").err == "carnet: This account is disabled: enable it first.\n"
    assert carnet("user", "enable", "ben@example.com", "--json").json["disabled_at"] is None


def test_the_last_administrator_is_kept(carnet):
    carnet("user", "create", "ada@example.com", "--role", "ADMIN", "--password-stdin", stdin=PASSWORD)
    done = carnet("user", "disable", "ada@example.com")
    assert done.status == 1
    assert "This is the last ADMIN who can sign in" in done.err


def test_an_invitation_is_the_link_alone(carnet, ben):
    link = carnet("user", "invite", "ben@example.com").out.strip()
    assert link.startswith("http://127.0.0.1:8080/welcome?invitation=")
    assert link != ben["invitation"]


def test_the_second_factor_of_somebody_who_has_lost_it_is_taken_away(carnet, ben):
    async def enrol(desk):
        key = factors.new_key(desk)
        code = totp.code_at(key, totp.step_at(desk.ambient.now()))
        await factors.enrol(desk, await people.get(desk, ben["subject"]), key, code, by=people.CLI)

    arguments = Namespace(config=None, data=None, issuer=None, database=None)
    at_desk(arguments, enrol)
    assert "second factor" in carnet("user", "show", "ben@example.com").out
    assert "set up; 10 recovery codes left" in carnet("user", "show", "ben@example.com").out
    assert carnet("user", "show", "ben@example.com", "--json").json["second_factor"] is True
    done = carnet("user", "reset-factors", "ben@example.com")
    assert done.out == "ben@example.com has no second factor any more; the password alone signs in.\n"
    assert carnet("user", "show", "ben@example.com", "--json").json["second_factor"] is False
    assert carnet("user", "reset-factors", "eve@example.com").status == 1
