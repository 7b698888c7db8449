"""What one writes with Ray Data: a range, a pool of actors that decode and encode, parquet files.

Tried on 2 cores: encoding in a stage of its own behind the actors (half as fast: raw pixels pass through the object
store), functions in place of actors, batches of 256 to 4,096 images, 2 to 25 files. None was faster.
"""

from watch import Watch

# isort: split
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import ray
from decoder import Decoder
from errand import Errand, read_errand
from pictures import OPENED, check_indexes, check_png, encode_png

BATCH = 1024
#: Images in one block, and so in one parquet file.
BLOCK = 8192
CORES = os.cpu_count() or 1
#: Below one on purpose: actors that hold every core leave none to the writers, and Ray waits for ever.
ACTOR_CORES = 0.5


class Draw:
    """Of one actor: the decoder, loaded once."""

    def __init__(self, errand: Errand, ready: Path) -> None:
        self.errand, self.decoder = errand, Decoder(errand, threads=1)
        # A file, because Ray Data hands nothing but rows back. The clock is one for all processes.
        (ready / str(os.getpid())).write_text(str(time.perf_counter()))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        indexes = batch["id"]
        images = self.decoder.draw(int(indexes[0]), int(indexes[0]) + len(indexes))
        return {
            "image": [encode_png(image, self.errand.png_level) for image in images],
            "label": np.full(len(indexes), self.errand.label),
            "index": indexes,
        }


@contextmanager
def cluster() -> Iterator[None]:
    """Ray on this machine, quiet, with its logs and sockets in a folder that goes with it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Short, because the path of a socket has 107 characters.
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        ray.init(
            "local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=folder,
        )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        yield
        ray.shutdown()


def write_parquet(errand: Errand, ready: Path) -> None:
    blocks = max(CORES, errand.count // BLOCK)
    ray.data.range(errand.count, override_num_blocks=blocks).map_batches(
        Draw,
        fn_constructor_args=(errand, ready),
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(size=CORES),
        num_cpus=ACTOR_CORES,
    ).write_parquet(str(errand.out / "parquet"))


def check_parquet(errand: Errand) -> int:
    """Every index once, and some images that open. Returns the bytes written, or ends with what is wrong."""
    written = pyarrow.dataset.dataset(errand.out / "parquet")
    check_indexes(written.to_table(columns=["index"])["index"].to_pylist(), errand)
    for row in written.head(OPENED).to_pylist():
        check_png(row["image"], errand)
    return sum(Path(file).stat().st_size for file in written.files)


def main() -> None:
    errand, watch = read_errand(), Watch()
    ready = errand.out / "ready"
    ready.mkdir()
    with cluster():
        write_parquet(errand, ready)
        watch.stop()
    # Steady work begins when the first actor has its decoder, seconds after Ray was asked.
    watch.start(min(float(file.read_text()) for file in ready.iterdir()))
    packages = ["ray", "onnxruntime", "pillow", "pyarrow"]
    watch.tell("ray_data", errand, packages, check_parquet(errand))


if __name__ == "__main__":
    main()
