"""The log for those who watch it, as static files would stand there (C2SP tlog-tiles, tlog-checkpoint)."""

from typing import Annotated, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from service.accounts.access import PUBLIC, Actor, allow
from service.config import Settings
from service.database import MAX_INTEGER, SessionDep
from service.errors import NotFound, Unavailable, refusals
from service.transparency.log import (
    log_origin,
    prove_consistency,
    read_entry_bundle,
    read_tile,
    signed_checkpoint,
)
from service.transparency.notes import ED25519, LogKey, Verifier
from service.transparency.tiles import parse_tile_path

router = APIRouter(tags=["log"])
Anyone = Annotated[Actor, allow(PUBLIC)]
Place = Annotated[str, Path(max_length=40, examples=["000.p/1"])]
Size = Annotated[int, Query(ge=1, le=MAX_INTEGER, examples=[1])]
FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable"}
"""A tile never changes, and neither does a partial one: a larger log has another in its place."""
BINARY: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


class NotInLog(NotFound):
    code = "not_in_log"
    message_id = "Log tidak memiliki bagian ini. Baca ukuran log pada /log/checkpoint."
    message_en = "The log has no such part. Read its size in /log/checkpoint."


def log_key(settings: Settings, operations_keys: Any) -> LogKey:
    """Return the log's key out of the service's own. Raises Unavailable without them."""
    if operations_keys is None:
        raise Unavailable
    raw = operations_keys.log.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return LogKey(Verifier(log_origin(settings.base_url), ED25519, raw), operations_keys.log.sign)


def request_log_key(request: Request) -> LogKey:
    """Give a route the log's key. Raises Unavailable."""
    return log_key(request.app.state.settings, request.app.state.operations_keys)


LogKeyDep = Annotated[LogKey, Depends(request_log_key)]


@router.get("/log/checkpoint", summary="Read the checkpoint", response_class=PlainTextResponse)
def checkpoint(_actor: Anyone, session: SessionDep, key: LogKeyDep) -> PlainTextResponse:
    """Give the log's origin, size and root hash, signed with the log's Ed25519 key."""
    return PlainTextResponse(signed_checkpoint(session, key), headers={"cache-control": "no-store"})


@router.get("/log/vkey", summary="Read the log's verifier key", response_class=PlainTextResponse)
def verifier_key(_actor: Anyone, key: LogKeyDep) -> str:
    """Give the key that checks checkpoints (C2SP signed-note). Get it a second way before you trust it."""
    return f"{key.verifier.vkey}\n"


@router.get(
    "/log/tile/entries/{place:path}", summary="Read entries", response_class=Response, responses=BINARY
)
def entries(_actor: Anyone, session: SessionDep, place: Place) -> Response:
    """Give up to 256 leaves, each after its length in two bytes, such as `000` or `x001/x234/067.p/8`."""
    parsed = parse_tile_path(place)
    return _as_file(read_entry_bundle(session, *parsed) if parsed else None)


@router.get(
    "/log/tile/{level}/{place:path}", summary="Read a tile", response_class=Response, responses=BINARY
)
def tile(
    _actor: Anyone,
    session: SessionDep,
    level: Annotated[str, Path(pattern=r"^(0|[1-9]|[1-5][0-9]|6[0-3])$", examples=["0"])],
    place: Place,
) -> Response:
    """Give up to 256 hashes of the tree, of leaves at level 0, of whole tiles below at the others."""
    parsed = parse_tile_path(place)
    return _as_file(read_tile(session, int(level), *parsed) if parsed else None)


def _as_file(data: bytes | None) -> Response:
    if data is None:
        raise NotInLog
    return Response(data, media_type="application/octet-stream", headers=FOR_GOOD)


class ConsistencyAnswer(BaseModel):
    """That the log of `first` leaves is a prefix of that of `second` (RFC 9162 §2.1.4); hashes in hex."""

    first: int
    second: int
    proof: list[str]


@router.get("/api/v1/log/consistency", summary="Prove consistency", responses=refusals(404))
def consistency(_actor: Anyone, session: SessionDep, first: Size, second: Size) -> ConsistencyAnswer:
    """The proof that nothing in the log's first leaves changed until it had more; tiles give it as well."""
    proof = prove_consistency(session, first, second)
    if proof is None:
        raise NotInLog
    return ConsistencyAnswer(first=first, second=second, proof=[item.hex() for item in proof])
