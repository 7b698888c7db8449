"""How the rate grows with worker processes, a core each."""

from latentmill import Client

from service.contract.card import DecoderCard
from service.local.stack import cores
from tests.bench.served import completed, seconds_of, served


def scaling(onnx: bytes, card: DecoderCard, *, count: int) -> dict[int, float]:
    """Images per second, zip, by number of worker processes: 1, 2, 4 … up to the cores."""
    workers, found = 1, {}
    while workers <= cores():
        with served(onnx, card, workers=workers) as stack, Client(stack.url) as client:
            completed(client, card, 1, "zip", seed=0)
            found[workers] = count / seconds_of(completed(client, card, count, "zip", seed=1))
        workers *= 2
    return found
