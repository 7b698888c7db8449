"""What only HTTP can be refused for; everything else is in the contract's error tree."""

from service.contract.errors import Fault, LatentmillError, RequestInvalid, Unavailable


class BodyTooLarge(LatentmillError):
    """The body is larger than this server reads."""


class BodyTooSlow(LatentmillError):
    """The body did not arrive in time."""


class MalformedBody(RequestInvalid):
    """The body is not JSON."""

    def __init__(self, why: str) -> None:
        super().__init__([Fault("", why)])


class CrossSite(LatentmillError):
    """Only pages of this server may change anything from a browser."""


class NoSuchPath(LatentmillError):
    """Nothing has this address."""


class RangeUnsatisfiable(LatentmillError):
    """The shard has no such bytes."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the shard has {size_bytes} bytes")
        self.size_bytes = size_bytes


class TooManyFailures(LatentmillError):
    """Too many requests without a valid key came from this address."""

    retry_after_s = 2

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class NotReady(Unavailable):
    """A submit would be refused now."""
