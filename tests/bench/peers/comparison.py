"""Every peer on one decoder, one after the other, each the best of its runs."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
#: What `make bench-peers` installs into.
PEERS_PYTHON = HERE.parents[2] / ".venv-peers" / "bin" / "python"
#: Each peer and how many times the count it draws: where work is spread over processes, little work leaves some idle.
PEERS = {"plain_script": 1, "onnxruntime_script": 1, "ray_data": 4, "bento": 4}
RUNS = 2
#: Of one run; the slowest peer draws 8,000 images a second.
LIMIT_S = 1200
#: Neither tells its makers of these runs.
SILENT = {"RAY_USAGE_STATS_ENABLED": "0", "BENTOML_DO_NOT_TRACK": "1", "ORT_DISABLE_TELEMETRY": "1"}


def measure_peers(
    decoder: Path, count: int, python: Path = PEERS_PYTHON, *, png_level: int = 6
) -> dict[str, dict[str, Any]]:
    """What each peer told, by its name; `not_measured` holds the reason where it told nothing."""
    if not python.exists():
        reason = f"{python} is missing: run `make bench-peers` once, which installs the peers"
        return {peer: {"peer": peer, "not_measured": reason} for peer in PEERS}
    found = {}
    for peer, times in PEERS.items():
        command = [str(python), str(HERE / f"{peer}.py"), "--decoder", str(decoder)]
        command += ["--count", str(count * times), "--png-level", str(png_level)]
        found[peer] = best_of([run_once(peer, command) for _ in range(RUNS)])
    return found


def best_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The fastest run and all rates: a busy machine only slows. A run that failed is the answer itself."""
    for run in runs:
        if "not_measured" in run:
            return run
    best = max(runs, key=lambda run: run["images_per_s"])
    return best | {"all_images_per_s": [run["images_per_s"] for run in runs]}


def run_once(peer: str, command: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Files, because a pipe stays open as long as any process that a peer left behind.
        told, complaints = Path(folder, "told"), Path(folder, "complaints")
        with told.open("wb") as out, complaints.open("wb") as err:
            code = run([*command, "--out", str(Path(folder, "images"))], out, err)
        if code == 0:
            answer: dict[str, Any] = json.loads(told.read_text().splitlines()[-1])
            return answer
        reason = (complaints.read_text(errors="replace").strip().splitlines() or [f"exit {code}"])[
            -1
        ]
        return {"peer": peer, "not_measured": reason}


def run(command: list[str], out: Any, err: Any) -> int:
    """The exit code, once the command and, if it took too long, its whole process group has ended."""
    process = subprocess.Popen(
        command, stdout=out, stderr=err, env=os.environ | SILENT, start_new_session=True
    )
    try:
        return process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        err.write(f"took longer than {LIMIT_S} s".encode())
        return 124
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
