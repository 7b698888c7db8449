"""Everything that reads what others wrote, with real objects to begin with and the errors it may raise."""

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from latentmill.archive import read_archive
from latentmill.folder import MANIFEST, read_manifest
from latentmill.png import read_png

from export.inspection.draft import draft_faults, read_draft
from service.adapters.storage_folder import FolderStorage
from service.api.body import parsed
from service.api.links import entry_of
from service.contract import layout
from service.contract.errors import ArchiveBroken, DecoderRefused, RequestInvalid
from service.contract.faults import parse_request
from service.contract.recipe import Format
from service.contract.shard import BLOCK, Shard
from service.contract.value import canonical_json
from service.contract.webhook_url import read_url
from service.lifecycle.decoders import read_card
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.parts import ask
from tests.fuzz.envelopes import ARRAYS, PNG_HEAD, TABLE, npz_around, png_around, zip_around
from tests.test_sdk_archive import noise, packed
from tests.test_sdk_transport import manifest_json


class Reader(NamedTuple):
    """`read` returns, or raises `refuses`, whatever the bytes; `seeds` are bytes that it likes."""

    read: Callable[[bytes], object]
    refuses: type[Exception]
    seeds: Callable[[], list[bytes]]


def _request(data: bytes) -> None:
    body = parsed(data)
    canonical_json(body)
    parse_request(body)


def _requests() -> list[bytes]:
    bodies: list[dict[str, object]] = [
        ask(),
        ask(label="7", seed="9223372036854775807", temperature=0.8, format="parquet"),
        ask(webhook="https://hooks.example.org/latentmill", shard_size=None),
    ]
    return [json.dumps(body).encode() for body in bodies]


def _cursor(data: bytes) -> None:
    entry_of(data.decode("latin-1"))


def _webhook(data: bytes) -> None:
    url = data.decode("latin-1")
    parts = read_url(url, trusted=frozenset({"internal:8080"}))
    assert urlsplit(url).hostname == parts.host.strip("[]"), "two parsers see two hosts"


@cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _card(data: bytes) -> None:
    digest = tiny_decoder()[1].digest
    path = _scratch() / layout.decoder_card("tiny", digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    read_card(FolderStorage(_scratch()), "tiny", digest)


def _draft(data: bytes) -> None:
    draft_faults(read_draft(data, "card.json"))


def _cards() -> list[bytes]:
    conditional, other = tiny_decoder()[1], tiny_decoder(labels=(), shape=(3, 4, 3))[1]
    same_place = other.model_copy(update={"digest": conditional.digest})
    return [conditional.to_json(), same_place.to_json()]


def _manifest(data: bytes) -> None:
    (_scratch() / MANIFEST).write_bytes(data)
    read_manifest(_scratch())


def _archive(format: Format) -> Reader:
    def seeds() -> list[bytes]:
        shard = Shard(index=1, start=BLOCK, stop=BLOCK + 20)
        return [
            packed(noise(shape), shard, format, labels)
            for shape in [(6, 5, 1), (3, 4, 3)]
            for labels in [(), ("cat", "dog", "3")]
        ]

    return Reader(lambda data: read_archive(data, format, "dog"), ArchiveBroken, seeds)


def _arrays() -> list[bytes]:
    return [bytes([place]) + file for place, file in enumerate(ARRAYS.values())]


READERS: dict[str, Reader] = {
    "request": Reader(_request, RequestInvalid, _requests),
    "cursor": Reader(_cursor, RequestInvalid, lambda: [b"", b"ODIyNjQ0NTU5MjY0MC1hYmNkZWZnaA=="]),
    "webhook": Reader(
        _webhook,
        ValueError,
        lambda: [
            b"https://hooks.example.org/a?b=1",
            b"http://internal:8080",
            b"https://example.org",
        ],
    ),
    "card": Reader(_card, DecoderRefused, _cards),
    "draft": Reader(_draft, DecoderRefused, _cards),
    "manifest": Reader(_manifest, ArchiveBroken, lambda: [manifest_json()]),
    **{str(format): _archive(format) for format in Format},
    "zip-members": Reader(
        lambda data: read_archive(zip_around(data), Format.ZIP),
        ArchiveBroken,
        lambda: [TABLE + b"\0\0" + png_around(PNG_HEAD + bytes(6))],
    ),
    "npz-arrays": Reader(
        lambda data: read_archive(npz_around(data), Format.NPZ), ArchiveBroken, _arrays
    ),
    "png": Reader(
        lambda data: read_png(png_around(data)), ArchiveBroken, lambda: [PNG_HEAD + bytes(6)]
    ),
}
