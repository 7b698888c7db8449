"""Multipart uploads that nobody will finish: no listing of objects shows them, and the bill does."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from service.adapters.storage_object import Leftover

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: An upload this old was given up: the largest object takes hours on the slowest line.
UPLOAD_MAX_AGE = timedelta(days=1)


def stale_uploads(
    client: "S3Client", bucket: str, prefix: str, *, now: datetime
) -> Iterator[Leftover]:
    """Uploads under the prefix that began a day before `now`. Raises boto3's errors."""
    pages = client.get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        for upload in page.get("Uploads", ()):
            if upload["Initiated"] < now - UPLOAD_MAX_AGE:
                key, number = upload["Key"], upload["UploadId"]
                size_bytes = _size(client, bucket, key, number)
                yield Leftover(key, size_bytes, partial(_abort, client, bucket, key, number))


def _size(client: "S3Client", bucket: str, key: str, upload: str) -> int:
    pages = client.get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload)
    return sum(part["Size"] for page in pages for part in page.get("Parts", ()))


def _abort(client: "S3Client", bucket: str, key: str, upload: str) -> None:
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    except client.exceptions.NoSuchUpload:
        return
