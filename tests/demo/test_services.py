"""RFC 6749, RFC 6750: what people and services may do in the running demo, and that it goes on without its issuer."""

import os
import signal

import httpx2
import pytest


@pytest.fixture
def ask(demo):
    """Ask a service with a token."""

    def ask(method: str, service: str, path: str, token: str, **content) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"}
        return httpx2.request(
            method, demo.urls[service] + path, headers=headers, trust_env=False, timeout=10, **content
        )

    return ask


ADMIN_ONLY = [
    ("GET", "order", "/orders/all", None),
    ("GET", "invoice", "/invoices/all", None),
    ("GET", "notification", "/notifications/all", None),
    ("PUT", "warehouse", "/stock/BELL-06", {"available": 5}),
]
SERVICE_ONLY = [
    ("POST", "warehouse", "/reservations", {"sku": "ROPE-20", "quantity": 1}),
    ("DELETE", "warehouse", "/reservations/1", None),
    ("POST", "invoice", "/invoices", {"order": "W-1", "customer": "x", "amount": 1}),
    ("POST", "notification", "/notifications", {"to": "x", "text": "x"}),
]


@pytest.mark.parametrize(("method", "service", "path", "body"), ADMIN_ONLY)
def test_what_is_for_an_admin_is_refused_to_a_user_and_open_to_an_admin(
    ask, user_tokens, admin_tokens, method, service, path, body
):
    refused = ask(method, service, path, user_tokens["access_token"], json=body)
    assert refused.status_code == 403
    assert refused.json()["error"] == "insufficient_scope"
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert ask(method, service, path, admin_tokens["access_token"], json=body).status_code == 200


@pytest.mark.parametrize(("method", "service", "path", "body"), SERVICE_ONLY)
def test_what_is_for_services_is_refused_to_people(ask, admin_tokens, method, service, path, body):
    refused = ask(method, service, path, admin_tokens["access_token"], json=body)
    assert refused.status_code == 403
    assert "scope=" in refused.headers["www-authenticate"]


def test_an_order_is_reserved_invoiced_and_notified_by_the_order_service_itself(ask, user_tokens):
    token = user_tokens["access_token"]

    def available() -> int:
        stock = ask("GET", "warehouse", "/stock", token).json()
        return next(item["available"] for item in stock if item["sku"] == "LAMP-BR")

    before = available()
    placed = ask("POST", "order", "/orders", token, json={"sku": "LAMP-BR", "quantity": 2})
    assert placed.status_code == 201
    order = placed.json()
    assert available() == before - 2
    assert ask("GET", "order", "/orders", token).json()[0] == order
    invoice = ask("GET", "invoice", "/invoices", token).json()[0]
    assert (invoice["number"], invoice["order"], invoice["amount"]) == (order["invoice"], order["number"], 2 * 79_00)
    message = ask("GET", "notification", "/notifications", token).json()[0]
    assert order["number"] in message["text"]


def test_more_than_there_is_cannot_be_ordered_and_nothing_is_taken(ask, user_tokens):
    token = user_tokens["access_token"]
    before = ask("GET", "warehouse", "/stock", token).json()
    refused = ask("POST", "order", "/orders", token, json={"sku": "CHRT-NS", "quantity": 1})
    assert refused.status_code == 409
    assert refused.json()["detail"] == "There are only 0 of Chart of the North Sea."
    assert ask("GET", "warehouse", "/stock", token).json() == before


@pytest.mark.parametrize("body", [{}, {"sku": "ROPE-20", "quantity": 0}, {"sku": "ROPE-20", "quantity": 10**9}, []])
def test_a_malformed_order_is_refused(ask, user_tokens, body):
    assert ask("POST", "order", "/orders", user_tokens["access_token"], json=body).status_code == 422


def test_people_see_their_own_orders_alone(ask, user_tokens, admin_tokens):
    users = {order["number"] for order in ask("GET", "order", "/orders", user_tokens["access_token"]).json()}
    admins = {order["number"] for order in ask("GET", "order", "/orders", admin_tokens["access_token"]).json()}
    everyones = {order["number"] for order in ask("GET", "order", "/orders/all", admin_tokens["access_token"]).json()}
    assert users
    assert admins
    assert users.isdisjoint(admins)
    assert users | admins < everyones


def test_the_services_go_on_while_the_issuer_stands_still(demo, ask, user_tokens):
    """Its whole process group is stopped: it accepts connections and answers none."""
    token = user_tokens["access_token"]
    ask(
        "POST", "order", "/orders", token, json={"sku": "ROPE-20", "quantity": 1}
    )  # the Order service has its own token
    os.killpg(demo.processes["issuer"], signal.SIGSTOP)
    try:
        with pytest.raises(httpx2.TimeoutException):
            httpx2.get(demo.urls["issuer"] + "/jwks", trust_env=False, timeout=0.5)
        assert ask("GET", "warehouse", "/stock", token).status_code == 200
        assert ask("GET", "order", "/orders", token).status_code == 200
        assert ask("GET", "invoice", "/invoices", token).status_code == 200
        assert ask("GET", "notification", "/notifications", token).status_code == 200
        assert ask("POST", "order", "/orders", token, json={"sku": "ROPE-20", "quantity": 1}).status_code == 201
        assert ask("GET", "order", "/orders/all", token).status_code == 403
        assert ask("GET", "order", "/orders", token + "A").status_code == 401
    finally:
        os.killpg(demo.processes["issuer"], signal.SIGCONT)
    assert httpx2.get(demo.urls["issuer"] + "/jwks", trust_env=False, timeout=10).status_code == 200
