"""The token debugger in a real browser: it explains as the command does, verifies, and lets nothing of what is pasted out."""

import json
import random
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from carnet.jose import SigningKey, inspect, sign_jwt
from carnet.testing.running import RunningIssuer, running_issuer

NOW = 1_700_000_000
SECRET = "correct horse battery staple, and forty-two more"
WINDOW = 12
"""Characters: so long a piece of a token would be told by what is sent."""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Iterator[RunningIssuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="module")
def issued(issuer) -> str:
    """An access token of the running issuer."""
    client = issuer.command(
        "client", "create", "job", "--grant", "client_credentials", "--scope", "orders:read", "--audience", "orders"
    )
    answer = httpx.post(
        f"{issuer.url}/token",
        data={"grant_type": "client_credentials"},
        auth=(client["client_id"], client["client_secret"]),
    )
    return answer.json()["access_token"]


@pytest.fixture
def debugger(page, issuer) -> Page:
    page.goto(f"{issuer.url}/debugger")
    expect(page.get_by_label("Token, key or Authorization header")).to_be_focused()
    return page


def paste(page: Page, text: str) -> None:
    page.get_by_label("Token, key or Authorization header").fill(text)


def choose(page: Page, source: str) -> None:
    page.locator(".tab", has_text=source).click()


def check(page: Page, title: str):
    """What is said of the signature, the time, the issuer…"""
    return page.locator("#checks li").filter(has=page.locator("strong", has_text=title))


def encoded(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes) -> dict:
    now = int(time.time())
    return {"iss": "https://i.example", "aud": "orders", "sub": "ada", "iat": now, "exp": now + 300} | changes


def jws(payload, header=None, signature="c2lnbmF0dXJl") -> str:
    return ".".join((encoded(header or {"alg": "ES256", "typ": "at+jwt"}), encoded(payload), signature))


# What it says


GOOD = {"iss": "https://i.example", "aud": "orders", "sub": "a", "iat": NOW - 10, "exp": NOW + 290}
ES256 = {"alg": "ES256", "typ": "at+jwt"}
SAMPLES = {
    "access token": jws(GOOD),
    "header": f'  Authorization:  Bearer "{jws(GOOD)}"\n',
    "wrapped": jws(GOOD)[:40] + "\r\n\u00a0 " + jws(GOOD)[40:],
    "everything to look at": jws(
        {
            "password": "x",
            "it's": {"pin": 3, "secret": False, "seed": 1, "cvv": 0, "card": ["4111 1111 1111 1111", 4111111111111111]},
        }
        | {"exp": NOW, "nbf": NOW + 1, "iat": 0, "number": 4.1e15, "note": "-----BEGIN PRIVATE KEY-----"},
        {"alg": "HS384", "jku": "https://evil.example", "jwk": {}, "crit": ["b64", "x", "alg", 7, "a\"\u200b\u00e9'"]},
        "",
    ),
    "values in words": jws(
        {"amr": ["pwd", "own", 1], "cnf": {"jkt": "x", "kid": "y"}, "auth_time": NOW - 3600.5, "updated_at": True}
        | {"toe": NOW * 1000, "nbf": -1, "iat": None, "event_timestamp": "soon", "__proto__": 1, "constructor": {}},
        {"alg": "none", "typ": "application/DPoP+JWT", "cty": 3, "enc": []},
    ),
    "unsigned": jws(GOOD, {"alg": "none"}, ""),
    "weak signature": jws(GOOD, {"alg": "RS1", "typ": "at+jwt"}),
    "long signature": jws(GOOD, {"alg": "ML-DSA-87", "typ": "at+jwt"}),
    "far away": jws(GOOD | {"exp": 253_402_300_799, "nbf": NOW - 61, "iat": NOW - 86_400 * 400}),
    "repeated": jws(b'{"b":{"a":1,"a":2},"b":[],"z":{"q":0,"q":1}}', b'{"alg":"ES256","alg":"none","typ":1}', "AA"),
    "odd numbers": jws(
        b'{"exp":NaN,"a":[-Infinity,1e999,-0,1.0,1E-7],"b":123456789012345678,"c":123456789012345678901234567890}'
    ),
    "surrogates": jws(b'{"a\\ud800":"\\ud83d\\ude00 \\udc00","b":"\\ud83d"}'),
    "not UTF-8": jws(b'\xef\xbb\xbf{"a":"\xff\xed\xa0\x80\xf0\x9f"}'),
    "deep": jws(b'{"a":' + b"[" * 30 + b"]" * 30 + b"}"),
    "too deep": jws(b'{"a":' + b'{"\\"[":[' * 100 + b"]}" * 100 + b"}"),
    "cut off": jws(GOOD)[:70],
    "padded": f"{encoded(ES256)}==.{encoded(GOOD)}+/=.A",
    "trailing bits": f"{encoded(ES256)}.e31.AB",
    "bad JSON": jws(b'{"a":"\\x"}', b'{"alg" "ES256"}'),
    "control character": jws('{"é😀":"a\nb"}'.encode()),
    "text": jws(b"plain \xe2\x9c\x93"),
    "bytes": jws(b"\xff\xfe"),
    "unencoded": f"{encoded({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}.hello.AA",
    "nested": jws(jws(jws(GOOD).encode(), {"alg": "RS256", "cty": "jwt"}).encode(), {"alg": "PS256", "cty": "JWT"}),
    "encrypted": f"{encoded({'alg': 'ECDH-ES', 'enc': 'A256GCM', 'zip': 'DEF', 'epk': {'kty': 'EC'}})}..AAAA.A.AAAB",
    "encrypted by password": f"{encoded({'alg': 'PBES2-HS256+A128KW'})}.AA.AA.AA",
    "disclosures": f"{jws(GOOD | {'_sd': ['x']})}~{encoded(['s', 'email', 'a@b.example'])}~{encoded(['s', 7])}~{encoded(['s', 1, 2])}~!~{jws({'nonce': 'n'}, {'alg': 'ES256', 'typ': 'kb+jwt'})}",
    "flattened": json.dumps({"payload": encoded(GOOD), "protected": encoded(ES256), "signature": "AA"}),
    "general": json.dumps(
        {"payload": encoded(GOOD), "signatures": [{"protected": encoded(ES256), "header": {"kid": "k"}}, 1, {}]}
    ),
    "recipients": json.dumps(
        {"protected": encoded({"enc": "A128GCM"}), "unprotected": {"jku": "x"}, "ciphertext": "AA", "aad": 1}
        | {"recipients": [{"header": {"alg": "A128KW"}}, {"header": {"alg": "RSA1_5"}}]}
    ),
    "private key": json.dumps({"kty": "EC", "crv": "P-256", "x": "AA", "d": "AA", "exp": NOW, "use": "sig"}),
    "short secret": json.dumps({"kty": "oct", "k": "A" * 42, "alg": "HS256", "kid": "k"}),
    "key set": json.dumps({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": {}}, {"kty": []}, 3]}),
    "too many keys": json.dumps({"keys": [{"kty": "EC"}] * 101}),
    "other JSON": '{"sub":"a","exp":1}',
    "broken JSON": '{"keys":[1,',
    "PEM": "-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----",
    "opaque": "hello",
    "nothing": " ",
    "four parts": "a.b.c.d",
    "many parts": "a.b.c.d.e.f.g.h",
    "too long": "x" * 262_145,
}

INSPECT = """async ([texts, at]) => {
  const { inspect } = await import("/assets/inspection.js");
  const { written } = await import("/assets/lenient.js");
  const mapped = (value) => {
    if (Array.isArray(value)) return value.map(mapped);
    if (value === null || typeof value !== "object" || value instanceof Map) return value;
    return new Map(Object.entries(value).map(([name, content]) => [name, mapped(content)]));
  };
  return texts.map((text) => written(mapped(inspect(text, at))));
}"""


def in_browser(page: Page, texts: list[str]) -> list:
    return [json.loads(text) for text in page.evaluate(INSPECT, [texts, NOW])]


def test_the_page_says_of_a_token_what_the_command_says(debugger):
    for name, found in zip(SAMPLES, in_browser(debugger, list(SAMPLES.values())), strict=True):
        assert found == json.loads(json.dumps(inspect(SAMPLES[name], at=NOW).to_json())), name


def spoilt(chance: random.Random) -> str:
    """A sample with some characters changed, in what is encoded too."""
    text = chance.choice(list(SAMPLES.values())[:-1])
    marks = ["", ".", "~", "=", "A", "_", " ", '"', "{", "e30", "é", "\u2028"]
    if chance.random() < 0.5:
        inner = chance.choice(['{"a":1e5,"exp":1.5}', '{"aud":[],"iss":null}', '["s","n",{"\\u00e9":true}]', '"\\u12"'])
        place = chance.randrange(len(inner))
        inner = (
            inner[:place] + chance.choice([*marks, ":", "[", "]", "}", "\\", "0", "-", "\n", "\x7f"]) + inner[place:]
        )
        text = jws(inner.encode(), chance.choice([None, inner.encode()]))
    for _ in range(chance.randrange(3)):
        place = chance.randrange(len(text) + 1)
        text = text[:place] + chance.choice(marks) + text[place + chance.randrange(2) :]
    return text


def reworded(value):
    """Without what is said of text that is no JSON: Python 3.13 has other words for it than 3.11."""
    if isinstance(value, str):
        return re.sub(r"is not JSON: .*", "is not JSON.", value)
    if isinstance(value, dict):
        return {name: reworded(content) for name, content in value.items()}
    return [reworded(element) for element in value] if isinstance(value, list) else value


def test_the_page_says_the_same_of_two_thousand_spoilt_tokens_too(debugger):
    chance = random.Random(7519)
    texts = [spoilt(chance) for _ in range(2000)]
    for text, found in zip(texts, in_browser(debugger, texts), strict=True):
        assert reworded(found) == reworded(json.loads(json.dumps(inspect(text, at=NOW).to_json()))), text


def test_header_claims_and_warnings_are_shown(debugger, photograph):
    paste(debugger, f"Authorization: Bearer {jws(claims(password='x'), {'alg': 'HS256', 'typ': 'JWT'})}")
    expect(debugger.get_by_role("heading", name="JSON Web Token, signed")).to_be_visible()
    for name in ("alg", "typ", "iss", "aud", "sub", "iat", "exp", "password"):
        expect(debugger.locator(".members dt").get_by_text(name, exact=True)).to_be_visible()
    expect(debugger.get_by_text("'password' looks like a secret.")).to_be_visible()
    expect(debugger.get_by_text("For whom the token is meant", exact=False)).to_be_visible()
    photograph(debugger, "debugger-warnings")


def test_a_token_cannot_bring_markup_into_the_page(debugger):
    paste(debugger, jws(claims(sub="<img src=x onerror=alert(1)>"), {"alg": "ES256", "<b>": "<script>"}))
    expect(debugger.get_by_text('"<img src=x onerror=alert(1)>"')).to_be_visible()
    assert debugger.locator("#found img, #found script, #found b").count() == 0


def test_times_are_local_and_tick_until_the_token_expires(new_browser, issuer):
    page = new_browser(timezone_id="Asia/Tokyo", locale="en-US").new_page()
    page.clock.install(time=NOW)
    page.goto(f"{issuer.url}/debugger")
    page.clock.pause_at(NOW + 10)
    paste(page, jws(claims(iat=NOW, exp=NOW + 12)))
    exp = page.locator(".members dd").filter(has_text="Expiry:")
    expect(exp).to_contain_text("2023-11-15 07:13:32 +09:00")
    expect(exp.get_by_role("time")).to_have_attribute("title", "2023-11-14 22:13:32 UTC")
    expect(exp).to_contain_text("expires in 2 s")
    page.clock.run_for(1000)
    expect(exp).to_contain_text("expires in 1 s")
    expect(check(page, "Time")).to_contain_text("it expires in 1 s")
    page.clock.run_for(1000)
    expect(check(page, "Time")).to_contain_text("Expired")
    page.clock.run_for(180_000)
    expect(exp).to_contain_text("expired 3 min ago")
    expect(page.locator(".notices")).to_contain_text("It expired 3 min ago: it must be refused.")
    expect(check(page, "Time")).to_contain_text("It expired 3 min ago")


# What it verifies


def test_a_token_of_this_issuer_is_verified_with_its_key_set(debugger, issued, issuer, photograph):
    paste(debugger, issued)
    expect(check(debugger, "Signature")).to_contain_text("Good")
    expect(check(debugger, "Issuer")).to_contain_text(f"It says {issuer.url}, and that is whose key it is.")
    expect(check(debugger, "Audience")).to_contain_text("Not checked")
    expect(check(debugger, "Audience")).to_contain_text('"orders"')
    expect(debugger.get_by_role("status")).to_have_text(
        "Verified: signature, time, issuer. Not verified: audience, revocation."
    )
    photograph(debugger, "debugger-verified")
    header, payload, signature = issued.split(".")
    paste(debugger, f"{header}.{payload}.{signature[::-1]}")
    expect(check(debugger, "Signature")).to_contain_text(re.compile("Wrong|malformed"))
    expect(debugger.get_by_role("status")).not_to_contain_text("Verified: signature")


def test_a_token_of_somebody_else_is_not_verified_with_this_issuers_keys(debugger):
    paste(debugger, sign_jwt(claims(), SigningKey.generate("ES256"), typ="at+jwt"))
    expect(check(debugger, "Signature")).to_contain_text("Not verified")
    expect(check(debugger, "Signature")).to_contain_text("is not in this issuer's key set")
    expect(check(debugger, "Issuer")).to_contain_text("Shown, not trusted")
    paste(debugger, SAMPLES["disclosures"])
    expect(check(debugger, "Disclosures")).to_contain_text("Not checked")


ASYMMETRIC = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "ESP256",
    "Ed25519",
    "EdDSA",
)


def other(character: str) -> str:
    return "A" if character != "A" else "B"


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_signature_is_verified_with_a_pasted_key(debugger, alg):
    key = SigningKey.generate(alg)
    token = sign_jwt(claims(), key, typ="at+jwt")
    paste(debugger, token)
    choose(debugger, "Another key")
    debugger.get_by_label("Public key").fill(json.dumps(key.public().to_jwk()))
    expect(check(debugger, "Signature")).to_contain_text("Good")
    expect(check(debugger, "Signature")).to_contain_text(f"the key that you gave ({alg})")
    place = token.rindex(".") + 10
    paste(debugger, token[:place] + other(token[place]) + token[place + 1 :])
    expect(check(debugger, "Signature")).to_contain_text("Wrong")
    expect(debugger.get_by_role("status")).to_contain_text("To be refused: signature.")
    paste(debugger, token)
    debugger.get_by_label("Public key").fill(json.dumps(SigningKey.generate(alg).public().to_jwk()))
    expect(check(debugger, "Signature")).to_contain_text("Wrong")


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_signature_is_verified_with_a_secret(debugger, alg):
    secret = SECRET * 2
    token = sign_jwt(claims(), SigningKey.from_secret(secret.encode(), alg=alg), typ="at+jwt")
    paste(debugger, token)
    expect(check(debugger, "Signature")).to_contain_text("signed with a shared secret")
    choose(debugger, "A secret")
    debugger.get_by_label("Secret", exact=True).fill(secret)
    expect(check(debugger, "Signature")).to_contain_text("Good")
    debugger.get_by_label("The secret is written in base64url").check()
    debugger.get_by_label("Secret", exact=True).fill(encoded(secret.encode()))
    expect(check(debugger, "Signature")).to_contain_text("Good")
    debugger.get_by_label("Secret", exact=True).fill(encoded(b"another"))
    expect(check(debugger, "Signature")).to_contain_text("Wrong")


def test_a_signature_is_verified_with_a_key_in_pem_form_or_in_a_set(debugger):
    key = SigningKey.generate("ES256")
    paste(debugger, sign_jwt(claims(), key, typ="at+jwt"))
    choose(debugger, "Another key")
    debugger.get_by_label("Public key").fill(key.public().to_pem().decode())
    expect(check(debugger, "Signature")).to_contain_text("Good")
    public = key.public().to_jwk()
    for keys, said in (
        ([{"kty": "oct"}, public], "Good"),
        ([], "is not in this key set"),
        ([public | {"use": "enc"}], "not for"),
    ):
        debugger.get_by_label("Public key").fill(json.dumps({"keys": keys}))
        expect(check(debugger, "Signature")).to_contain_text(said)


def test_what_was_said_with_one_key_is_not_said_while_another_is_awaited(page, issuer):
    page.route("**/jwks", lambda _route: None)  # never answered
    page.goto(f"{issuer.url}/debugger")
    key = SigningKey.generate("ES256")
    paste(page, sign_jwt(claims(), key, typ="at+jwt"))
    choose(page, "Another key")
    page.get_by_label("Public key").fill(json.dumps(key.public().to_jwk()))
    expect(page.get_by_role("status")).to_contain_text("Verified: signature")
    choose(page, "This issuer’s")
    expect(page.locator("#checks li")).to_have_count(0)
    expect(page.get_by_role("status")).to_have_count(0)
    page.unroute_all(behavior="ignoreErrors")


def refusals() -> list[tuple[str, str, str, str]]:
    ec, rsa = SigningKey.generate("ES256"), SigningKey.generate("RS256")
    by_ec = sign_jwt(claims(), ec, typ="at+jwt")
    public, pem = json.dumps(ec.public().to_jwk()), ec.public().to_pem().decode()
    confused = jws(claims(), {"alg": "HS256"})
    return [
        (jws(claims(), {"alg": "none"}, ""), "Another key", public, "The algorithm is none"),
        (jws(claims(), {"alg": "ES256K"}), "Another key", public, "Browsers cannot verify ES256K"),
        (jws(claims(), {"alg": "ES256", "crit": ["x"], "x": 1}), "Another key", public, "so it is refused"),
        (jws(b'{"a":1,"a":2}'), "Another key", public, "It is malformed"),
        (confused, "Another key", pem, "never mix the two"),
        (confused, "A secret", pem, "not a secret"),
        (confused, "Another key", public, "a key of another kind"),
        (by_ec, "A secret", SECRET, "signed with a key pair"),
        (by_ec, "Another key", json.dumps(rsa.public().to_jwk()), "a key of another kind (RSA)"),
        (by_ec, "Another key", json.dumps(ec.public().to_jwk() | {"alg": "ESP256"}), "for ESP256 alone"),
        (by_ec, "Another key", json.dumps(ec.public().to_jwk() | {"key_ops": ["sign"]}), "not for verifying"),
        (by_ec, "Another key", json.dumps(ec.public().to_jwk() | {"y": "AA"}), "This is not a key for ES256"),
        (by_ec, "Another key", public[:-1] + ',"kty":"EC"}', "more than once"),
        (by_ec, "Another key", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----", "a private key"),
        (by_ec, "Another key", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "-pubkey"),
        (by_ec, "Another key", "hello", "This is no key"),
        (by_ec, "Another key", " ", "Paste the key"),
    ]


def test_what_cannot_be_verified_is_refused_with_its_reason(debugger):
    for token, source, key, reason in refusals():
        paste(debugger, token)
        choose(debugger, source)
        debugger.get_by_label("Public key" if source == "Another key" else "Secret", exact=True).fill(key)
        expect(check(debugger, "Signature")).to_contain_text(reason)
        expect(check(debugger, "Signature")).to_contain_text("Not verified")


# What leaves the page: nothing


class Wire:
    """Everything that a browser sends."""

    def __init__(self, page: Page) -> None:
        self.requests: list = []
        self.others: list[str] = []
        page.context.on("request", self._hear)
        page.on("websocket", lambda socket: self.others.append(socket.url))
        page.on("worker", lambda worker: self.others.append(worker.url))
        page.on("popup", lambda popup: self.others.append(popup.url))

    def _hear(self, request) -> None:
        self.requests.append(request)

    def sent(self) -> str:
        return "\n".join(
            f"{request.method} {request.url} {request.all_headers()} {request.post_data or ''}"
            for request in self.requests
        )

    def paths(self) -> set[str]:
        return {re.sub(r"https?://[^/]*", "", request.url).partition("?")[0] for request in self.requests}


KEPT = """async () => JSON.stringify({
  address: location.href, steps: history.length, state: history.state, name: window.name, cookies: document.cookie,
  local: { ...localStorage }, session: { ...sessionStorage },
  databases: (await indexedDB.databases()).map(({ name }) => name), caches: await caches.keys(),
  workers: (await navigator.serviceWorker.getRegistrations()).length,
})"""


def test_nothing_of_a_token_or_key_leaves_the_page(page, issuer, issued):
    page.context.add_cookies([{"name": "carnet_session", "value": "x", "url": issuer.url, "httpOnly": True}])
    wire = Wire(page)
    source = page.goto(f"{issuer.url}/debugger").text()
    expect(page.locator("#bench")).to_be_visible()
    kept = page.evaluate(KEPT)
    by_secret = sign_jwt(claims(), SigningKey.from_secret(SECRET.encode(), alg="HS256"), typ="at+jwt")
    texts = [issued, f"Authorization: Bearer {by_secret}", *list(SAMPLES.values())[:-1]]
    for text in texts:
        paste(page, text)
    paste(page, issued)
    expect(check(page, "Signature")).to_contain_text("Good")
    paste(page, by_secret)
    choose(page, "A secret")
    page.get_by_label("Secret", exact=True).fill(SECRET)
    expect(check(page, "Signature")).to_contain_text("Good")
    page.get_by_label("Secret", exact=True).press("Enter")
    assert page.evaluate(KEPT) == kept
    page.reload()
    expect(page.get_by_label("Token, key or Authorization header")).to_have_value("")
    expect(page.get_by_label("Secret", exact=True)).to_have_value("")
    page.get_by_role("link", name="Your account").click()
    page.wait_for_url("**/login**")
    sent = wire.sent()
    for text in [*texts, SECRET]:
        pieces = {text[place : place + WINDOW] for place in range(len(text) - WINDOW + 1)}
        assert [piece for piece in pieces if piece in sent] == []
        assert len(text) < WINDOW or text not in source + page.content()
    assert wire.others == []
    ours = {path for path in wire.paths() if not path.startswith("/assets/")}
    assert ours == {"/debugger", "/jwks", "/account", "/login"}
    for request in wire.requests:
        if request.url.endswith("/jwks"):
            assert request.method == "GET"
            assert not {"cookie", "authorization", "referer"} & request.all_headers().keys()


def test_the_pages_own_policy_keeps_it_from_sending_anything_else(chromium, issuer):
    context = chromium.new_context()
    page = context.new_page()
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    page.goto(f"{issuer.url}/debugger")
    attempts = {
        "another origin": "fetch('http://127.0.0.1:9/?x', { mode: 'no-cors' })",
        "another path": "fetch('/userinfo?x')",
        "a query": "fetch('/jwks?x').then(({ url }) => url)",
        "a beacon": "new Promise((done, fail) => { navigator.sendBeacon('/token', 'x'); fail() })",
        "a picture": "new Promise((done, fail) => Object.assign(new Image(), { onload: done, onerror: fail, src: 'http://127.0.0.1:9/x.png' }))",
        "a socket": "new Promise((done, fail) => Object.assign(new WebSocket('ws://127.0.0.1:9/'), { onopen: done, onerror: fail }))",
        "markup": "Promise.resolve().then(() => { document.body.innerHTML = '<p>x' })",
    }
    outcome = {
        name: page.evaluate(f"() => {attempt}.then(() => 'done', () => 'refused')")
        for name, attempt in attempts.items()
    }
    context.close()
    # A query is not part of what a policy compares (CSP Level 3 section 6.7.2.12); it would reach the issuer alone.
    assert outcome == dict.fromkeys(attempts, "refused") | {"a query": "done"}
    elsewhere = [url for url in answered if not re.match(rf"{issuer.url}/(debugger$|assets/|jwks\?x$)", url)]
    assert elsewhere == []


def test_the_page_is_the_same_whatever_is_asked(issuer):
    plain = httpx.get(f"{issuer.url}/debugger")
    assert httpx.get(f"{issuer.url}/debugger", params={"token": jws(GOOD)}).text == plain.text
    assert plain.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
        f"base-uri 'none'; script-src 'self'; connect-src {issuer.url}/jwks; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    )
    assert not re.search(r"<script(?! type=\"application/json\")(?![^>]* src=)", plain.text)


def test_without_javascript_the_page_names_the_command(chromium, issuer):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{issuer.url}/debugger")
    expect(page.get_by_text("it needs JavaScript")).to_be_visible()
    expect(page.get_by_text("carnet token inspect")).to_be_visible()
    expect(page.get_by_role("textbox")).to_have_count(0)
    context.close()


@pytest.mark.parametrize("name", ["nothing", "encrypted", "key set", "disclosures", "everything to look at"])
def test_the_page_fits_a_phone_and_a_desktop(debugger, photograph, name):
    paste(debugger, SAMPLES[name])
    photograph(debugger, f"debugger-{name.replace(' ', '-')}")


def test_what_was_entered_can_be_cleared(debugger):
    paste(debugger, jws(GOOD))
    debugger.get_by_role("button", name="Clear").click()
    expect(debugger.get_by_label("Token, key or Authorization header")).to_have_value("")
    expect(debugger.get_by_text("Nothing to show yet")).to_be_visible()
    expect(debugger.locator("#found")).to_be_empty()
