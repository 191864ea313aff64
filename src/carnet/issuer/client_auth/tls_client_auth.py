"""RFC 8705 section 2.1, `tls_client_auth`: a certificate that an authority of ours has issued to the registered name."""

from ipaddress import ip_address

from carnet.issuer.client_auth.method import Presented, UnprovedError
from carnet.issuer.client_auth.none import bare_client_id
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Client
from carnet.jose.client_certificates import CertificateRefusedError, ClientCertificate
from carnet.jose.distinguished_names import parse_name


class TlsClientAuth:
    method = "tls_client_auth"
    serves = ("tls_client_auth",)
    algorithms = ()

    def offered(self, config: Config) -> bool:
        return config.learns_certificates and config.tls_client_ca is not None

    def claims(self, presented: Presented) -> str | None:
        return bare_client_id(presented)

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        certificate = presented.certificate
        if certificate is None or desk.client_authorities is None:
            raise UnprovedError("it shows no certificate, or no authority is believed")
        try:
            certificate.check_path(desk.client_authorities, at=desk.ambient.now())
            named = _named(certificate, client)
        except CertificateRefusedError as error:
            raise UnprovedError(str(error)) from None
        if not named:
            raise UnprovedError(f"its certificate is for another name; the subject is {certificate.subject_text!r}")
        return True


def _named(certificate: ClientCertificate, client: Client) -> bool:
    """Section 2.1.2: the one registered name, which is compared as a whole: nothing in a certificate is a pattern."""
    if client.tls_client_auth_subject_dn is not None:
        return certificate.subject == parse_name(client.tls_client_auth_subject_dn)
    if client.tls_client_auth_san_dns is not None:
        return client.tls_client_auth_san_dns.lower() in {str(name).lower() for name in certificate.names("dns")}
    if client.tls_client_auth_san_uri is not None:
        return client.tls_client_auth_san_uri in certificate.names("uri")
    if client.tls_client_auth_san_ip is not None:
        return ip_address(client.tls_client_auth_san_ip) in certificate.names("ip")
    if client.tls_client_auth_san_email is not None:
        return _mailbox(client.tls_client_auth_san_email) in {
            _mailbox(str(name)) for name in certificate.names("email")
        }
    return False


def _mailbox(address: str) -> tuple[str, str]:
    """RFC 5280 section 7.5: the host without regard to case, the rest as it is."""
    local, _, host = address.rpartition("@")
    return local, host.lower()
