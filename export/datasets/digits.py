"""The digits that scikit-learn carries: small, and there without a network."""

import numpy as np

from export.data import DataSet, Split, data_set
from service.contract.value import sha256_hex

_TRAIN = 1500


def digits() -> DataSet:
    """The 1,797 digits of 8x8 pixels that scikit-learn carries; the last 297 are the test split."""
    # Two seconds of imports, for whoever asks for these digits alone.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # 0..16 -> 0..255, [1797, 8, 8]
    labels = bunch.target.astype(np.uint8)
    files = {"sklearn.datasets.load_digits": sha256_hex(images.tobytes() + labels.tobytes())}
    train, test = (
        Split(images[rows, :, :, None], labels[rows].astype(np.int64))
        for rows in (slice(_TRAIN), slice(_TRAIN, None))
    )
    names = tuple(str(number) for number in range(10))
    return data_set("digits", train=train, test=test, labels=names, files=files)
