"""Rule A3: which rule holds for a request. The longest path decides, and what no rule names is refused."""

from collections.abc import Iterable
from dataclasses import dataclass

from carnet.guard.gateway.original_request import OriginalRequest
from carnet.guard.refusal import Refused, RefusedRequestError
from carnet.guard.requirement import Requirement


class RuleError(Exception):
    """Rules that contradict each other; the message names them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked for on a path, and on what is below it."""

    name: str
    """Where it stands, for people."""
    path: str
    """Decoded, and without a slash at its end: the root is empty."""
    requirement: Requirement | None
    """None: nothing is asked for, the rule is public."""
    host: str | None = None
    """None: hosts that no rule names."""
    methods: frozenset[str] | None = None
    """None: those that no rule for the same path names."""
    exact: bool = False
    """It holds for this path alone and not for what is below."""
    audience: str | None = None
    """The service behind it, for which a token of the gateway is."""

    def __str__(self) -> str:
        asked = "public" if self.requirement is None else ", ".join(map(str, self.requirement.rules)) or "a valid token"
        methods = " ".join(sorted(self.methods)) if self.methods else "other methods"
        below = "alone" if self.exact else "and below"
        return f"{self.name} ({methods}, host {self.host or 'any other'}, {self.path or '/'} {below}): {asked}"


class Rules:
    """Finds a rule by look-ups in dictionaries, as many as the deepest rule has segments."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Raises RuleError for two rules that hold for the same."""
        self._places: dict[str | None, dict[tuple[str, bool], dict[str | None, Rule]]] = {}
        self._depth = 0
        for rule in rules:
            place = self._places.setdefault(rule.host, {}).setdefault((rule.path, rule.exact), {})
            for method in rule.methods or (None,):
                other = place.setdefault(method, rule)
                if other is not rule:
                    raise RuleError(f"{rule.name} and {other.name} are for the same path, host and method.")
            self._depth = max(self._depth, rule.path.count("/"))

    def find(self, asked: OriginalRequest) -> Rule:
        """The rule of the longest path; a host that any rule names has only the rules that name it.

        A shorter path's rule never stands in for a method that the longest one does not name.

        Raises:
            RefusedRequestError: there is none, so 403.
        """
        places = self._places.get(asked.host) or self._places.get(None, {})
        for place in self._candidates(asked.path):
            rules = places.get(place)
            if rules is not None:
                rule = rules.get(asked.method) or rules.get(None)
                if rule is not None:
                    return rule
                raise _refused(
                    f"The rules for {place[0] or '/'} on {asked.host} do not name the method {asked.method}."
                )
        raise _refused(f"No rule is for {asked.sent_path} on {asked.host}.")

    def _candidates(self, path: str) -> Iterable[tuple[str, bool]]:
        yield path.removesuffix("/") if path == "/" else path, True
        segments = path.split("/", self._depth + 1)[: self._depth + 1]
        for length in range(len(segments), 0, -1):
            yield "/".join(segments[:length]), False


def _refused(why: str) -> RefusedRequestError:
    return RefusedRequestError(
        Refused(403, "no_rule", "insufficient_scope", "The access token does not allow this.", why, trace=(why,))
    )
