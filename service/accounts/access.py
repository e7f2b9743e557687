"""Who may do what. Access is denied unless a route declares a policy and the policy allows it.

A route declares its policy by asking for its actor:

    def show(actor: Annotated[Actor, allow(OFFICERS)], session: SessionDep): ...

`allow` is the only way to an actor, and a test fails on any route without one. Policies judge who
asks; which records they may see is decided by ownership in the query.
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Depends, Request
from sqlalchemy import Engine
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool

from service.accounts.models import ApiToken, Kind, LoginSession, RoleAssignment, User
from service.clock import now
from service.database import reading
from service.errors import AccessDenied, SignInRequired
from service.web import check_csrf

SESSION_COOKIE = "canting_session"
ADMINISTRATOR = "administrator"
SIGNING_ROLE = "department_head"
API_SCOPES = ("read", "apply", "review", "sign", "administer")
ROLES: dict[str, tuple[str, str]] = {
    "front_office": ("Petugas Front Office", "Front-office officer"),
    "back_office": ("Petugas Back Office", "Back-office officer"),
    "technical_agency": ("Verifikator dinas teknis", "Technical agency reviewer"),
    "technical_team": ("Tim teknis", "Technical team"),
    "tax_agency": ("Petugas pajak daerah", "Revenue office clerk"),
    "licensing_analyst": ("Penata Perizinan", "Licensing analyst"),
    "division_head": ("Kepala Bidang", "Head of division"),
    "secretary": ("Sekretaris Dinas", "Department secretary"),
    "department_head": ("Kepala Dinas (penanda tangan)", "Head of department (signer)"),
    "complaint_officer": ("Petugas pengaduan", "Complaint officer"),
    "administrator": ("Administrator", "Administrator"),
}
"""Every role an officer may hold, with its name in Indonesian and English."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person signed in by session or token, nobody (a visitor), or the service itself."""

    user_id: uuid.UUID | None
    full_name: str
    kind: str
    """`citizen`, `officer`, `visitor` or `service`."""
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None
    """The scopes of an API token; None for a browser session, which is not narrowed."""
    session_id: uuid.UUID | None = None
    needs_second_factor: bool = False
    language: str = "id"

    def has_role(self, *roles: str) -> bool:
        return not self.roles.isdisjoint(roles)

    @property
    def id(self) -> uuid.UUID:
        """The account's id. Raises SignInRequired for a visitor."""
        if self.user_id is None:
            raise SignInRequired
        return self.user_id

    @property
    def role_for_audit(self) -> str:
        return ",".join(sorted(self.roles)) if self.roles else self.kind


VISITOR = Actor(None, "Pengunjung", "visitor")
SERVICE = Actor(None, "Sistem", "service")


@dataclass(frozen=True, slots=True)
class Policy:
    """A named rule over the actor; `scope` is what an API token needs besides."""

    name: str
    allows: Callable[[Actor], bool]
    scope: str | None = "read"
    needs_sign_in: bool = True
    before_second_factor: bool = False
    """Whether a session whose second step is still to come counts; to all other routes it is nobody's."""


PUBLIC = Policy("public", lambda actor: True, scope=None, needs_sign_in=False)
SIGNING_IN = Policy(
    "public, on the way in", lambda actor: True, scope=None, needs_sign_in=False, before_second_factor=True
)
SECOND_FACTOR = Policy(
    "signed in with a browser session, before the second factor too",
    lambda actor: actor.user_id is not None,
    scope=None,
    before_second_factor=True,
)
SIGNED_IN = Policy("signed in", lambda actor: actor.user_id is not None)
CITIZENS = Policy("citizens", lambda actor: actor.kind == Kind.CITIZEN, scope="apply")
OFFICERS = Policy("officers", lambda actor: actor.kind == Kind.OFFICER and bool(actor.roles), scope="review")
ADMINISTRATORS = Policy(
    "administrators",
    lambda actor: actor.kind == Kind.OFFICER and actor.has_role(ADMINISTRATOR),
    scope="administer",
)
SESSION_ONLY = Policy(
    "signed in with a browser session",
    lambda actor: actor.user_id is not None and actor.scopes is None,
    scope=None,
)


def roles(*names: str, scope: str = "review") -> Policy:
    """Allow officers who hold any of the named roles."""
    return Policy(
        f"officers as {' or '.join(names)}",
        lambda actor: actor.kind == Kind.OFFICER and actor.has_role(*names),
        scope=scope,
    )


class SecondFactorRequired(SignInRequired):
    """The password was right; the code is still to come (or, for an officer, TOTP to be set up)."""

    code = "second_factor_required"
    message_id = "Masukkan kode verifikasi dua langkah terlebih dahulu."
    message_en = "Enter your two-step code first."


class PolicyCheck:
    """The dependency that `allow` puts on a route; callable, so that a test can find it there."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    async def __call__(self, request: Request) -> Actor:
        # A stranger, who verifies, is known as one without a thread that asks the database.
        engine = request.app.state.engine
        known = carries_credentials(request)
        actor = await run_in_threadpool(identify, request, engine, now()) if known else VISITOR
        halfway = actor.needs_second_factor and not self.policy.before_second_factor
        request.state.actor = VISITOR if halfway else actor
        if actor.scopes is None:
            await check_csrf(request)
        return authorise(actor, self.policy)


def allow(policy: Policy) -> Any:
    """Declare a route's policy and give it the actor. Raises SignInRequired or AccessDenied."""
    return Depends(PolicyCheck(policy), scope="function")


def authorise(actor: Actor, policy: Policy) -> Actor:
    """Return the actor if the policy allows it, else raise SignInRequired or AccessDenied."""
    if policy.needs_sign_in and actor.user_id is None:
        raise SignInRequired
    if actor.needs_second_factor and not policy.before_second_factor:
        if policy.needs_sign_in:
            raise SecondFactorRequired
        actor = VISITOR
    if actor.scopes is not None and policy.needs_sign_in and policy.scope not in actor.scopes:
        raise AccessDenied(
            "Token ini tidak memiliki cakupan yang diperlukan.", "This token lacks the scope it would need."
        )
    if not policy.allows(actor):
        raise AccessDenied
    return actor


def carries_credentials(request: Request) -> bool:
    """Tell whether a request says who sends it, rightly or wrongly."""
    return "authorization" in request.headers or SESSION_COOKIE in request.cookies


def identify(request: Request, engine: Engine, moment: datetime) -> Actor:
    """Find who sent the request: by bearer token, else by session cookie, else a visitor.

    It reads in a short session of its own, so a route decides itself when its transaction begins.
    A bearer token that does not hold is refused rather than ignored: raises SignInRequired.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        with reading(engine) as session:
            return _actor_of_token(session, credentials.strip(), moment)
    cookie = request.cookies.get(SESSION_COOKIE)
    if not cookie:
        return VISITOR
    with reading(engine) as session:
        return _actor_of_session(session, cookie, moment)


def token_hash(token: str) -> str:
    """Tokens carry 256 random bits, so a plain SHA-256 keeps them secret at rest."""
    return hashlib.sha256(token.encode()).hexdigest()


def _actor_of_token(session: Session, token: str, moment: datetime) -> Actor:
    row = session.exec(
        select(ApiToken, User)
        .join(User, col(User.id) == col(ApiToken.user_id))
        .where(
            ApiToken.token_hash == token_hash(token),
            col(ApiToken.revoked_at).is_(None),
            ApiToken.expires_at > moment,
        )
    ).first()
    if row is None or row[1].disabled_at is not None:
        raise SignInRequired(
            "Token ini tidak berlaku atau telah dicabut.", "This token is not valid or has been revoked."
        )
    api_token, user = row
    return actor_of_user(session, user, scopes=frozenset(str(scope) for scope in api_token.scopes))


def _actor_of_session(session: Session, cookie: str, moment: datetime) -> Actor:
    row = session.exec(
        select(LoginSession, User)
        .join(User, col(User.id) == col(LoginSession.user_id))
        .where(
            LoginSession.token_hash == token_hash(cookie),
            col(LoginSession.revoked_at).is_(None),
            LoginSession.expires_at > moment,
        )
    ).first()
    if row is None or row[1].disabled_at is not None:
        return VISITOR
    login, user = row
    return actor_of_user(
        session,
        user,
        session_id=login.id,
        needs_second_factor=uses_second_factor(user) and login.second_factor_at is None,
    )


def uses_second_factor(user: User) -> bool:
    """Every officer does, and every citizen who has set it up."""
    return user.kind == Kind.OFFICER or user.totp_confirmed_at is not None


def scopes_within_reach(actor: Actor) -> tuple[str, ...]:
    """Return the scopes that an API token of this person may carry: never more than the person's own."""
    within = {
        "read": True,
        "apply": actor.kind == Kind.CITIZEN,
        "review": actor.kind == Kind.OFFICER,
        "sign": actor.has_role(SIGNING_ROLE),
        "administer": actor.has_role(ADMINISTRATOR),
    }
    return tuple(scope for scope in API_SCOPES if within[scope])


def actor_of_user(
    session: Session,
    user: User,
    *,
    scopes: frozenset[str] | None = None,
    session_id: uuid.UUID | None = None,
    needs_second_factor: bool = False,
) -> Actor:
    """Build the actor of an account with the roles it holds now."""
    held = session.exec(select(RoleAssignment.role).where(RoleAssignment.user_id == user.id)).all()
    return Actor(
        user.id,
        user.full_name,
        user.kind,
        frozenset(held),
        scopes,
        session_id,
        needs_second_factor,
        user.language,
    )
