"""Every object key, as it is spelled in stores that already hold something."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract import layout
from service.contract.recipe import Format, Recipe
from service.contract.shard import Shard

DIGEST = "a" * 64
SHARD = Shard(index=1, start=16_384, stop=20_000)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "spelled"),
    [
        (layout.decoder_onnx("mnist", DIGEST), f"decoders/mnist/{DIGEST}/decoder.onnx"),
        (layout.decoder_card("mnist", DIGEST), f"decoders/mnist/{DIGEST}/card.json"),
        (layout.decoder_current("mnist"), "decoders/mnist/current.json"),
        (layout.shard(DIGEST, SHARD, Format.ZIP), f"shards/{DIGEST}/000000016384-000000020000.zip"),
        (layout.shard(DIGEST, SHARD, Format.NPZ), f"shards/{DIGEST}/000000016384-000000020000.npz"),
        (layout.job_request("job-12345"), "jobs/job-12345/request.json"),
        (layout.job_manifest("job-12345"), "jobs/job-12345/manifest.json"),
        (layout.job_outcome("job-12345"), "jobs/job-12345/outcome.json"),
        (layout.job_repair("job-12345"), "jobs/job-12345/repair.json"),
        (layout.active("job-12345"), "active/job-12345"),
        (
            layout.log_entry("anonymous", MOMENT, "job-12345"),
            "log/anonymous/8232676954321-job-12345",
        ),
        (layout.quarantined("shards/x/y.zip", DIGEST), f"quarantine/{DIGEST}/shards/x/y.zip"),
        (layout.use(DIGEST, 20_000), f"uses/{DIGEST}/000000020000"),
        (layout.repair("job-12345"), "repairs/job-12345"),
        (
            layout.audit(layout.shard(DIGEST, SHARD, Format.ZIP)),
            f"audits/{DIGEST}/000000016384-000000020000.zip.json",
        ),
        (layout.key(DIGEST), f"keys/{DIGEST}.json"),
        (layout.probe("token"), "probe/token"),
    ],
)
def test_golden_keys(key: str, spelled: str) -> None:
    """A key never changes: what was stored is found by the next version."""
    assert key == spelled


def test_a_shard_lies_under_the_digest_of_its_recipe() -> None:
    """Whoever asks for the same recipe reads the same object."""
    recipe = Recipe(decoder=DIGEST, label="3", seed=42, format=Format.NPZ, shard_size=16_384)
    assert layout.shard_of(recipe, SHARD) == f"shards/{recipe.digest}/000000016384-000000020000.npz"
    assert layout.shard_of(recipe, SHARD).startswith(layout.recipe_prefix(recipe.digest))


milliseconds = st.integers(0, 10**13 - 2)


@given(earlier=milliseconds, later=milliseconds)
def test_the_log_lists_the_newest_first(earlier: int, later: int) -> None:
    """Key order is reverse time order, to the millisecond, from 1970 to 2286."""
    first, second = sorted((earlier, later))
    keys = [layout.log_entry("anonymous", moment(at), "job-12345") for at in (second, first)]
    assert keys == sorted(keys)
    assert keys[1].endswith(f"/{10**13 - 1 - first:013d}-job-12345")


def moment(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


@given(job_id=st.from_regex(r"\A[A-Za-z0-9_-]{8,64}\Z"), at=milliseconds)
def test_a_log_entry_gives_its_job_back(job_id: str, at: int) -> None:
    """Also for ids that contain dashes."""
    assert layout.job_of_log_entry(layout.log_entry("anonymous", moment(at), job_id)) == job_id


def test_owners_logs_are_apart() -> None:
    """A listing by prefix never shows the jobs of an owner whose name only begins alike."""
    assert not layout.log_entry("anna-b", MOMENT, "job-12345").startswith(layout.log_prefix("anna"))
