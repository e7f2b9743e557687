"""Links sent by mail, usable once.

The database keeps only the link's row. The token in the address is a signature over the row's id,
made when the mail is written, so neither a mail row nor a backup holds anything that opens an account.
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from itsdangerous import BadSignature, Signer
from sqlalchemy import update
from sqlmodel import Session, col, select

from service.accounts.models import OneTimeLink, User
from service.config import Settings
from service.errors import ServiceError

Purpose = Literal["confirm-email", "reset-password"]
CONFIRMATION_LIFETIME = timedelta(days=2)
RESET_LIFETIME = timedelta(hours=1)
INVITATION_LIFETIME = timedelta(days=7)
QUIET_TIME = timedelta(minutes=2)
"""Asking again within this time sends nothing: nobody's mailbox can be flooded from here."""


class LinkNotValid(ServiceError):
    """Used, expired, replaced by a newer one, or altered: the reader needs a new link in any case."""

    status = 410
    code = "link_not_valid"
    message_id = "Tautan ini sudah dipakai, sudah kedaluwarsa, atau tidak lengkap. Minta tautan baru."
    message_en = "This link has been used, has expired, or is incomplete. Ask for a new link."


def create_link(
    session: Session, user: User, purpose: Purpose, lifetime: timedelta, now: datetime
) -> OneTimeLink:
    """Make a link's row; earlier links of the same purpose stop working."""
    void_links(session, user.id, purpose, now)
    link = OneTimeLink(purpose=purpose, user_id=user.id, created_at=now, expires_at=now + lifetime)
    session.add(link)
    session.flush()
    return link


def was_just_sent(session: Session, user: User, purpose: Purpose, now: datetime) -> bool:
    """Tell whether an open link of this purpose was mailed within the quiet time."""
    statement = select(OneTimeLink.id).where(
        OneTimeLink.user_id == user.id,
        OneTimeLink.purpose == purpose,
        OneTimeLink.created_at > now - QUIET_TIME,
        col(OneTimeLink.used_at).is_(None),
    )
    return session.exec(statement).first() is not None


def void_links(session: Session, user_id: uuid.UUID, purpose: Purpose, now: datetime) -> None:
    """Make every open link of this purpose unusable."""
    session.execute(
        update(OneTimeLink)
        .where(
            col(OneTimeLink.user_id) == user_id,
            col(OneTimeLink.purpose) == purpose,
            col(OneTimeLink.used_at).is_(None),
        )
        .values(used_at=now)
    )


def link_token(link_id: uuid.UUID, purpose: str, secret_key: str) -> str:
    """Return the token that stands in the link's address."""
    return _signer(purpose, secret_key).sign(link_id.hex).decode()


def one_time_address(settings: Settings) -> Callable[[str, str], str]:
    """Return the function by which mail writes a link's address from its purpose and reference."""

    def address(purpose: str, reference: str) -> str:
        token = link_token(uuid.UUID(reference), purpose, settings.secret_key.get_secret_value())
        return f"{settings.base_url}/{purpose}/{token}"

    return address


def read_link(
    session: Session, token: str, purpose: Purpose, secret_key: str, now: datetime, *, lock: bool = False
) -> tuple[OneTimeLink, User]:
    """Return an open link and its account; whoever uses it sets its `used_at`. Raises LinkNotValid."""
    try:
        link_id = uuid.UUID(hex=_signer(purpose, secret_key).unsign(token.encode()).decode())
    except (BadSignature, ValueError) as error:
        raise LinkNotValid from error
    statement = (
        select(OneTimeLink, User)
        .join(User, col(User.id) == col(OneTimeLink.user_id))
        .where(
            OneTimeLink.id == link_id,
            OneTimeLink.purpose == purpose,
            col(OneTimeLink.used_at).is_(None),
            OneTimeLink.expires_at > now,
        )
    )
    found = session.exec(statement.with_for_update() if lock else statement).first()
    if found is None or found[1].disabled_at is not None:
        raise LinkNotValid
    return found


def _signer(purpose: str, secret_key: str) -> Signer:
    return Signer(secret_key, salt=f"one-time-link:{purpose}", digest_method=sha256)
