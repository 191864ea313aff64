"""`carnet token`: what is inspected, verified and signed from a shell."""

import io
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from carnet.ambient import SYSTEM
from carnet.cli import main
from carnet.jose import KeySet, SigningKey, sign_jwt

ARTICLE = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxZGZlZThkOC05OGE1LTQzMTQtYjRhZS1mYjU1YzRiMTg4NDUiLCJlbWFpbCI6ImFyaWVs"
    "QGNvZGluZ2x5LmlvIiwibmFtZSI6IkFyaWVsIFdlaW5iZXJnZXIiLCJyb2xlIjoiVVNFUiIsImlhdCI6MTU5ODYwODg0OCwiZXhwIjoxNTk4NjA5MTQ4fQ"
    ".oa3ziIZAoVFdn-97rweJAjjFn6a4ZSw7ogIHA74mGq0"
)
KEY = SigningKey.generate("ES256")


@pytest.fixture
def stdin(monkeypatch):
    def give(text: str | bytes, *, terminal: bool = False) -> None:
        class Source(io.TextIOWrapper):
            def isatty(self) -> bool:
                return terminal

        raw = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr(sys, "stdin", Source(io.BytesIO(raw)))

    return give


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key.jwk"
    file.write_text(json.dumps(KEY.to_jwk()))
    return str(file)


def token(key=KEY, typ="at+jwt", **changes) -> str:
    now = SYSTEM.now()
    claims = {"iss": "https://i.example", "aud": "orders", "sub": "alice", "iat": now, "exp": now + 300} | changes
    return sign_jwt({name: value for name, value in claims.items() if value is not None}, key, typ=typ)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_sample_token_of_the_well_known_article_is_shown_as_expired_and_not_verified(capsys):
    assert main(["token", "inspect", ARTICLE]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("NOTHING WAS VERIFIED.")
    for expected in (
        "ariel@codingly.io",
        "Ariel Weinberger",
        '"USER"',
        "2020-08-28 10:05:48 UTC, expired",
        "no audience",
    ):
        assert expected in shown
    assert "\x1b" not in shown


def test_inspect_prints_json_for_machines(capsys):
    assert main(["token", "inspect", "--json", ARTICLE]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verified"] is False
    assert {each["name"]: each["value"] for each in document["claims"]}["role"] == "USER"
    assert "expired" in [caution["code"] for caution in document["cautions"]]


@pytest.mark.parametrize("argv", [["token", "inspect"], ["token", "inspect", "-"]])
def test_inspect_reads_a_whole_authorization_header_from_standard_input(argv, stdin, capsys):
    stdin(f"Authorization: Bearer {ARTICLE}\n")
    assert main(argv) == 0
    assert "ariel@codingly.io" in capsys.readouterr().out


def test_at_a_terminal_inspect_says_that_it_waits_for_a_token(stdin, capsys):
    stdin(ARTICLE, terminal=True)
    assert main(["token", "inspect"]) == 0
    assert "Ctrl-D" in capsys.readouterr().err


def test_the_three_parts_have_three_colours_on_a_terminal(monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert main(["token", "inspect", ARTICLE]) == 0
    header, payload, signature = ARTICLE.split(".")
    assert f"\x1b[31m{header}\x1b[0m.\x1b[35m{payload}\x1b[0m.\x1b[36m{signature}\x1b[0m" in screen.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_declined(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert main(["token", "inspect", ARTICLE]) == 0
    assert "\x1b" not in screen.getvalue()


def test_a_token_cannot_give_orders_to_the_terminal(capsys):
    name = "\x1b]0;owned\x07\u202e"
    assert main(["token", "inspect", token(**{name: name})]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\x1b]0;owned" in shown


def test_times_are_also_shown_as_local_time(capsys):
    script = f"from carnet.cli import main; main(['token', 'inspect', '{ARTICLE}'])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"},
    )
    assert "2020-08-28 12:05:48 CEST here" in " ".join(done.stdout.split())


def test_an_encrypted_or_nested_object_and_other_content_are_shown(capsys):
    inner = sign_jwt({"aud": "orders"}, KEY, typ="JWT")
    outer = sign_jwt({"a": 1}, KEY, typ="JWT", headers={"cty": "JWT"}).split(".")
    import base64

    outer[1] = base64.urlsafe_b64encode(inner.encode()).rstrip(b"=").decode()
    assert main(["token", "inspect", ".".join(outer)]) == 0
    assert "Inside of it" in capsys.readouterr().out
    assert main(["token", "inspect", "eyJhbGciOiJIUzI1NiJ9.aGVsbG8.AA"]) == 0
    assert "Content\n  hello" in capsys.readouterr().out
    assert main(["token", "inspect", json.dumps({"keys": [KEY.public().to_jwk()]})]) == 0
    assert "1. Public key" in capsys.readouterr().out


def test_what_is_no_token_fails(capsys):
    assert main(["token", "inspect", "hello"]) == 1
    assert "Defects" in capsys.readouterr().out


def test_an_empty_standard_input_is_wrong_use(stdin, capsys):
    stdin(" \n")
    assert main(["token", "inspect"]) == 2
    assert capsys.readouterr().err == "carnet: there is nothing on standard input.\n"


def test_inspect_does_not_load_the_server():
    script = (
        "import sys; from carnet.cli import main; main(['token', 'inspect', sys.argv[1]]);"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules} | {n for n in sys.modules if n.startswith('carnet.')}))"
    )
    done = subprocess.run([sys.executable, "-c", script, ARTICLE], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("LOADED ")[2].split())
    servers = {
        "starlette",
        "granian",
        "asyncpg",
        "sqlite3",
        "jinja2",
        "argon2",
        "httpx2",
        "asyncio",
        "carnet.issuer",
        "carnet.guard",
    }
    assert not loaded & servers
    assert "carnet.jose.inspection" in loaded


def test_a_good_token_is_accepted_with_a_key_file(key_file, capsys):
    assert main(["token", "verify", token(), "--key", key_file, "--audience", "orders"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Good: signed by the owner of the key (the issuer was not checked), for orders.")
    assert "expires in 5 min" in shown
    assert '  iss  "https://i.example"\n' in shown
    assert main(["token", "verify", token(), "--key", key_file, "--audience", "orders", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verified"] is True
    assert document["claims"]["sub"] == "alice"


def test_a_token_can_be_verified_from_standard_input_as_a_header(key_file, stdin):
    stdin(f"Authorization: Bearer {token()}\n")
    assert main(["token", "verify", "-", "--key", key_file, "--audience", "orders"]) == 0
    stdin(token())
    assert main(["token", "verify", "--key", key_file, "--audience", "orders"]) == 0


def test_a_good_token_s_times_are_told_in_this_machine_s_time_zone_too(key_file, capsys, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert main(["token", "verify", token(exp=2_000_000_000), "--key", key_file, "--audience", "orders"]) == 0
        assert "2033-05-18 03:33:20 UTC, " in (shown := capsys.readouterr().out)
        assert "(2033-05-18 09:03:20 IST here)" in shown
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_signed_token_that_no_cookie_holds_is_noted(tmp_path, capsys):
    file = tmp_path / "key.jwk"
    file.write_text(json.dumps(SigningKey.generate("ML-DSA-65").to_jwk()))
    assert main(["token", "sign", "--key", str(file), '{"iss":"a"}']) == 0
    made = capsys.readouterr()
    assert made.out.count(".") == 2
    assert f"This token has {len(made.out.strip())} characters: no cookie holds it" in made.err


@pytest.mark.parametrize(
    ("made", "options", "code"),
    [
        (lambda: token(exp=SYSTEM.now() - 5), [], "expired"),
        (lambda: token(aud="invoices"), [], "audience_mismatch"),
        (token, ["--issuer", "https://other.example"], "issuer_mismatch"),
        (lambda: token(iss=None), [], "missing_claim"),
        (lambda: token(typ="JWT"), [], "type_mismatch"),
        (lambda: token()[:-4] + "AAAA", [], "signature_invalid"),
        (lambda: token(SigningKey.generate("ES256")), [], "unknown_key"),
        (lambda: "nonsense", [], "malformed"),
    ],
)
def test_a_bad_token_is_refused_with_the_reason(made, options, code, key_file, capsys):
    argv = ["token", "verify", made(), "--key", key_file, "--audience", "orders", *options]
    assert main(argv) == 1
    assert capsys.readouterr().out.startswith(f"Refused ({code}): ")
    assert main([*argv, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["verified"], document["code"]) == (False, code)


def test_a_clock_difference_is_tolerated_when_asked_for(key_file):
    late = token(exp=SYSTEM.now() - 5)
    assert main(["token", "verify", late, "--key", key_file, "--audience", "orders", "--leeway", "60"]) == 0


def test_a_key_may_be_public_or_a_set_or_pem(tmp_path):
    public = tmp_path / "public"
    public.write_text(json.dumps(KEY.public().to_jwk()))
    key_set = tmp_path / "set"
    key_set.write_text(json.dumps(KeySet((KEY.public(),)).to_jwks()))
    pem = tmp_path / "pem"
    pem.write_bytes(KEY.public().to_pem())
    for file, options in ((public, []), (key_set, []), (key_set, ["--alg", "ES256"]), (pem, ["--alg", "ES256"])):
        assert main(["token", "verify", token(), "--key", str(file), "--audience", "orders", *options]) == 0


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--audience", "a"], "whose token is it? Give --issuer URL, or --key FILE."),
        (["--key", "absent.jwk", "--audience", "a"], "absent.jwk cannot be read: No such file or directory."),
        (["--key", "k", "--audience", "a", "--leeway", "-1"], "--leeway is a number of seconds from 0 on."),
        (["--issuer", "http://i.example", "--audience", "a"], "--issuer: "),
        (["--key", "k"], "the following arguments are required: --audience"),
    ],
)
def test_wrong_use_of_verify_exits_2_with_one_line(argv, sentence, capsys):
    assert main(["token", "verify", "x", *argv]) == 2
    error = capsys.readouterr().err
    assert error.startswith("carnet: ")
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ("nonsense", [], "is neither PEM nor a JSON Web Key"),
        ("{}", [], "does not say for which algorithm it is: give --alg."),
        ('{"alg":"ES256"}', [], "needs a key of type EC"),
        ('{"keys":3}', [], "'keys'"),
        ('{"keys":[]}', [], "has no key that can verify a signature."),
        ("-----BEGIN PUBLIC KEY-----", [], "give --alg"),
        ("-----BEGIN PUBLIC KEY-----", ["--alg", "ES256"], "not a public key in PEM"),
        ("{}", ["--alg", "ES256", "--alg", "RS256"], "one key is for one algorithm"),
        ("x" * 1_048_577, [], "is longer than"),
    ],
)
def test_a_key_that_cannot_be_used_exits_2_with_one_line(content, options, sentence, tmp_path, capsys):
    file = tmp_path / "key"
    file.write_text(content)
    assert main(["token", "verify", token(), "--key", str(file), "--audience", "orders", *options]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@contextmanager
def issuer(answers):
    """A server that answers with what `answers(url)` gives for each path: a status and a body."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers(f"http://127.0.0.1:{server.server_port}").get(self.path, (404, b""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def published(url):
    return {
        "/.well-known/openid-configuration": (200, {"issuer": url, "jwks_uri": f"{url}/jwks"}),
        "/jwks": (200, KeySet((KEY.public(),)).to_jwks()),
    }


def test_a_token_is_verified_with_the_keys_that_its_issuer_publishes(capsys):
    with issuer(published) as url:
        assert main(["token", "verify", token(iss=url), "--issuer", url, "--audience", "orders"]) == 0
        assert f"signed by {url}, for orders" in capsys.readouterr().out
        foreign = token(SigningKey.generate("ES256", kid=KEY.kid), iss=url)
        assert main(["token", "verify", foreign, "--issuer", url, "--audience", "orders"]) == 1
        assert "signature_invalid" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed",
    [
        {"/.well-known/openid-configuration": (500, b"")},
        {"/.well-known/openid-configuration": (200, {"issuer": "https://other.example"})},
        {"/jwks": (302, b"")},
        {"/jwks": (200, b"x" * 300_000)},
        {"/jwks": (200, {"keys": []})},
    ],
)
def test_an_issuer_whose_keys_cannot_be_had_is_no_verdict_on_the_token(changed, capsys):
    with issuer(lambda url: published(url) | changed) as url:
        assert main(["token", "verify", token(iss=url), "--issuer", url, "--audience", "orders"]) == 1
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith("carnet: ")


def test_an_issuer_that_is_not_there_is_named(capsys):
    with issuer(published) as url:
        pass
    assert main(["token", "verify", token(iss=url), "--issuer", url, "--audience", "orders"]) == 1
    assert "cannot be reached" in capsys.readouterr().err


def test_what_was_signed_is_verified(key_file, capsys):
    signed = [
        "token", "sign", '{"roles": ["ADMIN"]}', "--key", key_file, "--issuer", "https://i.example", "--subject", "alice",
        "--audience", "orders", "--audience", "invoices", "--lifetime", "60", "--claim", "level=3", "--claim", "note=hi",
    ]  # fmt: skip
    assert main(signed) == 0
    made = capsys.readouterr().out.strip()
    assert (
        main(
            [
                "token",
                "verify",
                made,
                "--key",
                key_file,
                "--issuer",
                "https://i.example",
                "--audience",
                "invoices",
                "--json",
            ]
        )
        == 0
    )
    claims = json.loads(capsys.readouterr().out)["claims"]
    assert claims["roles"] == ["ADMIN"]
    assert (claims["level"], claims["note"], claims["aud"]) == (3, "hi", ["orders", "invoices"])
    assert claims["exp"] - claims["iat"] == 60


def test_claims_are_signed_from_standard_input_and_printed_as_json(key_file, stdin, capsys):
    stdin('{"sub": "bob"}')
    assert main(["token", "sign", "-", "--key", key_file, "--type", "JWT", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["claims"] == {"sub": "bob"}
    assert document["token"].count(".") == 2


def test_a_token_is_signed_with_a_key_in_pem(tmp_path, capsys):
    file = tmp_path / "key.pem"
    file.write_bytes(KEY.to_pem())
    assert main(["token", "sign", "--key", str(file), "--alg", "ES256", "--audience", "orders"]) == 0
    assert capsys.readouterr().out.count(".") == 2


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["nonsense"], "the claims: "),
        (['{"a":1,"a":2}'], "comes twice"),
        (["--claim", "x"], "--claim 'x' is not of the form NAME=VALUE."),
        (["--claim", "x=12345678901234567890"], "integer"),
        (["--alg", "RS256"], "RS256"),
    ],
)
def test_wrong_use_of_sign_exits_2_with_one_line(argv, sentence, key_file, capsys):
    assert main(["token", "sign", "--key", key_file, *argv]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
