"""The sums of MNIST's four uncompressed files, by their names without `.gz`."""

from export.datasets.published import MNIST

CHECKSUMS = {name.removesuffix(".gz"): checksum.sha256 for name, checksum in MNIST.files.items()}
