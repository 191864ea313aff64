"""RFC 6749 section 2.3, OAuth 2.1 section 2.4: the client authentications, one file for each, and how one of them is applied."""

from starlette.requests import Request

from carnet.issuer import cors
from carnet.issuer.client_auth.client_secret_basic import ClientSecretBasic
from carnet.issuer.client_auth.client_secret_jwt import ClientSecretJwt
from carnet.issuer.client_auth.client_secret_post import ClientSecretPost
from carnet.issuer.client_auth.method import ClientAuthentication, Presented, UnprovedError
from carnet.issuer.client_auth.none import CREDENTIALS, Public, bare_client_id
from carnet.issuer.client_auth.private_key_jwt import PrivateKeyJwt
from carnet.issuer.client_auth.self_signed_tls_client_auth import SelfSignedTlsClientAuth
from carnet.issuer.client_auth.tls_client_auth import TlsClientAuth
from carnet.issuer.client_certificate import client_certificate
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.http_security import asking_block
from carnet.issuer.storage.records import Client
from carnet.oauth.errors import InvalidClientError, InvalidRequestError, TooManyFailuresError
from carnet.oauth.parameters import Parameters

__all__ = ["CLIENT_AUTHENTICATIONS", "CREDENTIALS", "FAILURES_PER_MINUTE", "authenticate", "offered"]

CLIENT_AUTHENTICATIONS: tuple[ClientAuthentication, ...] = (
    ClientSecretBasic(),
    ClientSecretPost(),
    ClientSecretJwt(),
    PrivateKeyJwt(),
    TlsClientAuth(),
    SelfSignedTlsClientAuth(),
    Public(),
)

FAILURES_PER_MINUTE = 30
"""From one address for one client. A right secret is let in even then: it has 256 bits, and guessing must shut nobody out."""


def offered(config: Config) -> tuple[ClientAuthentication, ...]:
    """Those that the settings make work."""
    return tuple(authentication for authentication in CLIENT_AUTHENTICATIONS if authentication.offered(config))


async def authenticate(request: Request, parameters: Parameters, desk: Desk) -> Client:
    """Find the client of a request and have it prove that it is the one.

    Raises:
        InvalidRequestError: it uses more than one method (RFC 6749 section 2.3), names two clients, or has no readable
            certificate where a proxy passes one.
        InvalidClientError: it is not known, uses a method that is not for it, or does not prove itself.
        TooManyFailuresError: this has failed too often.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise InvalidRequestError("The request has more than one Authorization header.")
    certificate = client_certificate(request, desk.config)
    presented = Presented(headers[0] if headers else None, parameters, certificate)
    used = [(method, named) for method in desk.authentications if (named := method.claims(presented)) is not None]
    if len(used) > 1 and bare_client_id(presented) is None:
        raise InvalidRequestError("The client authenticates in more than one way (RFC 6749 section 2.3).")
    if not used:
        raise InvalidClientError("The client does not say who it is.")
    client_id = used[0][1]
    if parameters.get("client_id") not in {None, client_id}:
        raise InvalidRequestError("The request names two clients.")
    client = await desk.directory.find(client_id, lenient=True)
    cors.speaks_for(request, client)
    if client is None:
        raise await _failure(request, "", desk, why=f"unknown: {client_id!r}")
    method = next((method for method, _ in used if client.token_endpoint_auth_method in method.serves), None)
    if method is None:
        raise await _failure(request, client_id, desk, why=f"it uses {' or '.join(each.method for each, _ in used)}")
    try:
        proved, why = await method.proves(presented, client, desk), "the proof is wrong"
    except UnprovedError as error:
        proved, why = False, str(error)
    if not proved:
        raise await _failure(request, client_id, desk, why=why)
    return client


async def _failure(
    request: Request, client_id: str, desk: Desk, *, why: str
) -> InvalidClientError | TooManyFailuresError:
    """Count it: for one client, or for all that are not known together, so that made-up names make no rows."""
    key = f"client_auth/{client_id}/{asking_block(request, desk.config)}"
    if await desk.store.throttle.hit(key, at=desk.ambient.now(), window=60) > FAILURES_PER_MINUTE:
        return TooManyFailuresError("The client authentication failed too often; try again in a minute.", why=why)
    return InvalidClientError("The client is not known, or it does not authenticate as it is registered to.", why=why)
