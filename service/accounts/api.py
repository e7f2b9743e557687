"""Sessions, the own account, API tokens and officers, for programmes: the verbs of the pages."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from service.accounts.access import (
    ADMINISTRATORS,
    PUBLIC,
    SESSION_ONLY,
    SIGNED_IN,
    Actor,
    SecondFactorRequired,
    actor_of_user,
    allow,
)
from service.accounts.browser import attempt_sign_in, forget, remember, session_lifetime, wrapping_keys
from service.accounts.limits import LimiterDep
from service.accounts.models import ApiToken, User
from service.accounts.officers import (
    Officer,
    OfficerDetails,
    change_officer,
    create_officer,
    disable_officer,
    enable_officer,
    find_officer,
    list_officers,
    reset_second_factor,
)
from service.accounts.second_factor import check_second_factor
from service.accounts.sessions import NewSession, discard_session, end_session
from service.accounts.tokens import create_token, revoke_token, tokens_of
from service.clock import Day, now
from service.database import SessionDep
from service.errors import ServiceError, problem, refusals
from service.web import SettingsDep, csrf_token, language_of

router = APIRouter(prefix="/api/v1", tags=["accounts"])

Visitor = Annotated[Actor, allow(PUBLIC)]
Person = Annotated[Actor, allow(SIGNED_IN)]
Browser = Annotated[Actor, allow(SESSION_ONLY)]
Administrator = Annotated[Actor, allow(ADMINISTRATORS)]


Page = Annotated[int, Query(ge=1, le=100_000)]


# Sessions -----------------------------------------------------------------------------------------


class SignIn(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"email": "siti@contoh.invalid", "password": "kuda lumping menari riang", "code": "123456"}
            ]
        }
    )

    email: str = Field(max_length=254)
    password: SecretStr = Field(max_length=200)
    code: str | None = Field(default=None, max_length=40)
    """TOTP or recovery code; needed by every officer, and by citizens who have set it up."""


class OwnAccount(BaseModel):
    """The person who asks."""

    id: uuid.UUID
    kind: str = Field(examples=["citizen"])
    email: str = Field(examples=["siti@contoh.invalid"])
    full_name: str = Field(examples=["Siti Contoh"])
    language: str = Field(examples=["id"])
    roles: list[str] = Field(examples=[["front_office"]])
    scopes: list[str] | None = Field(examples=[["read", "apply"]])
    """Of the API token that asks; null for a session."""


class SignedIn(BaseModel):
    account: OwnAccount
    expires_at: datetime
    csrf_token: str
    """To be sent as `X-CSRF-Token` with every request that changes something."""


class EnrolInBrowser(SecondFactorRequired):
    code = "second_factor_not_enrolled"
    message_id = "Pasang verifikasi dua langkah terlebih dahulu dengan masuk melalui peramban."
    message_en = "Set up two-step verification first by signing in with a browser."


@router.post(
    "/sessions",
    status_code=status.HTTP_201_CREATED,
    response_model=SignedIn,
    responses=refusals(429),
    summary="Sign in",
)
def open_session(
    request: Request,
    response: Response,
    body: SignIn,
    actor: Visitor,
    session: SessionDep,
    settings: SettingsDep,
    limiter: LimiterDep,
) -> Any:
    """The session is carried by a cookie; an officer sends the second step's code along."""
    outcome = attempt_sign_in(request, session, limiter, body.email, body.password.get_secret_value())
    if isinstance(outcome, NewSession) and outcome.needs_second_factor:
        outcome = _second_step(session, outcome, body.code, settings)
    if isinstance(outcome, ServiceError):
        return _refuse(request, outcome)
    remember(request, response, outcome)
    opened_for = actor_of_user(session, outcome.user, session_id=outcome.id)
    return SignedIn(
        account=_own_account(outcome.user, opened_for),
        expires_at=outcome.expires_at,
        csrf_token=csrf_token(request),
    )


def _second_step(
    session: SessionDep, halfway: NewSession, code: str | None, settings: SettingsDep
) -> NewSession | ServiceError:
    """Go on to a full session in the same request; nothing half-open stays behind."""
    outcome: NewSession | ServiceError
    if halfway.user.totp_confirmed_at is None:
        outcome = EnrolInBrowser()
    elif not code:
        outcome = SecondFactorRequired()
    else:
        outcome = check_second_factor(
            session,
            actor_of_user(session, halfway.user, session_id=halfway.id),
            code,
            wrapping_keys(settings),
            lifetime=session_lifetime(settings),
            now=now(),
        )
    if isinstance(outcome, ServiceError):
        discard_session(session, halfway.id, now())
    return outcome


def _refuse(request: Request, error: ServiceError) -> JSONResponse:
    """Answer a refusal that was returned, so that what was written about it is committed."""
    body = problem(error, language_of(request), request.url.path)
    return JSONResponse(body, error.status, media_type="application/problem+json")


@router.delete("/sessions/current", status_code=status.HTTP_204_NO_CONTENT, summary="Sign out")
def close_session(response: Response, actor: Browser, session: SessionDep) -> None:
    """Ends the session at once, everywhere."""
    if actor.session_id is not None:
        end_session(session, actor, actor.session_id, now())
    forget(response)


@router.get("/me", summary="Who am I")
def show_me(actor: Person, session: SessionDep) -> OwnAccount:
    """Whom the session or the token speaks for."""
    return _own_account(session.get_one(User, actor.id), actor)


def _own_account(user: User, actor: Actor) -> OwnAccount:
    return OwnAccount(
        id=user.id,
        kind=user.kind,
        email=user.email,
        full_name=user.full_name,
        language=user.language,
        roles=sorted(actor.roles),
        scopes=None if actor.scopes is None else sorted(actor.scopes),
    )


# API tokens ---------------------------------------------------------------------------------------


class NewToken(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Laporan harian", "scopes": ["read"], "expires_on": "2027-01-31"}]
        }
    )

    name: str = Field(max_length=80)
    scopes: list[str] = Field(max_length=10)
    expires_on: Day


class Token(BaseModel):
    id: uuid.UUID
    name: str = Field(examples=["Laporan harian"])
    scopes: list[str] = Field(examples=[["read"]])
    created_at: datetime
    expires_at: datetime


class CreatedToken(Token):
    token: str = Field(examples=["canting_..."])
    """The secret, shown this once."""


def _token(row: ApiToken) -> dict[str, Any]:
    return row.model_dump(include={"id", "name", "scopes", "created_at", "expires_at"})


@router.get("/tokens", summary="List my tokens")
def show_tokens(actor: Browser, session: SessionDep) -> list[Token]:
    """Those that still hold."""
    return [Token(**_token(row)) for row in tokens_of(session, actor, now())]


@router.post("/tokens", status_code=status.HTTP_201_CREATED, summary="Create a token")
def add_token(body: NewToken, actor: Browser, session: SessionDep) -> CreatedToken:
    """With some of one's own scopes, for a year at most."""
    row, secret = create_token(
        session, actor, name=body.name, scopes=body.scopes, expires_on=body.expires_on, now=now()
    )
    return CreatedToken(**_token(row), token=secret)


@router.delete("/tokens/{token_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Revoke a token")
def remove_token(token_id: uuid.UUID, actor: Browser, session: SessionDep) -> None:
    """From this moment on it opens nothing."""
    revoke_token(session, actor, token_id, now())


# Officers -----------------------------------------------------------------------------------------


EXAMPLE_OFFICER: dict[str, Any] = {
    "full_name": "Budi Contoh",
    "roles": ["front_office"],
    "position": "Petugas Loket",
    "rank": "Penata Muda (III/a)",
    "nip": "199001012015011001",
}


class OfficerFields(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_OFFICER]})

    full_name: str = Field(max_length=200)
    roles: list[str] = Field(max_length=20)
    position: str = Field(default="", max_length=160)
    rank: str = Field(default="", max_length=80)
    nip: str = Field(default="", max_length=30)
    agency: str = Field(default="", max_length=160)
    key_name: str = Field(default="", max_length=80)

    def details(self) -> OfficerDetails:
        fields = self.model_dump(exclude={"email", "roles"})
        return OfficerDetails(roles=tuple(self.roles), **fields)


class NewOfficer(OfficerFields):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "budi@contoh.invalid", **EXAMPLE_OFFICER}]}
    )

    email: str = Field(max_length=254)


class OfficerView(BaseModel):
    id: uuid.UUID
    email: str
    full_name: str
    roles: list[str]
    position: str | None
    rank: str | None
    nip: str | None
    agency: str | None
    key_name: str | None
    disabled_at: datetime | None
    second_factor_enrolled: bool


class OfficerList(BaseModel):
    items: list[OfficerView]
    total: int


def _view(officer: Officer) -> OfficerView:
    user = officer.user
    return OfficerView(
        **user.model_dump(include=set(OfficerView.model_fields)),
        roles=list(officer.roles),
        second_factor_enrolled=user.totp_confirmed_at is not None,
    )


@router.get("/officers", summary="List officers")
def show_officers(
    actor: Administrator,
    session: SessionDep,
    search: Annotated[str, Query(max_length=120)] = "",
    page: Page = 1,
) -> OfficerList:
    """By name, 50 a page."""
    officers, total = list_officers(session, search=search, page=page)
    return OfficerList(items=[_view(officer) for officer in officers], total=total)


@router.post("/officers", status_code=status.HTTP_201_CREATED, summary="Create an officer")
def add_officer(body: NewOfficer, actor: Administrator, session: SessionDep) -> OfficerView:
    """A mail invites the officer to set a password."""
    user = create_officer(session, actor, body.email, body.details(), now())
    return _view(find_officer(session, user.id))


@router.get("/officers/{officer_id}", summary="Read an officer")
def show_officer(officer_id: uuid.UUID, actor: Administrator, session: SessionDep) -> OfficerView:
    """The account, its roles and what a document would print of its holder."""
    return _view(find_officer(session, officer_id))


@router.put("/officers/{officer_id}", summary="Change an officer")
def save_officer(
    officer_id: uuid.UUID, body: OfficerFields, actor: Administrator, session: SessionDep
) -> OfficerView:
    """Replaces details and roles."""
    change_officer(session, actor, officer_id, body.details(), now())
    return _view(find_officer(session, officer_id))


@router.post(
    "/officers/{officer_id}/disable", status_code=status.HTTP_204_NO_CONTENT, summary="Disable an officer"
)
def disable(officer_id: uuid.UUID, actor: Administrator, session: SessionDep) -> None:
    """Sessions and tokens of the account end at once."""
    disable_officer(session, actor, officer_id, now())


@router.post(
    "/officers/{officer_id}/enable", status_code=status.HTTP_204_NO_CONTENT, summary="Enable an officer"
)
def enable(officer_id: uuid.UUID, actor: Administrator, session: SessionDep) -> None:
    """The account may sign in again."""
    enable_officer(session, actor, officer_id, now())


@router.post(
    "/officers/{officer_id}/reset-second-factor",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Reset an officer's second factor",
)
def reset_code(officer_id: uuid.UUID, actor: Administrator, session: SessionDep) -> None:
    """TOTP is enrolled anew at the next sign-in."""
    reset_second_factor(session, actor, officer_id, now())
