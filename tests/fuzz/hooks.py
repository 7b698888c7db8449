"""What Schemathesis must know that OpenAPI cannot say. It finds this file by `SCHEMATHESIS_HOOKS`."""

import hashlib
from typing import Any

import schemathesis

_KEY = "Idempotency-Key"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """One key belongs to one body: with another body it is refused, as it should be (`test_api_idempotency`)."""
    key = (case.headers or {}).get(_KEY)
    if isinstance(key, str) and 1 <= len(key) <= 255:
        case.headers[_KEY] = hashlib.sha256(f"{key}\n{case.body!r}".encode()).hexdigest()
