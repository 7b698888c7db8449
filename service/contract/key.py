"""API keys: whose they are, what they allow, and how a token is written."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from service.contract.limits import LimitOverrides
from service.contract.value import SHA256, Moment, Value, sha256_hex

#: `lm_` and 32 random bytes in base64url. No slow hash is needed to store it: nobody guesses 256 bits.
TOKEN = r"^lm_[A-Za-z0-9_-]{43}$"
#: Part of object keys and Redis keys; lower case, because some file systems know no other.
OWNER = r"^[a-z0-9][a-z0-9_.-]{0,62}$"
KEY_ID = r"^[0-9a-f]{12}$"

#: One to work with and one to replace it by, without a moment in which neither works.
LIVE_KEYS_PER_OWNER = 2


class Scope(StrEnum):
    """What a key allows; none includes another."""

    SUBMIT = "submit"  # ask for jobs; cancel, repair and forget them
    READ = "read"  # look at jobs and decoders, download
    ADMIN = "admin"  # read the deployment's metrics


class Key(Value):
    """`keys/{sha256}.json`: everything about a key but its token, which nobody keeps."""

    id: str = Field(pattern=KEY_ID)
    sha256: str = Field(pattern=SHA256)
    owner: str = Field(pattern=OWNER)
    scopes: tuple[Annotated[Scope, Field(strict=False)], ...] = Field(min_length=1)
    created_at: Moment = Field(strict=False)
    expires_at: Moment | None = Field(default=None, strict=False)
    revoked_at: Moment | None = Field(default=None, strict=False)
    limits: LimitOverrides = LimitOverrides()

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def sha256_of(token: str) -> str:
    """What a token is stored and looked up as."""
    return sha256_hex(token.encode("utf-8", "surrogatepass"))


def id_of(sha256: str) -> str:
    """The public name of a key, to list and to revoke it by."""
    return sha256[:12]
