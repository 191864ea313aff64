"""RFC 6749, RFC 7636, RFC 9700: what the running demo's issuer refuses, with the RFC's error and nothing lost."""

from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from carnet.testing.http_browser import HttpBrowser


def refused(response: httpx2.Response, error: str) -> bool:
    """RFC 6749 section 5.2: whether the token endpoint has answered with this error, and told nothing else."""
    told = response.json()
    return (
        response.status_code == 400
        and told["error"] == error
        and set(told) <= {"error", "error_description"}
        and response.headers["cache-control"] == "no-store"
        and "access_token" not in response.text
        and "Traceback" not in response.text
    )


def opens(app, access_token: str) -> bool:
    headers = {"authorization": f"Bearer {access_token}"}
    return httpx2.get(app.demo.urls["order"] + "/orders", headers=headers, trust_env=False).status_code == 200


@pytest.mark.spec("RFC 6749", "4.1.2", "MUST")
def test_a_replayed_code_is_denied_and_takes_back_what_it_bought(app, new_pkce):
    verifier, challenge = new_pkce()
    code = app.code(challenge)
    bought = app.redeem(code, code_verifier=verifier)
    assert bought.status_code == 200
    assert opens(app, bought.json()["access_token"])
    assert refused(app.redeem(code, code_verifier=verifier), "invalid_grant")
    assert refused(app.refresh(bought.json()["refresh_token"]), "invalid_grant")


@pytest.mark.spec("RFC 6749", "10.4", "SHOULD")
def test_a_spent_refresh_token_that_comes_again_ends_its_family(app):
    first = app.sign_in()
    second = app.refresh(first["refresh_token"]).json()
    third = app.refresh(second["refresh_token"]).json()
    assert third["refresh_token"] not in {first["refresh_token"], second["refresh_token"]}
    assert refused(app.refresh(first["refresh_token"]), "invalid_grant")
    assert refused(app.refresh(third["refresh_token"]), "invalid_grant")
    assert opens(app, app.sign_in()["access_token"])


@pytest.mark.spec("RFC 7636", "4.6", "MUST")
def test_a_code_without_its_verifier_or_with_a_wrong_one_is_not_redeemed(app, new_pkce):
    verifier, challenge = new_pkce()
    code = app.code(challenge)
    wrong, _ = new_pkce()
    assert refused(app.redeem(code, code_verifier=wrong), "invalid_grant")
    assert app.redeem(code).json()["error"] in {"invalid_grant", "invalid_request"}
    assert refused(app.redeem(code, code_verifier=challenge), "invalid_grant")
    assert app.redeem(code, code_verifier=verifier).status_code == 200, "an invalid attempt must not spend the code"


@pytest.mark.spec("RFC 6749", "4.1.3", "MUST")
def test_a_code_is_not_redeemed_with_another_redirect_uri(app, new_pkce):
    verifier, challenge = new_pkce()
    code = app.code(challenge)
    response = app.redeem(code, code_verifier=verifier, redirect_uri="http://127.0.0.1:1/other")
    assert refused(response, "invalid_grant")


@pytest.mark.spec("RFC 7636", "4.4.1", "MUST")
@pytest.mark.parametrize(
    "change",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
    ],
    ids=["missing", "plain", "plain by default", "no digest"],
)
def test_a_request_without_pkce_s256_is_sent_back_with_an_error(app, new_pkce, change):
    _, challenge = new_pkce()
    response = httpx2.get(app.authorization_url(**{"code_challenge": challenge} | change), trust_env=False)
    assert response.status_code == 303
    answered = parse_qs(urlsplit(response.headers["location"]).query)
    assert answered["error"] == ["invalid_request"]
    assert answered["state"] == ["state-of-the-test"]
    assert answered["iss"] == [app.issuer]
    assert "code" not in answered


@pytest.mark.spec("RFC 6749", "4.1.2.1", "MUST")
@pytest.mark.parametrize(
    "uri",
    [
        "https://attacker.example/callback",
        "http://127.0.0.1:1/callback/",
        "http://127.0.0.1:1/callback?x=1",
        "http://127.0.0.1:1/callback#x",
        "http://127.0.0.1:1/callback/../other",
        "http://127.0.0.1.attacker.example/callback",
        "http://127.0.0.1@attacker.example/callback",
        "http://localhost:1/callback",
        "javascript:alert(1)",
        "//attacker.example/callback",
        "",
    ],
)
def test_an_unregistered_redirect_uri_gets_a_page_and_no_redirect(app, new_pkce, uri):
    _, challenge = new_pkce()
    response = httpx2.get(app.authorization_url(challenge, redirect_uri=uri), trust_env=False)
    assert response.status_code == 400
    assert "location" not in response.headers
    assert response.headers["content-type"].startswith("text/html")
    assert "attacker.example" not in response.headers["content-security-policy"]
    assert "<script>" not in response.text


@pytest.mark.spec("RFC 6749", "4.1.2.1", "MUST")
def test_an_unknown_client_gets_a_page_and_no_redirect(app, new_pkce):
    _, challenge = new_pkce()
    response = httpx2.get(app.authorization_url(challenge, client_id="nobody"), trust_env=False)
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.spec("RFC 6749", "3.1", "MUST")
def test_a_repeated_parameter_is_refused(app, new_pkce):
    _, challenge = new_pkce()
    response = httpx2.get(app.authorization_url(challenge) + "&redirect_uri=https://attacker.example/", trust_env=False)
    assert response.status_code == 400
    assert "location" not in response.headers


def test_a_wrong_password_says_no_more_for_a_known_person_than_for_an_unknown_one(app, new_pkce):
    def told(email: str) -> tuple[int, str]:
        with HttpBrowser() as browser:
            browser.open(app.authorization_url(new_pkce()[1]))
            browser.submit(to="/login", email=email, password="a wrong password, long enough")
            page = browser.page.text.replace(email, "…")
            return browser.page.status_code, "".join(line for line in page.splitlines(True) if "value=" not in line)

    known = app.demo.account(admin=False)["email"]
    assert told(known) == told("nobody@windrose.example")
    assert told(known)[0] == 403
    assert app.sign_in()["access_token"]


@pytest.mark.spec("RFC 6749", "5.2", "MUST")
def test_a_client_with_a_wrong_secret_is_refused(app):
    response = httpx2.post(
        f"{app.issuer}/token",
        data={"grant_type": "client_credentials"},
        auth=(app.client_id, "wrong"),
        trust_env=False,
    )
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"
    assert response.headers["www-authenticate"].startswith("Basic")
