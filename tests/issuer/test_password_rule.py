"""NIST SP 800-63B-4 section 3.1.1.2: which passwords may be chosen."""

import pytest

from carnet.issuer.accounts.password_rule import MIN_LENGTH, WeakPasswordError, check, common


def refusal(
    password: str, email: str = "ariel.weinberger@example.com", name: str | None = "Ariel Weinberger"
) -> str | None:
    try:
        check(password, email=email, name=name)
    except WeakPasswordError as error:
        return error.key
    return None


@pytest.mark.spec("NIST SP 800-63B-4", "3.1.1.2", "SHALL")
def test_the_only_proof_of_a_sign_in_has_fifteen_characters_or_more():
    assert MIN_LENGTH == 15
    assert refusal("zk9 fq-vu7 lmp") == "short"
    assert refusal("zk9 fq-vu7 lmpx") is None


@pytest.mark.spec("NIST SP 800-63B-4", "3.1.1.2", "SHALL")
def test_each_code_point_counts_as_one_character():
    assert refusal("zü9 fq-vu7 lmpx") is None


@pytest.mark.spec("NIST SP 800-63B-4", "3.1.1.2", "SHALL NOT")
@pytest.mark.parametrize(
    "password", ["violet anvil harbour", "839201746352918", "ГРЕЧКА под снегом", "ochrelanternundertidal"]
)
def test_no_kinds_of_characters_are_asked_for(password):
    assert refusal(password) is None


def test_a_password_of_64_characters_is_accepted_and_one_beyond_1024_bytes_is_not():
    assert refusal("violet anvil harbour " * 3 + "x") is None
    assert refusal("violet anvil harbour" + "é" * 503) == "long"


@pytest.mark.spec("NIST SP 800-63B-4", "3.1.1.2", "SHALL")
@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "Password123456789!",
        "P@ssw0rd!P@ssw0rd!2024",
        "qwertyuiopasdfghjkl",
        "correct horse battery staple",
        "aaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "98765432109876543210",
        "Summer2024!!!!!!!",
        "hunter2hunter2hunter2",
        "letmein-letmein-1234",
        "carnet-administrator",
    ],
)
def test_what_everybody_uses_is_refused(password):
    assert refusal(password) == "common"


@pytest.mark.parametrize(
    "password", ["arielweinberger2026", "ariel.weinberger@example.com", "Ariel.Weinberger-1", "weinberger.ariel!!!"]
)
def test_the_persons_own_names_are_refused(password):
    assert refusal(password) == "personal"
    assert refusal(password, email="somebody.else@elsewhere.org", name=None) is None


def test_characters_that_cannot_be_typed_are_refused():
    assert refusal("violet anvil\x07 harbour") == "control"


def test_a_password_that_is_long_costs_no_more_to_look_at_than_a_shorter_one():
    assert refusal("q" + "x9vKj" * 200 + "z") is None


def test_the_list_of_common_words_is_in_lower_case_and_has_no_line_twice():
    words = sorted(common())
    assert words == sorted({word.casefold() for word in words})
    assert len(words) > 400
