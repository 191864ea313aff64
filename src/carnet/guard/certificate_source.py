"""RFC 8705 section 3, rule A3 (untrusted headers): from where a guard learns the certificate that a caller has shown."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from carnet.oauth.mtls import HeaderName, certificate_header, passed_certificate

Network: TypeAlias = IPv4Network | IPv6Network


class CertificateSource:
    """The header in which trusted proxies pass it, if they do; nobody else's header is looked at."""

    def __init__(self, header: HeaderName | None, trusted_proxies: Sequence[str]) -> None:
        """Raises ValueError: there is no such header, a network is none, or nobody in particular would be trusted."""
        self._way = None if header is None else certificate_header(header)
        self._networks = tuple(map(ip_network, trusted_proxies))
        if self._way is not None and not self._networks:
            raise ValueError(
                "client_certificate_header needs trusted_proxies: a header of anybody else is not believed."
            )
        if any(network.prefixlen == 0 for network in self._networks):
            raise ValueError("trusted_proxies names every address there is: name the proxy's own network.")

    def speaks(self, peer: str | None) -> bool:
        """Whether the header of this peer says what its client has shown, or that it has shown nothing."""
        return self._way is not None and trusted(peer, self._networks)

    def passed(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """The certificate, in DER, in the headers of a peer that `speaks`; None: its client has shown none.

        Raises:
            CertificateHeaderError: it is not one certificate.
        """
        return None if self._way is None else passed_certificate(self._way, headers)


def trusted(peer: str | None, networks: Iterable[Network]) -> bool:
    """Whether the peer that asks is a proxy of ours; whoever is none is believed nothing."""
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return any(address in network for network in networks)
