"""Forward authentication at the ingress: a proxy asks about each request before it lets it through (`carnet gateway`).

`config.py` has the settings, `original_request.py` reads what the proxy says of the request, `rules.py` finds the rule for it,
the checkpoint does what it does for any guard, `identity.py` has what services are told, and `app.py` answers the proxy.
"""

from carnet.guard.gateway.app import Gateway
from carnet.guard.gateway.config import GatewayConfig, GatewayConfigError, read_config
from carnet.guard.gateway.identity import GATEWAY_TOKEN_TYP, gateway_token_verifier
from carnet.guard.gateway.replay import Replay, replay

__all__ = [
    "GATEWAY_TOKEN_TYP",
    "Gateway",
    "GatewayConfig",
    "GatewayConfigError",
    "Replay",
    "gateway_token_verifier",
    "read_config",
    "replay",
]
