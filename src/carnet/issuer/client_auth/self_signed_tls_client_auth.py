"""RFC 8705 section 2.2, `self_signed_tls_client_auth`: a certificate that the client itself has registered."""

from carnet.issuer.client_auth.method import Presented, UnprovedError
from carnet.issuer.client_auth.none import bare_client_id
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.issuer.storage.records import Client
from carnet.jose.client_certificates import CertificateRefusedError


class SelfSignedTlsClientAuth:
    method = "self_signed_tls_client_auth"
    serves = ("self_signed_tls_client_auth",)
    algorithms = ()

    def offered(self, config: Config) -> bool:
        return config.learns_certificates

    def claims(self, presented: Presented) -> str | None:
        return bare_client_id(presented)

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        certificate = presented.certificate
        if certificate is None:
            raise UnprovedError("it shows no certificate")
        try:
            certificate.check_dates(at=desk.ambient.now())
            document = await desk.client_keys.document(client, has=certificate.is_one_of)
        except (CertificateRefusedError, EgressError) as error:
            raise UnprovedError(str(error)) from None
        if not certificate.is_one_of(document):
            raise UnprovedError(f"its certificate {certificate.thumbprint} is not registered")
        return True
