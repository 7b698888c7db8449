"""Draw one sample for somebody who waits: the file that an archive holds, without the archive."""

import base64

import structlog
from pydantic import ValidationError

from service.contract.card import DecoderCard
from service.contract.errors import LatentmillError, Unavailable
from service.contract.recipe import Compression
from service.contract.sample import SampleAnswer, SampleRequest
from workers.decoder import Decoder, Images
from workers.kernel.normals import draw_block
from workers.latents import draw_latents
from workers.png import png_encoder
from workers.shard import Studio

log = structlog.get_logger(__name__)


def answer_sample(studio: Studio, arguments: dict[str, object]) -> None:
    """Draw and answer, unless nobody waits any more. Raises LedgerUnavailable; all else is told to the asker."""
    try:
        asked = SampleRequest.model_validate(arguments)
    except ValidationError as error:
        log.error("sample_refused", reason=error.errors()[0]["msg"])
        return
    replies = studio.parts.ledger.replies
    if replies.is_awaited(asked.reply):
        replies.give(asked.reply, _answer(studio, asked).model_dump_json(exclude_defaults=True))


def _answer(studio: Studio, asked: SampleRequest) -> SampleAnswer:
    try:
        decoder = studio.sessions.get(asked.decoder, asked.digest)
        with studio.cores.one(small=True, keep=lambda: None):
            return SampleAnswer(png=base64.b64encode(sample_file(decoder, asked)).decode())
    except Exception as error:
        # MemoryError among them: it must not leave a task. Storage that is away is the asker's to wait for.
        log.warning("sample_failed", decoder=asked.decoder, reason=str(error) or repr(error))
        is_told = isinstance(error, LatentmillError) and not isinstance(error, Unavailable)
        return SampleAnswer(error=str(error) if is_told else "it could not be drawn now")


def sample_file(decoder: Decoder, asked: SampleRequest) -> bytes:
    """The PNG file of one sample, as `compression: fast` has it in a zip."""
    card = decoder.card
    row = asked.index % card.batch_size
    files = png_encoder(card.image, Compression.FAST).encode(_batch(decoder, card, asked)[row:][:1])
    return bytes(files.data[: files.ends[1]])


def _batch(decoder: Decoder, card: DecoderCard, asked: SampleRequest) -> Images:
    """The images of its batch up to the sample: it sits in the row where every shard has it."""
    first = asked.index - asked.index % card.batch_size
    latents = draw_latents(
        *(asked.seed, first, asked.index + 1, card.latent_dim),
        temperature_milli=asked.temperature_milli,
        draw=draw_block,
    )
    return decoder.decode(latents, asked.label)
