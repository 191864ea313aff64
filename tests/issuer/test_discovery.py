"""RFC 8414, OpenID Connect Discovery, RFC 7517: what the issuer says of itself is what works."""

import re

import httpx2
import pytest

from carnet.issuer.app import create_app
from carnet.issuer.config import Config
from carnet.jose import KeySet, SigningKey
from carnet.oauth.metadata import protected_resource_url
from carnet.testing import Clock

pytestmark = pytest.mark.anyio

DOCUMENTS = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


@pytest.mark.spec("RFC 8414", "3.2", "MUST")
@pytest.mark.parametrize("path", DOCUMENTS)
async def test_the_metadata_is_public_json_for_this_issuer(issuer, path):
    answer = await issuer.direct.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json()["issuer"] == "http://127.0.0.1:8080"


async def test_both_documents_are_the_same(issuer):
    one, other = [(await issuer.direct.get(path)).json() for path in DOCUMENTS]
    assert one == other


@pytest.mark.spec("OpenID Connect Discovery", "3", "MUST")
async def test_every_member_that_is_required_is_there(issuer):
    document = (await issuer.direct.get(DOCUMENTS[0])).json()
    assert {
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "introspection_endpoint",
        "revocation_endpoint",
        "end_session_endpoint",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    } <= set(document)
    assert document["response_types_supported"] == ["code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["request_uri_parameter_supported"] is True


async def test_every_endpoint_that_is_named_is_there(issuer):
    document = (await issuer.direct.get(DOCUMENTS[0])).json()
    urls = [url for name, url in document.items() if name.endswith("_endpoint") or name == "jwks_uri"]
    assert len(urls) >= 8
    for url in urls:
        assert (await issuer.direct.get(url)).status_code in {200, 400, 401, 405, 410}, url


async def test_every_grant_that_is_named_is_there(issuer):
    service = await issuer.service()
    for grant_type in (await issuer.direct.get(DOCUMENTS[0])).json()["grant_types_supported"]:
        assert (await service.post(grant_type=grant_type)).json().get("error") != "unsupported_grant_type"


async def test_every_client_authentication_that_is_named_is_there(issuer):
    for method in (await issuer.direct.get(DOCUMENTS[0])).json()["token_endpoint_auth_methods_supported"]:
        keys = (
            {"jwks": {"keys": [SigningKey.generate("ES256").public().to_jwk()]}} if method == "private_key_jwt" else {}
        )
        assert (await issuer.register(token_endpoint_auth_method=method, **keys)).client_id


async def test_every_response_mode_and_prompt_that_is_named_is_there(issuer):
    await issuer.sign_in()
    app = await issuer.register()
    document = (await issuer.direct.get(DOCUMENTS[0])).json()
    for mode in document["response_modes_supported"]:
        answer = await app.authorize(response_mode=mode)
        assert answer.status_code == (200 if mode.startswith("form_post") else 303)
        assert "error" not in answer.headers.get("location", "") + answer.text
    for prompt in document["prompt_values_supported"]:
        assert "error=invalid_request" not in (await app.authorize(prompt=prompt)).headers["location"]


@pytest.mark.spec("RFC 8414", "3.1", "MUST")
async def test_an_issuer_with_a_path_has_its_metadata_in_both_places_and_all_endpoints_below_it(tmp_path):
    config = Config(issuer="http://127.0.0.1:8080/tenant/one", data=tmp_path)
    app = create_app(config, Clock().ambient, secret=b"s" * 43)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8080") as http,
    ):
        for path in (
            "/tenant/one/.well-known/openid-configuration",
            "/.well-known/openid-configuration/tenant/one",
            "/.well-known/oauth-authorization-server/tenant/one",
        ):
            document = (await http.get(path)).json()
            assert document["issuer"] == config.issuer
        assert document["jwks_uri"] == "http://127.0.0.1:8080/tenant/one/jwks"
        assert (await http.get(document["jwks_uri"])).status_code == 200
        assert (await http.get("/jwks")).status_code == 404
        assert (await http.get("/health/ready")).status_code == 200
        back = await http.post("/tenant/one/authorize", data={"client_id": "x"})
        assert back.headers["location"] == "http://127.0.0.1:8080/tenant/one/authorize?client_id=x"


@pytest.mark.spec("RFC 7517", "5", "MUST")
async def test_the_key_set_has_public_keys_alone(issuer):
    answer = await issuer.direct.get("/jwks")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    [key] = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
    kid = (await issuer.desk.keyring.signing_key()).kid
    assert KeySet.from_jwks(answer.content, algorithms=("ES256",)).get(kid) is not None


@pytest.mark.spec("RFC 9110", "13.1.2", "SHOULD")
async def test_a_cache_that_has_the_key_set_is_not_sent_it_again(issuer):
    answer = await issuer.direct.get("/jwks")
    assert answer.headers["cache-control"] == "public, max-age=300"
    same = await issuer.direct.get("/jwks", headers={"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    await issuer.desk.keyring.rotate()
    other = await issuer.direct.get("/jwks", headers={"If-None-Match": answer.headers["etag"]})
    assert other.status_code == 200
    assert len(other.json()["keys"]) == len(answer.json()["keys"]) + 1


async def test_health_is_told_to_whoever_watches_the_process(issuer):
    for path in ("/health/live", "/health/ready"):
        assert (await issuer.direct.get(path, headers={"Host": "10.0.0.7:8080"})).status_code == 200


async def test_an_issuer_whose_database_does_not_answer_is_not_ready(issuer):
    await issuer.desk.store.close()
    assert (await issuer.direct.get("/health/live")).status_code == 200
    answer = await issuer.direct.get("/health/ready")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.spec("RFC 9728", "3.3", "MUST")
async def test_the_issuer_says_what_it_takes_as_a_resource_server_and_its_refusals_say_where(issuer):
    refused = await issuer.direct.get("/userinfo")
    [url] = set(re.findall(r'resource_metadata="([^"]+)"', refused.headers["www-authenticate"]))
    answer = await issuer.direct.get(url)
    assert answer.headers["access-control-allow-origin"] == "*"
    document = answer.json()
    assert document["resource"] == "http://127.0.0.1:8080"
    assert document["authorization_servers"] == ["http://127.0.0.1:8080"]
    assert document["bearer_methods_supported"] == ["header", "body"]
    assert document["resource"] in (await issuer.direct.get(DOCUMENTS[1])).json()["protected_resources"]


@pytest.mark.spec("RFC 9728", "3.1", "MUST")
def test_the_metadata_of_a_resource_stands_before_its_path():
    assert protected_resource_url("https://id.example") == "https://id.example/.well-known/oauth-protected-resource"
    with_path = protected_resource_url("https://id.example/tenant/one/")
    assert with_path == "https://id.example/.well-known/oauth-protected-resource/tenant/one"
