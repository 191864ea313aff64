"""RFC 5646, WCAG 2.2 section 3.1: the catalogues of sentences, and that no page has words of its own."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.requests import Request

import carnet.issuer
from carnet.issuer.catalogue import BUILT_IN
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.pages import HERE, Pages
from carnet.issuer.pages.catalogues import ENGLISH, LANGUAGES, MESSAGES, catalogue, english_only
from carnet.issuer.response_modes.form_post import FormPost
from carnet.oauth.language import well_formed

TEMPLATES = sorted((HERE / "templates").glob("*.html"))
OTHERS = [language for language in LANGUAGES if language != ENGLISH]

LENT = {"administration", "code", "error", "name", "password", "roles", "token", "utc"}
"""Words that other languages have taken over, or that mean the same there."""


def blanks(sentence: str) -> list[str]:
    return sorted(re.findall(r"{[^}]*}", sentence))


def test_a_file_is_a_language():
    assert set(LANGUAGES) >= {"en", "de", "fr", "es", "ja"}
    assert {file.name for file in MESSAGES.iterdir()} == {f"{language}.toml" for language in LANGUAGES}
    assert all(well_formed(language) for language in LANGUAGES)
    names = [catalogue(language)["language"] for language in LANGUAGES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_the_same_sentences_with_the_same_blanks_and_markup(language):
    english, translated = catalogue(ENGLISH), catalogue(language)
    assert set(translated) == set(english)
    for key, sentence in translated.items():
        assert sentence == sentence.strip() != "", key
        assert blanks(sentence) == blanks(english[key]), key
        assert re.findall(r"</?b>", sentence) == ["<b>", "</b>"] * (sentence.count("<b>")), key
        assert sentence.count("<b>") == english[key].count("<b>"), key
        assert not re.search(r"<(?!/?b>)|[{}\x00-\x1f]", re.sub(r"{\w+}", "", sentence)), key


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_was_left_in_english(language):
    english, translated = catalogue(ENGLISH), catalogue(language)
    same = {key for key, sentence in translated.items() if sentence == english[key]}
    words = {key: set(re.findall(r"[a-z-]+", re.sub(r"{\w+}", "", english[key].lower()))) for key in same}
    assert {key: left for key, found in words.items() if (left := found - LENT) and not key.startswith("time.")} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_has_to_agree_with_a_number(language):
    """Languages have up to six plurals: a count stands after a colon, where it asks for none of them."""
    for key, sentence in catalogue(language).items():
        if "{count}" in sentence:
            assert re.search(r"[:：]\s*(<b>)?{count}(</b>)?\Z", sentence), key


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", "3 Feb 2026, 09:05 UTC"),
        ("de", "3. Februar 2026, 09:05 UTC"),
        ("fr", "3 février 2026, 09:05 UTC"),
        ("es", "3 de febrero de 2026, 09:05 UTC"),
        ("pt-BR", "3 de fevereiro de 2026, 09:05 UTC"),
        ("nl", "3 februari 2026, 09:05 UTC"),
        ("it", "3 febbraio 2026, 09:05 UTC"),
        ("ja", "2026年2月3日 09:05 UTC"),
    ],
)
def test_a_date_is_written_as_the_language_does_and_cannot_be_taken_for_another(language, written):
    asked = Request({"type": "http", "headers": [(b"accept-language", language.encode())]})
    owner = SimpleNamespace(totp=SimpleNamespace(enrolled_at=1_770_109_500), recovery_codes=())
    page = Pages(Config()).render(asked, "second_factor", csrf="x", account=owner, since=1_770_109_500, left=0)
    shown = page.body.decode().replace("\N{NO-BREAK SPACE}", " ")
    assert f'<time datetime="2026-02-03T09:05:00Z">{written}</time>' in shown
    months = [catalogue(language)[f"time.month.{month}"] for month in range(1, 13)]
    assert len(set(months)) == 12


def test_what_people_read_of_every_built_in_scope_value_is_translated():
    built_in = {f"scope.{one.name}" for one in BUILT_IN}
    assert built_in <= {key for key in catalogue(ENGLISH) if key.startswith("scope.")}
    for language in OTHERS:
        assert all(catalogue(language)[key] != catalogue(ENGLISH)[key] for key in built_in)


TAG = re.compile(r"<!?/?[a-z][^>]*>", re.IGNORECASE)
SAYS = re.compile(r'\b(?:aria-label|alt|title|placeholder|content|value|summary)="([^"]*)"')
NOT_SAID = {"width=device-width, initial-scale=1", "light dark", "noindex", "allow", "deny", "this", "another", "password",
            "totp", "recovery_code", "Carnet"}  # fmt: skip
"""What attributes have for browsers, and what forms send."""


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.stem)
def test_no_template_has_words_of_its_own(template):
    text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", template.read_text("utf-8"), flags=re.DOTALL)
    said = {value for value in SAYS.findall(text) if re.search(r"[A-Za-z]{2}", value)}
    assert said <= NOT_SAID | {";url="}
    assert not re.search(r"[^\W\d_]", TAG.sub("", text)), TAG.sub("", text).split()


SOURCE = Path(carnet.issuer.__file__).parent
PAGES = [
    *(SOURCE / "endpoints").glob("*.py"),
    *(SOURCE / "login").glob("*.py"),
    SOURCE / "refusals.py",
    SOURCE / "signed_out.py",
]
RENDERING = {"render", "_render", "proof_page", "_page", "_form", "form", "_person", "_enrolment_page", "_codes_page"}


def test_no_program_gives_a_page_words():
    found = []
    for path in PAGES:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
            given = [*call.args, *(keyword.value for keyword in call.keywords)] if name in RENDERING else []
            for value in (node for one in given for node in ast.walk(one)):
                said = value.value if isinstance(value, ast.Constant) else None
                if isinstance(said, str) and re.search(r"[A-Za-z]\W* \W*[A-Za-z]", said):
                    found.append(f"{path.name}: {said!r}")
    assert found == []


def test_the_page_that_a_browser_sends_on_by_itself_has_no_words_either():
    page = FormPost().answer("https://app.example/callback", {"code": "x"}).body.decode()
    assert '<html lang="zxx">' in page
    assert TAG.sub(" ", re.sub(r"<script>.*?</script>", "", page)).split() == ["app.example", "app.example", "→"]


def test_the_pages_in_english_alone_have_no_sentence_twice():
    own = set(english_only()) - set(catalogue(ENGLISH))
    assert {key.partition(".")[0] for key in own} == {"admin", "debugger", "notice"}
    assert not any(key.startswith(("admin.", "debugger.")) for key in catalogue(ENGLISH))


def test_a_default_language_that_there_is_not_is_refused_at_the_start():
    with pytest.raises(ConfigError, match="language 'sv' is none of de, en"):
        Pages(Config(language="sv"))
