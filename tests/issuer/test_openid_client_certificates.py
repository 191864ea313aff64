"""npm openid-client with certificates (RFC 8705), against `carnet serve` and its port for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority, Shown, certificate

from carnet.testing.ports import free_port
from carnet.testing.running import carnet, running_issuer

pytestmark = pytest.mark.node

AUTHORITY = Authority()
REPORTS, ORDERS = AUTHORITY.issue("CN=reports", names={"dns": "reports.example"}), certificate("CN=orders")


def test_openid_client_goes_to_the_aliases_and_authenticates_in_its_handshake(
    node_peer: Callable[[str], Callable[..., Any]], tmp_path: Path, certificate_for: Callable[[str], Path]
) -> None:
    chain, port, mtls = certificate_for("127.0.0.1"), free_port(), free_port()
    url = f"https://127.0.0.1:{port}"
    settings = tmp_path / "carnet.toml"
    settings.write_text(
        f'issuer = "{url}"\ndata = "data"\ntls_cert = "chain.pem"\ntls_key = "key.pem"\n'
        f'mtls_port = {mtls}\ntls_client_ca = "authorities.pem"\n'
    )
    (tmp_path / "authorities.pem").write_bytes(AUTHORITY.pem)
    (tmp_path / "orders.crt").write_bytes(ORDERS.pem)

    def shown(by: Shown) -> str:
        file = tmp_path / f"{by.thumbprint}.pem"
        file.write_bytes(by.pem + by.key_pem)
        return str(file)

    with running_issuer(tmp_path / "data", port=port, options=("--config", str(settings))):
        bound = ("--scope", "read", "--audience", "reports", "--certificate-bound", "--config", str(settings))
        carnet("client", "create", "Reports", "--client-id", "reports", "--tls-san-dns", "reports.example", *bound)
        carnet(
            "client",
            "create",
            "Orders",
            "--client-id",
            "orders",
            "--tls-certificate",
            str(tmp_path / "orders.crt"),
            *bound,
        )
        ask = node_peer("openid_client_certificates.mjs")
        for client_id, by in (("reports", REPORTS), ("orders", ORDERS)):
            alias = ask("discover", issuer=url, client_id=client_id, ca=str(chain), shown=shown(by))
            assert alias == f"https://127.0.0.1:{mtls}/token"
            assert ask("credentials", scope="read") == "bearer"
            told = ask("introspect")
            assert (told["active"], told["client_id"], told["cnf"]) == (True, client_id, {"x5t#S256": by.thumbprint})
            ask("revoke")
            assert ask("introspect") == {"active": False}
        ask("discover", issuer=url, client_id="reports", ca=str(chain), shown=shown(ORDERS))
        assert ask("refused", scope="read") == 401
