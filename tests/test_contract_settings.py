"""Settings: named like their variables, documented, frozen, and silent about secrets."""

import traceback
from datetime import timedelta

import pytest
from pydantic import ValidationError

from service.contract.errors import SettingsInvalid
from service.contract.settings import (
    ApiSettings,
    ClientSettings,
    Settings,
    SweepSettings,
    WorkerSettings,
    load_settings,
)
from service.local.stack import cores

ROLES = [Settings, ApiSettings, WorkerSettings, SweepSettings, ClientSettings]


@pytest.mark.parametrize(
    ("role", "variable", "value"),
    [
        (Settings, "LATENTMILL_STORAGE_URL", "/var/lib/latentmill"),
        (Settings, "LATENTMILL_STORAGE_URL", "file://relative/path"),
        (Settings, "LATENTMILL_STORAGE_URL", "s3:///prefix"),
        (Settings, "LATENTMILL_STORAGE_URL", "s3://key:secret@bucket/prefix"),
        (Settings, "LATENTMILL_STORAGE_URL", "gs://bucket"),
        (Settings, "LATENTMILL_STORAGE_CONDITIONAL", "maybe"),
        (Settings, "LATENTMILL_LEASE_S", "0"),
        (Settings, "LATENTMILL_LOG_LEVEL", "loud"),
        (Settings, "LATENTMILL_RETENTION_DAYS", "0"),
        (Settings, "LATENTMILL_RETENTION_DAYS", "inf"),
        (Settings, "LATENTMILL_RETENTION_DAYS", "nan"),
        (Settings, "LATENTMILL_RETENTION_DAYS", "a month"),
        (WorkerSettings, "LATENTMILL_AUDIT_SHARE", "1.5"),
        (ApiSettings, "LATENTMILL_PORT", "65536"),
        (ApiSettings, "LATENTMILL_PORT", "http"),
        (ApiSettings, "LATENTMILL_SIGNED_URL_S", "901"),
        (WorkerSettings, "LATENTMILL_DEVICE", "tpu"),
        (WorkerSettings, "LATENTMILL_SLOTS", "0"),
        (WorkerSettings, "LATENTMILL_CORES", "many"),
        (SweepSettings, "LATENTMILL_SWEEP_INTERVAL_S", "-1"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, role: type[Settings], variable: str, value: str
) -> None:
    """Who reads the message knows which variable to change."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid, match=f"^{variable}: "):
        load_settings(role)


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start, one message, all faults."""
    monkeypatch.setenv("LATENTMILL_PORT", "http")
    monkeypatch.setenv("LATENTMILL_MAX_COUNT", "0")
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(ApiSettings)
    assert "LATENTMILL_PORT: " in str(refused.value)
    assert "LATENTMILL_MAX_COUNT: " in str(refused.value)


def test_secrets_show_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords and keys are in no repr, no dump and no traceback of a refusal."""
    for variable in ("REDIS_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"LATENTMILL_{variable}", "redis://:hunter2@redis:6379/0")
    settings = load_settings(ApiSettings)
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    monkeypatch.setenv("LATENTMILL_PORT", "http")
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(ApiSettings)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line option that was given is what counts; one left out is not."""
    monkeypatch.setenv("LATENTMILL_PORT", "9000")
    assert load_settings(ApiSettings, port=9001).port == 9001
    assert load_settings(ApiSettings, port=None).port == 9000


@pytest.mark.parametrize("role", ROLES)
def test_every_setting_is_documented_and_seconds_are_in_its_name(role: type[Settings]) -> None:
    """A setting says what it does; its unit is in the name or in the text."""
    for name, field in role.model_fields.items():
        assert field.description, name
        assert field.description.endswith((".", "`")), name
        assert ("second" in field.description.lower()) <= (name.endswith("_s")), name


@pytest.mark.parametrize("role", ROLES)
def test_settings_are_frozen_and_have_defaults(role: type[Settings]) -> None:
    """A role starts without any variable on one machine, and nothing changes under its feet."""
    settings = load_settings(role)
    name = next(iter(role.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, name, "other")


def test_a_retention_that_is_empty_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file passes what is not set as an empty string; nothing must expire then."""
    monkeypatch.setenv("LATENTMILL_RETENTION_DAYS", "")
    assert load_settings(SweepSettings).retention is None
    monkeypatch.setenv("LATENTMILL_RETENTION_DAYS", "1.5")
    assert load_settings(SweepSettings).retention == timedelta(hours=36)


def test_a_gpu_worker_encodes_on_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process feeds a GPU, so it takes the machine; on a CPU a process takes a core. What is set, counts."""
    assert (load_settings(WorkerSettings).cores, load_settings(WorkerSettings).slots) == (1, 2)
    usable = cores()
    gpu = load_settings(WorkerSettings, device="cuda")
    assert (gpu.cores, gpu.slots) == (min(256, usable), min(64, 2 * usable))
    monkeypatch.setenv("LATENTMILL_CORES", "48")
    assert load_settings(WorkerSettings, device="cuda").slots == 64
    monkeypatch.setenv("LATENTMILL_SLOTS", "3")
    assert load_settings(WorkerSettings, device="cuda").slots == 3


def test_without_keys_the_api_listens_on_loopback_only() -> None:
    """The default address is not reachable from elsewhere."""
    assert load_settings(ApiSettings).host == "127.0.0.1"
    assert load_settings(ApiSettings).allow_anonymous is False
