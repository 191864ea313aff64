"""RFC 6750 section 3.1, RFC 9470: what a route asks of a principal. Pure rules of values."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from carnet.ambient import Instant
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused

CustomRule: TypeAlias = Callable[[Principal], bool]

_QUOTABLE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 section 3.3, `scope-token`: what stands in a quoted string as it is."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The principal meets the requirement."""

    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a route asks for. All parts must hold; an empty requirement asks for a valid token and no more."""

    scope: frozenset[str] = frozenset()
    """All of these scope values."""
    roles: frozenset[str] = frozenset()
    """At least one of these roles."""
    acr: tuple[str, ...] = ()
    """One of these authentication contexts, the preferred one first."""
    max_age: int | None = None
    """The person gave their proof at most so many seconds ago."""
    any_of: tuple["Requirement", ...] = ()
    """At least one of these holds."""
    custom: CustomRule | None = None
    """Answers whether the principal may; anything but True, and an exception too, refuses."""

    def check(self, principal: Principal, *, at: Instant, leeway: int = 0) -> Granted | Refused:
        """Evaluate the requirement; the trace names each rule that was looked at.

        What no sign-in can mend comes first (scope, role, custom), so that nobody is asked for a stronger proof in vain.
        """
        trace: list[str] = []
        refused = (
            self._scope(principal, trace)
            or self._role(principal, trace)
            or self._custom(principal, trace)
            or self._authentication(principal, at - leeway, trace)
            or self._alternatives(principal, at, leeway, trace)
        )
        return refused or Granted(tuple(trace))

    def _scope(self, principal: Principal, trace: list[str]) -> Refused | None:
        missing = self.scope - principal.scope
        if self.scope:
            trace.append(f"scope {_listed(self.scope)}: {f'lacks {_listed(missing)}' if missing else 'has it'}")
        if not missing:
            return None
        return Refused(
            403,
            "scope_missing",
            "insufficient_scope",
            "The access token does not have the scope that this needs.",
            why=f"The token has the scope {_listed(principal.scope)}, wanted {_listed(self.scope)}.",
            trace=tuple(trace),
            scope=self.scope,
        )

    def _role(self, principal: Principal, trace: list[str]) -> Refused | None:
        if not self.roles:
            return None
        held = not self.roles.isdisjoint(principal.roles)
        trace.append(f"role {_listed(self.roles)}: {'has it' if held else f'has {_listed(principal.roles)}'}")
        if held:
            return None
        return _forbidden(
            "role_missing", f"The roles are {_listed(principal.roles)}, wanted one of {_listed(self.roles)}.", trace
        )

    def _custom(self, principal: Principal, trace: list[str]) -> Refused | None:
        if self.custom is None:
            return None
        name = getattr(self.custom, "__name__", type(self.custom).__name__)
        try:
            verdict = self.custom(principal)
        except Exception as error:  # noqa: BLE001 - whatever fails in a rule refuses (rule A3, fail-open)
            trace.append(f"custom {name}: raised {type(error).__name__}")
            return _forbidden("custom_rule_failed", f"The rule {name} raised {type(error).__name__}.", trace)
        trace.append(f"custom {name}: {verdict is True}")
        return None if verdict is True else _forbidden("custom_rule_refused", f"The rule {name} said no.", trace)

    def _authentication(self, principal: Principal, at: Instant, trace: list[str]) -> Refused | None:
        code = why = None
        if self.acr:
            held = principal.acr in self.acr
            trace.append(f"acr {' '.join(self.acr)}: {'has it' if held else f'has {principal.acr}'}")
            if not held:
                code, why = "acr_insufficient", f"The acr is {principal.acr}, wanted one of {' '.join(self.acr)}."
        if self.max_age is not None:
            age = None if principal.auth_time is None else at - principal.auth_time
            trace.append(f"max_age {self.max_age}: {'has no auth_time' if age is None else f'proved {age} s ago'}")
            if age is None or age > self.max_age:
                code = code or "authentication_too_old"
                why = why or (
                    "The token has no auth_time."
                    if age is None
                    else f"The proof was given {age} s ago, wanted at most {self.max_age} s."
                )
        if code is None or why is None:
            return None
        return Refused(
            401,
            code,
            "insufficient_user_authentication",
            "This needs a fresh or stronger sign-in.",
            why=why,
            trace=tuple(trace),
            acr_values=self.acr,
            max_age=self.max_age,
        )

    def _alternatives(self, principal: Principal, at: Instant, leeway: int, trace: list[str]) -> Refused | None:
        """At least one of `any_of`; if none holds, the first one's refusal is told, as the one that is best asked for."""
        first: Refused | None = None
        for number, alternative in enumerate(self.any_of, start=1):
            verdict = alternative.check(principal, at=at, leeway=leeway)
            trace += [f"any_of {number}: {line}" for line in verdict.trace]
            if isinstance(verdict, Granted):
                return None
            first = first or verdict
        if first is None:
            return None
        return Refused(
            first.status,
            first.code,
            first.error,
            first.description,
            why=f"None of {len(self.any_of)} alternatives holds; the first: {first.why}",
            trace=tuple(trace),
            scope=first.scope,
            acr_values=first.acr_values,
            max_age=first.max_age,
        )


ANY_PRINCIPAL = Requirement()


def require(
    *,
    scope: str | Iterable[str] | None = None,
    role: str | Iterable[str] | None = None,
    acr: str | Iterable[str] | None = None,
    max_age: int | None = None,
    any_of: Iterable[Requirement] | None = None,
    custom: CustomRule | None = None,
) -> Requirement:
    """Say what a route asks for.

    `scope`: a space-delimited string or several values, all needed; `role`: one, or several of which one is enough;
    `acr`: one, or several of which one is enough, the preferred first; `max_age`: seconds since the person gave their proof;
    `any_of`: requirements of which one is enough; `custom`: a rule of your own.

    Raises:
        ValueError: a value that cannot stand in a challenge, or a list of alternatives that names none.
    """
    scopes = scope.split() if isinstance(scope, str) else list(scope or ())
    contexts = acr.split() if isinstance(acr, str) else list(acr or ())
    roles = [role] if isinstance(role, str) else list(role or ())
    alternatives = list(any_of or ())
    for name, given, values in (
        ("scope", scope, scopes),
        ("role", role, roles),
        ("acr", acr, contexts),
        ("any_of", any_of, alternatives),
    ):
        if given is not None and not values:
            raise ValueError(f"{name} names nothing: leave it out if nothing is asked for.")
    for value in (*scopes, *contexts):
        if _QUOTABLE.fullmatch(value) is None:
            raise ValueError(
                f"{value!r} has characters that a scope or an acr value cannot have (RFC 6749 section 3.3)."
            )
    if "" in roles:
        raise ValueError("A role has at least one character.")
    if max_age is not None and max_age < 0:
        raise ValueError("max_age is a number of seconds, 0 or more.")
    return Requirement(frozenset(scopes), frozenset(roles), tuple(contexts), max_age, tuple(alternatives), custom)


def _forbidden(code: str, why: str, trace: list[str]) -> Refused:
    """403 with `insufficient_scope`, which RFC 6750 section 3.1 has for "higher privileges than provided"."""
    return Refused(
        403, code, "insufficient_scope", "The access token does not allow this.", why=why, trace=tuple(trace)
    )


def _listed(values: Iterable[str]) -> str:
    return " ".join(sorted(values)) or "none"
