"""Object storage in an S3 bucket, Amazon's or any other that has conditional writes."""

import base64
import hashlib
import io
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, suppress
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

from service.adapters.storage_object import (
    Leftover,
    StoredObject,
    check_key,
    check_metadata,
    check_prefix,
)
from service.adapters.storage_s3_client import make_client
from service.adapters.storage_s3_errors import AnotherTry, answering, stranger
from service.adapters.storage_s3_stream import ObjectStream
from service.adapters.storage_s3_uploads import stale_uploads
from service.contract.errors import ObjectExists, ObjectMissing
from service.contract.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Answer = TypeVar("Answer")

#: boto3 repeats failed requests, but not writes that collided nor answers that broke off.
_TRIES = 4
_LONGEST_PAUSE_S = 0.2


class S3Storage:
    """Objects of a bucket under a prefix. The constructor does not connect; the first call does.

    Each write is one PUT with its SHA-256 and never multipart: whole, conditional and checked.
    """

    def __init__(self, *, bucket: str, prefix: str, settings: Settings) -> None:
        self._bucket, self._settings = bucket, settings
        self._prefix = f"{prefix}/" if prefix else ""
        self._name = f"S3 bucket {bucket} at {_where(settings)}"

    def put(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        self._put(key, data, metadata)

    def create(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        if self._settings.storage_conditional == "off":
            self._refuse_taken(key)
            return self._put(key, data, metadata)
        return _insist(lambda: self._put(key, data, metadata, IfNoneMatch="*"))

    def get(self, key: str) -> bytes:
        return _insist(lambda: self._read(key))

    def open(self, key: str) -> BinaryIO:
        with self._answering(key):
            body = self._client.get_object(Bucket=self._bucket, Key=self._full(key))["Body"]
        return io.BufferedReader(ObjectStream(body, lambda: self._answering(key)))

    def head(self, key: str) -> StoredObject:
        try:
            with self._answering(key):
                found = self._client.head_object(Bucket=self._bucket, Key=self._full(key))
        except ObjectMissing:
            self.check()  # A HEAD does not say whether the key or the whole bucket is missing.
            raise
        size_bytes, modified_at = found["ContentLength"], found["LastModified"]
        return StoredObject(
            key=key, size_bytes=size_bytes, modified_at=modified_at, metadata=found["Metadata"]
        )

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        return self._listed(prefix, {"StartAfter": self._prefix + after} if after else {})

    def delete(self, key: str) -> None:
        with suppress(ObjectMissing), self._answering(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._full(key))

    def refresh(self, key: str) -> None:
        # S3 copies an object onto itself only when something is replaced: the metadata, by the same.
        metadata, full = self.head(key).metadata, self._full(key)
        with self._answering(key):
            self._client.copy_object(
                Bucket=self._bucket,
                Key=full,
                CopySource={"Bucket": self._bucket, "Key": full},
                MetadataDirective="REPLACE",
                Metadata=metadata,
            )

    def leftovers(self, *, now: datetime) -> Iterator[Leftover]:
        """Multipart uploads: none of them is ours, and unfinished ones cost as much as objects."""
        with self._answering():
            for upload in stale_uploads(self._client, self._bucket, self._prefix, now=now):
                name = upload.name.removeprefix(self._prefix)
                yield Leftover(name, upload.size_bytes, partial(self._give_up, upload))

    def sign(self, key: str, *, expires_s: int, filename: str) -> str:
        asked = {
            "Bucket": self._bucket,
            "Key": self._full(key),
            "ResponseContentDisposition": f'attachment; filename="{quote(filename)}"',
        }
        with self._answering(key):
            return self._signer.generate_presigned_url(
                "get_object", Params=asked, ExpiresIn=expires_s
            )

    def check(self) -> None:
        with self._answering():
            found = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1
            )
        if not found.keys() & {"Name", "MaxKeys"}:  # A console or a proxy says 200 to anything.
            raise stranger(self._name)

    @cached_property
    def _client(self) -> "S3Client":
        return make_client(self._settings, self._settings.s3_endpoint_url)

    @cached_property
    def _signer(self) -> "S3Client":
        # The signature covers the host, so URLs are signed for the address that clients use.
        public = self._settings.s3_public_endpoint_url
        return make_client(self._settings, public) if public else self._client

    def _give_up(self, upload: Leftover) -> None:
        with self._answering():
            upload.remove()

    def _answering(self, key: str = "") -> AbstractContextManager[None]:
        return answering(self._name, key)

    def _full(self, key: str) -> str:
        check_key(key)
        return self._prefix + key

    def _refuse_taken(self, key: str) -> None:
        with suppress(ObjectMissing):
            self.head(key)
            raise ObjectExists(f"{key} exists already")

    def _put(
        self,
        key: str,
        data: bytes | memoryview,
        metadata: Mapping[str, str] | None,
        **condition: Any,
    ) -> None:
        check_metadata(metadata or {})
        with self._answering(key):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._full(key),
                Body=bytes(data),
                Metadata=metadata or {},
                ChecksumSHA256=base64.b64encode(hashlib.sha256(data).digest()).decode(),
                **condition,
            )

    def _read(self, key: str) -> bytes:
        with self._answering(key):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._full(key))
            with closing(answer["Body"]) as body:
                return body.read()

    def _listed(self, prefix: str, start: dict[str, Any]) -> Iterator[StoredObject]:
        pages = self._client.get_paginator("list_objects_v2")
        with self._answering():
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix, **start):
                for found in page.get("Contents", ()):
                    yield StoredObject(
                        key=found["Key"].removeprefix(self._prefix),
                        size_bytes=found["Size"],
                        modified_at=found["LastModified"],
                    )


def _insist(ask: Callable[[], Answer]) -> Answer:
    for _ in range(1, _TRIES):
        with suppress(AnotherTry):
            return ask()
        # Of random length, so that writers who collided do not collide again.
        time.sleep(random.uniform(0, _LONGEST_PAUSE_S))
    return ask()


def _where(settings: Settings) -> str:
    """The store's address without the user and password that a URL may hold."""
    if not settings.s3_endpoint_url:
        return f"AWS {settings.s3_region}"
    return urlsplit(settings.s3_endpoint_url).netloc.rpartition("@")[2]
