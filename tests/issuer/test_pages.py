"""CSP Level 3, WCAG 2.2, RFC 4647: the pages themselves."""

import re
from itertools import product
from pathlib import Path

import pytest
from starlette.requests import Request

from carnet.issuer import pages as pages_module
from carnet.issuer.accounts import errors, invitations, people
from carnet.issuer.config import Config
from carnet.issuer.pages import HERE, Pages
from carnet.issuer.pages.catalogues import catalogue, english_only

pytestmark = pytest.mark.anyio

ISSUER_SOURCE = Path(people.__file__).parents[1]
TEMPLATES = sorted((HERE / "templates").glob("*.html"))


def request(language: str = "") -> Request:
    return Request({"type": "http", "headers": [(b"accept-language", language.encode())]})


def source() -> str:
    return "\n".join(file.read_text("utf-8") for file in ISSUER_SOURCE.rglob("*.py"))


def test_every_refusal_of_the_code_has_its_sentences():
    sentences = set(catalogue("en"))
    keys = set(re.findall(r'RefusalError\(\s*\d+,\s*"(\w+)"', source()))
    assert "stale_form" in keys
    assert {f"error.{key}.{part}" for key, part in product(keys, ("title", "message"))} <= sentences
    assert {f"person.{error.key}" for error in errors.PersonError.__subclasses__()} <= sentences
    assert {f"password.{key}" for key in re.findall(r'WeakPasswordError\(\s*"(\w+)"', source())} <= sentences
    assert {f"login.{key}" for key in re.findall(r'NotProvedError\(\s*"(\w+)"', source())} <= sentences


def test_every_sentence_of_a_template_is_in_the_catalogue():
    for template in TEMPLATES:
        english = template.name.startswith("admin") or template.name == "debugger.html"
        asked = set(re.findall(r'\bt\("([\w.]+)"[,)]', template.read_text("utf-8")))
        assert asked <= set(english_only() if english else catalogue("en")), template.name


SCRIPTS = re.compile(r'<script type="application/json" |<script type="module" src="{{ asset\(')
"""Data, and a file of ours: neither is a script in the page."""


def test_no_template_has_a_script_or_a_style_of_its_own_or_anything_from_elsewhere():
    for template in TEMPLATES:
        text = template.read_text("utf-8")
        if template.name == "debugger.html":
            text = SCRIPTS.sub("", text)
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:|https?://", text), template.name
    for sheet in (HERE / "static").glob("*.css"):
        assert not re.search(r"@import|https?:|//", sheet.read_text("utf-8")), sheet.name
    for picture in (HERE / "static").glob("*.svg"):
        assert not re.search(r"<script|\son\w+=|href=\"[^#]|<style", picture.read_text("utf-8"))


def luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.spec("WCAG 2.2", "1.4.3", "AA")
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_a_contrast_of_four_and_a_half_at_least(scheme):
    sheet = (HERE / "static" / "style.css").read_text("utf-8")
    blocks = re.findall(r":root {(.*?)\n\s*}", sheet, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[scheme]))
    pairs = [*product(("ink", "soft", "accent", "bad"), ("paper", "card", "raised")), ("on-accent", "accent")]
    pairs += [("on-accent", "accent-strong"), ("ink", "accent-wash"), ("accent", "accent-wash"), ("bad", "bad-wash")]
    assert {
        pair: contrast(*(colours[name] for name in pair))
        for pair in pairs
        if contrast(*(colours[name] for name in pair)) < 4.5
    } == {}
    for edge in ("edge", "accent", "bad"):  # section 1.4.11: what shows where a field is
        assert contrast(colours[edge], colours["card"]) >= 3


LABELLED = re.compile(r'<(?:input|textarea)(?![^>]*type="hidden")(?![^>]*class="away")[^>]*>')


@pytest.mark.spec("WCAG 2.2", "1.3.1", "A")
async def test_every_field_has_a_label_and_says_what_it_is_for(issuer):
    link = await invitations.first_administrator(issuer.desk)
    seen = [await issuer.http.get(link), await issuer.http.get("/login")]
    await issuer.person(roles=("ADMIN",))
    await issuer.sign_in()
    me = issuer.accounts["ann@example.com"]
    for path in ("/account", "/admin/people", "/admin/people/invite", f"/admin/people/{me.subject}"):
        seen.append(await issuer.http.get(path))
    for page in seen:
        assert page.status_code == 200
        assert '<html lang="en">' in page.text
        assert page.text.count("<h1>") == 1
        fields = LABELLED.findall(page.text)
        for one in fields:
            name = re.search(r' id="([^"]+)"', one).group(1)
            assert f'<label for="{name}">' in page.text
            assert "autocomplete=" in one
    wanted = {"username", "current-password", "new-password", "name"}
    assert wanted <= set(re.findall(r'autocomplete="([^"]+)"', "".join(page.text for page in seen)))


async def test_a_page_has_a_strict_policy_and_is_not_kept(issuer):
    page = await issuer.http.get("/login")
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.spec("CSP Level 3", "6.4.1", "MUST")
@pytest.mark.parametrize(
    ("target", "source"),
    [
        ("https://app.example/callback?x=1", "https:"),
        ("http://127.0.0.1:51004/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
        ("https://app.example; script-src *", "https:"),
        ("java script:x", ""),
        ("/path", ""),
    ],
)
def test_a_form_or_a_frame_may_lead_to_whatever_its_app_goes_on_to(target, source):
    assert pages_module.reach(target) == source


def test_what_is_put_into_a_sentence_is_escaped():
    text = Pages(Config()).text(request())
    assert text("consent.lead", client="<i>x</i>") == "<b>&lt;i&gt;x&lt;/i&gt;</b> asks for access to your account."


async def test_assets_have_a_url_for_each_content_and_may_be_kept_for_ever(issuer):
    page = await issuer.http.get("/login")
    url = re.search(r'href="(/assets/style\.css\?v=\w+)"', page.text).group(1)
    answer = await issuer.http.get(url)
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = await issuer.http.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await issuer.http.get("/assets/style.css")).headers["cache-control"] == "public, no-cache"


@pytest.mark.parametrize(
    "name", ["nothing.css", "..%2f__init__.py", "%2e%2e%2ftemplates%2flogin.html", ".", "style.css%00"]
)
async def test_an_asset_is_looked_up_and_never_put_into_a_path(issuer, name):
    assert (await issuer.http.get(f"/assets/{name}")).status_code == 404


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "Chrome, Linux"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X) AppleWebKit/605.1 Version/18 Safari/605.1", "Safari, Mac"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (Android 15; Mobile) Firefox/140.0", "Firefox, Android"),
        ("curl/8", ""),
        (None, ""),
    ],
)
def test_a_browser_is_called_as_people_call_it(agent, shown):
    assert pages_module._device(agent) == shown
