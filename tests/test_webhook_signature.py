"""A webhook's signature is that of Standard Webhooks, which receivers have libraries for."""

import base64
import hashlib
import hmac

import pytest

from service.contract.errors import SettingsInvalid
from service.contract.settings import ApiSettings, load_settings
from service.contract.webhook_signature import read_secrets, signed, spelled

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_known_message_has_its_known_signature() -> None:
    """Secret, id, timestamp, body and signature of the reference libraries' own tests."""
    headers = signed(
        read_secrets(SECRET),
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_sign_both() -> None:
    """While receivers change over, whichever of the two they know is enough."""
    new, old = b"n" * 32, b"o" * 24
    keys = read_secrets(f"{spelled(new)}, {spelled(old)}")
    assert keys == (new, old)
    told = signed(keys, event_id="evt_1", timestamp_s=7, body=b"{}")["webhook-signature"]
    expected = [
        base64.b64encode(hmac.new(key, b"evt_1.7.{}", hashlib.sha256).digest()).decode()
        for key in keys
    ]
    assert told == " ".join(f"v1,{signature}" for signature in expected)


@pytest.mark.parametrize(
    "secret",
    [
        "geheim",
        "whsec_",
        "whsec_geheim!",
        "whsec_c2hvcnQ=",
        SECRET.removeprefix("whsec_"),
        spelled(bytes(65)),
        ",".join([SECRET] * 3),
    ],
)
def test_a_weak_secret_ends_the_start(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """One line that says which variable and how a secret is made, and never what it was."""
    monkeypatch.setenv("LATENTMILL_WEBHOOK_SECRET", secret)
    with pytest.raises(SettingsInvalid) as told:
        load_settings(ApiSettings)
    assert "LATENTMILL_WEBHOOK_SECRET" in told.value.detail
    assert "whsec_" in told.value.detail or "one secret" in told.value.detail
    assert secret in ("whsec_",) or secret not in told.value.detail


def test_without_a_secret_webhooks_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable, as compose passes it, is none."""
    monkeypatch.setenv("LATENTMILL_WEBHOOK_SECRET", "")
    settings = load_settings(ApiSettings)
    assert settings.webhook_hosts is None
    assert settings.webhook_keys == ()
