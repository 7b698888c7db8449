"""Published decoders over HTTP."""

from fastapi import APIRouter

from service.api.callers import Reader
from service.api.deps import TheOffice
from service.api.problems import documented
from service.contract.card import DecoderCard
from service.contract.errors import Unavailable, UnknownDecoder
from service.contract.value import Value
from service.lifecycle.decoders import find_card, list_cards

router = APIRouter(prefix="/v1/decoders", tags=["decoders"])


class DecoderList(Value):
    """The current version of every decoder, by name."""

    decoders: list[DecoderCard]


@router.get("", response_model=DecoderList, responses=documented(Unavailable))
def get_decoders(office: TheOffice, _: Reader) -> DecoderList:
    """Cards of all published decoders."""
    return DecoderList(decoders=list_cards(office.parts.storage))


@router.get(
    "/{name}", response_model=DecoderCard, responses=documented(UnknownDecoder, Unavailable)
)
def get_decoder(name: str, office: TheOffice, _: Reader) -> DecoderCard:
    """One card; `name@digest` asks for a version that is not the current one."""
    bare, at, digest = name.partition("@")
    if at and not digest:
        raise UnknownDecoder(f"decoder {bare[:64]!r} has no version without a digest")
    return find_card(office.parts.storage, bare, digest or None)
