"""One's own account, for people: profile, password, second factor, sessions, API tokens."""

import uuid
from datetime import timedelta
from typing import Annotated, Any

import zxingcpp
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from service.accounts.access import SECOND_FACTOR, SESSION_ONLY, Actor, allow, scopes_within_reach
from service.accounts.browser import remember, session_lifetime, wrapping_keys
from service.accounts.limits import FAILURES_OF_ACCOUNT, LimiterDep
from service.accounts.models import Kind, User
from service.accounts.pages import Text, form_page, say
from service.accounts.passwords import WrongPassword, change_password
from service.accounts.register import change_profile
from service.accounts.second_factor import (
    NotEnrolled,
    begin_enrolment,
    confirm_enrolment,
    enrolment_secret,
    enrolment_uri,
    remove_second_factor,
    renew_recovery_codes,
    unused_recovery_codes,
)
from service.accounts.sessions import end_all_sessions, end_session, sessions_of
from service.accounts.tokens import create_token, revoke_token, tokens_of
from service.clock import city_date, now
from service.database import SessionDep
from service.errors import InvalidInput, ServiceError, TooManyRequests
from service.web import LANGUAGE_COOKIE, LANGUAGES, SettingsDep, redirect, render, set_cookie

router = APIRouter(prefix="/account", include_in_schema=False)

Owner = Annotated[Actor, allow(SESSION_ONLY)]
Halfway = Annotated[Actor, allow(SECOND_FACTOR)]

TOKEN_DAYS = (30, 90, 180, 365)


# Profile and password -----------------------------------------------------------------------------


@router.get("")
def show_account(request: Request, actor: Owner, session: SessionDep) -> Response:
    user = session.get_one(User, actor.id)
    return render(request, "accounts/account.html", user=user, sessions=sessions_of(session, actor, now()))


@router.get("/profile")
def show_profile(request: Request, actor: Owner, session: SessionDep) -> Response:
    user = session.get_one(User, actor.id)
    typed = {"full_name": user.full_name, "language": user.language}
    return form_page(request, "accounts/profile.html", user=user, typed=typed)


@router.post("/profile")
def save_profile(
    request: Request, actor: Owner, session: SessionDep, full_name: Text = "", language: Text = "id"
) -> Response:
    language = language if language in LANGUAGES else "id"
    try:
        change_profile(session, actor, full_name=full_name, language=language, now=now())
    except InvalidInput as error:
        user = session.get_one(User, actor.id)
        typed = {"full_name": full_name, "language": language}
        return form_page(request, "accounts/profile.html", error, user=user, typed=typed)
    response = redirect(request, "/account", flash=say(request, "Profil tersimpan."))
    set_cookie(request, response, LANGUAGE_COOKIE, language, max_age=int(timedelta(days=365).total_seconds()))
    return response


@router.get("/password")
def show_password(request: Request, actor: Owner, session: SessionDep) -> Response:
    return form_page(request, "accounts/password.html", email=session.get_one(User, actor.id).email)


@router.post("/password")
def save_password(
    request: Request,
    actor: Owner,
    session: SessionDep,
    limiter: LimiterDep,
    current_password: Text = "",
    new_password: Text = "",
) -> Response:
    try:
        limiter.check(FAILURES_OF_ACCOUNT, str(actor.id))
        change_password(session, actor, current=current_password, new=new_password, now=now())
    except (InvalidInput, TooManyRequests) as error:
        if isinstance(error, WrongPassword):
            limiter.note(FAILURES_OF_ACCOUNT, str(actor.id))
        return form_page(request, "accounts/password.html", error, field="current_password")
    text = "Kata sandi diganti. Sesi di perangkat lain telah diakhiri."
    return redirect(request, "/account", flash=say(request, text))


# Sessions -----------------------------------------------------------------------------------------


@router.post("/sessions/end-all")
def end_everywhere(request: Request, actor: Owner, session: SessionDep) -> Response:
    end_all_sessions(session, actor, now())
    return redirect(request, "/sign-in", flash=say(request, "Anda telah keluar dari semua perangkat."))


@router.post("/sessions/{session_id}/end")
def end_one(request: Request, session_id: uuid.UUID, actor: Owner, session: SessionDep) -> Response:
    end_session(session, actor, session_id, now())
    return redirect(request, "/account", flash=say(request, "Sesi diakhiri."))


# The second factor --------------------------------------------------------------------------------


@router.get("/second-factor")
def show_second_factor(
    request: Request, actor: Halfway, session: SessionDep, settings: SettingsDep
) -> Response:
    return _second_factor_page(request, actor, session, settings)


def _second_factor_page(
    request: Request,
    actor: Actor,
    session: SessionDep,
    settings: SettingsDep,
    error: ServiceError | None = None,
) -> Response:
    """Show what the account needs next: nothing, the code, the start, or the enrolment under way."""
    user = session.get_one(User, actor.id)
    if user.totp_confirmed_at is not None:
        if actor.needs_second_factor:
            return redirect(request, "/sign-in/code")
        left = unused_recovery_codes(session, actor)
        return form_page(request, "accounts/second_factor.html", error, user=user, codes_left=left)
    secret = enrolment_secret(session, actor, wrapping_keys(settings))
    groups = [secret[start : start + 4] for start in range(0, len(secret), 4)] if secret else []
    return form_page(request, "accounts/enrolment.html", error, user=user, secret=" ".join(groups))


@router.post("/second-factor/begin")
def begin(request: Request, actor: Halfway, session: SessionDep, settings: SettingsDep) -> Response:
    begin_enrolment(session, actor, wrapping_keys(settings), now())
    return redirect(request, "/account/second-factor")


@router.get("/second-factor/qr.svg")
def show_qr(actor: Halfway, session: SessionDep, settings: SettingsDep) -> Response:
    secret = enrolment_secret(session, actor, wrapping_keys(settings))
    if secret is None:
        raise NotEnrolled
    uri = enrolment_uri(secret, session.get_one(User, actor.id).email)
    svg = zxingcpp.create_barcode(uri, zxingcpp.BarcodeFormat.QRCode, ec_level="M").to_svg(scale=5)
    return Response(svg, media_type="image/svg+xml")


@router.post("/second-factor/confirm")
def confirm(
    request: Request, actor: Halfway, session: SessionDep, settings: SettingsDep, code: Text = ""
) -> Response:
    outcome = confirm_enrolment(
        session, actor, code, wrapping_keys(settings), lifetime=session_lifetime(settings), now=now()
    )
    if isinstance(outcome, ServiceError):
        return _second_factor_page(request, actor, session, settings, outcome)
    opened, codes = outcome
    response = render(request, "accounts/recovery_codes.html", codes=codes, kind=actor.kind)
    remember(request, response, opened)
    return response


@router.post("/second-factor/recovery-codes")
def renew_codes(
    request: Request, actor: Owner, session: SessionDep, settings: SettingsDep, code: Text = ""
) -> Response:
    outcome = renew_recovery_codes(session, actor, code, wrapping_keys(settings), now())
    if isinstance(outcome, ServiceError):
        return _second_factor_page(request, actor, session, settings, outcome)
    return render(request, "accounts/recovery_codes.html", codes=outcome, kind=actor.kind)


@router.post("/second-factor/remove")
def remove(
    request: Request, actor: Owner, session: SessionDep, settings: SettingsDep, code: Text = ""
) -> Response:
    refusal = remove_second_factor(session, actor, code, wrapping_keys(settings), now())
    if refusal is not None:
        return _second_factor_page(request, actor, session, settings, refusal)
    return redirect(request, "/account", flash=say(request, "Verifikasi dua langkah dimatikan."))


# API tokens ---------------------------------------------------------------------------------------


@router.get("/tokens")
def show_tokens(request: Request, actor: Owner, session: SessionDep) -> Response:
    return _tokens_page(request, actor, session, typed={"scopes": ["read"], "days": "90"})


def _tokens_page(
    request: Request, actor: Actor, session: SessionDep, error: ServiceError | None = None, **context: Any
) -> Response:
    return form_page(
        request,
        "accounts/tokens.html",
        error,
        tokens=tokens_of(session, actor, now()),
        scopes=scopes_within_reach(actor),
        days=TOKEN_DAYS,
        is_officer=actor.kind == Kind.OFFICER,
        **context,
    )


@router.post("/tokens")
def add_token(
    request: Request,
    actor: Owner,
    session: SessionDep,
    name: Text = "",
    scopes: Annotated[list[str], Form()] = [],  # noqa: B006 (read only)
    days: Text = "",
) -> Response:
    chosen = int(days) if days in map(str, TOKEN_DAYS) else 0
    moment = now()
    try:
        token, secret = create_token(
            session,
            actor,
            name=name,
            scopes=scopes,
            expires_on=city_date(moment) + timedelta(days=chosen),
            now=moment,
        )
    except InvalidInput as error:
        typed = {"name": name, "scopes": scopes, "days": days}
        return _tokens_page(request, actor, session, error, typed=typed)
    return render(request, "accounts/token_created.html", token=token, secret=secret)


@router.post("/tokens/{token_id}/revoke")
def remove_token(request: Request, token_id: uuid.UUID, actor: Owner, session: SessionDep) -> Response:
    revoke_token(session, actor, token_id, now())
    return redirect(request, "/account/tokens", flash=say(request, "Token dicabut."))
