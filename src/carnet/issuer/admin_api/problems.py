"""RFC 9457: what the admin API answers when it does not do what it was asked to."""

from typing import ClassVar

from msgspec import Struct

MEDIA_TYPE = "application/problem+json"


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """Section 3.1."""

    type: str
    """`urn:carnet:problem:` and a stable word."""
    title: str
    status: int
    detail: str
    """A sentence that says what to do."""


class Problem(Exception):  # noqa: N818 - the specification's word
    """A request that is refused."""

    word: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def details(self) -> ProblemDetails:
        return ProblemDetails(
            type=f"urn:carnet:problem:{self.word}", title=self.title, status=self.status, detail=self.detail
        )


class Malformed(Problem):
    """RFC 9110 section 15.5.1: neither the query nor the body can be read."""

    word, title, status = "malformed", "The request cannot be read.", 400


class NotFound(Problem):
    """RFC 9110 section 15.5.5."""

    word, title, status = "not-found", "There is no such thing.", 404


class MethodNotAllowed(Problem):
    """RFC 9110 section 15.5.6; the header Allow says which are."""

    word, title, status = "method-not-allowed", "There is no such operation.", 405


class Conflict(Problem):
    """RFC 9110 section 15.5.10."""

    word, title, status = "conflict", "It cannot be done as things are.", 409


class Stale(Problem):
    """RFC 9110 section 13.1.1, If-Match."""

    word, title, status = "stale", "It was changed since it was read.", 412


class UnsupportedMediaType(Problem):
    """RFC 9110 section 15.5.16."""

    word, title, status = "unsupported-media-type", "The body is of another media type.", 415


class Invalid(Problem):
    """RFC 9110 section 15.5.21: it can be read, and what it says cannot be accepted."""

    word, title, status = "invalid", "It cannot be accepted.", 422


class PreconditionRequired(Problem):
    """RFC 6585 section 3: nothing is changed by somebody who has not seen it as it is."""

    word, title, status = "precondition-required", "The request has no If-Match.", 428


class Busy(Problem):
    """RFC 9110 section 15.6.4."""

    word, title, status = "busy", "It cannot be done now.", 503
