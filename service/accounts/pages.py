"""The way in, for people: register, confirm the address, sign in and out, reset a password."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from service.accounts.access import PUBLIC, SECOND_FACTOR, SIGNING_IN, Actor, allow
from service.accounts.browser import (
    attempt_sign_in,
    count_mail,
    forget,
    own_path,
    remember,
    secret_of,
    session_lifetime,
    wrapping_keys,
)
from service.accounts.limits import (
    LimiterDep,
)
from service.accounts.links import LinkNotValid, read_link
from service.accounts.models import Kind, User
from service.accounts.register import (
    Registration,
    confirm_email,
    register_citizen,
    request_password_reset,
    resend_confirmation,
    reset_password,
)
from service.accounts.second_factor import check_second_factor
from service.accounts.sessions import end_session
from service.clock import now
from service.database import SessionDep
from service.errors import InvalidInput, ServiceError, TooManyRequests
from service.web import SettingsDep, language_of, redirect, render, translate

router = APIRouter(include_in_schema=False)

Anyone = Annotated[Actor, allow(PUBLIC)]
ComingIn = Annotated[Actor, allow(SIGNING_IN)]
Halfway = Annotated[Actor, allow(SECOND_FACTOR)]
Text = Annotated[str, Form()]


def form_page(
    request: Request,
    template: str,
    error: ServiceError | None = None,
    *,
    field: str | None = None,
    **context: Any,
) -> Response:
    """Show a form, again with what was typed and an error summary when it was refused.

    `field` is the input that an error about the whole form leads to.
    """
    summary: list[dict[str, Any]] = []
    if error is not None:
        language = language_of(request)
        summary = [{"field": item.field, "message": item.message(language)} for item in error.problems]
        summary = summary or [{"field": field, "message": error.message(language)}]
    errors = {
        item["field"]: {"text": item["message"]} for item in reversed(summary) if error and error.problems
    }
    response = render(
        request, template, error.status if error else 200, summary=summary, errors=errors, **context
    )
    if error is not None and error.retry_after:
        response.headers["retry-after"] = str(error.retry_after)
    return response


def say(request: Request, text: str) -> tuple[str, str]:
    """Return a success message in the reader's language."""
    return "success", translate(text, language_of(request))


def _place_after(opened_for: User | Actor, following: str) -> str:
    return own_path(following) or ("/officer" if opened_for.kind == Kind.OFFICER else "/applications")


# Registering ------------------------------------------------------------------------------------


@router.get("/register")
def show_registration(request: Request, actor: Anyone) -> Response:
    return form_page(request, "accounts/register.html", typed={})


@router.post("/register")
def register(
    request: Request,
    actor: Anyone,
    session: SessionDep,
    limiter: LimiterDep,
    full_name: Text = "",
    email: Text = "",
    password: Text = "",
    consent: Text = "",
) -> Response:
    registration = Registration(full_name, email, password, consent == "yes", language_of(request))
    try:
        count_mail(request, limiter, email)
        register_citizen(session, registration, now())
    except (InvalidInput, TooManyRequests) as error:
        typed = {"full_name": full_name, "email": email, "consent": consent}
        return form_page(request, "accounts/register.html", error, field="email", typed=typed)
    return redirect(request, "/confirm-email")


@router.get("/confirm-email")
def show_confirmation_sent(request: Request, actor: Anyone) -> Response:
    return form_page(request, "accounts/confirmation_sent.html", typed={})


@router.post("/confirm-email")
def send_confirmation_again(
    request: Request, actor: Anyone, session: SessionDep, limiter: LimiterDep, email: Text = ""
) -> Response:
    try:
        count_mail(request, limiter, email)
        resend_confirmation(session, email, now())
    except (InvalidInput, TooManyRequests) as error:
        typed = {"email": email}
        return form_page(request, "accounts/confirmation_sent.html", error, field="email", typed=typed)
    text = "Bila alamat itu menunggu konfirmasi, tautan baru sedang dikirim."
    return redirect(request, "/confirm-email", flash=say(request, text))


@router.get("/confirm-email/{token}")
def show_confirmation(
    request: Request, token: str, actor: Anyone, session: SessionDep, settings: SettingsDep
) -> Response:
    """Only show a button: programmes that scan mails open links too, and must not use this one up."""
    try:
        _, user = read_link(session, token, "confirm-email", secret_of(settings), now())
    except LinkNotValid as error:
        return form_page(request, "accounts/link_not_valid.html", error, again="/confirm-email")
    return form_page(request, "accounts/confirm_email.html", email=user.email)


@router.post("/confirm-email/{token}")
def confirm(
    request: Request, token: str, actor: Anyone, session: SessionDep, settings: SettingsDep
) -> Response:
    try:
        confirm_email(session, token, secret_of(settings), now())
    except LinkNotValid as error:
        return form_page(request, "accounts/link_not_valid.html", error, again="/confirm-email")
    return redirect(
        request, "/sign-in", flash=say(request, "Alamat surel Anda terkonfirmasi. Silakan masuk.")
    )


# Signing in and out -----------------------------------------------------------------------------


@router.get("/sign-in")
def show_sign_in(request: Request, actor: ComingIn, next: str = "") -> Response:
    if actor.needs_second_factor:
        return redirect(request, f"/sign-in/code?next={quote(own_path(next), safe='')}")
    if actor.user_id is not None:
        return redirect(request, _place_after(actor, next))
    return form_page(request, "accounts/sign_in.html", typed={}, following=own_path(next))


@router.post("/sign-in")
def enter(
    request: Request,
    actor: ComingIn,
    session: SessionDep,
    settings: SettingsDep,
    limiter: LimiterDep,
    email: Text = "",
    password: Text = "",
    next: Text = "",
) -> Response:
    try:
        outcome = attempt_sign_in(request, session, limiter, email, password)
    except TooManyRequests as error:
        outcome = error
    if isinstance(outcome, ServiceError):
        return form_page(
            request,
            "accounts/sign_in.html",
            outcome,
            field="email",
            typed={"email": email},
            following=own_path(next),
        )
    if outcome.needs_second_factor:
        place = f"/sign-in/code?next={quote(own_path(next), safe='')}"
    else:
        place = _place_after(outcome.user, next)
    response = redirect(request, place)
    remember(request, response, outcome)
    return response


@router.get("/sign-in/code")
def show_code(request: Request, actor: Halfway, session: SessionDep, next: str = "") -> Response:
    if not actor.needs_second_factor:
        return redirect(request, _place_after(actor, next))
    if session.get_one(User, actor.id).totp_confirmed_at is None:
        return redirect(request, "/account/second-factor")
    return form_page(request, "accounts/code.html", following=own_path(next))


@router.post("/sign-in/code")
def enter_code(
    request: Request,
    actor: Halfway,
    session: SessionDep,
    settings: SettingsDep,
    code: Text = "",
    next: Text = "",
) -> Response:
    outcome = check_second_factor(
        session, actor, code, wrapping_keys(settings), lifetime=session_lifetime(settings), now=now()
    )
    if isinstance(outcome, ServiceError):
        return form_page(request, "accounts/code.html", outcome, following=own_path(next))
    response = redirect(request, _place_after(actor, next))
    remember(request, response, outcome)
    return response


@router.post("/sign-out")
def leave(request: Request, actor: ComingIn, session: SessionDep) -> Response:
    if actor.session_id is not None:
        end_session(session, actor, actor.session_id, now())
    response = redirect(request, "/", flash=say(request, "Anda telah keluar."))
    forget(response)
    return response


# A forgotten password ---------------------------------------------------------------------------


@router.get("/forgot-password")
def show_forgotten(request: Request, actor: Anyone) -> Response:
    return form_page(request, "accounts/forgot_password.html", typed={})


@router.post("/forgot-password")
def forgotten(
    request: Request, actor: Anyone, session: SessionDep, limiter: LimiterDep, email: Text = ""
) -> Response:
    try:
        count_mail(request, limiter, email)
        request_password_reset(session, email, now())
    except (InvalidInput, TooManyRequests) as error:
        typed = {"email": email}
        return form_page(request, "accounts/forgot_password.html", error, field="email", typed=typed)
    return form_page(request, "accounts/reset_sent.html", typed={"email": email})


@router.get("/reset-password/{token}")
def show_reset(
    request: Request, token: str, actor: Anyone, session: SessionDep, settings: SettingsDep
) -> Response:
    try:
        _, user = read_link(session, token, "reset-password", secret_of(settings), now())
    except LinkNotValid as error:
        return form_page(request, "accounts/link_not_valid.html", error, again="/forgot-password")
    return form_page(request, "accounts/reset_password.html", email=user.email)


@router.post("/reset-password/{token}")
def reset(
    request: Request,
    token: str,
    actor: Anyone,
    session: SessionDep,
    settings: SettingsDep,
    new_password: Text = "",
) -> Response:
    try:
        reset_password(session, token, new_password, secret_of(settings), now())
    except LinkNotValid as error:
        return form_page(request, "accounts/link_not_valid.html", error, again="/forgot-password")
    except InvalidInput as error:
        return form_page(request, "accounts/reset_password.html", error)
    text = "Kata sandi baru tersimpan. Silakan masuk dengan kata sandi itu."
    return redirect(request, "/sign-in", flash=say(request, text))
