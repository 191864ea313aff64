"""What holds for the issuer as a whole: its endpoints, its secret key, what its failures say."""

import logging
import stat

import httpx2
import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.app import ENDPOINTS, create_app, open_desk
from carnet.issuer.client_auth import CLIENT_AUTHENTICATIONS
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.grants import GRANTS
from carnet.issuer.response_modes import RESPONSE_MODES
from carnet.issuer.secret_key import secret_key
from carnet.issuer.storage.ports import StorageError


def test_the_files_are_named_as_the_rfcs_name_what_is_in_them():
    for listed, name in ((GRANTS, "grant_type"), (CLIENT_AUTHENTICATIONS, "method"), (RESPONSE_MODES, "name")):
        for one in listed:
            said = getattr(one, name).rpartition(":")[2].rpartition(".")[2].replace("-", "_")
            assert type(one).__module__.rpartition(".")[2] == said


def test_no_two_endpoints_share_a_path_and_a_method():
    taken = [(endpoint.path, method) for endpoint in ENDPOINTS for method in endpoint.methods]
    assert len(taken) == len(set(taken))


@pytest.mark.anyio
async def test_a_failure_that_nobody_thought_of_is_a_500_that_says_nothing(issuer, monkeypatch):
    async def broken():
        raise RuntimeError("the canary sings")

    monkeypatch.setattr(issuer.desk.keyring, "jwks", broken)
    transport = httpx2.ASGITransport(issuer.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as http:
        answer = await http.get("/jwks")
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert "canary" not in answer.text


@pytest.mark.anyio
async def test_without_a_database_programs_and_people_are_asked_to_wait(issuer):
    service = await issuer.service()
    await issuer.desk.store.close()
    answer = await service.post(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "5"
    page = await issuer.http.get("/authorize", params={"client_id": service.client_id})
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.anyio
async def test_a_wrong_method_is_a_405_and_an_unknown_path_a_404(issuer):
    assert (await issuer.direct.delete("/jwks")).status_code == 405
    assert (await issuer.direct.get("/nothing")).status_code == 404


@pytest.mark.anyio
async def test_people_get_a_page_where_there_is_none(issuer):
    for path, status in (("/nothing", 404), ("/account/password", 405)):
        answer = await issuer.direct.get(path, headers={"accept": "text/html,*/*"})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert "There is no such page" in answer.text
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.anyio
@pytest.mark.spec("RFC 9700", "4.12", "MUST NOT")
async def test_no_path_that_is_nearly_right_has_a_request_sent_again_with_its_secrets(issuer):
    """Starlette would answer 307, to whatever scheme it was asked by itself: behind a proxy that is http."""
    for endpoint in ENDPOINTS:
        for method in endpoint.methods:
            answer = await issuer.direct.request(method, f"{endpoint.path}/", data={"client_secret": "x"})
            assert not answer.is_redirect, endpoint.path


@pytest.mark.anyio
async def test_starting_and_ending_leaves_nothing_running(tmp_path):
    import asyncio

    app = create_app(Config(data=tmp_path), SYSTEM, secret=b"s" * 43)
    before = asyncio.all_tasks()
    async with app.router.lifespan_context(app):
        assert len(asyncio.all_tasks()) > len(before)
    assert asyncio.all_tasks() == before
    with pytest.raises(StorageError):
        await app.state.desk.store.check()


def test_the_secret_key_is_made_once_and_for_its_owner_alone(tmp_path):
    key = secret_key(tmp_path, SYSTEM)
    assert len(key) >= 43
    assert secret_key(tmp_path, SYSTEM) == key
    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_secret_key_that_others_can_read_is_refused(tmp_path):
    secret_key(tmp_path, SYSTEM)
    (tmp_path / "secret.key").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        secret_key(tmp_path, SYSTEM)


def test_a_secret_key_that_is_too_short_is_refused(tmp_path):
    file = tmp_path / "secret.key"
    file.write_bytes(b"short\n")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="fewer than 32 bytes"):
        secret_key(tmp_path, SYSTEM)


PASSWORD = "ochre lantern under tidal glass"


@pytest.mark.anyio
async def test_no_secret_reaches_a_log(issuer, caplog):
    """Rule O20: every flow at the lowest level, refusals included."""
    caplog.set_level(logging.DEBUG)
    await issuer.sign_in()
    app = await issuer.register()
    code = await app.code(scope="openid offline_access")
    tokens = (await app.redeem(code)).json()
    refreshed = (await app.refresh(tokens["refresh_token"])).json()
    issuer.clock.advance(60)
    for refused in (
        await app.redeem(code),
        await app.refresh(tokens["refresh_token"]),
        await app.post("/revoke", token=refreshed["access_token"]),
        await app.userinfo(tokens["access_token"]),
        await issuer.direct.post(
            "/token", data={"client_id": app.client_id, "client_secret": app.secret, "code": code}
        ),
    ):
        assert refused.status_code in {200, 400, 401}
    secrets = [code, app.secret, app.verifier, PASSWORD]
    secrets += [value for answer in (tokens, refreshed) for name, value in answer.items() if name.endswith("_token")]
    said = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx2"))
    assert "invalid_grant" in said
    assert [secret for secret in secrets if secret in said] == []


@pytest.mark.anyio
async def test_a_desk_does_not_print_its_secret(issuer):
    assert "ssssssss" not in repr(issuer.desk)


@pytest.mark.anyio
async def test_a_desk_that_cannot_be_opened_leaves_no_store_open(tmp_path):
    from carnet.sealing import SealBrokenError

    config = Config(data=tmp_path)
    desk = await open_desk(config, SYSTEM, secret=b"s" * 43)
    desk.passwords.close()
    await desk.store.close()
    with pytest.raises(SealBrokenError):
        await open_desk(config, SYSTEM, secret=b"t" * 43)
