"""One sample, drawn by a worker while its asker waits. It is the same sample as in every archive that holds it."""

import base64
import uuid
from typing import Any

from service.adapters.storage import Storage
from service.contract.errors import DecoderRefused, Fault, RequestInvalid, SampleLate
from service.contract.sample import MAX_INDEX, NO_LABEL, SampleAnswer, SampleRequest
from service.lifecycle.check import check_request
from service.lifecycle.parts import Parts

#: Longer than a worker on a busy machine needs for its shard in hand; nobody looks at a page for longer.
WAIT_S = 2.0


def sample_request(
    storage: Storage, *, decoder: str, label: str, seed: str, index: str, temperature: float
) -> SampleRequest:
    """The sample that an address names. Raises RequestInvalid with every fault, UnknownDecoder."""
    body: dict[str, Any] = {"decoder": decoder, "seed": seed, "temperature": temperature}
    if label != NO_LABEL:
        body["label"] = label
    # A job of one sample more than the index: what such a job may not ask for has no sample either.
    is_whole = index.isascii() and index.isdigit() and len(index) <= len(str(MAX_INDEX))
    faults = [] if is_whole else [Fault("/index", f"a whole number from 0 to {MAX_INDEX}")]
    try:
        job, _ = check_request(
            storage, body | {"count": int(index) + 1 if is_whole else 1}, max_count=MAX_INDEX + 1
        )
    except RequestInvalid as error:
        raise RequestInvalid([*error.faults, *faults]) from error
    if faults:
        raise RequestInvalid(faults)
    return SampleRequest(
        decoder=job.decoder,
        digest=job.digest,
        label=job.label,
        seed=job.seed,
        temperature_milli=job.temperature_milli,
        index=int(index),
        reply=uuid.uuid4().hex,
    )


def draw_sample(parts: Parts, asked: SampleRequest, *, wait_s: float = WAIT_S) -> bytes:
    """The PNG file of one sample. Raises SampleLate, DecoderRefused, LedgerUnavailable."""
    if not parts.ledger.live_slots():
        raise SampleLate("no worker is alive")
    replies = parts.ledger.replies
    replies.expect(asked.reply, for_s=wait_s)
    if not parts.queue.send_sample(asked):
        raise SampleLate("the message was not sent")
    reply = replies.wait(asked.reply, for_s=wait_s)
    if reply is None:
        raise SampleLate(f"no worker answered within {wait_s} s")
    answer = SampleAnswer.model_validate_json(reply)
    if answer.png is None:
        raise DecoderRefused(answer.error or "")
    return base64.b64decode(answer.png)
