"""Both checksums of a shard, in the one pass that makes it: of its raw pixels, and of the object's bytes."""

import hashlib

from workers.body import Body
from workers.decoder import Images


class Checksums:
    """Follows an archive as it grows, while what is to be hashed is still in the cache."""

    def __init__(self, body: Body) -> None:
        self._body, self._hashed = body, 0
        self._pixels, self._object = hashlib.sha256(), hashlib.sha256()

    def update(self, images: Images) -> None:
        """Take in the next images and what the body gained by them."""
        self._pixels.update(images.data)
        self._follow()

    def pixels_sha256(self) -> str:
        return self._pixels.hexdigest()

    def object_sha256(self) -> str:
        """Of the whole body, once the archive is finished."""
        self._follow()
        return self._object.hexdigest()

    def _follow(self) -> None:
        self._object.update(self._body.view(self._hashed))
        self._hashed = self._body.size
