"""`parquet`: columns `image`, with labels `label`, and `index`, as Hugging Face's `datasets` writes them.

`image` is a struct of `bytes`, a PNG file, and `path`, `{index:012d}.png`; `label` is the label's id. What they mean
stands under the key `huggingface` of the file's metadata, so that `load_dataset("parquet", …)` gives pictures and
named labels without being told (datasets 5.2, `Features.arrow_schema`).
"""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from service.contract.card import DecoderCard
from service.contract.recipe import Recipe
from service.contract.shard import Shard
from workers.archives.pages import Pages
from workers.archives.rows import Rows
from workers.body import Body
from workers.decoder import Images
from workers.kernel.names import names_from
from workers.labels import label_ids_of
from workers.png import png_encoder

#: Samples of a row group, the least that a reader fetches; fewer where their files might fill more than 32 MiB.
_GROUP, _GROUP_BYTES = 4096, 2**25
#: Small enough for the second-level cache.
_PAGE_BYTES = 2**18
_INDEX_DIGITS, _SUFFIX = 12, ".png"
_NAME_BYTES = _INDEX_DIGITS + len(_SUFFIX)
#: Bytes of a row beside its file: both lengths, the name, label and index, and a level of each of the four.
_ROW_BYTES = 2 * 4 + _NAME_BYTES + 2 * 8 + 4
#: Headers of a row group's pages and its entry in the footer; the rest of the footer; there each label, which it tells
#: twice: to Hugging Face, and in base64 to Arrow.
_GROUP_HEADERS, _FOOTER, _LABEL_BYTES = 2**14, 2**13, 192


class ParquetArchive:
    """See `workers.archives.Archive`. Its bytes follow from row groups, however the samples are handed over."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> None:
        self._png, self._body = png_encoder(card.image, recipe.compression), body
        self.label_ids = label_ids_of(recipe, shard, card)
        self._start = self._next = shard.start
        self.encoder = f"{self._png.version} pyarrow-{version('pyarrow')}"
        group = max(1, min(_GROUP, shard.samples, _GROUP_BYTES // self._png.largest))
        self._rows = Rows(group, self._png.largest)
        body.begin(
            shard.samples * (self._png.largest + _ROW_BYTES)
            + -(-shard.samples // group) * _GROUP_HEADERS
            + _FOOTER
            + len(card.labels) * _LABEL_BYTES
        )
        self._schema, self._pages = _schema(card.labels), Pages()
        self._writer, self._pace = _writer(self._schema, self._pages), 0

    def add(self, images: Images) -> None:
        files, taken = self._png.encode(images), 0
        while taken < len(images):
            taken += self._rows.take(files, taken, len(images))
            if self._rows.are_full:
                self._put_group()
        # The body grows as steadily as the pixels come in: its checksum is computed beside theirs.
        self._pages.move_to(self._body, self._pace * len(images))

    def finish(self) -> None:
        if self._rows.count:
            self._put_group()
        self._writer.close()
        self._pages.move_to(self._body, self._pages.size)

    def _put_group(self) -> None:
        count = self._rows.count
        columns = [self._images(), self._indexes()]
        if self.label_ids is not None:
            done = self._next - self._start
            columns.insert(1, pa.array(self.label_ids[done : done + count]))
        table = pa.Table.from_arrays(columns, schema=self._schema)
        # No more than one row group is ever held beside the body.
        self._pages.move_to(self._body, self._pages.size)
        self._writer.write_table(table, row_group_size=count)
        self._pace = -(-self._pages.size // count)
        self._next += count
        self._rows.clear()

    def _images(self) -> pa.Array:
        first = f"{self._next:0{_INDEX_DIGITS}d}{_SUFFIX}"
        names = names_from(first, _INDEX_DIGITS - 1, self._rows.count)
        ends = np.arange(0, names.size + 1, _NAME_BYTES, dtype=np.int32)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(names)]
        paths = pa.Array.from_buffers(pa.string(), self._rows.count, buffers)
        return pa.StructArray.from_arrays([self._rows.array(), paths], ["bytes", "path"])

    def _indexes(self) -> pa.Array:
        return pa.array(np.arange(self._next, self._next + self._rows.count, dtype=np.int64))


def _schema(labels: Sequence[str]) -> pa.Schema:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns: list[tuple[str, Any, dict[str, Any]]] = [
        ("image", image, {"_type": "Image"}),
        ("label", pa.int64(), {"names": list(labels), "_type": "ClassLabel"}),
        ("index", pa.int64(), {"dtype": "int64", "_type": "Value"}),
    ]
    if not labels:
        columns.pop(1)
    features = {name: feature for name, _, feature in columns}
    told = json.dumps({"info": {"features": features}})
    return pa.schema([(name, kind) for name, kind, _ in columns], {"huggingface": told})


def _writer(schema: pa.Schema, pages: Pages) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        pages,
        schema,
        # PNG files are compressed already, and the rest is small.
        compression="NONE",
        data_page_size=_PAGE_BYTES,
        use_dictionary=["label"],
        # Those by which a reader may leave row groups out.
        write_statistics=["label", "index"],
    )
