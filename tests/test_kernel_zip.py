"""Headers that count up in compiled code are the ones that Python writes, whatever digits an index grows by."""

import csv
import io
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import BLOCK, Shard
from tests.fixtures.contents import Bytes
from tests.fixtures.decoders import tiny_decoder
from workers.archives import new_archive
from workers.archives.container import STORED, Member, put_end, put_entries, put_member
from workers.body import Body
from workers.kernel.png import Files
from workers.kernel.vector import SLACK
from workers.kernel.zip import put_directory, put_headers, put_rows

DIGITS, SUFFIX = 12, ".png"
#: Where a number of one digit more begins, and the last index that twelve digits can tell.
GROWS = [0, 10, 100, 1000, 100_000, 10**9, 10**11, 10**12]
LABELS = ["", "0", "9", "99", "a-9_9", "Z" * 64]

labels = st.sampled_from(LABELS)
contents = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=12)


@st.composite
def starts(draw: st.DrawFn) -> int:
    """Indexes whose next dozen grow a digit, or not."""
    near = draw(st.sampled_from(GROWS)) - draw(st.integers(0, 12))
    return min(max(near, 0), 10**DIGITS - 12)


def name_of(label: str, index: int) -> str:
    return f"{label}/{index:012d}{SUFFIX}" if label else f"{index:012d}{SUFFIX}"


def template(data: bytes) -> Bytes:
    return np.frombuffer(bytearray(data + bytes(SLACK)), np.uint8)


def in_place(contents: list[bytes], gap: int, room: Bytes) -> Files:
    """As an encoder leaves its files in a body."""
    ends = np.cumsum([0, *(gap + len(data) for data in contents)], dtype=np.int64)
    for data, end in zip(contents, ends[1:], strict=True):
        room[end - len(data) : end] = np.frombuffer(data, np.uint8)
    crcs = np.array([zlib.crc32(data) for data in contents], np.uint32)
    return Files(room, ends, crcs)


def put_in_python(body: Body, contents: list[bytes], names: list[str]) -> None:
    """Members and directory, one after another."""
    members = [
        put_member(body, name, data, size=len(data), crc=zlib.crc32(data), method=STORED)
        for name, data in zip(names, contents, strict=True)
    ]
    directory = body.size
    put_entries(body, members)
    put_end(body, members=len(members), directory=directory)


def put_compiled(body: Body, contents: list[bytes], name: str, cut: int) -> None:
    """The same by the kernel, in two batches."""
    first, back = Member(name, method=STORED, offset=0), len(SUFFIX) + 1
    header, entry = first.local_header(), first.entry()
    growing, digit = template(header), len(header) - back
    crcs, sizes = (np.zeros(len(contents), np.uint32) for _ in range(2))
    for here, batch in ((0, contents[:cut]), (cut, contents[cut:])):
        files, sums = in_place(batch, len(header), body.room()), (crcs[here:], sizes[here:])
        put_headers(files, len(batch), *sums, growing, len(header), digit)
        body.grow(int(files.ends[-1]))
    directory, digit, room = body.size, len(entry) - back, body.room()
    body.grow(put_directory(crcs, sizes, template(entry), len(entry), digit, room))
    put_end(body, members=len(contents), directory=directory)


def new_body() -> Body:
    body = Body()
    body.begin(2**16)
    return body


@given(contents, starts(), labels, st.integers(0, 12))
def test_members_and_directory_are_those_of_python(
    contents: list[bytes], start: int, label: str, cut: int
) -> None:
    """To the byte; and zipfile reads names, checksums and contents back."""
    names = [name_of(label, start + number) for number in range(len(contents))]
    compiled, plain = new_body(), new_body()
    put_compiled(compiled, contents, names[0], cut)
    put_in_python(plain, contents, names)
    assert bytes(compiled.view()) == bytes(plain.view())
    with zipfile.ZipFile(io.BytesIO(compiled.view())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == names
        assert [archive.read(name) for name in names] == contents


@given(starts(), labels, st.integers(0, 12))
def test_rows_are_those_of_python(start: int, label: str, count: int) -> None:
    """Names at full length, indexes without leading zeros; csv reads them."""
    wanted = [[name_of(label, index), label, str(index)] for index in range(start, start + count)]
    first = f"{name_of(label, start)},{label},{start:012d}\n".encode()
    digit = len(name_of(label, start)) - len(SUFFIX) - 1
    out = np.empty(count * len(first) + SLACK, np.uint8)
    used = put_rows(count, template(first), len(first), digit, DIGITS, out)
    text = out[:used].tobytes().decode()
    assert text == "".join(",".join(row) + "\n" for row in wanted)
    assert list(csv.reader(io.StringIO(text))) == wanted


@pytest.mark.parametrize("index", [97, 10**9 // BLOCK, 10**12 // BLOCK - 1])
@pytest.mark.parametrize("label", ["9", None])
def test_a_shard_over_a_grown_digit(index: int, label: str | None) -> None:
    """99,999 and 100,000, a billion, the last block that twelve digits can name: zipfile and csv read each."""
    _, card = tiny_decoder(labels=("9",) if label else (), shape=(1, 1, 1))
    recipe = Recipe(
        decoder=card.digest,
        label=label,
        seed=1,
        format=Format.ZIP,
        compression=Compression.FAST,
        shard_size=BLOCK,
    )
    shard = Shard(index=index, start=index * BLOCK, stop=(index + 1) * BLOCK)
    archive = new_archive(recipe, shard, card, body := Body())
    archive.add(np.zeros((BLOCK, 1, 1, 1), np.uint8))
    archive.finish()
    names = [name_of(label or "", number) for number in range(shard.start, shard.stop)]
    with zipfile.ZipFile(io.BytesIO(body.view())) as read:
        assert read.namelist() == [*names, "metadata.csv"]
        rows = list(csv.DictReader(io.TextIOWrapper(read.open("metadata.csv"))))
    assert [row["file_name"] for row in rows] == names
    assert [row["index"] for row in rows] == [str(n) for n in range(shard.start, shard.stop)]
