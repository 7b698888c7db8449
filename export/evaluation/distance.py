"""Exact Euclidean distances between many vectors, in blocks, so that memory stays bounded."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.evaluation.classifier import tensor_of

Vectors = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

#: Numbers in one block of distances or of vectors: 64 MB in float32.
_BLOCK_NUMBERS = 2**24
_QUERIES = 512


@torch.no_grad()
def nearest(
    queries: Vectors, references: Vectors, count: int, *, themselves: bool = False
) -> tuple[Floats, Rows]:
    """Distances to the `count` nearest references and their rows: float32 and int64 [N, count].

    `themselves`: queries are the references, and none is its own neighbour. Where there are fewer than
    `count` others, the farthest is repeated.
    """
    centre = _flat(references[:1000]).mean(dim=0)
    parts = [
        _nearest(part, start, references, centre, count, themselves)
        for start, part in _blocks(queries, centre, _QUERIES)
    ]
    distances, rows = (torch.cat(part) for part in zip(*parts, strict=True))
    return distances.numpy(), rows.numpy()


def _nearest(
    queries: Tensor,
    start: int,
    references: Vectors,
    centre: Tensor,
    count: int,
    themselves: bool,
) -> tuple[Tensor, Tensor]:
    best = torch.empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64)
    for first, block in _blocks(references, centre):
        squares = _squares(queries, block)  # [N, R]
        if themselves:
            _blind(squares, start - first)
        near, where = squares.topk(min(count, len(block)), dim=1, largest=False)
        best, rows = torch.cat([best, near], dim=1), torch.cat([rows, where + first], dim=1)
        best, order = best.topk(min(count, best.shape[1]), dim=1, largest=False)
        rows = rows.gather(1, order)
    return _exact(queries, references, centre, rows, best, count)


def _exact(
    queries: Tensor, references: Vectors, centre: Tensor, rows: Tensor, best: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Distances again by subtraction: |a|² + |b|² - 2ab loses the small ones, and 0 means a copy."""
    found = torch.stack(
        [
            (queries - (_flat(references[column.numpy()]) - centre)).norm(dim=1)
            for column in rows.unbind(dim=1)
        ],
        dim=1,
    )
    found[torch.isinf(best)] = torch.inf
    found, order = found.sort(dim=1, stable=True)
    kept = torch.arange(count).clamp(max=int(torch.isfinite(found[0]).sum()) - 1)
    return found[:, kept], rows.gather(1, order)[:, kept]


def balls(queries: Floats, centres: Floats, radii: Floats) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """For each query, in how many balls it lies, int64 [N]; for each ball whether any is in it, bool [M]."""
    middle, reach = _flat(centres).mean(dim=0), tensor_of(radii)
    inside, hit = [], torch.zeros(len(centres), dtype=torch.bool)
    others = _flat(centres) - middle
    for _, part in _blocks(queries, middle, _QUERIES):
        within = _squares(part, others).sqrt() <= reach  # [N, M]
        inside.append(within.sum(dim=1))
        hit |= within.any(dim=0)
    return torch.cat(inside).numpy(), hit.numpy()


def _blind(squares: Tensor, offset: int) -> None:
    """Each row's distance to itself, which lies on the diagonal `offset` columns to the right, is gone."""
    row = torch.arange(len(squares))
    column = row + offset
    there = (column >= 0) & (column < squares.shape[1])
    squares[row[there], column[there]] = torch.inf


def _squares(one: Tensor, other: Tensor) -> Tensor:
    """|a - b|² = |a|² + |b|² - 2ab: [N, D] and [M, D] -> [N, M], never below zero."""
    squares = one.square().sum(dim=1)[:, None] + other.square().sum(dim=1)
    return squares.addmm_(one, other.T, alpha=-2).clamp_(min=0)


def _blocks(
    vectors: Vectors, centre: Tensor, rows: int | None = None
) -> Iterator[tuple[int, Tensor]]:
    """(first row, block), moved to the centre, where differences of squares lose least."""
    size = rows or max(256, _BLOCK_NUMBERS // max(_QUERIES, len(centre)))
    for start in range(0, len(vectors), size):
        yield start, _flat(vectors[start : start + size]) - centre


def _flat(vectors: Vectors) -> Tensor:
    """[N, ...] of any kind -> float32 [N, D]; images become 0..1."""
    flat = tensor_of(vectors).flatten(1)
    return flat.to(torch.float32) / 255 if flat.dtype == torch.uint8 else flat
