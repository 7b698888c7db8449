"""An S3 object as a stream whose errors are ours."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from botocore.response import StreamingBody


class ObjectStream(io.RawIOBase):
    """An answer's body, read as it arrives. Raises StorageUnavailable when it ends too soon."""

    def __init__(
        self, body: StreamingBody, answering: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._body, self._answering = body, answering

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._answering():
            return self._body.readinto(buffer)

    def close(self) -> None:
        self._body.close()
        super().close()
