"""Run once before the roles start: makes the bucket, and publishes the decoder that ships in the image."""

from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from export.publish import publish_bundled
from service.adapters.storage import open_storage
from service.adapters.storage_s3_client import make_client
from service.contract.settings import Settings, load_settings


def make_bucket(settings: Settings) -> None:
    client = make_client(settings, settings.s3_endpoint_url)
    try:
        client.create_bucket(Bucket=urlsplit(settings.storage_url).netloc)
    except ClientError as error:
        if error.response["Error"]["Code"] not in (
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        ):
            raise


def main() -> None:
    settings = load_settings(Settings)
    if settings.storage_url.startswith("s3://"):
        make_bucket(settings)
    published = publish_bundled(open_storage(settings))
    print(
        "published the bundled decoder"
        if published
        else "a decoder of that name is published already"
    )


if __name__ == "__main__":
    main()
