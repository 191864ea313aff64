"""Rule A3: the longest path decides, and what no rule names is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.guard import RefusedRequestError, require
from carnet.guard.gateway.original_request import OriginalRequest, decoded_path
from carnet.guard.gateway.rules import Rule, RuleError, Rules


def asked(path: str, *, method: str = "GET", host: str = "shop.example") -> OriginalRequest:
    return OriginalRequest(method, host, path, path, b"", ())


def rule(path: str, **others) -> Rule:
    name = f"{path or '/'} {' '.join(sorted(others.get('methods') or ()))}".strip()
    return Rule(**{"name": name, "path": path, "requirement": require()} | others)


def found(rules: Rules, path: str, **others) -> str | None:
    """The rule's name; None where there is none."""
    try:
        return rules.find(asked(path, **others)).name
    except RefusedRequestError as error:
        return None if (error.refused.status, error.refused.code) == (403, "no_rule") else f"{error.refused}"


RULES = Rules(
    [
        rule("/orders"),
        rule("/orders/archive", methods=frozenset({"GET"})),
        rule("/orders/archive", methods=frozenset({"DELETE", "POST"})),
        rule("/files/a/b/c"),
        rule("/only", exact=True),
    ]
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/orders", "/orders"),
        ("/orders/", "/orders"),
        ("/orders/7", "/orders"),
        ("/orders/7/lines/2", "/orders"),
        ("/orders/archive", "/orders/archive GET"),
        ("/orders/archive/2020", "/orders/archive GET"),
        ("/orders/archived", "/orders"),
        ("/files/a/b/c/d/e", "/files/a/b/c"),
        ("/only", "/only"),
        ("/ordersx", None),
        ("/order", None),
        ("/Orders", None),
        ("/only/", None),
        ("/only/more", None),
        ("/files/a/b", None),
        ("/", None),
    ],
)
def test_a_rule_holds_for_its_path_and_below_it_and_the_longest_one_wins(path, name):
    assert found(RULES, path) == name


def test_a_method_that_the_longest_path_does_not_name_is_refused_and_does_not_fall_to_a_shorter_one():
    assert found(RULES, "/orders/archive", method="POST") == "/orders/archive DELETE POST"
    assert found(RULES, "/orders/archive", method="PUT") is None
    assert found(RULES, "/orders", method="PUT") == "/orders"


def test_a_rule_without_methods_holds_for_those_that_no_other_one_names():
    rules = Rules([rule(""), rule("", methods=frozenset({"GET"}))])
    assert found(rules, "/x", method="GET") == "/ GET"
    assert found(rules, "/x", method="HEAD") == "/"


def test_a_host_that_a_rule_names_has_only_the_rules_that_name_it():
    rules = Rules([rule("", name="any"), rule("/status", name="status", host="status.example")])
    assert found(rules, "/status", host="shop.example") == "any"
    assert found(rules, "/status/now", host="status.example") == "status"
    assert found(rules, "/else", host="status.example") is None


def test_without_rules_everything_is_refused():
    assert found(Rules([]), "/") is None


def test_an_exact_rule_goes_before_the_one_for_what_is_below():
    rules = Rules([rule("", name="below"), rule("", name="root", exact=True)])
    assert found(rules, "/") == "root"
    assert found(rules, "/more") == "below"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({"methods": frozenset({"GET", "HEAD"})}, {"methods": frozenset({"HEAD"})}),
        ({"host": "a.example"}, {"host": "a.example"}),
        ({"exact": True}, {"exact": True}),
    ],
)
def test_two_rules_for_the_same_are_an_error(first, second):
    with pytest.raises(RuleError, match="same path, host and method"):
        Rules([rule("/a", **first), rule("/a", **second)])


@given(st.lists(st.sampled_from("ab"), max_size=6), st.sets(st.lists(st.sampled_from("ab"), max_size=4).map(tuple)))
def test_the_found_rule_is_the_one_that_a_search_through_all_of_them_finds(segments, places):
    path = "/" + "/".join(segments)
    rules = Rules([rule("".join(f"/{part}" for part in place)) for place in places])
    below = [place for place in places if tuple(segments[: len(place)]) == place]
    longest = max(below, key=len, default=None)
    expected = None if longest is None else "/" + "/".join(longest)
    assert found(rules, path) == expected


@pytest.mark.parametrize("spelling", ["/admin", "/%61dmin", "/a%64min", "/%61%64%6D%69%6e"])
def test_a_path_has_one_rule_in_all_of_its_spellings(spelling):
    rules = Rules([rule("", name="everybody", requirement=None), rule("/admin", name="admins")])
    assert found(rules, decoded_path(spelling.encode())) == "admins"
