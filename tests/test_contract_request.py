"""What may be asked for: all faults of a body at once, by JSON pointer; nothing is guessed."""

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import RequestInvalid
from service.contract.faults import label_faults, parse_request, shard_size_faults
from service.contract.recipe import MAX_SEED, Compression, Format
from service.contract.request import AcceptedRequest, ResolvedRequest, resolve
from tests.fixtures.cards import MNIST, card_of

GOOD: dict[str, Any] = {"decoder": "mnist", "label": 3, "count": 1000, "seed": 42}


def pointers(body: Any) -> list[str]:
    with pytest.raises(RequestInvalid) as refused:
        parse_request(body)
    return [fault.pointer for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decoder", ""),
        ("decoder", "MNIST"),
        ("decoder", "mnist\n"),
        ("decoder", "../mnist"),
        ("decoder", "mnist@"),
        ("decoder", "mnist@" + "A" * 64),
        ("decoder", 5),
        ("decoder", None),
        ("label", True),
        ("label", 3.0),
        ("label", -1),
        ("label", ["3"]),
        ("count", 0),
        ("count", -1),
        ("count", True),
        ("count", 10.0),
        ("count", "10"),
        ("count", None),
        ("seed", -1),
        ("seed", True),
        ("seed", 1.0),
        ("seed", MAX_SEED + 1),
        ("seed", 10**30),
        ("seed", str(MAX_SEED + 1)),
        ("seed", "010"),
        ("seed", "-1"),
        ("seed", "0x10"),
        ("seed", "٣"),
        ("seed", ""),
        ("format", "rar"),
        ("format", 1),
        ("format", ["zip"]),
        ("compression", "max"),
        ("temperature", 0),
        ("temperature", 2.001),
        ("temperature", 0.1234),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", 1e308),
        ("temperature", 10**400),
        ("temperature", True),
        ("temperature", "1"),
        ("shard_size", 0),
        ("shard_size", 1000),
        ("shard_size", 64 * 1024),
        ("shard_size", 10**40),
        ("shard_size", True),
        ("cuont", 5),
        ("given_sha256", "0" * 64),
    ],
)
def test_one_wrong_field_is_named_and_nothing_else(field: str, value: object) -> None:
    """Strict types: no bool counts as an integer, no float as a count, no string as a number."""
    assert pointers(GOOD | {field: value}) == [f"/{field}"]


@pytest.mark.parametrize("body", [None, [], "mnist", 3, [GOOD]])
def test_a_body_that_is_no_object_is_one_fault_at_the_root(body: object) -> None:
    """The empty pointer names the whole document (RFC 6901)."""
    assert pointers(body) == [""]


def test_every_fault_is_told_at_once() -> None:
    """A client repairs its request in one go."""
    body = {"count": 0, "seed": -1, "label": 1.5, "cuont": 1, "temperature": 9, "labels": {"3": 1}}
    expected = {"/decoder", "/count", "/seed", "/label", "/cuont", "/temperature"}
    assert set(pointers(body)) == expected


def test_a_pointer_escapes_what_rfc_6901_asks_for() -> None:
    """`~` and `/` in a field's name do not break the path."""
    assert pointers(GOOD | {"a/b~c": 1}) == ["/a~1b~0c"]


def test_an_empty_body_names_what_is_required() -> None:
    """Only the decoder has no default, and one of a count and a mix."""
    assert pointers({}) == ["/decoder", "/count"]


def test_a_mix_or_a_label_and_a_count() -> None:
    """Each way is whole, and both together are faults."""
    mixed = {"decoder": "m", "labels": {"8": 1, "3": 2, "5": 0}}
    assert parse_request(mixed).labels == {"8": 1, "3": 2, "5": 0}
    assert pointers(GOOD | {"labels": {"3": 1}}) == ["/label", "/count"]


def test_details_say_what_is_wanted() -> None:
    """Details are for people: no pattern, no class name, no value echoed."""
    with pytest.raises(RequestInvalid) as refused:
        parse_request({"decoder": "m", "count": "x", "seed": 10**30, "cuont": 1})
    details = {fault.pointer: fault.detail for fault in refused.value.faults}
    assert details["/cuont"] == "unknown field"
    assert details["/seed"] == f"an integer from 0 to {MAX_SEED}, or its decimal string"
    assert str(refused.value).count("; ") == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(
    body=st.dictionaries(
        st.sampled_from([*GOOD, "format", "temperature", "shard_size", "labels"]), json_values
    )
)
def test_no_body_raises_anything_but_request_invalid(body: dict[str, Any]) -> None:
    """Whatever JSON arrives is either a request or a list of faults, never a crash."""
    with suppress(RequestInvalid):
        assert parse_request(body).count >= 1


@given(milli=st.integers(1, 2000))
def test_temperatures_are_thousandths(milli: int) -> None:
    """Every temperature of three decimals arrives in the recipe as its integer."""
    request = parse_request(GOOD | {"temperature": milli / 1000})
    assert resolve(request, card_of(), drawn_seed=0).temperature_milli == milli


def test_what_is_left_out_is_filled_in() -> None:
    """A resolved request holds all a worker needs: pinned decoder, drawn seed, every default."""
    resolved = resolve(
        parse_request({"decoder": "mnist", "label": 3, "count": 1000}), card_of(), drawn_seed=7
    )
    assert resolved == ResolvedRequest(
        decoder="mnist",
        digest=MNIST["digest"],
        label="3",
        count=1000,
        seed=7,
        temperature_milli=1000,
        format=Format.ZIP,
        compression=Compression.FAST,
        shard_size=16_384,
    )
    assert resolved.shards == 1


def test_a_seed_of_zero_is_not_left_out() -> None:
    """0 is a seed, so the server does not draw another."""
    assert resolve(parse_request(GOOD | {"seed": 0}), card_of(), drawn_seed=7).seed == 0


def test_a_decoder_may_be_pinned_by_its_digest() -> None:
    """`name@digest` asks for one version for ever, `name` for the current one."""
    pinned = parse_request(GOOD | {"decoder": "mnist@" + "b" * 64})
    assert pinned.decoder == "mnist@" + "b" * 64


@pytest.mark.parametrize(
    ("label", "labels", "expected"),
    [
        ("3", MNIST["labels"], []),
        ("10", MNIST["labels"], ["/label"]),
        (None, MNIST["labels"], ["/label"]),
        (None, (), []),
        ("3", (), ["/label"]),
        ("\ud800", MNIST["labels"], ["/label"]),
    ],
)
def test_a_label_is_checked_against_the_card(
    label: str | None, labels: tuple[str, ...], expected: list[str]
) -> None:
    """A decoder with labels needs one of them; an unconditional one takes none."""
    faults = label_faults(label, card_of(labels=labels))
    assert [fault.pointer for fault in faults] == expected
    assert all(fault.detail.isascii() for fault in faults)


def test_an_unknown_label_is_answered_with_the_known_ones() -> None:
    """At most twenty are listed, so a decoder of a thousand labels does not flood the answer."""
    many = card_of(labels=tuple(f"c{number}" for number in range(1000)))
    (fault,) = label_faults("x" * 1000, many)
    assert "c19, … (1000 in all)" in fault.detail
    assert len(fault.detail) < 300


@pytest.mark.parametrize(
    ("shard_size", "allowed"), [(None, True), (1024, True), (5120, True), (6144, False)]
)
def test_a_shard_stays_within_a_worker_s_memory(shard_size: int | None, allowed: bool) -> None:
    """64 x 64 RGB images fit 5,120 times into 64 MiB."""
    card = card_of(
        image=MNIST["image"].model_copy(update={"height": 64, "width": 64, "channels": 3})
    )
    body = GOOD if shard_size is None else GOOD | {"shard_size": shard_size}
    assert (shard_size_faults(parse_request(body), card) == []) is allowed


def test_request_json_reads_back_as_written() -> None:
    """A job rebuilt from `request.json` is the same job, milliseconds included."""
    text = (
        '{"id":"job-12345","owner":"anonymous","given":{"decoder":"mnist"},"given_sha256":"'
        + "0" * 64
        + '",'
        '"resolved":null,"created_at":"2026-01-02T03:04:05.678Z"}'
    )
    accepted = AcceptedRequest.model_validate_json(text)
    assert AcceptedRequest.model_validate_json(accepted.to_json()) == accepted
    assert '"created_at": "2026-01-02T03:04:05.678Z"' in accepted.to_json().decode()


@pytest.mark.parametrize(
    "job_id", ["short", "x" * 65, "job/12345", "job-12345\n", "job 12345", "../../../etc"]
)
def test_a_job_id_that_could_leave_its_folder_is_refused(job_id: str) -> None:
    """Ids name objects, and a foreign producer chooses them."""
    text = f'{{"id":{job_id!r}}}'.replace("'", '"')
    with pytest.raises(ValueError, match="id"):
        AcceptedRequest.model_validate_json(text)
