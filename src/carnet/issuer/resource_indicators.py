"""RFC 8707, RFC 9700 section 2.3: which resource servers a client asks for, and which of them its tokens are for."""

from carnet.issuer.approval import Authorization
from carnet.issuer.config import Config
from carnet.issuer.storage.records import Client
from carnet.oauth import scope
from carnet.oauth.errors import InvalidTargetError
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import Scope


def asked_audience(parameters: Parameters, client: Client, wanted: Scope, config: Config) -> tuple[str, ...]:
    """Section 2.1: some of the resource servers that the client may reach.

    Empty: all of them, or none for a client that has to say which. That one gets what it needs to sign people in (`openid`)
    without saying so, and nothing else.

    Raises:
        InvalidTargetError
    """
    asked = _asked(parameters)
    if scope.excess(asked, client.audiences):
        raise InvalidTargetError("The client is not registered for a resource that it asks for.")
    if not asked and _must_say(client, config) and scope.OPENID not in wanted:
        raise _unsaid()
    return asked


def bounded_audience(
    parameters: Parameters, authorization: Authorization, client: Client, granted: Scope, config: Config
) -> tuple[str, ...]:
    """Section 2.2: some of the approved resource servers. Without any, and for userinfo, it is the issuer itself.

    Raises:
        InvalidTargetError
    """
    asked, must_say = _asked(parameters), _must_say(client, config)
    if authorization.person is not None and must_say:
        approved = authorization.audience
    else:
        approved = authorization.audience or client.audiences
    if scope.excess(asked, approved):
        raise InvalidTargetError("The token is asked for a resource that was not approved.")
    if authorization.person is None and must_say and not (asked or authorization.audience):
        raise _unsaid()
    audience = tuple(name for name in asked or approved if name in client.audiences)
    if authorization.audience and not audience:
        raise InvalidTargetError("The client may not reach the approved resources any more.")
    if not audience or scope.OPENID in granted:
        return (*audience, config.issuer)
    return audience


def _asked(parameters: Parameters) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parameters.all("resource")))


def _must_say(client: Client, config: Config) -> bool:
    return bool(client.audiences) and (client.require_resource or config.require_resource)


def _unsaid() -> InvalidTargetError:
    return InvalidTargetError("The client has to say for which resource the token is: see the parameter resource.")
