"""The four services as the shop's back end reaches them, each request with the person's own access token."""

import re
from dataclasses import dataclass
from typing import Any

import httpx2

_SCOPE = re.compile(r'scope="([^"]*)"')
_ACR_VALUES = re.compile(r'acr_values="([^"]*)"')
_MAX_AGE = re.compile(r'max_age="?(\d+)')


@dataclass(frozen=True, slots=True)
class Call:
    """One route of a service, and the role that it asks for, as the service's description says."""

    service: str
    method: str
    path: str
    role: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


STOCK = Call("warehouse", "GET", "/stock")
ORDERS = Call("order", "GET", "/orders", "USER")
PLACE_ORDER = Call("order", "POST", "/orders", "USER")
INVOICES = Call("invoice", "GET", "/invoices", "USER")
PAYMENT_METHOD = Call("order", "GET", "/payment-method", "USER")
CHANGE_PAYMENT_METHOD = Call("order", "PUT", "/payment-method", "USER")
MESSAGES = Call("notification", "GET", "/notifications", "USER")
ALL_ORDERS = Call("order", "GET", "/orders/all", "ADMIN")
ALL_INVOICES = Call("invoice", "GET", "/invoices/all", "ADMIN")


def correct_stock(sku: str) -> Call:
    return Call("warehouse", "PUT", f"/stock/{sku}", "ADMIN")


class RefusedByServiceError(Exception):
    """RFC 6750 section 3.1: a service answered 403: the token is genuine and not enough."""

    def __init__(self, call: Call, response: httpx2.Response) -> None:
        super().__init__(f"{call.service} refused {call}.")
        self.call = call
        self.error: str = response.json()["error"]
        scope = _SCOPE.search(response.headers.get("www-authenticate", ""))
        self.scope = scope[1] if scope else None


class UselessTokenError(Exception):
    """RFC 6750 section 3.1: a service answered 401: the access token has expired or was taken back."""

    def __init__(self, call: Call) -> None:
        super().__init__(f"{call.service} does not accept the token for {call}.")
        self.call = call


class StepUpError(Exception):
    """RFC 9470 section 3: the token is genuine, and the service wants a stronger or fresher proof of its person."""

    def __init__(self, call: Call, challenge: str) -> None:
        super().__init__(f"{call.service} wants another proof for {call}.")
        found = {"acr_values": _ACR_VALUES.search(challenge), "max_age": _MAX_AGE.search(challenge)}
        self.asked = {name: match[1] for name, match in found.items() if match}
        """What a sign-in is to be asked for."""


class FailedServiceError(Exception):
    """A service does not answer, or failed."""

    def __init__(self, call: Call) -> None:
        super().__init__(f"{call.service} failed to answer {call}.")
        self.call = call


class RejectedInputError(Exception):
    """What was asked for cannot be had; the message is the service's own sentence."""


class Services:
    """Asks services."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._urls = urls
        self._http = httpx2.AsyncClient(timeout=5)

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, call: Call, access_token: str, body: Any = None) -> Any:
        """Ask a service; the answer is its JSON.

        Raises:
            UselessTokenError, StepUpError, RefusedByServiceError, RejectedInputError, FailedServiceError.
        """
        headers = {"authorization": f"Bearer {access_token}"}
        try:
            response = await self._http.request(
                call.method, self._urls[call.service] + call.path, headers=headers, json=body
            )
        except httpx2.TransportError:
            raise FailedServiceError(call) from None
        match response.status_code:
            case 401:
                challenge = response.headers.get("www-authenticate", "")
                if 'error="insufficient_user_authentication"' in challenge:
                    raise StepUpError(call, challenge)
                raise UselessTokenError(call)
            case 403:
                raise RefusedByServiceError(call, response)
            case 404 | 409:
                raise RejectedInputError(response.json()["detail"])
            case 422:
                detail = response.json()["detail"]
                raise RejectedInputError(
                    detail if isinstance(detail, str) else "That cannot be asked for: look at what you typed."
                )
            case status if status >= 400:
                raise FailedServiceError(call)
        return response.json()
