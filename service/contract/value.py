"""The base of everything said between processes: frozen, closed, strict; and its one canonical spelling."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer

SHA256 = r"^[0-9a-f]{64}$"


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


#: RFC 3339 in UTC with milliseconds, so that two processes spell one moment alike.
Moment = Annotated[AwareDatetime, PlainSerializer(_timestamp, when_used="json")]


class Value(BaseModel):
    """A frozen value; an unknown field is an error, so a misspelt `cuont` is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def to_json(self) -> bytes:
        """The stored form: indented, because people read objects with their own eyes."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def canonical_json(value: Any) -> bytes:
    """RFC 8785 JSON of a value made of objects, arrays, ASCII strings, booleans, null and integers below 2**53.

    Within that domain (no floats, ASCII keys) sorted keys and no white space are the whole of the RFC.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    # A client's body may hold half a surrogate pair; it still needs a digest.
    return text.encode("utf-8", "surrogatepass")


def sha256_hex(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()
