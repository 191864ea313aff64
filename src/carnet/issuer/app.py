"""The issuer as an ASGI application: the desk is opened, the endpoints are listed, every refusal becomes an answer."""

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, compile_path

from carnet.ambient import SYSTEM, Ambient
from carnet.issuer import cors
from carnet.issuer.admin_api.resource import PATH as ADMIN_API
from carnet.issuer.answers import refusal
from carnet.issuer.catalogue import Definitions
from carnet.issuer.client_auth import offered
from carnet.issuer.client_directory import ClientDirectory
from carnet.issuer.client_document import described
from carnet.issuer.client_keys import ClientKeys
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.declared_clients import settle
from carnet.issuer.definitions import check_settings
from carnet.issuer.desk import Desk
from carnet.issuer.egress import Egress
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.endpoints import (
    account,
    account_choice,
    admin,
    admin_api,
    approvals,
    assets,
    authorize,
    backchannel_authentication,
    check_session,
    consent,
    debugger,
    device,
    device_authorization,
    discovery,
    end_session,
    health,
    introspect,
    jwks,
    login,
    openapi,
    par,
    protected_resource,
    register,
    revocations,
    revoke,
    roles,
    second_factor,
    second_proof,
    signal_poll,
    signal_streams,
    status_lists,
    token,
    userinfo,
    welcome,
)
from carnet.issuer.http_security import SecurityMiddleware
from carnet.issuer.keyring import Keyring
from carnet.issuer.literal_paths import LiteralPaths
from carnet.issuer.logout_notices import tell_forever
from carnet.issuer.metadata import describe
from carnet.issuer.pages import Pages
from carnet.issuer.passwords import Passwords
from carnet.issuer.refusals import RefusalError, page
from carnet.issuer.revocation.publisher import Publisher
from carnet.issuer.revocation.signal_pushes import push_forever
from carnet.issuer.revocation.status_lists import StatusLists
from carnet.issuer.revoking import outliving
from carnet.issuer.secret_key import secret_key
from carnet.issuer.storage import open_store
from carnet.issuer.storage.ports import StorageError
from carnet.issuer.upkeep import sweep_forever
from carnet.jose.client_certificates import Authorities
from carnet.jose.errors import InvalidKeyError
from carnet.oauth.errors import OAuthError, ServerError, TemporarilyUnavailableError

ENDPOINTS: tuple[Endpoint, ...] = (
    *discovery.ENDPOINTS,
    *protected_resource.ENDPOINTS,
    *jwks.ENDPOINTS,
    *par.ENDPOINTS,
    *authorize.ENDPOINTS,
    *consent.ENDPOINTS,
    *token.ENDPOINTS,
    *device_authorization.ENDPOINTS,
    *device.ENDPOINTS,
    *backchannel_authentication.ENDPOINTS,
    *approvals.ENDPOINTS,
    *userinfo.ENDPOINTS,
    *introspect.ENDPOINTS,
    *revoke.ENDPOINTS,
    *roles.ENDPOINTS,
    *end_session.ENDPOINTS,
    *check_session.ENDPOINTS,
    *register.ENDPOINTS,
    *revocations.ENDPOINTS,
    *signal_streams.ENDPOINTS,
    *signal_poll.ENDPOINTS,
    *status_lists.ENDPOINTS,
    *login.ENDPOINTS,
    *account_choice.ENDPOINTS,
    *second_proof.ENDPOINTS,
    *welcome.ENDPOINTS,
    *account.ENDPOINTS,
    *second_factor.ENDPOINTS,
    *admin.ENDPOINTS,
    *admin_api.ENDPOINTS,
    *openapi.ENDPOINTS,
    *debugger.ENDPOINTS,
    *assets.ENDPOINTS,
    *health.ENDPOINTS,
)


def served(config: Config) -> tuple[Endpoint, ...]:
    """Those that the settings turn on."""
    return tuple(endpoint for endpoint in ENDPOINTS if endpoint.served(config))


log = logging.getLogger("carnet.issuer")


async def open_desk(config: Config, ambient: Ambient = SYSTEM, *, secret: bytes | None = None) -> Desk:
    """Open the store, bring its schema up to date, and make the first signing key where there is none.

    `secret` is the deployment's secret key; None: the file `secret.key` in the data directory. Whoever opens a desk closes its
    store.

    Raises:
        ConfigError: the settings or the secret key cannot be used.
        StorageError: the database cannot be used.
        SealBrokenError: the signing keys were sealed under another secret key.
    """
    client_authorities = _client_authorities(config)
    check_settings(config)
    secret = secret_key(config.data, ambient) if secret is None else secret
    store = open_store(config, ambient)
    try:
        await store.migrate()
        longest = config.lifetimes.longest_access_token
        config = await outliving(config, store, at=ambient.now())
        keyring = Keyring(config, store, secret, ambient)
        await keyring.begin()
        egress, endpoints = Egress(config), served(config)
        desk = Desk(
            config=config,
            store=store,
            keyring=keyring,
            ambient=ambient,
            passwords=Passwords(ambient),
            pages=Pages(config),
            definitions=Definitions(config, store.definitions, ambient),
            publisher=Publisher(store, keyring, issuer=config.issuer, ambient=ambient),
            status_lists=StatusLists(config, store, keyring, ambient),
            egress=egress,
            client_keys=ClientKeys(egress, ambient),
            directory=ClientDirectory(config, store, egress, ambient, describe=described),
            authentications=offered(config),
            client_authorities=client_authorities,
            secret=secret,
            metadata=describe(config, endpoints),
            endpoints=endpoints,
            longest_access_token=longest,
        )
        await settle(desk)
    except BaseException:
        await store.close()
        raise
    return desk


def create_app(
    config: Config, ambient: Ambient = SYSTEM, *, secret: bytes | None = None, drain: int | None = None
) -> Starlette:
    """The application. Its desk is opened when it starts (raising as `open_desk`) and stands in `app.state.desk`.

    `drain` is a signal upon which streams that would never end by themselves are ended: a server sends it before it stops.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        desk = await open_desk(config, ambient, secret=secret)
        app.state.desk = desk
        if drain is not None:
            asyncio.get_running_loop().add_signal_handler(drain, desk.publisher.channel.close)
        work = [
            asyncio.create_task(desk.publisher.run()),
            asyncio.create_task(sweep_forever(desk.store, config, ambient)),
            asyncio.create_task(tell_forever(desk)),
            asyncio.create_task(push_forever(desk)),
        ]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            desk.passwords.close()
            await desk.store.close()

    routes = _routes(config, served(config))
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityMiddleware, config=config, aliased=_aliased(config)),
            Middleware(LiteralPaths, routes=routes),
        ],
        exception_handlers={404: _nowhere, 405: _nowhere, Exception: _broken},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # RFC 9700 section 4.12: by 307, which has secrets sent again
    return app


def _aliased(config: Config) -> tuple[re.Pattern[str], ...]:
    """RFC 8705 section 5: what is there for clients with certificates: its paths, as the router finds them."""
    prefix = urlsplit(config.issuer).path
    return tuple(compile_path(path)[0] for path in {prefix + each.path for each in served(config) if each.mtls})


def _client_authorities(config: Config) -> Authorities | None:
    if config.tls_client_ca is None:
        return None
    try:
        return Authorities(config.tls_client_ca.read_bytes())
    except (OSError, InvalidKeyError) as error:
        raise ConfigError(f"{config.tls_client_ca} cannot be used: {error}") from None


def _routes(config: Config, endpoints: Iterable[Endpoint]) -> list[Route]:
    """One for each path, under the path of the issuer's URL."""
    by_path: dict[str, list[Endpoint]] = defaultdict(list)
    prefix = urlsplit(config.issuer).path
    for endpoint in endpoints:
        for path in _paths(endpoint.path, prefix):
            by_path[path].append(endpoint)
    return [
        Route(path, _answer(sharing), methods=[*_methods(sharing), *(["OPTIONS"] if _readable(sharing) else [])])
        for path, sharing in by_path.items()
    ]


def _paths(path: str, prefix: str) -> tuple[str, ...]:
    """RFC 8414 section 3.1 inserts the well-known part before the issuer's path, OpenID Connect appends it: both are served.

    Whoever watches the process asks for its health at the root, whatever the issuer's URL is.
    """
    if not prefix or path.startswith("/health/"):
        return (path,)
    return (prefix + path, path + prefix) if path.startswith("/.well-known/") else (prefix + path,)


def _methods(sharing: Iterable[Endpoint]) -> tuple[str, ...]:
    return tuple(method for endpoint in sharing for method in endpoint.methods)


def _readable(sharing: Iterable[Endpoint]) -> bool:
    """Whether scripts of other origins may read any of the answers."""
    return any(endpoint.cors != "never" for endpoint in sharing)


def _answer(sharing: list[Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    """Choose by the method, and turn what the protocol refuses into the RFC's answer."""
    by_method = {method: endpoint for endpoint in sharing for method in endpoint.methods}

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return cors.preflight(request, _methods(sharing))
        endpoint = by_method["GET" if request.method == "HEAD" else request.method]
        desk: Desk = request.app.state.desk
        try:
            response = await endpoint.answer(request, desk)
        except (OAuthError, StorageError) as error:
            response = await _declined(error, endpoint.path, request, desk)
        cors.allow(request, response, endpoint.cors)
        return response

    return answer


async def _declined(error: OAuthError | StorageError, path: str, request: Request, desk: Desk) -> Response:
    if isinstance(error, OAuthError):
        log.info("%s is refused: %s", path, error)
        return refusal(error, desk.config)
    log.error("%s: the database did not answer: %s", path, error)
    return await _unavailable(request, desk)


def _for_people(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


async def _unavailable(request: Request, desk: Desk) -> Response:
    if _for_people(request):
        return await _unavailable_page(request, desk)
    return refusal(
        TemporarilyUnavailableError("The issuer cannot do its work now; try again in a moment."), desk.config
    )


@page
async def _unavailable_page(_request: Request, _desk: Desk) -> Response:
    raise RefusalError(503, "unavailable", retry_after=5)


async def _nowhere(request: Request, error: Exception) -> Response:
    """What the router does not know: people get a page from which they find on, and programs what the admin API says."""
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (404, None)
    desk: Desk = request.app.state.desk
    path = request.scope["path"].removeprefix(urlsplit(desk.config.issuer).path)
    if path == ADMIN_API or path.startswith(f"{ADMIN_API}/"):
        allow = ", ".join(sorted((headers or {})["Allow"].split(", "))) if status == 405 else None
        try:
            return await admin_api.nowhere(request, desk, allow=allow)
        except (OAuthError, StorageError) as refused:
            return await _declined(refused, ADMIN_API, request, desk)
    if _for_people(request):
        response = await _lost_page(request, desk)
        response.status_code = status
        response.headers.update(headers or {})
        return response
    return PlainTextResponse("Not Found" if status == 404 else "Method Not Allowed", status, headers)


@page
async def _lost_page(_request: Request, _desk: Desk) -> Response:
    raise RefusalError(404, "nowhere")


async def _broken(request: Request, _error: Exception) -> Response:
    """Whatever nobody thought of: the log has it, the answer does not say it."""
    desk: Desk = request.app.state.desk
    return refusal(ServerError("Something went wrong here; it has been noted."), desk.config)
