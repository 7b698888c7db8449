"""A reached limit as header fields: draft-ietf-httpapi-ratelimit-headers-11, in structured fields (RFC 9651)."""

from typing import Any

from service.contract.errors import Allowance

#: The same for OpenAPI.
RATE_LIMIT_FIELDS: dict[str, dict[str, Any]] = {
    "RateLimit-Policy": {
        "description": "The limit that was reached: its quota `q`, its unit `qu`, its window `w` in seconds.",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "What is left of it, `r`, and the seconds until there is more, `t`.",
        "schema": {"type": "string"},
    },
}


def rate_limit_headers(allowance: Allowance, *, retry_after_s: int) -> dict[str, str]:
    """`RateLimit-Policy` with the quota, `RateLimit` with what is left and, where known, until when."""
    policy = f'"{allowance.name}";q={allowance.quota}'
    # "requests" is the unit that a policy has when it names none.
    if allowance.unit != "requests":
        policy += f';qu="{allowance.unit}"'
    left = f'"{allowance.name}";r={allowance.left}'
    if allowance.window_s is not None:
        policy += f";w={allowance.window_s}"
        left += f";t={retry_after_s}"
    return {"RateLimit-Policy": policy, "RateLimit": left}
