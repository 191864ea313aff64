"""RFC 8446 section 4.4.2: whether the certificate chain and the private key of the settings can be served with."""

import ssl

from carnet.issuer.config import Config


def fault(config: Config) -> str | None:
    """What is wrong with the files that `tls_cert` and `tls_key` name; None if nothing is, or there are none."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_cert, config.tls_key, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "no PEM in them").replace("_", " ").lower()
        return f"{config.tls_cert} and {config.tls_key} cannot be used together: {reason}."
    except OSError as error:
        return f"{config.tls_cert} or {config.tls_key} cannot be read: {error.strerror}."
    return None
