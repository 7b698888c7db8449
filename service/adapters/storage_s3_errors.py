"""What S3 says when it refuses, as errors of ours that name the store and the setting to change."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as NoConnection
from urllib3.exceptions import ProtocolError

from service.contract.errors import LatentmillError, ObjectExists, ObjectMissing, StorageUnavailable


class AnotherTry(StorageUnavailable):
    """The answer broke off, or two writers collided and the store asks both to try again."""


_KEYS = (
    "check LATENTMILL_S3_ACCESS_KEY_ID, LATENTMILL_S3_SECRET_ACCESS_KEY and what they may do there"
)
_BUCKET = "create the bucket or set LATENTMILL_STORAGE_URL=s3://another-bucket"
_REGION = "set LATENTMILL_S3_REGION to the bucket's region"
_ENDPOINT = "start the store or set LATENTMILL_S3_ENDPOINT_URL"
_WAIT = "the store is down or overloaded: try again later"

_ADVICE = {
    "NoSuchBucket": _BUCKET,
    "InvalidBucketName": _BUCKET,
    "ParamValidationError": _BUCKET,
    "AccessDenied": _KEYS,
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "403": _KEYS,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "301": _REGION,
    "RequestTimeTooSkewed": "set this machine's clock",
}


def stranger(store: str) -> StorageUnavailable:
    """The error for an answer that is not S3's."""
    return StorageUnavailable(f"what answers for {store} is no S3 server: {_ENDPOINT}")


@contextmanager
def answering(store: str, key: str = "") -> Iterator[None]:
    """Turn boto3's errors into ours, which repeat nothing that a request contained."""
    try:
        yield
    except ClientError as error:
        raise refusal(error, store, key) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise StorageUnavailable(
            f"{store} needs credentials and there are none: {_KEYS}"
        ) from error
    # botocore translates urllib3's error where it streams a body, not where it reads a whole one.
    except (IncompleteReadError, ResponseStreamingError, ProtocolError) as error:
        raise AnotherTry(f"{store} broke off in the middle of {key}: {_WAIT}") from error
    except (NoConnection, HTTPClientError) as error:
        raise StorageUnavailable(
            f"{store} does not answer ({type(error).__name__}): {_ENDPOINT}"
        ) from error
    except BotoCoreError as error:
        name = type(error).__name__
        raise StorageUnavailable(
            f"{store} cannot be used ({name}): {_ADVICE.get(name, _WAIT)}"
        ) from error


def refusal(error: ClientError, store: str, key: str) -> LatentmillError:
    """The error of ours for an answer that is not a success."""
    code = error.response["Error"].get("Code", "")
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code in {"NoSuchKey", "404"}:
        return ObjectMissing(f"no object has the key {key}")
    if status == 412:
        return ObjectExists(f"{key} exists already")
    if code == "ConditionalRequestConflict":
        return AnotherTry(f"{store} saw two writers of {key} collide: {_WAIT}")
    answer = f"{status} {code}".removesuffix(f" {status}")  # An answer to HEAD has no other code.
    return StorageUnavailable(f"{store} answers {answer}: {_ADVICE.get(code, _WAIT)}")
