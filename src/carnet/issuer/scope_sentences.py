"""OAuth 2.1 section 7.9, RFC 4647 section 3.4: scope values as people read them, in their own language where it can be."""

from collections.abc import Iterable, Mapping

from starlette.requests import Request

from carnet.issuer.desk import Desk
from carnet.issuer.pages import Text, wanted_languages


async def scope_sentences(request: Request, desk: Desk, scope: Iterable[str]) -> list[tuple[str, str]]:
    """Each scope value and its sentence: as it is defined, else from the catalogue of pages, else its bare name."""
    definitions = (await desk.definitions.current()).scopes
    text, languages = desk.pages.text(request), wanted_languages(request)
    lines = []
    for name in scope:
        definition = definitions.get(name)
        defined = _in_language(definition.description, languages) if definition is not None else None
        lines.append((name, defined or _of_ours(text, name)))
    return lines


def _in_language(description: Mapping[str, str], languages: Iterable[str]) -> str | None:
    """The first of the reader's languages that there is a sentence in; else the first sentence."""
    by_tag = {tag.lower(): sentence for tag, sentence in description.items()}
    for language in languages:
        tag = language
        while tag:
            if tag in by_tag:
                return by_tag[tag]
            tag = tag.rpartition("-")[0]
    return next(iter(description.values()), None)


def _of_ours(text: Text, name: str) -> str:
    try:
        return text(f"scope.{name}")
    except KeyError:
        return name
