"""Sends one webhook: to the address that was checked and no other, in seconds, without following anything."""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from service.adapters.webhook_guard import vetted
from service.contract.errors import WebhookFailed
from service.contract.webhook_url import WebhookUrl

#: For name, connection, TLS, request and answer together.
TIMEOUT_S = 5.0
#: All that is read of an answer: its status is on the first line.
_MOST_READ_BYTES = 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
#: A name server that is silent holds one of these up, longer than any caller waits.
_ASKING = ThreadPoolExecutor(16, thread_name_prefix="resolve")

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, in the order to be tried. Raises OSError."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class Sender:
    """Talks HTTP/1.1 over a socket of its own: no proxy, cookie, redirect or environment is between it and the host."""

    def __init__(
        self,
        *,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._resolve, self._timeout_s = resolve, timeout_s
        self._tls = tls or ssl.create_default_context()

    def post(self, url: WebhookUrl, *, headers: Mapping[str, str], body: bytes) -> int:
        """The status that the receiver answered. Raises WebhookFailed: refused by us, or no answer in time."""
        try:
            return asyncio.run(self._in_time(url, _request(url, headers, body)))
        except TimeoutError as error:
            raise WebhookFailed(f"no answer within {self._timeout_s:g} seconds") from error
        except ssl.SSLError as error:
            raise WebhookFailed(f"no TLS with the host: {error.reason or 'refused'}") from error
        except (OSError, UnicodeError) as error:
            raise WebhookFailed(f"the host cannot be reached: {type(error).__name__}") from error

    async def _in_time(self, url: WebhookUrl, request: bytes) -> int:
        async with asyncio.timeout(self._timeout_s):
            loop = asyncio.get_running_loop()
            # Asked once: what was checked is what is called, however the name answers the next time.
            found = await loop.run_in_executor(_ASKING, self._resolve, url.host, url.port)
            return await self._exchange(url, vetted(found, is_trusted=url.is_trusted), request)

    async def _exchange(self, url: WebhookUrl, addresses: Sequence[str], request: bytes) -> int:
        reader, writer = await self._connected(url, addresses)
        try:
            writer.write(request)
            await writer.drain()
            return await _status(reader)
        finally:
            # Not closed in order: a receiver that is slow to say goodbye is not waited for.
            writer.transport.abort()

    async def _connected(
        self, url: WebhookUrl, addresses: Sequence[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        told: OSError = OSError("no address")
        secure = url.scheme == "https"
        for address in addresses:
            try:
                return await asyncio.open_connection(
                    address,
                    url.port,
                    limit=_MOST_READ_BYTES,
                    ssl=self._tls if secure else None,
                    server_hostname=url.host.strip("[]") if secure else None,
                )
            except OSError as error:
                told = error
        raise told


def _request(url: WebhookUrl, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {url.target} HTTP/1.1",
        f"Host: {url.address}",
        "User-Agent: latentmill-webhook",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


async def _status(reader: asyncio.StreamReader) -> int:
    try:
        line = await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise WebhookFailed("the host does not speak HTTP/1.1") from error
    found = _STATUS.fullmatch(line)
    if found is None:
        raise WebhookFailed("the host does not speak HTTP/1.1")
    return int(found[1])
