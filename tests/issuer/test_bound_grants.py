"""RFC 9449 section 5: tokens of the device grant, of CIBA and of token exchange are bound to keys like all others."""

import pytest

from carnet.issuer.decisions import INTERVAL
from carnet.issuer.grants.ciba import GRANT_TYPE as CIBA
from carnet.issuer.grants.device_code import GRANT_TYPE as DEVICE
from carnet.issuer.grants.token_exchange import ACCESS_TOKEN
from carnet.issuer.storage.records import TokenExchange
from carnet.issuer.token_policies import EXCHANGE

from .test_dpop import Holder

pytestmark = pytest.mark.anyio


@pytest.mark.spec("RFC 9449", "5", "MUST")
async def test_a_device_has_bound_tokens_and_a_bound_refresh_token(issuer, claims):
    await issuer.sign_in()
    tv = await issuer.public(redirect_uris=(), grant_types=(DEVICE, "refresh_token"))
    holder, thief = Holder(tv), Holder(tv)
    asked = (await tv.post("/device_authorization", scope="openid profile")).json()
    entry = await issuer.http.get("/device")
    page = await issuer.submit("/device", issuer.fields(entry) | {"user_code": asked["user_code"]})
    await issuer.submit("/device", issuer.fields(page) | {"decision": "allow"})
    issuer.clock.advance(INTERVAL)
    tokens = (await holder.post(grant_type=DEVICE, device_code=asked["device_code"])).json()
    assert tokens["token_type"] == "DPoP"
    assert claims(tokens["access_token"])["cnf"] == {"jkt": holder.jkt}
    assert (await holder.userinfo(tokens["access_token"])).status_code == 200
    assert (await thief.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await tv.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await holder.refresh(tokens["refresh_token"])).status_code == 200


async def test_an_app_that_asked_somebody_elsewhere_has_bound_tokens(issuer, claims):
    await issuer.sign_in()
    bank = await issuer.register(redirect_uris=(), grant_types=(CIBA,), dpop_bound_access_tokens=True)
    asked = (await bank.post("/backchannel_authentication", scope="openid", login_hint="ann@example.com")).json()
    page = await issuer.http.get("/approvals")
    await issuer.submit("/approvals", issuer.fields(page) | {"decision": "allow"})
    issuer.clock.advance(INTERVAL)
    bare = await bank.post(grant_type=CIBA, auth_req_id=asked["auth_req_id"])
    assert bare.json()["error"] == "invalid_dpop_proof"
    issuer.clock.advance(INTERVAL)
    holder = Holder(bank)
    await holder.post(grant_type="none")  # learns the nonce: a poll that is asked twice would be too fast
    answer = await holder.post(grant_type=CIBA, auth_req_id=asked["auth_req_id"])
    assert answer.status_code == 200, answer.text
    assert claims(answer.json()["access_token"])["cnf"] == {"jkt": holder.jkt}


async def test_what_is_exchanged_is_bound_to_the_key_of_whoever_exchanges(issuer, claims):
    await issuer.sign_in()
    shop = await issuer.register(scope="openid stock:read", audiences=("orders", "stock"))
    token = (await shop.tokens(scope="openid stock:read"))["access_token"]
    orders = await issuer.service(
        grant_types=(EXCHANGE,),
        scope="stock:read",
        audiences=("stock",),
        token_exchange=TokenExchange(kind="delegation", receives=("orders",)),
    )
    holder = Holder(orders)
    answer = await holder.post(grant_type=EXCHANGE, subject_token=token, subject_token_type=ACCESS_TOKEN)
    assert answer.json()["token_type"] == "DPoP"
    said = claims(answer.json()["access_token"])
    assert (said["cnf"], said["act"]) == ({"jkt": holder.jkt}, {"sub": orders.client_id})
