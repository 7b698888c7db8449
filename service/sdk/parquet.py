"""Reads parquet archives. Apart from the rest of the client, which works without pyarrow."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from service.contract.errors import ArchiveBroken


def read_columns(data: bytes) -> tuple[list[bytes], list[str], list[int]]:
    """PNG files, labels ("" without) and indexes. Raises ArchiveBroken for other columns and what Arrow cannot read."""
    try:
        table = pq.read_table(pa.BufferReader(data)).flatten()
    except pa.ArrowException as error:
        raise ArchiveBroken(f"the archive cannot be read: {error}") from error
    files, indexes = _column(table, "image.bytes", pa.binary()), _column(table, "index", pa.int64())
    return files.to_pylist(), _labels(table), indexes.to_pylist()


def _labels(table: pa.Table) -> list[str]:
    """The names stand where Hugging Face looks for them, in the file's metadata."""
    if "label" not in table.schema.names:
        return [""] * len(table)
    told = json.loads(table.schema.metadata[b"huggingface"])
    names = told["info"]["features"]["label"]["names"]
    return [str(names[label_id]) for label_id in _column(table, "label", pa.int64()).to_pylist()]


def _column(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    column = table[name]
    if column.type != kind or column.null_count:
        raise ArchiveBroken(f"the archive's column {name} is not made of {kind} alone")
    return column
