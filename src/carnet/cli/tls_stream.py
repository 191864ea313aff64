"""RFC 8446 sections 4.3.2 and 4.4.2: TLS for a server that asks for a certificate and takes whatever comes, or nothing.

Python's `ssl` ends the handshake with every certificate that none of its authorities vouches for, and so with every self-signed
one; OpenSSL itself leaves that to its caller. A handshake proves that the peer holds the key of its certificate; who vouches for
the certificate is judged later, by whoever knows the client (`carnet.jose.client_certificates`).
"""

from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from OpenSSL import SSL, crypto

Result = TypeVar("Result")

CIPHERS = b"ECDHE+AESGCM"
"""Of TLS 1.2: those that RFC 9325 section 4.2 recommends, and the only ones that FAPI allows; those of TLS 1.3 are all good."""
PIECE = 64 * 1024


def server_context(certificate: Path, key: Path) -> SSL.Context:
    """The context of the server's certificate chain and private key, both in PEM.

    Raises:
        SSL.Error: they cannot be used together.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    # Each connection has a handshake of its own: none is resumed, and none begins anew with another certificate.
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"carnet")
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(key))
    context.check_privatekey()
    context.set_verify(SSL.VERIFY_PEER, _take)
    context.set_alpn_select_callback(_protocol)
    return context


def _take(*_: object) -> bool:
    return True


def _protocol(_: SSL.Connection, offered: Sequence[bytes]) -> Any:
    """RFC 7301: HTTP/1.1, or go on without a word about it."""
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


class TlsStream:
    """One connection: plain bytes to the application, TLS over a pair of streams."""

    def __init__(self, context: SSL.Context, reader: StreamReader, writer: StreamWriter) -> None:
        self._tls = SSL.Connection(context)  # over memory: the streams are ours
        self._tls.set_accept_state()
        self._reader = reader
        self._writer = writer

    async def handshake(self) -> None:
        """Raises ConnectionError: it fails, or the peer goes away."""
        await self._driven(self._tls.do_handshake)

    def certificates(self) -> list[str]:
        """What the peer has shown, in PEM, its own first; nothing is verified but that it holds its key."""
        own = self._tls.get_peer_certificate()
        chain = [] if own is None else [own, *(self._tls.get_peer_cert_chain() or ())]
        return [crypto.dump_certificate(crypto.FILETYPE_PEM, each).decode("ascii") for each in chain]

    async def read(self) -> bytes:
        """What has come; nothing at the end. Raises ConnectionError: the connection is broken."""
        try:
            return await self._driven(partial(self._tls.recv, PIECE))
        except ConnectionResetError:
            return b""

    async def write(self, content: bytes) -> None:
        """Raises ConnectionError: the connection is broken."""
        for start in range(0, len(content), PIECE):
            await self._driven(partial(self._tls.sendall, content[start : start + PIECE]))

    async def close(self) -> None:
        """Say that nothing more comes, and leave."""
        try:
            self._tls.shutdown()
            await self._flush()
        except (SSL.Error, ConnectionError):
            pass  # whoever is gone already is not told
        finally:
            self._writer.close()

    async def _driven(self, work: Callable[[], Result]) -> Result:
        """Do what OpenSSL can do with what has come, and get more for it until it is done."""
        while True:
            try:
                done = work()
            except SSL.WantReadError:
                await self._flush()
            except SSL.ZeroReturnError:
                raise ConnectionResetError("The peer has ended the connection.") from None
            except SSL.Error as error:
                await self._flush()  # the alert that says why
                raise ConnectionError(f"TLS: {error}") from None
            else:
                await self._flush()
                return done
            come = await self._reader.read(PIECE)
            if not come:
                raise ConnectionResetError("The peer is gone.")
            self._tls.bio_write(come)

    async def _flush(self) -> None:
        try:
            while True:
                self._writer.write(self._tls.bio_read(PIECE))
        except SSL.WantReadError:
            await self._writer.drain()
