"""What a page refuses: one exception, and the error page that it becomes."""

from functools import wraps

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Answer
from carnet.issuer.passwords import PasswordsBusyError


class RefusalError(Exception):
    """A request that gets an error page.

    `key` names the sentences in the message catalogue: `error.<key>.title` and `error.<key>.message`.
    """

    def __init__(self, status: int, key: str, *, why: str = "", retry_after: int | None = None) -> None:
        """`why` is for the log alone; `retry_after` is in seconds."""
        super().__init__(why or key)
        self.status = status
        self.key = key
        self.retry_after = retry_after


class SeeOtherError(Exception):
    """Something is to be done at another page of ours first: the answer is a redirect by 303 (RFC 9700 section 4.12)."""

    def __init__(self, url: str) -> None:
        super().__init__("see other")
        self.url = url


def page(answer: Answer) -> Answer:
    """Decorate the function of an endpoint that is made for people: what it refuses becomes an error page."""

    @wraps(answer)
    async def refusing(request: Request, desk: Desk) -> Response:
        try:
            return await answer(request, desk)
        except RefusalError as error:
            return _error_page(request, desk, error)
        except SeeOtherError as error:
            return RedirectResponse(error.url, 303)
        except PasswordsBusyError:
            return _error_page(request, desk, RefusalError(503, "busy", retry_after=5))

    return refusing


def _error_page(request: Request, desk: Desk, error: RefusalError) -> Response:
    text = desk.pages.text(request)
    response = desk.pages.render(
        request,
        "error",
        status=error.status,
        title=text(f"error.{error.key}.title"),
        message=text(f"error.{error.key}.message"),
        code=error.key,
    )
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
