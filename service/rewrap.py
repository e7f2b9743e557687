"""Sealing anew, under the current wrapping key, what older keys sealed: uploads' keys and accounts' secrets.

Works in batches, each a transaction of its own, beside a running service. It may be stopped and
repeated: what is sealed with the current key already is left alone.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from sqlalchemy import Engine
from sqlmodel import col, select

from service import storage
from service.accounts import sealing
from service.accounts.models import User
from service.applications.models import Upload
from service.database import transaction

BATCH = 500
NOT_OPENED = (storage.WrappingKeyMissing, storage.StorageCorrupted, KeyError, InvalidTag, ValueError)

Sealing = TypeVar("Sealing", Upload, User)


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many secrets were sealed anew, and how many no key at hand opens."""

    sealed: int = 0
    not_opened: int = 0

    def __add__(self, other: "Rewrapped") -> "Rewrapped":
        return Rewrapped(self.sealed + other.sealed, self.not_opened + other.not_opened)


def rewrap_secrets(engine: Engine, wrapping_keys: dict[str, bytes]) -> Rewrapped:
    """Seal every upload's data key and every account's secrets with the first of the keys.

    What cannot be opened stays as it is and is counted. Raises Unavailable when the database refuses.
    """
    uploads = _in_batches(engine, Upload, partial(_reseal_upload, wrapping_keys))
    return uploads + _in_batches(engine, User, partial(_reseal_account, wrapping_keys))


def _in_batches(engine: Engine, table: type[Sealing], reseal: Callable[[Sealing], bool]) -> Rewrapped:
    outcome, last = Rewrapped(), uuid.UUID(int=0)
    while True:
        with transaction(engine) as session:
            batch = select(table).where(col(table.id) > last).order_by(col(table.id)).limit(BATCH)
            # Locked, so that an upload removed or an account changed meanwhile is not written back.
            rows = session.exec(batch.with_for_update()).all()
            for row in rows:
                outcome += _try(reseal, row)
        if not rows:
            return outcome
        last = rows[-1].id


def _try(reseal: Callable[[Sealing], bool], row: Sealing) -> Rewrapped:
    try:
        return Rewrapped(sealed=int(reseal(row)))
    except NOT_OPENED:
        return Rewrapped(not_opened=1)


def _reseal_upload(wrapping_keys: dict[str, bytes], upload: Upload) -> bool:
    """Seal a data key anew; tell whether it needed it. A removed upload has none any more."""
    sealed = upload.wrapped_key
    if not sealed or sealed.rpartition(".")[0] == next(iter(wrapping_keys)):
        return False
    upload.wrapped_key = storage.rewrap(sealed, upload.object_name, wrapping_keys)
    return True


def _reseal_account(wrapping_keys: dict[str, bytes], user: User) -> bool:
    """Seal a TOTP secret and an identity outside anew; tell whether either needed it."""
    totp_secret = _reseal(wrapping_keys, user.totp_secret, str(user.id))
    identity = _reseal(wrapping_keys, user.outside_identity, sealing.outside_context(user.id))
    needed = (totp_secret, identity) != (user.totp_secret, user.outside_identity)
    user.totp_secret, user.outside_identity = totp_secret, identity
    return needed


def _reseal(wrapping_keys: dict[str, bytes], sealed: str | None, context: str) -> str | None:
    if sealed is None or sealed.partition(":")[0] == next(iter(wrapping_keys)):
        return sealed
    return sealing.seal(sealing.unseal(sealed, wrapping_keys, context), wrapping_keys, context)
