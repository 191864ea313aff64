"""RFC 6749 section 3.3, RFC 8707, OpenID Connect Core section 5.1.2: what may be defined, for the command and the API alike."""

import re
from typing import TypeVar

from carnet.issuer.accounts.details import ATTRIBUTE
from carnet.issuer.catalogue import OWN_CLAIMS, PROTOCOL_CLAIMS, Catalogue, Entry, catalogue_of
from carnet.issuer.config import LONGEST, Config, ConfigError
from carnet.issuer.definition import AudienceDefinition, ClaimDefinition, Definition, DefinitionKind, ScopeDefinition
from carnet.issuer.desk import Desk
from carnet.issuer.storage.ports import AlreadyExistsError
from carnet.issuer.storage.records import Event
from carnet.oauth.errors import InvalidScopeError
from carnet.oauth.scope import parse

RESERVED_CLAIMS = frozenset(
    (
        *PROTOCOL_CLAIMS,
        *OWN_CLAIMS,
        *("nbf", "jti", "azp", "c_hash", "client_id", "scope", "cnf", "act", "may_act", "sep", "roles_ref"),
        *("authorization_details", "_claim_names", "_claim_sources", "events", "active", "token_type"),
    )
)
"""RFC 7519 section 4.1 and others: claims that mean something already."""

_CLAIM = re.compile(r"[A-Za-z][A-Za-z0-9_:./#-]{0,199}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")
_WORD = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")
_MOST = 100

Kind = TypeVar("Kind", bound=Definition)


class DefinitionError(Exception):
    """A definition that cannot be accepted; the message is a sentence that says what to do."""


class UndefinedError(DefinitionError):
    """There is none of this name."""


class FixedError(DefinitionError):
    """It stands where this change cannot reach."""


async def find(desk: Desk, kind: DefinitionKind, name: str) -> Entry:
    """Raises UndefinedError."""
    entry = (await desk.definitions.reread()).find(kind, name)
    if entry is None:
        raise UndefinedError(f"There is no definition of the {kind} {name!r}.")
    return entry


async def define(desk: Desk, definition: Kind, *, before: Entry | None, actor: str) -> Kind:
    """Store a definition: a new one, or in the place of the one that `before` is.

    A built-in one is replaced by one in the store, which is removed to have the built-in one back.

    Raises:
        DefinitionError: it cannot be accepted, or `before` stands in the settings.
        AlreadyExistsError, StaleError: somebody else was there first.
    """
    catalogue = await desk.definitions.reread()
    check(definition, catalogue)
    _refuse_fixed(catalogue.find(definition.kind, definition.name))
    if before is None or before.origin != "stored":
        if before is None and catalogue.find(definition.kind, definition.name) is not None:
            raise AlreadyExistsError(f"There is a definition of the {definition.kind} {definition.name!r} already.")
        await desk.store.definitions.add(definition)
    else:
        await desk.store.definitions.replace(before.definition, definition)
    await _note(desk, "defined", definition, actor)
    return definition


async def remove(desk: Desk, before: Entry, *, actor: str) -> None:
    """Forget a definition. What clients are registered for stays: a scope value then has only its name.

    Raises:
        DefinitionError: it stands in the settings or is built in, or a scope value shows the claim.
        StaleError: it was changed meanwhile.
    """
    _refuse_fixed(before)
    definition = before.definition
    if before.origin == "built-in":
        raise FixedError(f"The {definition.kind} {definition.name!r} is built in: it can be defined anew, not removed.")
    users = [
        scope.name for scope in (await desk.definitions.reread()).scopes.values() if definition.name in scope.claims
    ]
    if isinstance(definition, ClaimDefinition) and users:
        raise DefinitionError(
            f"The scope value {users[0]!r} shows the claim {definition.name!r}: take it out there first."
        )
    await desk.store.definitions.remove(definition)
    await _note(desk, "removed", definition, actor)


def check(definition: Definition, catalogue: Catalogue) -> None:
    """Raises DefinitionError."""
    match definition:
        case ScopeDefinition():
            _check_scope(definition, catalogue)
        case ClaimDefinition():
            _check_claim(definition)
        case AudienceDefinition():
            _check_audience(definition)


def check_settings(config: Config) -> None:
    """Raises ConfigError: a definition in the settings cannot be accepted."""
    if config.define is None:
        return
    names = [(one.kind, one.name) for one in config.define.all]
    for kind, name in names:
        if names.count((kind, name)) > 1:
            raise ConfigError(f"define: the {kind} {name!r} is defined twice.")
    catalogue = catalogue_of(config.define.all, ())
    try:
        for one in config.define.all:
            check(one, catalogue)
    except DefinitionError as error:
        raise ConfigError(f"define: {error}") from None


def _check_scope(definition: ScopeDefinition, catalogue: Catalogue) -> None:
    _check_value(definition.name)
    for language, sentence in definition.description.items():
        if not _LANGUAGE.fullmatch(language):
            raise DefinitionError(f"{language!r} is not a language tag (RFC 5646), such as en or de-CH.")
        if not sentence.strip() or len(sentence) > 200 or not sentence.isprintable():
            raise DefinitionError("A description has 1 to 200 printable characters.")
    unknown = [name for name in definition.claims if name not in catalogue.claim_names]
    if unknown:
        raise DefinitionError(f"There is no claim {unknown[0]!r}: define it first.")
    if len(definition.description) > _MOST or _repeats(definition.claims):
        raise DefinitionError(f"A scope value has at most {_MOST} descriptions and {_MOST} different claims.")


def _check_claim(definition: ClaimDefinition) -> None:
    if not _CLAIM.fullmatch(definition.name):
        raise DefinitionError("A claim's name is 1 to 200 letters, digits or _ : . / # - and begins with a letter.")
    if definition.name in RESERVED_CLAIMS:
        raise DefinitionError(f"The claim {definition.name!r} means something already: choose another name.")
    if not ATTRIBUTE.fullmatch(definition.attribute):
        raise DefinitionError("An attribute's name is 1 to 64 of a-z, 0-9 and _ and begins with a letter.")


def _check_audience(definition: AudienceDefinition) -> None:
    if not _WORD.fullmatch(definition.name):
        raise DefinitionError("An audience's name is 1 to 200 printable characters without spaces.")
    if len(definition.description) > 200 or not definition.description.isprintable():
        raise DefinitionError("A description has at most 200 printable characters.")
    if _repeats(definition.scopes):
        raise DefinitionError(f"An audience has at most {_MOST} different scope values.")
    for value in definition.scopes:
        _check_value(value)
    lifetime = definition.access_token_lifetime
    if lifetime is not None and not 10 <= lifetime <= LONGEST:
        raise DefinitionError(f"access_token_lifetime is between 10 and {LONGEST} seconds.")


def _check_value(value: str) -> None:
    try:
        right = parse(value) == (value,)
    except InvalidScopeError:
        right = False
    if not right:
        raise DefinitionError(f"{value!r} is not a scope value (RFC 6749 section 3.3).")


def _repeats(names: tuple[str, ...]) -> bool:
    return len(names) > _MOST or len(set(names)) < len(names)


def _refuse_fixed(entry: Entry | None) -> None:
    if entry is not None and entry.origin == "settings":
        one = entry.definition
        raise FixedError(f"The {one.kind} {one.name!r} stands in the settings: change it there.")


async def _note(desk: Desk, what: str, definition: Definition, actor: str) -> None:
    """And read anew, so that the next request here sees it."""
    await desk.definitions.reread()
    detail = {"name": definition.name}
    event = Event(at=desk.ambient.now(), name=f"{definition.kind}.{what}", actor=actor, detail=detail)
    await desk.store.events.add(event)
