"""What a route asks for: pure rules of a principal."""

from typing import Any

import pytest

from carnet.guard import Granted, Principal, Refused, Requirement, require
from carnet.guard.challenge import answer

NOW = 1_800_000_000


def principal(**changed: Any) -> Principal:
    facts: dict[str, Any] = {
        "issuer": "https://issuer.test",
        "subject": "alice",
        "client_id": "front-end",
        "token_id": "1",
        "expires_at": NOW + 300,
        "roles": frozenset({"USER"}),
        "scope": frozenset({"orders:read", "orders:write"}),
        "acr": "silver",
        "auth_time": NOW - 100,
    }
    return Principal(**(facts | changed))


def refusal(requirement: Requirement, **changed: Any) -> Refused:
    verdict = requirement.check(principal(**changed), at=NOW)
    assert isinstance(verdict, Refused)
    return verdict


def granted(requirement: Requirement, **changed: Any) -> bool:
    return isinstance(requirement.check(principal(**changed), at=NOW), Granted)


def test_nothing_asked_for_is_always_granted() -> None:
    assert granted(require())


def test_one_of_several_issuers_is_enough_and_its_name_is_compared_whole() -> None:
    assert granted(require(issuer="https://issuer.test"))
    assert granted(require(issuer=["https://partner.test", "https://issuer.test"]))
    refused = refusal(require(issuer="https://partner.test", role="USER"))
    assert (refused.status, refused.code) == (403, "issuer_refused")
    assert not granted(require(issuer="https://issuer.test/"))
    with pytest.raises(ValueError, match="issuer names nothing"):
        require(issuer=())
    with pytest.raises(ValueError, match="at least one character"):
        require(issuer=[""])


def test_a_word_for_long_answers_that_no_route_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="long_answers is cut or finish"):
        require(long_answers="forever")  # type: ignore[typeddict-item]


def test_all_scope_values_are_needed() -> None:
    assert granted(require(scope="orders:read orders:write"))
    assert granted(require(scope=["orders:read"]))
    refused = refusal(require(scope="orders:read orders:delete"))
    assert (refused.status, refused.code, refused.scope) == (403, "scope_missing", {"orders:read", "orders:delete"})


def test_one_of_several_roles_is_enough() -> None:
    assert granted(require(role=["ADMIN", "USER"]))
    assert refusal(require(role=["ADMIN", "AUDITOR"])).code == "role_missing"


def test_a_role_is_compared_whole_and_with_case() -> None:
    assert not granted(require(role="USE"))
    assert not granted(require(role="user"))


def test_a_role_of_several_words_is_one_role() -> None:
    assert granted(require(role="Team Lead"), roles=frozenset({"Team Lead"}))


@pytest.mark.spec("RFC 9470", "3", "MUST")
def test_a_proof_that_is_too_old_asks_for_a_fresh_one() -> None:
    assert granted(require(max_age=100))
    refused = refusal(require(max_age=99))
    assert (refused.status, refused.error, refused.max_age) == (401, "insufficient_user_authentication", 99)


def test_clocks_may_differ_by_the_leeway() -> None:
    assert isinstance(require(max_age=99).check(principal(), at=NOW, leeway=1), Granted)


def test_without_a_time_of_proof_no_age_is_young_enough() -> None:
    assert refusal(require(max_age=10**9), auth_time=None).code == "authentication_too_old"


@pytest.mark.spec("RFC 9470", "3", "MUST")
def test_the_challenge_names_the_contexts_in_order() -> None:
    assert granted(require(acr="gold silver"))
    refused = refusal(require(acr="phr gold", max_age=10))
    assert (refused.acr_values, refused.max_age) == (("phr", "gold"), 10)
    assert 'acr_values="phr gold"' in dict(answer(refused).headers)["www-authenticate"]


def test_nobody_is_asked_for_a_stronger_proof_in_vain() -> None:
    assert refusal(require(role="ADMIN", acr="gold")).code == "role_missing"


def test_one_alternative_is_enough() -> None:
    either = require(any_of=[require(role="ADMIN"), require(scope="orders:read")])
    assert granted(either)
    refused = refusal(require(any_of=[require(role="ADMIN"), require(acr="gold")]))
    assert refused.code == "role_missing"
    assert [line.partition(":")[0] for line in refused.trace] == ["any of 2", "alternative 1", "alternative 2"]


def test_alternatives_are_asked_for_besides_the_rest() -> None:
    assert not granted(require(role="ADMIN", any_of=[require(scope="orders:read")]))


@pytest.mark.parametrize("verdict", [False, None, 1, "yes"])
def test_a_custom_rule_grants_with_true_alone(verdict: Any) -> None:
    assert granted(require(custom=lambda who: True))
    assert refusal(require(custom=lambda who: verdict)).code == "custom_rule_refused"


def test_a_custom_rule_that_fails_refuses() -> None:
    refused = refusal(require(custom=lambda who: who.epoch < 1 / 0))
    assert refused.code == "custom_rule_failed"
    assert "ZeroDivisionError" in refused.why


def test_the_trace_has_each_rule_and_the_answer_has_none() -> None:
    refused = refusal(require(scope="orders:read", role="ADMIN"))
    assert len(refused.trace) == 2
    assert "USER" in refused.why
    told = answer(refused)
    assert b"USER" not in told.body
    assert "USER" not in str(told.headers)


@pytest.mark.parametrize(
    "asked",
    [
        {"scope": ""},
        {"scope": []},
        {"scope": ['a"b']},
        {"scope": ["a b"]},
        {"scope": "é"},
        {"role": []},
        {"role": ""},
        {"acr": ()},
        {"acr": 'a"'},
        {"max_age": -1},
        {"any_of": []},
    ],
)
def test_a_requirement_that_says_nothing_or_cannot_be_told_is_an_error(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        require(**asked)


@pytest.mark.spec("RFC 9068", "2.2", "SHOULD")
def test_a_client_that_acts_for_itself_is_told_apart() -> None:
    assert principal(subject="front-end").is_client
    assert not principal().is_client


def test_claims_do_not_print() -> None:
    assert "secret" not in repr(principal(claims={"email": "secret"}))
