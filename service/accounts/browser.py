"""What signing in needs of a request: its limits, its device, its cookie, the settings' secrets."""

from datetime import timedelta

from fastapi import Request, Response
from sqlmodel import Session

from service.accounts.access import SESSION_COOKIE
from service.accounts.limits import (
    FAILURES_OF_ACCOUNT,
    FAILURES_OF_ADDRESS,
    MAILS_OF_ACCOUNT,
    MAILS_OF_ADDRESS,
    Limiter,
    client_address,
)
from service.accounts.passwords import prove_password
from service.accounts.person import clean_email
from service.accounts.sessions import NewSession, device_name
from service.accounts.signin import sign_in
from service.clock import now
from service.config import Settings, parse_wrapping_keys
from service.database import reading
from service.errors import ServiceError
from service.web import set_cookie


def own_path(path: str) -> str:
    """Return the path if it leads to this site, else nothing (no open redirect)."""
    leads_here = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if leads_here and path.isprintable() and len(path) <= 1000 else ""


def session_lifetime(settings: Settings) -> timedelta:
    return timedelta(hours=settings.session_hours)


def secret_of(settings: Settings) -> str:
    return settings.secret_key.get_secret_value()


def wrapping_keys(settings: Settings) -> dict[str, bytes]:
    return parse_wrapping_keys(settings.wrapping_keys.get_secret_value())


def attempt_sign_in(
    request: Request, session: Session, limiter: Limiter, email: str, password: str
) -> NewSession | ServiceError:
    """Sign in within the limits of the network address and of the account. Raises TooManyRequests."""
    counted = ((FAILURES_OF_ADDRESS, client_address(request)), (FAILURES_OF_ACCOUNT, clean_email(email)))
    for item, who in counted:
        limiter.check(item, who)
    with reading(request.app.state.engine) as reader:
        proof = prove_password(reader, email, password)
    outcome = sign_in(
        session,
        proof,
        device=device_name(request.headers.get("user-agent", "")),
        lifetime=session_lifetime(request.app.state.settings),
        now=now(),
    )
    if isinstance(outcome, ServiceError):
        for item, who in counted:
            limiter.note(item, who)
    return outcome


def remember(request: Request, response: Response, opened: NewSession) -> None:
    """Give the browser the session's cookie; it lasts as long as the session at most."""
    lifetime = opened.expires_at - now()
    set_cookie(request, response, SESSION_COOKIE, opened.token, max_age=int(lifetime.total_seconds()))


def forget(response: Response) -> None:
    """Take the session's cookie back."""
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")


def count_mail(request: Request, limiter: Limiter, email: str) -> None:
    """Count a request that may send a mail. Raises TooManyRequests."""
    limiter.count(MAILS_OF_ADDRESS, client_address(request))
    limiter.count(MAILS_OF_ACCOUNT, clean_email(email))
