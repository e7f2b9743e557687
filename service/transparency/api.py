"""The log for those who watch it: its signed checkpoint (C2SP tlog-checkpoint)."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from service.accounts.access import PUBLIC, Actor, allow
from service.database import SessionDep
from service.errors import Unavailable
from service.transparency.log import checkpoint
from service.web import SettingsDep

router = APIRouter(prefix="/log", tags=["log"])
Anyone = Annotated[Actor, allow(PUBLIC)]


@router.get("/checkpoint", summary="Read the checkpoint", response_class=PlainTextResponse)
def signed_checkpoint(
    request: Request, _actor: Anyone, session: SessionDep, settings: SettingsDep
) -> PlainTextResponse:
    """Give the log's origin, size and root hash, signed with the log's Ed25519 key."""
    keys: Any = request.app.state.operations_keys
    if keys is None:
        raise Unavailable
    raw = keys.log.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    note = checkpoint(session, f"{urlsplit(settings.base_url).netloc}/log", raw, keys.log.sign)
    return PlainTextResponse(note, headers={"cache-control": "no-store"})
