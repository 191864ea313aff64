"""RFC 6750 for Django: a decorator for views, with and without `async`.

guard = Guard(issuer="https://id.example", audience="orders")

@guard.require(role="ADMIN")
def orders(request):
    principal = guard.principal(request)
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias, Unpack

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.urls import URLPattern, path  # type: ignore[import-untyped]

from carnet.guard import wsgi
from carnet.guard.challenge import answer
from carnet.guard.principal import Principal
from carnet.guard.refusal import RefusedRequestError
from carnet.guard.requirement import Asked, Requirement, require
from carnet.guard.resource import HEADERS

View: TypeAlias = Callable[..., Any]
"""A function that takes a request first; for a class, decorate with `method_decorator(guard.require(…), name="dispatch")`."""


class Guard(wsgi.Guard):
    """Guards the views of a Django project."""

    def require(self, **asked: Unpack[Asked]) -> Callable[[View], View]:
        """Decorate a view with what it asks for; see `carnet.guard.require`. With nothing: a valid token."""
        requirement = require(**asked)

        def decorate(view: View) -> View:
            if iscoroutinefunction(view):
                admit = sync_to_async(self.admit)

                @wraps(view)
                async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                    try:
                        await admit(request.META, requirement)
                    except RefusedRequestError as error:
                        return _refuse(error)
                    return self._holding(await view(request, *args, **kwargs), request, requirement)

                return guarded

            @wraps(view)
            def guarded_blocking(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                try:
                    self.admit(request.META, requirement)
                except RefusedRequestError as error:
                    return _refuse(error)
                return self._holding(view(request, *args, **kwargs), request, requirement)

            return guarded_blocking

        return decorate

    def _holding(self, response: Any, request: HttpRequest, requirement: Requirement) -> Any:
        """A streaming response is held, unless only an asyncio server can read it: there, use `carnet.guard.asgi` around it."""
        if getattr(response, "streaming", False) and not response.is_async:
            response.streaming_content = self.held(response.streaming_content, request.META, requirement)
        return response

    def published(self) -> URLPattern:
        """RFC 9728: the entry of `urlpatterns` at the root that publishes what the setting `resource` says.

        Raises:
            LookupError: the guard has no such setting.
        """
        published = self.checkpoint.published
        if published is None:
            raise LookupError("The guard publishes nothing: give it the setting resource.")

        def publish(_: HttpRequest) -> HttpResponse:
            return HttpResponse(published.document, headers=dict(HEADERS))

        return path(published.path.removeprefix("/"), publish)

    def principal(self, request: HttpRequest) -> Principal:
        """Whom an admitted request speaks for; raises LookupError where the view has no requirement."""
        return wsgi.principal_in(request.META)


def _refuse(error: RefusedRequestError) -> HttpResponse:
    refusal = answer(error.refused)
    return HttpResponse(refusal.body, status=refusal.status, headers=dict(refusal.headers))
