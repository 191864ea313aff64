"""RFC 8705: the certificate of the client that makes a request, from our own handshake with it or from a trusted proxy."""

from starlette.requests import HTTPConnection

from carnet.issuer.config import Config
from carnet.issuer.http_security import by_trusted_proxy
from carnet.jose.client_certificates import ClientCertificate
from carnet.jose.errors import InvalidKeyError
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.mtls import CertificateHeaderError, certificate_header, handshake_certificates, passed_certificate

_READ = "carnet.client_certificate"


def client_certificate(connection: HTTPConnection, config: Config) -> ClientCertificate | None:
    """What the client has shown in its handshake; None: nothing. It is read once for a request, whoever asks.

    Where a trusted proxy asks, its header alone speaks: the handshake with us is the proxy's. A header of anybody else is not
    looked at.

    Raises:
        InvalidRequestError: the proxy has passed something else than one certificate.
    """
    if _READ not in connection.scope:
        connection.scope[_READ] = _read(connection, config)
    certificate: ClientCertificate | None = connection.scope[_READ]
    return certificate


def _read(connection: HTTPConnection, config: Config) -> ClientCertificate | None:
    try:
        if config.client_certificate_header is not None and by_trusted_proxy(connection, config):
            passed = passed_certificate(certificate_header(config.client_certificate_header), connection.headers.raw)
            return None if passed is None else ClientCertificate.read((passed,))
        shown = handshake_certificates(connection.scope)
        return ClientCertificate.read(shown) if shown else None
    except (CertificateHeaderError, InvalidKeyError) as error:
        raise InvalidRequestError("The client's certificate cannot be read.", why=str(error)) from None
