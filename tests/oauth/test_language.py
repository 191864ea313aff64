"""RFC 5646, RFC 4647, RFC 9110 section 12.5.4: which language somebody gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.oauth.language import LONGEST, MOST, accepted, listed, lookup, well_formed

THERE = ("de", "en", "fr", "ja", "pt-BR")


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "OPTIONAL")
@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("fr-CA fr en", ("fr-CA", "fr", "en")),
        (" de   en ", ("de", "en")),
        ("de_DE xx- -de 日本語 en", ("en",)),
        ("<script> de;q=1 en", ("en",)),
        ("abcdefghi de", ("de",)),
        (None, ()),
        ("", ()),
    ],
)
def test_ui_locales_are_tags_in_the_order_of_preference_and_nothing_else(text, tags):
    assert listed(text) == tags


def test_an_absurd_list_is_read_as_far_as_its_bounds():
    assert len(listed("de " * 5_000)) == MOST
    assert listed("x" * LONGEST + " de") == ()
    assert accepted("de," * 5_000) == ("de",) * MOST
    assert accepted("x" * LONGEST + ",de") == ()


@pytest.mark.spec("RFC 9110", "12.5.4", "MUST")
@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("da, en-GB;q=0.8, en;q=0.7", ("da", "en-GB", "en")),
        ("en;q=0.2,de;q=0.9,fr", ("fr", "de", "en")),
        ("en;q=0.5, de;q=0.5", ("en", "de")),
        ("de;q=0, en;q=0.000, fr;q=0.001", ("fr",)),
        ("de ; Q=1.000\t,\ten", ("de", "en")),
        ("de;q=2, en;q=-1, fr;q=, ja;q=0.1234, es;level=1, it;q=nan, nl", ("nl",)),
        ("*, de;q=0.1", ("de",)),
        ("", ()),
        ("é, 🙂", ()),
    ],
)
def test_a_browser_s_languages_are_ordered_by_their_weights(header, tags):
    assert accepted(header) == tags


@pytest.mark.spec("RFC 4647", "3.4", "MUST")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (("de",), "de"),
        (("DE-at",), "de"),
        (("de-Latn-CH-1996",), "de"),
        (("ja-x-private",), "ja"),
        (("sv", "fr-CA", "de"), "fr"),
        (("pt-br",), "pt-BR"),
        (("pt",), "pt-BR"),
        (("pt-PT", "fr"), "pt-BR"),
        (("zh-Hant-TW",), None),
        (("d",), None),
        ((), None),
    ],
)
def test_a_tag_is_shortened_until_there_is_something_for_it(wanted, found):
    assert lookup(wanted, THERE) == found


@pytest.mark.spec("RFC 4647", "3.4", "MUST")
def test_a_single_letter_never_stands_at_the_end_of_a_shortened_tag():
    assert lookup(("zh-Hant-x-private",), ("zh-Hant-x", "zh-Hant")) == "zh-Hant"


def test_the_most_particular_one_goes_before_its_kin():
    assert lookup(("de-AT",), ("de", "de-AT", "de-CH")) == "de-AT"
    assert lookup(("de-LI",), ("de-CH", "de")) == "de"


@given(st.text(), st.text())
def test_no_text_is_worth_an_error(one, other):
    for tag in (*listed(one), *accepted(other)):
        assert well_formed(tag)
    assert lookup((*listed(one), *accepted(other), "ja"), THERE) in THERE
