"""Ports on this machine."""

import random
import socket

from service.contract.errors import StartRefused

#: Below the ports that systems give to outgoing connections (from 32768 on Linux, 49152 on macOS):
#: there, a client that keeps reconnecting to a stopped server can be given that very port and block
#: the restart.
_QUIET_PORTS = range(18_000, 28_000)


def free_port() -> int:
    """A loopback port that nothing listens on now. Raises StartRefused when none is free."""
    for port in random.sample(_QUIET_PORTS, 200):
        if is_free("127.0.0.1", port):
            return port
    raise StartRefused(f"no free port found from {_QUIET_PORTS.start} to {_QUIET_PORTS.stop - 1}")


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there. Raises StartRefused for a host that is no address."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise StartRefused(f"cannot listen on {host}: {error.strerror}; check --host") from error
    with socket.socket(family, kind) as listener:
        # As servers do: connections of an earlier run that are still closing do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError:
            return False
    return True
