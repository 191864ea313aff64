"""OAuth 2.1 section 7.9, RFC 4647 section 3.4: scope values as people read them, in their own language where it can be."""

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request

from carnet.issuer.desk import Desk
from carnet.issuer.pages import Text
from carnet.oauth.language import lookup


@dataclass(frozen=True, slots=True)
class Sentence:
    """What people read of one scope value."""

    value: str
    text: str
    language: str | None = None
    """Of the sentence, where it is not sure to be that of the page."""


async def scope_sentences(request: Request, desk: Desk, scope: Iterable[str]) -> list[Sentence]:
    """Of each scope value its sentence: as it is defined, else from the catalogue of pages, else its bare name."""
    definitions = (await desk.definitions.current()).scopes
    text, languages = desk.pages.text(request), desk.pages.wanted(request)
    sentences = []
    for value in scope:
        definition = definitions.get(value)
        if definition is not None and definition.description:
            described = definition.description
            language = lookup(languages, described) or next(iter(described))
            sentences.append(Sentence(value, described[language], language))
        else:
            sentences.append(Sentence(value, _of_ours(text, value)))
    return sentences


def _of_ours(text: Text, value: str) -> str:
    try:
        return text(f"scope.{value}")
    except KeyError:
        return value
