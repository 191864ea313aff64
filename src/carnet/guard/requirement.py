"""RFC 6750 section 3.1, RFC 9470: what a route asks of a principal. Pure rules of values."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, TypedDict, Unpack

from carnet.ambient import Instant
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused
from carnet.guard.revocation import WhenStale

LongAnswer: TypeAlias = Literal["cut", "finish"]
"""`cut`: it is broken off; `finish`: it goes on to its end, for downloads that take longer than a token lives."""

CustomRule: TypeAlias = Callable[[Principal], bool]

_QUOTABLE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 section 3.3, `scope-token`: what stands in a quoted string as it is."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The principal meets the requirement: all of its rules hold."""


_GRANTED = Granted()


class Rule(Protocol):
    """One thing that is asked for; as a string, its name and what it asks."""

    def refusal(self, principal: Principal, at: Instant) -> Refused | None:
        """None if the principal meets it at that instant."""


@dataclass(frozen=True, slots=True)
class IssuerRule:
    """RFC 8725 section 3.8: a token of one of these issuers, where several are trusted for different things."""

    issuers: frozenset[str]

    def __str__(self) -> str:
        return f"issuer {_listed(self.issuers)}"

    def refusal(self, principal: Principal, at: Instant) -> Refused | None:
        if principal.issuer in self.issuers:
            return None
        return _forbidden("issuer_refused", f"The issuer is {principal.issuer}, wanted {_listed(self.issuers)}.")


@dataclass(frozen=True, slots=True)
class ScopeRule:
    """RFC 6750 section 3.1: all of these scope values."""

    values: frozenset[str]

    def __str__(self) -> str:
        return f"scope {_listed(self.values)}"

    def refusal(self, principal: Principal, at: Instant) -> Refused | None:
        if self.values <= principal.scope:
            return None
        return Refused(
            403,
            "scope_missing",
            "insufficient_scope",
            "The access token does not have the scope that this needs.",
            why=f"The scope is {_listed(principal.scope)}, wanted {_listed(self.values)}.",
            scope=self.values,
        )


@dataclass(frozen=True, slots=True)
class RoleRule:
    """At least one of these roles."""

    roles: frozenset[str]

    def __str__(self) -> str:
        return f"role {_listed(self.roles)}"

    def refusal(self, principal: Principal, at: Instant) -> Refused | None:
        if not self.roles.isdisjoint(principal.roles):
            return None
        why = f"The roles are {_listed(principal.roles)}, wanted one of {_listed(self.roles)}."
        return _forbidden("role_missing", why)


@dataclass(frozen=True, slots=True)
class OwnRule:
    """A rule of the service itself. Anything but True, and an exception too, refuses (rule A3, fail-open)."""

    rule: CustomRule

    def __str__(self) -> str:
        return f"custom {getattr(self.rule, '__name__', type(self.rule).__name__)}"

    def refusal(self, principal: Principal, at: Instant) -> Refused | None:
        try:
            verdict = self.rule(principal)
        except Exception as error:  # noqa: BLE001 - whatever fails in it
            return _forbidden("custom_rule_failed", f"The rule raised {type(error).__name__}.")
        return None if verdict is True else _forbidden("custom_rule_refused", "The rule said no.")


@dataclass(frozen=True, slots=True)
class AuthenticationRule:
    """RFC 9470 section 3: a sign-in that is strong enough and fresh enough."""

    acr: tuple[str, ...]
    """One of these contexts, the preferred one first; none: any."""
    max_age: int | None
    """Seconds since the proof; None: any."""

    def __str__(self) -> str:
        return f"acr {' '.join(self.acr) or 'any'}, max_age {'any' if self.max_age is None else self.max_age}"

    def refusal(self, principal: Principal, at: Instant) -> Refused | None:
        if self.acr and principal.acr not in self.acr:
            return self._refused("acr_insufficient", f"The acr is {principal.acr}, wanted one of {' '.join(self.acr)}.")
        if self.max_age is None:
            return None
        if principal.auth_time is None:
            return self._refused("authentication_too_old", "The token has no auth_time.")
        age = at - principal.auth_time
        if age > self.max_age:
            why = f"The proof was given {age} s ago, wanted at most {self.max_age} s."
            return self._refused("authentication_too_old", why)
        return None

    def _refused(self, code: str, why: str) -> Refused:
        return Refused(
            401,
            code,
            "insufficient_user_authentication",
            "This needs a fresh or stronger sign-in.",
            why=why,
            acr_values=self.acr,
            max_age=self.max_age,
        )


@dataclass(frozen=True, slots=True)
class AnyOfRule:
    """At least one of these; if none holds, the first one's refusal is told, as the one that is best asked for."""

    alternatives: tuple["Requirement", ...]

    def __str__(self) -> str:
        return f"any of {len(self.alternatives)}"

    def refusal(self, principal: Principal, at: Instant) -> Refused | None:
        refused = []
        for alternative in self.alternatives:
            verdict = alternative.check(principal, at=at)
            if isinstance(verdict, Granted):
                return None
            refused.append(verdict)
        trace = tuple(
            f"alternative {number}: {line}" for number, one in enumerate(refused, start=1) for line in one.trace
        )
        return replace(refused[0], why=f"No alternative holds; the first: {refused[0].why}", trace=trace)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a route asks for: all of its rules hold. Without rules it asks for a valid token and no more."""

    rules: tuple[Rule, ...] = ()
    when_stale: WhenStale | None = None
    """What is done when the revocation feed is stale; None: what the guard's settings say."""
    long_answers: LongAnswer = "cut"
    """What becomes of an answer that still goes on when its token expires or is taken back."""

    @property
    def scope(self) -> frozenset[str]:
        """The scope values that are needed in any case."""
        return frozenset(value for rule in self.rules if isinstance(rule, ScopeRule) for value in rule.values)

    def check(self, principal: Principal, *, at: Instant, leeway: int = 0) -> Granted | Refused:
        """Evaluate the rules in their order, up to the first that does not hold; `leeway` is in seconds."""
        for number, rule in enumerate(self.rules):
            refused = rule.refusal(principal, at - leeway)
            if refused is not None:
                held = tuple(f"{before}: holds" for before in self.rules[:number])
                return replace(refused, trace=(*held, f"{rule}: {refused.why}", *refused.trace))
        return _GRANTED


ANY_PRINCIPAL = Requirement()


class Asked(TypedDict, total=False):
    """What a route can ask for; all of it together, if several are given."""

    issuer: str | Iterable[str]
    """One, or several of which one is enough: for a guard that takes the tokens of several."""
    scope: str | Iterable[str]
    """A space-delimited string or several values, all needed."""
    role: str | Iterable[str]
    """One, or several of which one is enough."""
    acr: str | Iterable[str]
    """One, or several of which one is enough, the preferred first."""
    max_age: int
    """Seconds since the person gave their proof, at most."""
    any_of: Iterable[Requirement]
    """Requirements of which one is enough."""
    custom: CustomRule
    """A rule of your own."""
    when_stale: WhenStale
    """What is done when the revocation feed is stale, where it is not what the guard does otherwise."""
    long_answers: LongAnswer
    """What becomes of an answer that still goes on when its token expires or is taken back; `cut` unless it is given."""


def require(**asked: Unpack[Asked]) -> Requirement:
    """Say what a route asks for: `issuer`, `scope`, `role`, `acr`, `max_age`, `any_of`, `custom`; `when_stale`, `long_answers`.

    What no sign-in can mend is looked at first, so that nobody is asked for a stronger proof in vain.

    Raises:
        ValueError: a value that cannot stand in a challenge, or a list of alternatives that names none.
    """
    scopes, roles, contexts = _words(asked, "scope"), _names(asked, "role"), _words(asked, "acr")
    issuers = _names(asked, "issuer")
    alternatives = tuple(asked.get("any_of", ()))
    max_age, custom = asked.get("max_age"), asked.get("custom")
    for name, values in (
        ("issuer", issuers),
        ("scope", scopes),
        ("role", roles),
        ("acr", contexts),
        ("any_of", alternatives),
    ):
        if name in asked and not values:
            raise ValueError(f"{name} names nothing: leave it out if nothing is asked for.")
    for value in (*scopes, *contexts):
        if _QUOTABLE.fullmatch(value) is None:
            raise ValueError(
                f"{value!r} has characters that a scope or an acr value cannot have (RFC 6749 section 3.3)."
            )
    if "" in (*roles, *issuers):
        raise ValueError("A role, and an issuer, has at least one character.")
    when_stale = asked.get("when_stale")
    if when_stale not in {None, "introspect", "reject", "allow"}:
        raise ValueError("when_stale is introspect, reject or allow.")
    long_answers = asked.get("long_answers", "cut")
    if long_answers not in {"cut", "finish"}:
        raise ValueError("long_answers is cut or finish.")
    if max_age is not None and max_age < 0:
        raise ValueError("max_age is a number of seconds, 0 or more.")
    rules: list[Rule] = []
    if issuers:
        rules.append(IssuerRule(frozenset(issuers)))
    if scopes:
        rules.append(ScopeRule(frozenset(scopes)))
    if roles:
        rules.append(RoleRule(frozenset(roles)))
    if custom is not None:
        rules.append(OwnRule(custom))
    if contexts or max_age is not None:
        rules.append(AuthenticationRule(tuple(contexts), max_age))
    if alternatives:
        rules.append(AnyOfRule(alternatives))
    return Requirement(tuple(rules), when_stale, long_answers)


def _words(asked: Asked, name: Literal["scope", "acr"]) -> list[str]:
    given = asked.get(name, ())
    return given.split() if isinstance(given, str) else list(given)


def _names(asked: Asked, name: Literal["role", "issuer"]) -> list[str]:
    given = asked.get(name, ())
    return [given] if isinstance(given, str) else list(given)


def _forbidden(code: str, why: str) -> Refused:
    """403 with `insufficient_scope`, which RFC 6750 section 3.1 has for "higher privileges than provided"."""
    return Refused(403, code, "insufficient_scope", "The access token does not allow this.", why=why)


def _listed(values: Iterable[str]) -> str:
    return " ".join(sorted(values)) or "none"
