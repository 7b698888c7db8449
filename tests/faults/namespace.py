"""A network namespace with one cable to this one, which can be cut so that nobody is told."""

import os
import shutil
import subprocess
from ipaddress import IPv4Network
from types import TracebackType


class Namespace:
    """Made at the start of the block and gone at its end. Needs root and iproute2."""

    def __init__(self) -> None:
        self.name = f"lm{os.getpid()}"
        #: The two ends of the cable, in a range for tests of equipment, which no machine should have (RFC 2544).
        #: By process: a run that was killed leaves its cable behind, and an address at two cables reaches neither.
        network = IPv4Network("198.18.0.0/15").network_address + 4 * (os.getpid() % 2**15)
        self.here, self.there = str(network + 1), str(network + 2)
        self._ours, self._theirs = f"{self.name}a", f"{self.name}b"

    @staticmethod
    def why_not() -> str:
        """Why there can be none on this machine; empty when there can."""
        if not shutil.which("ip") or not shutil.which("tc"):
            return "iproute2 is not installed"
        made = subprocess.run(["ip", "netns", "add", "lmprobe"], capture_output=True, check=False)
        if made.returncode:
            return f"no network namespaces here: {made.stderr.decode().strip()}"
        _run("ip netns del lmprobe")
        return ""

    def __enter__(self) -> "Namespace":
        _run(f"ip netns add {self.name}")
        _run(f"ip link add {self._ours} type veth peer name {self._theirs} netns {self.name}")
        _run(f"ip addr add {self.here}/30 dev {self._ours}")
        _run(f"ip link set {self._ours} up")
        for command in (f"addr add {self.there}/30 dev {self._theirs}", "link set lo up"):
            _run(f"ip -n {self.name} {command}")
        _run(f"ip -n {self.name} link set {self._theirs} up")
        return self

    def cut(self) -> None:
        """From now on packets vanish both ways; no end is told, so both sides keep their connections."""
        _run(f"tc qdisc replace dev {self._ours} root blackhole")
        _run(f"ip netns exec {self.name} tc qdisc replace dev {self._theirs} root blackhole")

    def mend(self) -> None:
        _run(f"tc qdisc del dev {self._ours} root")
        _run(f"ip netns exec {self.name} tc qdisc del dev {self._theirs} root")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _run(f"ip link del {self._ours}")
        _run(f"ip netns del {self.name}")


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)
