"""API tokens: a programme's access on behalf of its owner, narrowed by scopes, revocable at once."""

import secrets
import uuid
from datetime import date, datetime, time, timedelta

from sqlmodel import Session, col, select

from service.accounts.access import Actor, scopes_within_reach, token_hash
from service.accounts.models import ApiToken
from service.audit import record_event
from service.clock import CITY_TIMEZONE, city_date
from service.errors import FieldProblem, InvalidInput, NotFound

TOKEN_PREFIX = "canting_"  # noqa: S105 (lets a secret scanner know our tokens)
LONGEST_LIFE = timedelta(days=365)
LONGEST_TOKEN_NAME = 80
MOST_TOKENS = 20


def create_token(
    session: Session, actor: Actor, *, name: str, scopes: list[str], expires_on: date, now: datetime
) -> tuple[ApiToken, str]:
    """Create a token; return its row and the secret, which is shown this once.

    It holds to the end of `expires_on`, a day in the city. Raises InvalidInput naming each field.
    """
    name = " ".join(name.split())
    problems = _problems(session, actor, name, scopes, expires_on, now)
    if problems:
        raise InvalidInput(problems=problems)
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        user_id=actor.id,
        name=name,
        token_hash=token_hash(secret),
        scopes=[scope for scope in scopes_within_reach(actor) if scope in scopes],
        created_at=now,
        expires_at=datetime.combine(expires_on, time(23, 59, 59), CITY_TIMEZONE),
    )
    session.add(token)
    session.flush()
    _record(session, actor, "token_created", token, now)
    return token, secret


def tokens_of(session: Session, actor: Actor, now: datetime) -> list[ApiToken]:
    """List the person's tokens that still hold, the latest first."""
    statement = (
        select(ApiToken)
        .where(ApiToken.user_id == actor.id, col(ApiToken.revoked_at).is_(None), ApiToken.expires_at > now)
        .order_by(col(ApiToken.created_at).desc())
    )
    return list(session.exec(statement))


def revoke_token(session: Session, actor: Actor, token_id: uuid.UUID, now: datetime) -> None:
    """Revoke one of the person's own tokens. Raises NotFound for one that is not theirs or not open."""
    token = session.exec(
        select(ApiToken).where(
            ApiToken.id == token_id, ApiToken.user_id == actor.id, col(ApiToken.revoked_at).is_(None)
        )
    ).first()
    if token is None:
        raise NotFound
    token.revoked_at = now
    session.add(token)
    _record(session, actor, "token_revoked", token, now)


def _problems(
    session: Session, actor: Actor, name: str, scopes: list[str], expires_on: date, now: datetime
) -> list[FieldProblem]:
    problems = []
    if not name or len(name) > LONGEST_TOKEN_NAME:
        problems.append(
            FieldProblem(
                "name",
                "missing" if not name else "too_long",
                f"Beri token nama, paling banyak {LONGEST_TOKEN_NAME} karakter.",
                f"Give the token a name of at most {LONGEST_TOKEN_NAME} characters.",
            )
        )
    if not scopes or not set(scopes) <= set(scopes_within_reach(actor)):
        problems.append(
            FieldProblem(
                "scopes",
                "scope_out_of_reach",
                "Pilih sedikitnya satu cakupan yang termasuk wewenang Anda.",
                "Choose at least one scope that your account has itself.",
            )
        )
    today = city_date(now)
    if not today < expires_on <= today + LONGEST_LIFE:
        problems.append(
            FieldProblem(
                "expires_on",
                "out_of_range",
                "Tanggal kedaluwarsa paling cepat besok dan paling lama satu tahun dari hari ini.",
                "The expiry date must be tomorrow at the earliest and a year from today at the latest.",
            )
        )
    if not problems and len(tokens_of(session, actor, now)) >= MOST_TOKENS:
        problems.append(
            FieldProblem(
                "name",
                "too_many_tokens",
                f"Paling banyak {MOST_TOKENS} token aktif. Cabut token yang tidak dipakai lagi.",
                f"At most {MOST_TOKENS} tokens may be active. Revoke those no longer used.",
            )
        )
    return problems


def _record(session: Session, actor: Actor, action: str, token: ApiToken, now: datetime) -> None:
    record_event(
        session,
        action=action,
        subject_type="account",
        subject_id=actor.id,
        actor_id=actor.id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"token": str(token.id), "scopes": token.scopes},
    )
