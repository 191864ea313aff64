"""OpenAPI 3.1: streams of security events (OpenID Shared Signals Framework, RFC 8936) and token status lists."""

from collections.abc import Mapping
from typing import Any

from carnet.issuer.openapi.parts import TEXT, UNAVAILABLE, Schema, body, challenged, json_answer, named, plain, refused
from carnet.issuer.openapi.protocol import operation
from carnet.oauth.security_events import METHODS

_URIS: Schema = {"type": "array", "items": TEXT}
_OBJECT: Schema = {"type": "object"}
_STATUS: Schema = {"enum": ["enabled", "paused", "disabled"]}

SIGNAL_SCHEMAS: dict[str, Any] = {
    "Transmitter": {
        "type": "object",
        "description": "OpenID Shared Signals Framework section 7.1.",
        "required": ["issuer", "jwks_uri", "configuration_endpoint", "delivery_methods_supported"],
    },
    "SignalStream": {
        "type": "object",
        "description": "OpenID Shared Signals Framework section 8.1.1.",
        "required": ["stream_id", "iss", "aud", "events_delivered", "delivery"],
        "properties": {
            "stream_id": TEXT,
            "iss": TEXT,
            "aud": TEXT,
            "events_supported": _URIS,
            "events_requested": _URIS,
            "events_delivered": _URIS,
            "delivery": {
                "type": "object",
                "required": ["method", "endpoint_url"],
                "additionalProperties": False,
                "properties": {"method": {"enum": list(METHODS)}, "endpoint_url": TEXT},
            },
            "min_verification_interval": {"type": "integer"},
            "description": TEXT,
        },
    },
    "SignalStatus": {
        "type": "object",
        "description": "OpenID Shared Signals Framework section 8.1.2.",
        "required": ["stream_id", "status"],
        "properties": {"stream_id": TEXT, "status": _STATUS, "reason": TEXT},
    },
    "SecurityEvents": {
        "type": "object",
        "description": "RFC 8936 section 2.3.",
        "required": ["sets"],
        "additionalProperties": False,
        "properties": {
            "sets": {"type": "object", "additionalProperties": TEXT},
            "moreAvailable": {"type": "boolean"},
        },
    },
    "StatusLists": {
        "type": "object",
        "description": "Token Status List section 9.3.",
        "required": ["status_lists"],
        "properties": {"status_lists": _URIS},
    },
}


def _by_receiver(
    name: str,
    summary: str,
    good: Mapping[int, Any],
    *,
    names: Mapping[str, Schema] | None = None,
    required: tuple[str, ...] = (),
    query: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What a client with the scope value `ssf.manage`, or `ssf.read` for what only reads, is told."""
    answers = {
        400: refused("The request cannot be read, or is not one that can be met."),
        401: challenged("There is no valid access token."),
        403: refused("The access token does not suffice.", challenged=True),
        404: refused("This client has no such stream."),
        409: refused("The client has its streams already, or somebody else has changed this one."),
        413: plain("The request is too large."),
        429: refused("It was asked for a moment ago."),
        503: UNAVAILABLE,
        **good,
    }
    content = None
    if names is not None:
        schema = {"type": "object", "properties": dict(names)} | ({"required": list(required)} if required else {})
        content = body("application/json", schema)
    return operation(name, summary, answers, query=query, security=("accessToken",), content=content, tag="signals")


_STREAM = json_answer("The stream.", named("SignalStream"))
_STREAMS = json_answer(
    "It, or all.", {"oneOf": [named("SignalStream"), {"type": "array", "items": named("SignalStream")}]}
)
_STANDING = json_answer("Its status.", named("SignalStatus"))
_GONE = {"description": "It is done."}
_WISHES: Mapping[str, Schema] = {
    "delivery": {"type": "object", "required": ["method"]},
    "events_requested": _URIS,
    "description": TEXT,
}
_NAMED = {"stream_id": TEXT}
_ABOUT = {**_NAMED, "subject": {"type": "object", "required": ["format"]}}
_PATH = {"name": "stream_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}

SIGNALS: dict[tuple[str, str], dict[str, Any]] = {
    ("/.well-known/ssf-configuration", "GET"): operation(
        "transmitter",
        "OpenID Shared Signals Framework: where security events come from",
        {200: json_answer("The transmitter's metadata.", named("Transmitter")), 503: UNAVAILABLE},
        tag="facts",
    ),
    ("/ssf/streams", "POST"): _by_receiver("create-stream", "A receiver makes a stream", {201: _STREAM}, names=_WISHES),
    ("/ssf/streams", "GET"): _by_receiver(
        "read-stream", "It reads a stream, or all that it has", {200: _STREAMS}, query=("stream_id",)
    ),
    ("/ssf/streams", "PATCH"): _by_receiver(
        "change-stream", "It changes some of it", {200: _STREAM}, names={**_NAMED, **_WISHES}, required=("stream_id",)
    ),
    ("/ssf/streams", "PUT"): _by_receiver(
        "replace-stream", "It changes all of it", {200: _STREAM}, names={**_NAMED, **_WISHES}, required=("stream_id",)
    ),
    ("/ssf/streams", "DELETE"): _by_receiver("delete-stream", "It deletes it", {204: _GONE}, query=("stream_id",)),
    ("/ssf/status", "GET"): _by_receiver("read-status", "Its status", {200: _STANDING}, query=("stream_id",)),
    ("/ssf/status", "POST"): _by_receiver(
        "change-status",
        "It is enabled, paused or disabled",
        {200: _STANDING},
        names={**_NAMED, "status": _STATUS, "reason": TEXT},
        required=("stream_id", "status"),
    ),
    ("/ssf/subjects/add", "POST"): _by_receiver(
        "add-subject", "Somebody is told of again", {200: _GONE}, names=_ABOUT, required=("stream_id", "subject")
    ),
    ("/ssf/subjects/remove", "POST"): _by_receiver(
        "remove-subject", "Somebody is told of no more", {204: _GONE}, names=_ABOUT, required=("stream_id", "subject")
    ),
    ("/ssf/verification", "POST"): _by_receiver(
        "verify-stream",
        "An event is sent to see that it arrives",
        {204: _GONE},
        names={**_NAMED, "state": TEXT},
        required=("stream_id",),
    ),
    ("/ssf/poll/{stream_id}", "POST"): {
        **_by_receiver(
            "poll",
            "RFC 8936: the next events, and which ones have arrived",
            {200: json_answer("Security event tokens by their jti.", named("SecurityEvents"))},
            names={
                "maxEvents": {"type": "integer", "minimum": 0},
                "returnImmediately": {"type": "boolean"},
                "ack": _URIS,
                "setErrs": {"type": "object", "additionalProperties": _OBJECT},
            },
        ),
        "parameters": [_PATH],
    },
    ("/status-lists", "GET"): operation(
        "status-lists",
        "Token Status List: which lists there are",
        {200: json_answer("Their URIs.", named("StatusLists")), 503: UNAVAILABLE},
        tag="facts",
    ),
    ("/status-lists/{list_id}", "GET"): {
        **operation(
            "status-list",
            "Token Status List: which of the tokens in a list were taken back",
            {
                200: {
                    "description": "The list, signed.",
                    "content": {"application/statuslist+jwt": {"schema": {"type": "string", "description": "A JWT."}}},
                },
                404: {"description": "There is no such list any more."},
                501: {"description": "What was so at another time is not said."},
                503: UNAVAILABLE,
            },
            tag="facts",
        ),
        "parameters": [{**_PATH, "name": "list_id"}],
    },
}
"""As `PROTOCOL`."""
