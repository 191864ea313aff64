"""RFC 6749 section 4: the grants, one file for each."""

from typing import Any

from carnet.issuer.grants.authorization_code import AuthorizationCode
from carnet.issuer.grants.ciba import Ciba
from carnet.issuer.grants.client_credentials import ClientCredentials
from carnet.issuer.grants.device_code import DeviceCode
from carnet.issuer.grants.grant import Grant
from carnet.issuer.grants.jwt_bearer import JwtBearer
from carnet.issuer.grants.refresh_token import RefreshToken
from carnet.issuer.grants.token_exchange import TokenExchange

GRANTS: tuple[Grant[Any], ...] = (
    AuthorizationCode(),
    RefreshToken(),
    ClientCredentials(),
    DeviceCode(),
    Ciba(),
    TokenExchange(),
    JwtBearer(),
)
