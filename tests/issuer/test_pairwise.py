"""OpenID Connect Core section 8: what a pairwise client is told of somebody is its sector's alone, and is taken back all the same."""

import json
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from carnet.issuer.accounts import people
from carnet.issuer.client_keys import ClientKeys
from carnet.issuer.clients import ClientError, Registration, change, register
from carnet.issuer.decisions import INTERVAL
from carnet.issuer.grants.ciba import GRANT_TYPE as CIBA
from carnet.issuer.logout_notices import tell
from carnet.issuer.pairwise import SectorError, check_pairwise, sid_for, subject_for
from carnet.issuer.storage.records import TokenExchange

from .conftest import REDIRECT_URI
from .test_admin_api import API, EVERYTHING
from .test_egress import Net, answering
from .test_end_session import end, signed_in

pytestmark = pytest.mark.anyio

PAIRWISE = {"subject_type": "pairwise", "audiences": ("orders",)}
MAIL = "https://mail.example/callback"


@pytest.fixture
async def ann(issuer):
    return await issuer.sign_in()


@pytest.fixture
async def app(issuer, ann):
    return await issuer.register(**PAIRWISE)


@pytest.fixture
async def mail(issuer, ann):
    """Of another sector."""
    return await issuer.register(redirect_uris=(MAIL,), **PAIRWISE)


@pytest.fixture
async def public(issuer, ann):
    return await issuer.register()


async def everything(app, tokens: dict[str, Any], claims) -> dict[str, Any]:
    """All that a client can learn of its tokens, as one text for each."""
    token, refresh_token = tokens["access_token"], tokens["refresh_token"]
    asked = [await app.post("/introspect", token=each) for each in (token, refresh_token)]
    return {
        "access token": dict(claims(token)),
        "ID token": dict(claims(tokens["id_token"])),
        "userinfo": (await app.userinfo(token)).json(),
        "introspection": asked[0].json(),
        "introspection of the refresh token": asked[1].json(),
        "refreshed": dict(claims((await app.refresh(refresh_token)).json()["access_token"])),
    }


@pytest.mark.spec("OpenID Connect Core", "8", "MUST")
async def test_the_same_person_has_another_subject_in_each_sector(issuer, ann, app, mail, claims):
    same_host = await issuer.register(redirect_uris=("https://app.example/other",), **PAIRWISE)
    subjects = [claims((await each.tokens())["id_token"])["sub"] for each in (app, mail, same_host)]
    assert subjects[0] == subjects[2]
    assert len({*subjects, ann.subject}) == 3


@pytest.mark.spec("OpenID Connect Core", "8.1", "MUST")
async def test_a_subject_stays_the_same_from_one_sign_in_to_the_next(issuer, app, claims):
    first = claims((await app.tokens())["id_token"])["sub"]
    await issuer.sign_in("bob@example.com")
    other = claims((await app.tokens())["id_token"])["sub"]
    await issuer.sign_in()
    assert claims((await app.tokens())["id_token"])["sub"] == first != other


@pytest.mark.spec("OpenID Connect Core", "8.1", "MUST NOT")
async def test_a_pairwise_client_is_told_neither_the_public_subject_nor_the_public_session(issuer, ann, app, claims):
    [session] = await issuer.desk.store.sessions.of(ann.subject, at=issuer.clock.now())
    said = await everything(app, await app.tokens(scope="openid profile email roles"), claims)
    assert len({each["sub"] for each in said.values()}) == 1
    text = json.dumps(said)
    assert ann.subject not in text
    assert session.sid not in text


@pytest.mark.spec("OpenID Connect Core", "8.1", "MUST NOT")
async def test_nobody_without_the_secret_key_can_make_a_subject(issuer, ann, app, claims):
    """Two deployments that differ in nothing but their secret key name the same person of the same sector differently."""
    client = app.registered.client
    elsewhere = replace(issuer.desk, secret=b"t" * 43)
    names = {subject_for(client, ann.subject, desk) for desk in (issuer.desk, elsewhere)}
    assert len(names) == 2
    assert subject_for(client, "x", issuer.desk) != sid_for(client, "x", issuer.desk)


@pytest.mark.spec("OpenID Connect Core", "5.3.2", "MUST")
async def test_userinfo_names_the_subject_of_the_id_token(app, claims):
    tokens = await app.tokens()
    assert (await app.userinfo(tokens["access_token"])).json()["sub"] == claims(tokens["id_token"])["sub"]


class TestTakingBack:
    async def test_sign_out_everywhere_takes_back_what_pairwise_clients_hold(self, issuer, ann, app, mail, claims):
        tokens = [(each, (await each.tokens())["access_token"]) for each in (app, mail)]
        await people.sign_out_everywhere(issuer.desk, ann.subject, by=people.CLI)
        for each, token in tokens:
            assert not await each.active(token)
            entry = await issuer.desk.store.revocations.find("subject", claims(token)["sub"], at=issuer.clock.now())
            assert entry is not None
            assert entry.epoch > claims(token)["sep"]

    async def test_the_end_of_a_session_does_too(self, issuer, ann, app, claims):
        token = (await app.tokens())["access_token"]
        page = await issuer.http.get("/end_session")
        await issuer.submit("/end_session", issuer.fields(page))
        assert await issuer.desk.store.revocations.find("session", claims(token)["sid"], at=issuer.clock.now())
        assert not await app.active(token)

    async def test_so_does_the_removal_of_the_account(self, issuer, ann, app, claims):
        token = (await app.tokens())["access_token"]
        await people.remove(issuer.desk, ann.subject, by=people.CLI)
        assert await issuer.desk.store.revocations.find("subject", claims(token)["sub"], at=issuer.clock.now())
        assert not await app.active(token)

    async def test_tokens_of_the_time_after_stand(self, issuer, ann, app):
        await app.tokens()
        await people.sign_out_everywhere(issuer.desk, ann.subject, by=people.CLI)
        await issuer.sign_in()
        assert await app.active((await app.tokens())["access_token"])


class TestHints:
    @pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MUST")
    async def test_its_own_id_token_is_a_hint_of_the_same_person(self, issuer, app):
        token = (await app.tokens())["id_token"]
        assert "code" in app.query(await app.authorize(prompt="none", id_token_hint=token))
        await issuer.sign_in("bob@example.com")
        refused = await app.authorize(prompt="none", id_token_hint=token)
        assert app.query(refused)["error"] == "login_required"

    async def test_an_id_token_of_another_sector_is_none(self, app, mail, public):
        for asks, holds in ((app, mail), (app, public), (public, app)):
            token = (await holds.tokens())["id_token"]
            refused = await asks.authorize(prompt="none", id_token_hint=token)
            assert asks.query(refused)["error"] == "invalid_request"

    @pytest.mark.spec("OpenID Connect Core", "5.5.1", "MUST")
    async def test_the_claims_parameter_names_people_as_its_client_knows_them(self, ann, app, mail, public, claims):
        known = {each.client_id: claims((await each.tokens())["id_token"])["sub"] for each in (app, mail, public)}
        for each in (app, mail, public):
            for client_id, subject in known.items():
                asked = json.dumps({"id_token": {"sub": {"value": subject}}})
                answer = each.query(await each.authorize(prompt="none", claims=asked))
                assert ("code" in answer) is (client_id == each.client_id), (each, subject)

    @pytest.mark.spec("OpenID Connect RP-Initiated Logout", "2", "RECOMMENDED")
    async def test_its_id_token_signs_its_session_out_without_a_question(self, issuer, app):
        token = (await app.tokens())["id_token"]
        await end(issuer, id_token_hint=token)
        assert not await signed_in(app)


async def test_a_logout_token_and_a_frame_name_the_session_as_the_id_token_does(issuer, ann, claims):
    app = await issuer.register(
        backchannel_logout_uri="https://app.example/out",
        frontchannel_logout_uri="https://app.example/frame",
        **PAIRWISE,
    )
    net = Net()
    net.answer = answering()
    issuer.app.state.desk = replace(issuer.desk, egress=net.egress())
    tokens = await app.tokens()
    said = claims(tokens["id_token"])
    page = await issuer.http.get("/end_session", params={"id_token_hint": tokens["id_token"]})
    assert f"sid={said['sid']}" in page.text
    assert await tell(issuer.desk) == 1
    [request] = [request for request in net.asked if request.method == "POST"]
    told = claims(request.content.decode().removeprefix("logout_token="))
    assert (told["sub"], told["sid"]) == (said["sub"], said["sid"])


@pytest.mark.spec("OpenID CIBA Core", "7.1", "MAY")
async def test_an_app_that_asks_somebody_elsewhere_names_them_as_it_knows_them(issuer, ann, app, claims):
    bank = await issuer.register(
        grant_types=("authorization_code", "refresh_token", CIBA),
        redirect_uris=("https://bank.example/callback",),
        **PAIRWISE,
    )
    own, other = (await bank.tokens())["id_token"], (await app.tokens())["id_token"]
    asked = await bank.post("/backchannel_authentication", scope="openid", id_token_hint=own)
    assert asked.status_code == 200, asked.text
    refused = await bank.post("/backchannel_authentication", scope="openid", id_token_hint=other)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    page = await issuer.http.get("/approvals")
    await issuer.submit("/approvals", issuer.fields(page) | {"decision": "allow"})
    issuer.clock.advance(INTERVAL)
    done = await bank.post(grant_type=CIBA, auth_req_id=asked.json()["auth_req_id"])
    assert claims(done.json()["id_token"])["sub"] == claims(own)["sub"]


class TestExchange:
    async def test_each_side_of_an_exchange_sees_its_own_subject(self, issuer, ann, app, claims):
        orders = await issuer.service(
            grant_types=("client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"),
            token_exchange=TokenExchange(kind="delegation", receives=("orders",)),
            audiences=("orders",),
        )
        token = (await app.tokens())["access_token"]
        answer = await orders.post(
            grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
            subject_token=token,
            subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        )
        assert answer.status_code == 200, answer.text
        exchanged = claims(answer.json()["access_token"])
        assert exchanged["sub"] == ann.subject
        assert exchanged["act"] == {"sub": orders.client_id}
        [session] = await issuer.desk.store.sessions.of(ann.subject, at=issuer.clock.now())
        assert exchanged["sid"] == session.sid
        await people.sign_out_everywhere(issuer.desk, ann.subject, by=people.CLI)
        assert not await orders.active(answer.json()["access_token"])


async def test_an_administrator_is_known_behind_the_name(issuer):
    await issuer.person("root@example.com", roles=("ADMIN",))
    await issuer.sign_in("root@example.com")
    app = await issuer.register(subject_type="pairwise", audiences=(API,), scope=EVERYTHING)
    token = (await app.tokens(scope=EVERYTHING))["access_token"]
    answer = await issuer.direct.get(f"{API}/accounts", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    assert "root@example.com" in answer.text


class TestSectors:
    @pytest.fixture
    def net(self, issuer) -> Net:
        net = Net()
        issuer.app.state.desk = replace(
            issuer.desk, egress=net.egress(), client_keys=ClientKeys(net.egress(), issuer.clock.ambient)
        )
        return net

    def asked(self, **metadata: Any) -> Registration:
        return Registration(
            **({"client_name": "App", "redirect_uris": (REDIRECT_URI,), "subject_type": "pairwise"} | metadata)
        )

    @pytest.mark.spec("OpenID Connect Core", "8.1", "MUST")
    async def test_hosts_that_one_document_lists_are_one_sector(self, issuer, net, ann, claims):
        net.answer = answering(content=json.dumps([REDIRECT_URI, MAIL]).encode())
        uri = "https://app.example/sector.json"
        both = await issuer.register(redirect_uris=(REDIRECT_URI, MAIL), sector_identifier_uri=uri, **PAIRWISE)
        alone = await issuer.register(**PAIRWISE)
        first, second = [claims((await each.tokens())["id_token"])["sub"] for each in (both, alone)]
        assert first == second

    @pytest.mark.spec("OpenID Connect Core", "8.1", "MUST")
    @pytest.mark.spec("OpenID Connect Registration", "5", "MUST")
    @pytest.mark.parametrize(
        "content",
        [b"[]", b'["https://app.example/other"]', b"{}", b"[1]", b"<html>", b'"https://app.example/callback"'],
    )
    async def test_a_document_that_does_not_list_the_redirect_uris_is_refused(self, issuer, net, content):
        net.answer = answering(content=content)
        for subject_type in ("public", "pairwise"):
            with pytest.raises(ClientError, match="sector_identifier_uri"):
                await register(
                    issuer.desk,
                    self.asked(sector_identifier_uri="https://app.example/sector.json", subject_type=subject_type),
                    actor="test",
                )

    async def test_a_document_that_cannot_be_had_is_refused(self, issuer, net):
        net.answer = answering(status=404)
        with pytest.raises(ClientError, match="answers 404"):
            await register(
                issuer.desk, self.asked(sector_identifier_uri="https://app.example/sector.json"), actor="test"
            )

    @pytest.mark.spec("OpenID Connect Core", "8.1", "MUST")
    @pytest.mark.parametrize(
        "metadata",
        [
            {"redirect_uris": (REDIRECT_URI, MAIL)},
            {"redirect_uris": ("com.example.app:/callback",), "token_endpoint_auth_method": "none"},
            {"redirect_uris": (), "grant_types": ("urn:ietf:params:oauth:grant-type:device_code",)},
            {"sector_identifier_uri": "http://app.example/sector.json"},
            {"token_exchange": TokenExchange(kind="delegation", receives=("orders",))},
            {"receives": ("orders",)},
        ],
        ids=str,
    )
    async def test_a_client_without_a_sector_of_its_own_is_refused(self, issuer, metadata):
        with pytest.raises(ClientError):
            await register(issuer.desk, self.asked(**metadata), actor="test")

    @pytest.mark.parametrize("uri", ["http://127.0.0.1/callback", "http://[::1]:7000/callback", "http://localhost/cb"])
    async def test_everybodys_own_machine_is_no_sector(self, issuer, uri):
        """Many apps listen there; a developer's issuer is on that machine itself."""
        app = await issuer.public(redirect_uris=(uri,), subject_type="pairwise")
        check_pairwise(app.registered.client, issuer.desk.config)
        with pytest.raises(SectorError, match="own machine"):
            check_pairwise(app.registered.client, structs.replace(issuer.desk.config, issuer="https://id.example"))

    async def test_a_client_keeps_its_sector(self, issuer, app, public):
        for client, changes in (
            (app.registered.client, {"subject_type": "public"}),
            (app.registered.client, {"redirect_uris": (MAIL,)}),
            (public.registered.client, {"subject_type": "pairwise"}),
        ):
            with pytest.raises(ClientError, match="keeps its subject_type"):
                await change(issuer.desk, client, structs.replace(client, **changes), actor="test")
        renamed = structs.replace(app.registered.client, client_name="New")
        assert (await change(issuer.desk, app.registered.client, renamed, actor="test")).client_name == "New"

    @pytest.mark.spec("OpenID Connect Discovery", "3", "MUST")
    async def test_discovery_says_so(self, issuer):
        document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
        assert document["subject_types_supported"] == ["public", "pairwise"]
