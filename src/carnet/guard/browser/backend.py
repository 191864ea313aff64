"""Browser-based apps BCP section 6.1: a back end that signs in for a front end and keeps its tokens from the browser."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import httpx2
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.browser import answers
from carnet.guard.browser.cookies import CookieTooLargeError, Jar, SameSite
from carnet.guard.browser.exchange import Exchange, ExchangeMiddleware, exchange_of
from carnet.guard.browser.forgery import FIELD, HEADER, SAFE_METHODS, ForgedError, TokenMint, foreign
from carnet.guard.browser.proxy import METHODS, Upstream, UpstreamError, dropped, forward, refuses_token
from carnet.guard.browser.renewal import Current, Renewal, SessionEndedError
from carnet.guard.browser.session import SealedSessions, Session, SessionStore
from carnet.guard.browser.sign_in import ATTEMPT_SECONDS, SignIn, SignInError, attempt_name
from carnet.guard.canonical_path import NotCanonicalError, below, canonical_path
from carnet.guard.issuer_client import IssuerClient, IssuerUnavailableError
from carnet.guard.metadata import MetadataError, trusted_url
from carnet.guard.proving import Prover
from carnet.jose import SigningKey
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.parameters import parse

_log = logging.getLogger("carnet.guard.browser")

_HERE = Path(__file__).parent
_MAX_ATTEMPTS = 5
_MAX_FORM = 64 * 1024
_UPSTREAM_TIMEOUT = httpx2.Timeout(30.0, connect=5.0)


class BrowserBackend:
    """The confidential client of a front end: signs in and out, keeps sessions, and passes requests on with access tokens.

    backend = BrowserBackend(issuer=…, client_id=…, client_secret=…, secret=…, url="https://shop.example",
                             upstreams={"/api/orders": "http://orders.internal/orders"})
    app = Starlette(routes=[*backend.routes, …], middleware=backend.middleware, lifespan=backend.lifespan)
    """

    def __init__(  # noqa: PLR0913 - a deployment's settings, each named where it is given
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        secret: bytes,
        url: str,
        scope: str = "openid profile email",
        path: str = "/auth",
        upstreams: Mapping[str, str] | None = None,
        allowed_origins: tuple[str, ...] = (),
        problem_path: str = "/",
        same_site: SameSite = "lax",
        cookie: str = "carnet_backend",
        cookie_max_age: int | None = None,
        body_limit: int = 10 * 1024 * 1024,
        sessions: SessionStore | None = None,
        dpop: SigningKey | None = None,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
        upstream_transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """State how the front end is reached and whom it may talk to.

        Args:
            issuer: as its metadata has it.
            client_id: of a confidential client whose redirect URI is `url` + `path` + `/callback`.
            client_secret: its secret.
            secret: at least 32 random bytes that seal cookies; the same for all processes of this back end.
            url: the origin that browsers reach it by, https except on this very machine.
            scope: what is asked for, space-delimited; `openid` belongs to it.
            path: where the back end's own routes are.
            upstreams: prefixes of paths, and the base URL that takes a prefix's place.
            allowed_origins: origins of other pages that may use it with credentials (CORS); none by default.
            problem_path: where a sign-in that failed leads, with `?error=` and a code; do not begin another one there unasked.
            same_site: `lax`, or `strict` for a front end whose pages are the same for everybody.
            cookie: the cookie's name, without the prefix.
            cookie_max_age: seconds that the browser keeps it; None: until it is closed.
            body_limit: bytes of a request that is passed on.
            sessions: where sessions are kept; None: sealed in the cookie.
            dpop: a key that access tokens are bound to (RFC 9449), the same for all processes; the upstreams' guards check its
                proofs, and know them by the upstreams' URLs (their setting `origin`). None: bearer tokens.
            ambient: clock and randomness.
            transport: in the place of the network to the issuer, for tests.
            upstream_transport: the same to the upstreams.

        Raises:
            MetadataError: a URL is not of the form that it needs.
            ValueError: the secret is too short.
        """
        own = trusted_url(url)
        if own.path not in {"", "/"} or own.query or own.fragment:
            raise MetadataError(f"The URL {url!r} of the front end is more than an origin: leave its path out.")
        self._origin = f"{own.scheme}://{own.netloc}"
        self._path = path.rstrip("/")
        self._problem_path = problem_path
        self._allowed = frozenset(allowed_origins)
        self._upstreams = sorted(
            (Upstream(prefix, base) for prefix, base in (upstreams or {}).items()),
            key=lambda upstream: len(upstream.prefix),
            reverse=True,
        )
        self._jar = Jar(cookie, secure=own.scheme == "https", same_site=same_site, max_age=cookie_max_age)
        self._body_limit = body_limit
        self._mint = TokenMint(secret)
        self._sessions = sessions or SealedSessions(secret, ambient=ambient)
        self._client = IssuerClient(
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret,
            ambient=ambient,
            transport=transport,
            prover=None if dpop is None else Prover(dpop, ambient=ambient),
        )
        self._sign_in = SignIn(
            self._client,
            redirect_uri=f"{self._origin}{self._path}/callback",
            scope=scope,
            secret=secret,
            ambient=ambient,
        )
        self._renewal = Renewal(self._sign_in.renew, self._sessions, ambient=ambient)
        self._upstream_transport = upstream_transport
        self._proxy: httpx2.AsyncClient | None = None
        self.middleware = [Middleware(ExchangeMiddleware)]
        """What the application needs so that sessions are found and kept fresh."""

    @property
    def routes(self) -> list[BaseRoute]:
        """The back end's own routes, and one for each upstream."""
        shared = (
            [
                Middleware(
                    CORSMiddleware,
                    allow_origins=sorted(self._allowed),
                    allow_credentials=True,
                    allow_methods=METHODS,
                    allow_headers=[HEADER, "content-type"],
                )
            ]
            if self._allowed
            else []
        )
        path = self._path
        return [
            Route(f"{path}/login", self._login, methods=["GET"]),
            Route(f"{path}/callback", self._callback, methods=["GET"]),
            Route(f"{path}/logout", self._logout, methods=["POST"], middleware=shared),
            Route(f"{path}/session", self._show_session, methods=["GET"], middleware=shared),
            Route(f"{path}/carnet.js", _file("carnet.js", "text/javascript"), methods=["GET"]),
            Route(f"{path}/carnet.d.ts", _file("carnet.d.ts", "text/plain"), methods=["GET"]),
            *(
                Route(f"{upstream.prefix}{{rest:path}}", _Endpoint(self._pass_on), middleware=shared)
                for upstream in self._upstreams
            ),
        ]

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Keep the issuer's keys fresh and connections to upstreams open, for as long as the application runs."""
        self._client.source.start()
        client = httpx2.AsyncClient(
            transport=self._upstream_transport, timeout=_UPSTREAM_TIMEOUT, follow_redirects=False, trust_env=False
        )
        async with client:
            self._proxy = client
            try:
                yield
            finally:
                self._proxy = None
                await self._client.source.stop()

    async def session(self, connection: HTTPConnection) -> Session | None:
        """The browser's session with an access token that is good for some time; None if it is not signed in.

        Raises:
            IssuerUnavailableError: the access token has expired and the issuer does not answer: 503, and the session stays.
        """
        exchange = exchange_of(connection)
        if not exchange.looked:
            await self._look(exchange)
            exchange.looked = True
        return None if exchange.current is None else exchange.current.session

    async def renewed(self, connection: HTTPConnection, *, refused: str) -> Session | None:
        """The session with another access token than the one that a service has just refused with 401.

        A service that follows the revocation feed knows before the back end does that a session was ended: then there is no
        other token, and the answer is None. Ask once; a service that refuses the new token too has another reason.

        Raises:
            IssuerUnavailableError: the issuer does not answer: 503, and the session stays.
        """
        if await self.session(connection) is None:
            return None
        await self._look(exchange_of(connection), refused=refused)
        return await self.session(connection)

    def csrf_token(self, session: Session) -> str:
        """What the front end's pages send back as the header X-Carnet-CSRF or the form's field `csrf`."""
        return self._mint.token(session.id)

    async def refuse_forged(self, request: Request) -> None:
        """For your own routes: refuse a request that may not come from the front end's own pages.

        A method that changes something needs the session's CSRF token, in the header or in the form's field.

        Raises:
            ForgedError: answer it with 403.
        """
        reason = foreign(request.method, request.headers, own=self._origin, allowed=self._allowed)
        if reason is not None:
            raise ForgedError(reason)
        if request.method in SAFE_METHODS:
            return
        session = await self.session(request)
        if session is None:
            return  # without a session there is nothing that could be abused
        token = request.headers.get(HEADER) or await _field(request)
        if not self._mint.genuine(token, session.id):
            raise ForgedError("The CSRF token is missing or of another session.")

    async def _look(self, exchange: Exchange, *, refused: str | None = None) -> None:
        held, exchange.current = exchange.current, None
        if held is None:
            value = self._jar.read(exchange.cookies)
            stored = None if value is None else await self._sessions.load(value)
            if value is None or stored is None:
                exchange.to_set += self._jar.clear(exchange.cookies)
                return
            held = Current(stored, value)
        try:
            current = await self._renewal.current(held, refused=refused)
            if current is not held:
                exchange.to_set += self._jar.write(current.value, present=exchange.cookies)
        except (SessionEndedError, CookieTooLargeError) as error:
            _log.info("A session ended: %s", error)
            exchange.ended = True
            exchange.to_set += self._jar.clear(exchange.cookies)
            await self._sessions.forget(held.value)
            return
        exchange.current = current

    async def _login(self, request: Request) -> Response:
        try:
            attempt, location = await self._sign_in.begin(parse(request.scope["query_string"]))
        except (InvalidRequestError, IssuerUnavailableError) as error:
            return self._sign_in_failed(error)
        exchange = exchange_of(request)
        jar = self._attempt_jar(attempt.state)
        begun = [name for name in exchange.cookies if "carnet_sign_in_" in name]
        if len(begun) >= _MAX_ATTEMPTS:  # what was never finished goes, before the headers grow too long
            for name in begun:
                exchange.to_set += Jar(_bare(name), self._jar.secure, "lax").clear(exchange.cookies)
        exchange.to_set += jar.write(self._sign_in.seal(attempt), present=exchange.cookies)
        return answers.redirect(location)

    async def _callback(self, request: Request) -> Response:
        exchange = exchange_of(request)
        try:
            response = parse(request.scope["query_string"])
            jar = self._attempt_jar(response.get("state") or "")
            attempt = self._sign_in.open(
                response, {attempt_name(response.get("state") or ""): jar.read(exchange.cookies) or ""}
            )
            exchange.to_set += jar.clear(exchange.cookies)
            session = await self._sign_in.finish(attempt, response)
            value = await self._sessions.save(session, replacing=self._jar.read(exchange.cookies))
            exchange.to_set += self._jar.write(value, present=exchange.cookies)
        except (InvalidRequestError, IssuerUnavailableError, SignInError, CookieTooLargeError) as error:
            return self._sign_in_failed(error)
        return answers.redirect(attempt.return_to)

    def _sign_in_failed(self, error: Exception) -> Response:
        """A sign-in is a navigation: the front end's own page says what went wrong."""
        match error:
            case SignInError():
                code = error.error
            case InvalidRequestError():
                code = error.code
            case IssuerUnavailableError():
                code = "temporarily_unavailable"
            case _:
                code = "server_error"
        _log.warning("A sign-in failed: %s: %s", code, error)
        return answers.redirect(f"{self._problem_path}?{urlencode({'error': code})}")

    async def _logout(self, request: Request) -> Response:
        try:
            await self.refuse_forged(request)
            session = await self.session(request)
        except ForgedError as error:
            return answers.forged(error)
        except IssuerUnavailableError:
            session = None
        exchange = exchange_of(request)
        exchange.to_set = self._jar.clear(exchange.cookies)
        location = "/"
        if session is not None and exchange.current is not None:
            self._renewal.end(session.id)
            await self._sessions.forget(exchange.current.value)
            with suppress(IssuerUnavailableError):
                if session.refresh_token is not None:
                    await self._client.revoke(session.refresh_token)
        with suppress(IssuerUnavailableError):
            location = await self._end_session_url(session)
        return answers.document({"location": location}) if HEADER in request.headers else answers.redirect(location)

    async def _end_session_url(self, session: Session | None) -> str:
        """RP-Initiated Logout section 2; without `id_token_hint`, as no token belongs into a URL."""
        endpoint = (await self._client.metadata()).end_session_endpoint
        if endpoint is None:
            return "/"
        parameters = {"client_id": self._client.client_id, "post_logout_redirect_uri": f"{self._origin}/"}
        if session is not None and session.sid is not None:
            parameters["logout_hint"] = session.sid
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    async def _show_session(self, request: Request) -> Response:
        reason = foreign("GET", request.headers, own=self._origin, allowed=self._allowed)
        if reason is not None:
            return answers.forged(ForgedError(reason))
        try:
            session = await self.session(request)
        except IssuerUnavailableError as error:
            return answers.unavailable(error)
        if session is None:
            return answers.document({"signed_in": False, "ended": exchange_of(request).ended})
        return answers.document(
            {
                "signed_in": True,
                "subject": session.subject,
                "claims": session.claims,
                "signed_in_at": session.signed_in_at,
                "renews_at": session.renews_at,
                "expires_at": session.expires_at,
                "csrf": self.csrf_token(session),
            }
        )

    async def _pass_on(self, request: Request) -> Response:
        if self._proxy is None:
            raise RuntimeError("Give the application the back end's lifespan: Starlette(lifespan=backend.lifespan).")
        if request.method not in METHODS:
            return Response(status_code=405, headers={"allow": ", ".join(METHODS)})
        try:
            path = canonical_path(request.scope["raw_path"])  # the server's; a decoded path no longer shows its escapes
        except NotCanonicalError as error:
            return answers.problem(400, "invalid_path", str(error))
        upstream = next((one for one in self._upstreams if below(path, one.prefix) is not None), None)
        if upstream is None:
            return answers.problem(404, "not_found", "There is nothing here.")
        try:
            await self.refuse_forged(request)
            session = await self.session(request)
            if session is None:
                return answers.signed_out(ended=exchange_of(request).ended)
            passing = partial(
                forward,
                self._proxy,
                request,
                upstream,
                path=path,
                body_limit=self._body_limit,
                prover=self._client.prover,
            )
            response = await passing(access_token=session.access_token)
            if not refuses_token(response):
                return response
            renewed = await self.renewed(request, refused=session.access_token)
            if renewed is None:
                await dropped(response)
                return answers.signed_out(ended=True)
            if request.method not in SAFE_METHODS or renewed.access_token == session.access_token:
                return response  # a body is gone once it was passed on: the front end may ask again
            await dropped(response)
            return await passing(access_token=renewed.access_token)
        except ForgedError as error:
            return answers.forged(error)
        except IssuerUnavailableError as error:
            return answers.unavailable(error)
        except UpstreamError as error:
            return answers.upstream_failed(error)

    def _attempt_jar(self, state: str) -> Jar:
        """Lax, as the browser comes back from another site; for the time of a sign-in."""
        return Jar(attempt_name(state), self._jar.secure, "lax", ATTEMPT_SECONDS)


class _Endpoint:
    """An endpoint as an ASGI application, which Starlette's router asks whatever the method is."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._endpoint(Request(scope, receive))
        await response(scope, receive, send)


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    body = (_HERE / name).read_bytes()

    async def endpoint(_: Request) -> Response:
        headers = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}
        return Response(body, media_type=media_type, headers=headers)

    return endpoint


async def _field(request: Request) -> str | None:
    """The CSRF token in a form. The body stays readable for whoever comes after."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > _MAX_FORM:
        return None
    try:
        return parse(await request.body()).get(FIELD)
    except InvalidRequestError:
        return None


def _bare(name: str) -> str:
    return name.removeprefix("__Host-")
