"""Officers' accounts, kept by administrators: created, changed, disabled, their second factor reset.

Two rules protect the office from itself: nobody changes their own roles or disables themselves, and
there is always an administrator who can act.
"""

import re
import uuid
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, func, or_, select

from service.accounts.access import ADMINISTRATOR, ROLES, Actor
from service.accounts.letters import send_letter
from service.accounts.links import INVITATION_LIFETIME, create_link
from service.accounts.models import ApiToken, Kind, RoleAssignment, User
from service.accounts.passwords import check_password, hash_password
from service.accounts.person import clean_email, clean_name, problems_with_email, problems_with_name
from service.accounts.second_factor import forget_second_factor
from service.accounts.sessions import revoke_sessions
from service.audit import record_event
from service.errors import Conflict, FieldProblem, InvalidInput, NotFound

PAGE_SIZE = 50


class LastAdministrator(Conflict):
    code = "last_administrator"
    message_id = "Ini administrator terakhir. Tunjuk administrator lain terlebih dahulu."
    message_en = "This is the last administrator. Appoint another administrator first."


class OwnAccount(Conflict):
    code = "own_account"
    message_id = "Anda tidak dapat mengubah peran atau menonaktifkan akun sendiri. Minta administrator lain."
    message_en = "You cannot change your own roles or disable your own account. Ask another administrator."


@dataclass(frozen=True, slots=True)
class OfficerDetails:
    """What an administrator enters about an officer. Texts may be empty; roles may not."""

    full_name: str
    roles: tuple[str, ...]
    position: str = ""
    rank: str = ""
    nip: str = ""
    agency: str = ""
    key_name: str = ""


@dataclass(frozen=True, slots=True)
class Officer:
    """An officer with the roles held."""

    user: User
    roles: tuple[str, ...]


LONGEST = {"position": 160, "rank": 80, "agency": 160, "key_name": 80}


def create_officer(
    session: Session, actor: Actor, email: str, details: OfficerDetails, now: datetime
) -> User:
    """Create an officer's account and mail the link that sets its password. Raises InvalidInput."""
    email = clean_email(email)
    details, problems = _clean(details)
    problems = problems_with_email(email) + problems
    if not problems and session.exec(select(User.id).where(User.email == email)).first():
        problems.append(
            FieldProblem(
                "email",
                "already_registered",
                "Alamat surel ini sudah dipakai akun lain.",
                "This e-mail address already belongs to an account.",
            )
        )
    if problems:
        raise InvalidInput(problems=problems)
    user = User(kind=Kind.OFFICER, email=email, full_name=details.full_name, password_hash="", created_at=now)
    _assign(user, details)
    session.add(user)
    session.flush()
    _set_roles(session, user, details.roles)
    send_invitation(session, user, now)
    _record(session, actor, user, "officer_created", now, {"roles": list(details.roles)})
    return user


def change_officer(
    session: Session, actor: Actor, officer_id: uuid.UUID, details: OfficerDetails, now: datetime
) -> User:
    """Change an officer's details and roles; roles hold from the next request on.

    Raises NotFound, InvalidInput, OwnAccount or LastAdministrator.
    """
    details, problems = _clean(details)
    if problems:
        raise InvalidInput(problems=problems)
    before = find_officer(session, officer_id, lock=True)
    user = before.user
    roles_change = set(before.roles) != set(details.roles)
    if roles_change and user.id == actor.user_id:
        raise OwnAccount
    if ADMINISTRATOR in before.roles and ADMINISTRATOR not in details.roles:
        _require_other_administrator(session, user.id)
    changed = [
        item.name
        for item in fields(OfficerDetails)
        if item.name != "roles" and (getattr(user, item.name) or "") != getattr(details, item.name)
    ]
    _assign(user, details)
    session.add(user)
    data: dict[str, object] = {"fields": changed}
    if roles_change:
        _set_roles(session, user, details.roles)
        data |= {"roles_before": list(before.roles), "roles": list(details.roles)}
    if changed or roles_change:
        _record(session, actor, user, "officer_changed", now, data)
    return user


def disable_officer(session: Session, actor: Actor, officer_id: uuid.UUID, now: datetime) -> None:
    """Disable an account: its sessions and tokens end at once. Raises OwnAccount, LastAdministrator."""
    officer = find_officer(session, officer_id, lock=True)
    user = officer.user
    if user.id == actor.user_id:
        raise OwnAccount
    if user.disabled_at is not None:
        return
    if ADMINISTRATOR in officer.roles:
        _require_other_administrator(session, user.id)
    user.disabled_at = now
    session.add(user)
    ended = revoke_sessions(session, user.id, now)
    session.execute(
        update(ApiToken)
        .where(col(ApiToken.user_id) == user.id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    _record(session, actor, user, "officer_disabled", now, {"sessions_ended": ended})


def enable_officer(session: Session, actor: Actor, officer_id: uuid.UUID, now: datetime) -> None:
    """Let a disabled account sign in again; ended sessions and tokens stay ended."""
    user = find_officer(session, officer_id, lock=True).user
    if user.disabled_at is None:
        return
    user.disabled_at = None
    session.add(user)
    _record(session, actor, user, "officer_enabled", now)


def reset_second_factor(session: Session, actor: Actor, officer_id: uuid.UUID, now: datetime) -> None:
    """Forget an officer's TOTP: sessions end, and the next sign-in leads to enrolment. Raises OwnAccount."""
    user = find_officer(session, officer_id, lock=True).user
    if user.id == actor.user_id:
        raise OwnAccount(
            "Anda tidak dapat mengatur ulang verifikasi dua langkah akun sendiri. Minta administrator lain.",
            "You cannot reset the two-step verification of your own account. Ask another administrator.",
        )
    forget_second_factor(session, user)
    revoke_sessions(session, user.id, now)
    send_letter(session, user, "second_factor_reset", now)
    _record(session, actor, user, "second_factor_reset", now)


def invite_again(session: Session, actor: Actor, officer_id: uuid.UUID, now: datetime) -> None:
    """Mail a new link to set the password, to an officer who has not set one yet. Raises NotFound."""
    user = find_officer(session, officer_id, lock=True).user
    if user.password_hash or user.disabled_at is not None:
        raise NotFound
    send_invitation(session, user, now)
    _record(session, actor, user, "officer_invited_again", now)


def send_invitation(session: Session, user: User, now: datetime) -> None:
    """Mail the link by which an officer sets the first password."""
    link = create_link(session, user, "reset-password", INVITATION_LIFETIME, now)
    send_letter(session, user, "officer_invited", now, link=link)


def create_administrator(session: Session, email: str, full_name: str, password: str, now: datetime) -> User:
    """Create an administrator from the command line, e.g. the first. Raises InvalidInput."""
    email, name = clean_email(email), clean_name(full_name)
    problems = problems_with_email(email) + problems_with_name(name)
    if problems:
        raise InvalidInput(problems=problems)
    check_password(password, email=email, full_name=name)
    if session.exec(select(User.id).where(User.email == email)).first():
        raise InvalidInput(
            "Alamat surel ini sudah dipakai akun lain.", "This e-mail address already belongs to an account."
        )
    user = User(
        kind=Kind.OFFICER,
        email=email,
        full_name=name,
        password_hash=hash_password(password),
        created_at=now,
        email_confirmed_at=now,
    )
    session.add(user)
    session.flush()
    _set_roles(session, user, (ADMINISTRATOR,))
    record_event(
        session,
        action="officer_created",
        subject_type="account",
        subject_id=user.id,
        actor_id=None,
        actor_name="Sistem",
        actor_role="service",
        now=now,
        data={"roles": [ADMINISTRATOR]},
    )
    return user


def find_officer(session: Session, officer_id: uuid.UUID, *, lock: bool = False) -> Officer:
    """Return an officer with the roles held. Raises NotFound."""
    statement = select(User).where(User.id == officer_id, User.kind == Kind.OFFICER)
    user = session.exec(statement.with_for_update() if lock else statement).first()
    if user is None:
        raise NotFound
    return Officer(user, _roles_of(session, [user.id]).get(user.id, ()))


def list_officers(session: Session, *, search: str = "", page: int = 1) -> tuple[list[Officer], int]:
    """Return one page of officers by name, and how many there are in all."""
    conditions = [col(User.kind) == Kind.OFFICER]
    if search.strip():
        pattern = "%" + re.sub(r"([%_\\])", r"\\\1", search.strip().lower()) + "%"
        conditions.append(
            or_(
                func.lower(User.full_name).like(pattern, escape="\\"),
                col(User.email).like(pattern, escape="\\"),
            )
        )
    total = session.exec(select(func.count()).select_from(User).where(*conditions)).one()
    users = session.exec(
        select(User)
        .where(*conditions)
        .order_by(col(User.full_name), col(User.id))
        .offset((page - 1) * PAGE_SIZE)
        .limit(PAGE_SIZE)
    ).all()
    roles = _roles_of(session, [user.id for user in users])
    return [Officer(user, roles.get(user.id, ())) for user in users], total


def _roles_of(session: Session, user_ids: list[uuid.UUID]) -> dict[uuid.UUID, tuple[str, ...]]:
    held: dict[uuid.UUID, tuple[str, ...]] = {}
    statement = select(RoleAssignment).where(col(RoleAssignment.user_id).in_(user_ids))
    for row in session.exec(statement.order_by(col(RoleAssignment.role))):
        held[row.user_id] = (*held.get(row.user_id, ()), row.role)
    return held


def _set_roles(session: Session, user: User, roles: tuple[str, ...]) -> None:
    rows = {
        row.role: row for row in session.exec(select(RoleAssignment).where(RoleAssignment.user_id == user.id))
    }
    for role in rows.keys() - set(roles):
        session.delete(rows[role])
    for role in sorted(set(roles) - rows.keys()):
        session.add(RoleAssignment(user_id=user.id, role=role))
    session.flush()


def _require_other_administrator(session: Session, user_id: uuid.UUID) -> None:
    """Raise LastAdministrator unless another enabled one remains; their rows stay locked until the end."""
    others = session.exec(
        select(User)
        .join(RoleAssignment, col(RoleAssignment.user_id) == col(User.id))
        .where(RoleAssignment.role == ADMINISTRATOR, User.id != user_id, col(User.disabled_at).is_(None))
        .with_for_update()
    ).all()
    if not others:
        raise LastAdministrator


def _clean(details: OfficerDetails) -> tuple[OfficerDetails, list[FieldProblem]]:
    """Put the details' spaces in order and list what must be corrected."""
    cleaned = OfficerDetails(
        full_name=clean_name(details.full_name),
        roles=tuple(sorted(set(details.roles))),
        position=clean_name(details.position),
        rank=clean_name(details.rank),
        nip=re.sub(r"\s", "", details.nip),
        agency=clean_name(details.agency),
        key_name=details.key_name.strip(),
    )
    problems = problems_with_name(cleaned.full_name)
    if not cleaned.roles or not set(cleaned.roles) <= ROLES.keys():
        problems.append(
            FieldProblem("roles", "missing", "Pilih sedikitnya satu peran.", "Choose at least one role.")
        )
    if cleaned.nip and not re.fullmatch(r"[0-9]{18}", cleaned.nip):
        problems.append(
            FieldProblem("nip", "not_a_nip", "NIP terdiri atas 18 angka.", "An NIP has 18 digits.")
        )
    if cleaned.key_name and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", cleaned.key_name):
        problems.append(
            FieldProblem(
                "key_name",
                "not_a_key_name",
                "Nama kunci memuat huruf kecil, angka, dan tanda hubung saja.",
                "A key's name has small letters, digits and hyphens only.",
            )
        )
    for name, longest in LONGEST.items():
        if len(getattr(cleaned, name)) > longest:
            problems.append(
                FieldProblem(
                    name, "too_long", f"Paling banyak {longest} karakter.", f"At most {longest} characters."
                )
            )
    return cleaned, problems


def _assign(user: User, details: OfficerDetails) -> None:
    user.full_name = details.full_name
    user.position = details.position or None
    user.rank = details.rank or None
    user.nip = details.nip or None
    user.agency = details.agency or None
    user.key_name = details.key_name or None


def _record(
    session: Session,
    actor: Actor,
    user: User,
    action: str,
    now: datetime,
    data: dict[str, object] | None = None,
) -> None:
    record_event(
        session,
        action=action,
        subject_type="account",
        subject_id=user.id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data=data,
    )
