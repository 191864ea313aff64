"""OpenAPI 3.1: the endpoints of OAuth and OpenID Connect, public facts, and pages; discovery says what they can do."""

from collections.abc import Iterable, Mapping
from typing import Any

from carnet.issuer.grants import GRANTS
from carnet.issuer.openapi.parts import (
    TEXT,
    UNAVAILABLE,
    Schema,
    body,
    challenged,
    header,
    json_answer,
    named,
    plain,
    refused,
)
from carnet.issuer.response_modes import RESPONSE_MODES

FORM = "application/x-www-form-urlencoded"
OBJECT: Schema = {"type": "object"}

SCHEMAS: dict[str, Any] = {
    "OAuthError": {
        "type": "object",
        "description": "RFC 6749 section 5.2.",
        "required": ["error", "error_description"],
        "additionalProperties": False,
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    },
    "Tokens": {
        "type": "object",
        "description": "RFC 6749 section 5.1.",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": TEXT,
            "token_type": {"enum": ["Bearer", "DPoP"]},
            "expires_in": {"type": "integer", "minimum": 1},
            "scope": TEXT,
            "refresh_token": TEXT,
            "id_token": TEXT,
            "issued_token_type": TEXT,
            "authorization_details": {"type": "array", "items": OBJECT},
        },
    },
    "Metadata": {
        "type": "object",
        "description": "RFC 8414 section 2, OpenID Connect Discovery section 3.",
        "required": ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"],
        "properties": {"issuer": {"type": "string", "format": "uri"}},
    },
    "ProtectedResource": {
        "type": "object",
        "description": "RFC 9728 section 2.",
        "required": ["resource", "authorization_servers", "scopes_supported"],
    },
    "KeySet": {
        "type": "object",
        "description": "RFC 7517 section 5.",
        "required": ["keys"],
        "properties": {"keys": {"type": "array", "items": {"type": "object", "required": ["kty", "kid"]}}},
    },
    "Person": {
        "type": "object",
        "description": "OpenID Connect Core section 5.1.",
        "required": ["sub"],
        "properties": {"sub": TEXT},
    },
    "RolesOfToken": {
        "type": "object",
        "required": ["sub", "roles"],
        "properties": {"sub": TEXT, "roles": {"type": "array", "items": TEXT}},
    },
    "Introspection": {
        "type": "object",
        "description": "RFC 7662 section 2.2.",
        "required": ["active"],
        "properties": {"active": {"type": "boolean"}},
    },
    "PushedRequest": {
        "type": "object",
        "description": "RFC 9126 section 2.2.",
        "required": ["request_uri", "expires_in"],
        "properties": {"request_uri": TEXT, "expires_in": {"type": "integer", "minimum": 1}},
    },
    "DeviceCodes": {
        "type": "object",
        "description": "RFC 8628 section 3.2.",
        "required": ["device_code", "user_code", "verification_uri", "expires_in"],
    },
    "BackchannelRequest": {
        "type": "object",
        "description": "OpenID CIBA Core section 7.3.",
        "required": ["auth_req_id", "expires_in"],
    },
    "ClientInformation": {
        "type": "object",
        "description": "RFC 7591 section 3.2.1.",
        "required": ["client_id", "registration_access_token", "registration_client_uri"],
    },
    "RevocationMessages": {
        "type": "object",
        "required": ["messages"],
        "properties": {"messages": {"type": "array", "items": TEXT}},
    },
}


def operation(
    name: str,
    summary: str,
    answers: Mapping[int, Any],
    *,
    tag: str = "protocol",
    query: Iterable[str] = (),
    security: Iterable[str] = (),
    content: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": name, "tags": [tag], "summary": summary}
    described["parameters"] = [{"name": one, "in": "query", "schema": TEXT} for one in query]
    if content is not None:
        described["requestBody"] = dict(content)
    wanted = list(security)
    if wanted:
        described["security"] = [{one: []} if one else {} for one in wanted]
    described["responses"] = {str(status): answer for status, answer in sorted(answers.items())}
    return described


def _form(*names: str, required: Iterable[str] = ()) -> dict[str, Any]:
    """RFC 6749 section 3.2: parameters that are not known are ignored."""
    schema: dict[str, Any] = {"type": "object", "properties": dict.fromkeys(names, TEXT)}
    always = list(required)
    return body(FORM, schema | ({"required": always} if always else {}))


def _by_client(good: Mapping[int, Any]) -> dict[int, Any]:
    """What a client's own request can be told."""
    return {
        400: refused("RFC 6749 section 5.2."),
        401: refused("The client does not prove who it is.", challenged=True),
        413: plain("The request is too large."),
        415: refused("The body is not a form."),
        429: _too_many(),
        503: UNAVAILABLE,
        **good,
    }


def _too_many() -> dict[str, Any]:
    return json_answer("RFC 6585 section 4.", named("OAuthError"), {"Retry-After": header("Seconds.")})


CLIENT = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
AUTHORIZATION = (
    *("response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce", "prompt", "max_age"),
    *("ui_locales", "id_token_hint", "login_hint", "acr_values", "claims", "resource", "authorization_details"),
    *("code_challenge", "code_challenge_method", "dpop_jkt", "request", "request_uri", "flow"),
)
TOKEN = (
    *("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource", "audience"),
    *("device_code", "auth_req_id", "assertion", "subject_token", "subject_token_type", "actor_token"),
    *("actor_token_type", "requested_token_type", "authorization_details"),
)
LOGOUT = ("id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")

_PAGE: dict[str, Any] = {"description": "A page for people.", "content": {"text/html": {"schema": TEXT}}}
_ELSEWHERE = {"description": "It goes on elsewhere.", "headers": {"Location": header("Where.")}}
_PUBLIC = {503: UNAVAILABLE}


def _pages(*statuses: int) -> dict[int, Any]:
    """What an endpoint for people answers: a page of that status, or a redirect."""
    found: dict[int, Any] = dict.fromkeys((200, *statuses), _PAGE)
    unavailable = {"text/html": {"schema": TEXT}, "application/json": {"schema": named("OAuthError")}}
    return found | {
        303: _ELSEWHERE,
        413: plain("The request is too large."),
        503: {"description": "It cannot be done now.", "content": unavailable},
    }


def page_operation(path: str, method: str) -> dict[str, Any]:
    """A page for people, or a form of ours: no interface for programs."""
    words = [word for word in path.replace("{", "").replace("}", "").replace(":path", "").split("/") if word]
    answers = {str(status): answer for status, answer in _pages(400, 403, 404, 409, 410, 415, 422, 429).items()}
    for kind in ("image/svg+xml", "text/css", "text/javascript"):
        answers["200"] = {
            **answers["200"],
            "content": {**answers["200"]["content"], kind: {"schema": TEXT}},
        }
    answers["304"] = _KEPT
    answers["404"] = {**_PAGE, "content": {**_PAGE["content"], "text/plain": {"schema": TEXT}}}
    described: dict[str, Any] = {
        "operationId": "-".join((method.lower(), *words)),
        "tags": ["pages"],
        "summary": "A page for people",
        "parameters": [
            {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for part in path.split("/")
            if part.startswith("{")
        ],
        "responses": dict(sorted(answers.items())),
    }
    if method == "POST":
        described["requestBody"] = body(FORM, {"type": "object", "additionalProperties": TEXT}, required=False)
    return described


def _registered(summary: str, name: str, good: Mapping[int, Any], *, metadata: bool) -> dict[str, Any]:
    content = body("application/json", {**OBJECT, "description": "RFC 7591 section 2."}) if metadata else None
    described = operation(name, summary, _by_client(good), security=("registration",), content=content)
    if name != "register":
        described["parameters"] = [
            {"name": "client_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        ]
    return described


_INFORMATION = json_answer("What is registered.", named("ClientInformation"))
_GRANT_TYPES = ", ".join(grant.grant_type for grant in GRANTS)
_MODES = ", ".join(mode.name for mode in RESPONSE_MODES)
_METADATA = json_answer("The issuer's metadata.", named("Metadata"))
_KEPT = {"description": "It is what the ETag says (RFC 9110 section 15.4.5)."}
_KEY_SET = {"description": "A key set.", "content": {"application/jwk-set+json": {"schema": named("KeySet")}}}
_JWT: Schema = {"type": "string", "description": "A JWT."}


def _or_jwt(schema: str, description: str, media_type: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": named(schema)}, media_type: {"schema": _JWT}},
    }


PROTOCOL: dict[tuple[str, str], dict[str, Any]] = {
    ("/.well-known/openid-configuration", "GET"): operation(
        "openid-configuration", "OpenID Connect Discovery", {200: _METADATA, **_PUBLIC}, tag="facts"
    ),
    ("/.well-known/oauth-authorization-server", "GET"): operation(
        "authorization-server", "RFC 8414: the issuer's metadata", {200: _METADATA, **_PUBLIC}, tag="facts"
    ),
    **{
        (f"/.well-known/oauth-protected-resource{below}", "GET"): operation(
            f"protected-resource{name}",
            f"RFC 9728: {what} as a resource server",
            {200: json_answer("Its metadata.", named("ProtectedResource")), **_PUBLIC},
            tag="facts",
        )
        for below, name, what in (("", "", "the issuer"), ("/api/admin", "-admin", "the admin API"))
    },
    ("/jwks", "GET"): operation(
        "jwks",
        "RFC 7517: the published keys",
        {200: _KEY_SET, 304: _KEPT, **_PUBLIC},
        tag="facts",
    ),
    ("/api/openapi.json", "GET"): operation(
        "openapi", "This description", {200: json_answer("OpenAPI 3.1.", OBJECT), **_PUBLIC}, tag="facts"
    ),
    ("/health/live", "GET"): operation("live", "Whether the process lives", {200: plain("It does.")}, tag="facts"),
    ("/health/ready", "GET"): operation(
        "ready", "Whether it can do its work", {200: plain("It can."), 503: plain("It cannot.")}, tag="facts"
    ),
    ("/authorize", "GET"): operation(
        "authorize",
        f"RFC 6749 section 3.1: an authorization request, answered by one of the response modes {_MODES}",
        _pages(400, 403, 429),
        query=AUTHORIZATION,
    ),
    ("/authorize", "POST"): operation(
        "authorize-by-post",
        "OpenID Connect Core section 3.1.2.1: the same by POST",
        _pages(400, 403, 415, 429),
        content=_form(*AUTHORIZATION),
    ),
    ("/par", "POST"): operation(
        "push",
        "RFC 9126: an authorization request, pushed before the browser comes",
        _by_client({201: json_answer("Where it is.", named("PushedRequest"))}),
        content=_form(*AUTHORIZATION, *CLIENT),
        security=("client", ""),
    ),
    ("/token", "POST"): operation(
        "token",
        f"RFC 6749 section 3.2: tokens, by one of the grants {_GRANT_TYPES}",
        _by_client({200: json_answer("The tokens.", named("Tokens"))}),
        content=_form(*TOKEN, *CLIENT, required=("grant_type",)),
        security=("client", ""),
    ),
    ("/device_authorization", "POST"): operation(
        "device-authorization",
        "RFC 8628: a device asks for its codes",
        _by_client({200: json_answer("The codes.", named("DeviceCodes"))}),
        content=_form("scope", "resource", *CLIENT),
        security=("client", ""),
    ),
    ("/backchannel_authentication", "POST"): operation(
        "backchannel-authentication",
        "OpenID CIBA Core: an app asks somebody who is elsewhere",
        _by_client({200: json_answer("What to poll with.", named("BackchannelRequest"))}),
        content=_form(
            *("scope", "login_hint", "id_token_hint", "binding_message", "requested_expiry", "acr_values"),
            *("resource", "authorization_details", "request", *CLIENT),
        ),
        security=("client",),
    ),
    **{
        ("/userinfo", method): operation(
            f"userinfo-by-{method.lower()}",
            "OpenID Connect Core section 5.3: what a client may learn of a person",
            {
                200: _or_jwt("Person", "The claims.", "application/jwt"),
                400: refused("RFC 6750 section 3.1."),
                401: challenged("There is no valid access token."),
                403: refused("The access token has not the scope openid.", challenged=True),
                413: plain("The request is too large."),
                503: UNAVAILABLE,
            },
            security=("accessToken",),
        )
        for method in ("GET", "POST")
    },
    ("/introspect", "POST"): operation(
        "introspect",
        "RFC 7662: whether a token is active",
        _by_client({200: _or_jwt("Introspection", "What is known of it.", "application/token-introspection+jwt")}),
        content=_form("token", "token_type_hint", *CLIENT, required=("token",)),
        security=("client",),
    ),
    ("/revoke", "POST"): operation(
        "revoke",
        "RFC 7009: a client gives a token back",
        _by_client({200: {"description": "It is of no use any more, if it ever was."}}),
        content=_form("token", "token_type_hint", *CLIENT, required=("token",)),
        security=("client", ""),
    ),
    ("/roles", "GET"): operation(
        "roles",
        "The roles of an access token that only names them",
        {
            200: json_answer("The roles as they are now.", named("RolesOfToken")),
            401: challenged("There is no valid access token."),
            503: UNAVAILABLE,
        },
        security=("accessToken",),
    ),
    ("/end_session", "GET"): operation(
        "end-session", "OpenID Connect RP-Initiated Logout", _pages(400, 403), query=LOGOUT
    ),
    ("/end_session", "POST"): operation(
        "end-session-by-post", "The same by POST", _pages(400, 403, 415), content=_form(*LOGOUT)
    ),
    ("/register", "POST"): _registered(
        "RFC 7591: a client registers itself", "register", {201: _INFORMATION}, metadata=True
    ),
    ("/register/{client_id}", "GET"): _registered(
        "RFC 7592: it reads its registration", "read-registration", {200: _INFORMATION}, metadata=False
    ),
    ("/register/{client_id}", "PUT"): _registered(
        "RFC 7592: it changes its registration", "change-registration", {200: _INFORMATION}, metadata=True
    ),
    ("/register/{client_id}", "DELETE"): _registered(
        "RFC 7592: it deletes its registration",
        "delete-registration",
        {204: {"description": "It is gone."}},
        metadata=False,
    ),
    ("/revocations", "GET"): operation(
        "revocations",
        "The revocation feed, as server-sent events or as an answer that waits for news",
        {
            200: {
                "description": "What has been taken back since.",
                "content": {
                    "text/event-stream": {"schema": TEXT},
                    "application/json": {"schema": named("RevocationMessages")},
                },
            },
            400: refused("The place to go on from cannot be read."),
            410: refused("Only a snapshot helps."),
            429: _too_many(),
            503: UNAVAILABLE,
        },
        query=("stream", "after", "guard", "keys"),
        tag="feed",
    ),
    ("/revocations/snapshot", "GET"): operation(
        "revocations-snapshot",
        "All that counts of the revocation feed, signed and packed",
        {
            200: {
                "description": "A snapshot.",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
            304: _KEPT,
            429: _too_many(),
            503: UNAVAILABLE,
        },
        tag="feed",
    ),
}
"""Each endpoint that programs use, by its path and method. A test fails on one that is not here, and is no page."""
