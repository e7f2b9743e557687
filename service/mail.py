"""Notifications by mail: queued as rows with the change they tell of, written and sent afterwards.

A row holds references and public words, never a secret: a one-time link is signed only when the mail
is written. A template is `templates/mail/<name>.<language>.txt`; it fills the blocks `subject` and
`body` of `base`, which greets by name when the context has a `full_name`, and signs off.
Sending is a job that the application registers over `deliver`; whoever queues a mail enqueues the
job in the same transaction.
"""

import re
import smtplib
import ssl
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from babel.dates import format_date
from sqlalchemy import JSON, Column, Engine, delete, or_
from sqlmodel import Field, Session, SQLModel, col, select

from service import clock
from service.config import Settings
from service.database import UTCDateTime, reading, transaction

TEMPLATES = Path(__file__).parent / "templates" / "mail"
LANGUAGES = ("id", "en")
SMTP_TIMEOUT_SECONDS = 20
SETTLED_KEPT = timedelta(days=90)

Link = Callable[[str, str], str]
"""Makes the address of a one-time link from its purpose and the reference of its row."""


class MailMessage(SQLModel, table=True):
    """A notification to one address. `context` holds references and public words for the template."""

    __tablename__ = "mail_message"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    to_address: str = Field(max_length=254)
    language: str = Field(max_length=2)
    template: str = Field(max_length=60)
    context: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False, index=True))
    sent_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    failed_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    """When the server refused it for good."""
    attempts: int = 0
    last_error: str | None = Field(default=None, max_length=60)
    """A code, never the server's words."""


class MailNotSent(Exception):
    """The server did not take the mail. `permanent` tells that asking again is no use."""

    def __init__(self, code: str, *, permanent: bool = False) -> None:
        self.code = code
        self.permanent = permanent
        super().__init__(code)


# Queuing --------------------------------------------------------------------------------------


def queue_mail(
    session: Session, *, to: str, language: str, template: str, context: dict[str, Any], now: datetime
) -> MailMessage:
    """Add a mail to the session's transaction; the caller enqueues `send_mail` with its id.

    Raises ValueError for an address that is not exactly one, LookupError for an unknown template.
    """
    Address(addr_spec=to)
    if language not in LANGUAGES:
        language = "id"
    if not (TEMPLATES / f"{template}.{language}.txt").is_file():
        raise LookupError(f"no mail is called {template!r} in {language!r}")
    message = MailMessage(
        to_address=to, language=language, template=template, context=context, created_at=now
    )
    session.add(message)
    session.flush()
    return message


# Writing --------------------------------------------------------------------------------------


def compose(message: MailMessage, settings: Settings, link: Link) -> EmailMessage:
    """Write a queued mail: plain text, one recipient, the same Message-ID at every attempt.

    In a template `{{ link(purpose, reference) }}` is a one-time link's address, `{{ url(path) }}` a
    page's, and `{{ day | date_long }}` a date given as YYYY-MM-DD.
    """
    subject, body = _write(message, settings, link)
    sender_name, sender_address = parseaddr(settings.mail_from)
    email = EmailMessage(policy=SMTP)
    email["From"] = Address(sender_name, addr_spec=sender_address)
    email["To"] = Address(addr_spec=message.to_address)
    email["Subject"] = subject
    email["Date"] = message.created_at
    email["Message-ID"] = f"<{message.id.hex}@{sender_address.rpartition('@')[2]}>"
    email["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no out-of-office answers, please.
    email["Content-Language"] = message.language
    email.set_content(body)
    return email


def _write(message: MailMessage, settings: Settings, link: Link) -> tuple[str, str]:
    """Return the subject, which is the text's first line, and the body."""
    environment = _environment(message.language)
    words = _on_one_line(message.context) | {
        "link": link,
        "url": lambda path: settings.base_url + path,
        "base_url": settings.base_url,
        "city_name": settings.city_name,
        "help_contact": settings.help_contact,
    }
    text = environment.get_template(f"{message.template}.{message.language}.txt").render(words)
    subject, _, body = text.strip().partition("\n")
    return subject.strip(), re.sub(r"\n{3,}", "\n\n", body.strip()) + "\n"


@cache
def _environment(language: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 (plain text: there is no markup to escape from)
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["date_long"] = lambda day: format_date(
        date.fromisoformat(day), "d MMMM y", locale=language
    )
    return environment


def _on_one_line(value: Any) -> Any:
    """Put every text on one line, so that what somebody typed cannot pose as a header or a paragraph."""
    if isinstance(value, dict):
        return {key: _on_one_line(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_one_line(item) for item in value]
    if isinstance(value, str):
        visible = (" " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter for letter in value)
        return " ".join("".join(visible).split())
    return value


# Sending --------------------------------------------------------------------------------------


def send(email: EmailMessage, settings: Settings) -> None:
    """Hand a mail to the SMTP server. Raises MailNotSent."""
    with _smtp_errors(), _connect(settings) as server:
        if settings.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        server.send_message(email)


def _connect(settings: Settings) -> smtplib.SMTP:
    host, port = settings.smtp_host, settings.smtp_port
    if settings.smtp_security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, port, timeout=SMTP_TIMEOUT_SECONDS, context=context)
    return smtplib.SMTP(host, port, timeout=SMTP_TIMEOUT_SECONDS)


@contextmanager
def _smtp_errors() -> Iterator[None]:
    """Reduce what went wrong to a code: the server's words may quote the address or the password."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        status = max(code for code, _ in error.recipients.values())
        raise MailNotSent(f"recipient_refused_{status}", permanent=status >= 500) from None
    except (smtplib.SMTPSenderRefused, smtplib.SMTPAuthenticationError) as error:
        # A fault of the installation, not of the mail: it goes out once that is mended.
        raise MailNotSent(f"sender_refused_{error.smtp_code}") from None
    except smtplib.SMTPResponseException as error:
        permanent = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500
        raise MailNotSent(f"server_refused_{error.smtp_code}", permanent=permanent) from None
    except smtplib.SMTPNotSupportedError:
        raise MailNotSent("server_lacks_tls_or_login") from None
    except ssl.SSLError:
        raise MailNotSent("tls_failed") from None
    except (smtplib.SMTPException, OSError):
        raise MailNotSent("server_unreachable") from None


def deliver(engine: Engine, mail_id: str, settings: Settings, link: Link) -> None:
    """Write and send a queued mail and record the outcome; the job `send_mail`.

    A mail sent already is left alone. One refused for good is recorded so and not tried again.
    Without an SMTP host a demonstration's outbox page is the delivery. Raises MailNotSent when a
    later attempt may succeed. A crash between sending and recording sends twice, with one Message-ID.
    """
    with reading(engine) as session:
        message = session.get(MailMessage, uuid.UUID(mail_id))
    if message is None or message.sent_at or message.failed_at:
        return
    failure: MailNotSent | None = None
    if settings.smtp_host or settings.environment == "production":
        try:
            send(compose(message, settings, link), settings)
        except MailNotSent as error:
            failure = error
    _record_outcome(engine, message.id, failure, clock.now())
    if failure is not None and not failure.permanent:
        raise failure


def _record_outcome(engine: Engine, mail_id: uuid.UUID, failure: MailNotSent | None, now: datetime) -> None:
    with transaction(engine) as session:
        message = session.get_one(MailMessage, mail_id)
        message.attempts += 1
        message.last_error = failure.code if failure else None
        if failure is None:
            message.sent_at = now
        elif failure.permanent:
            message.failed_at = now


def forget_settled(session: Session, now: datetime) -> int:
    """Delete the mails that were sent, or refused for good, 90 days ago; return how many. For a daily job."""
    long_ago = now - SETTLED_KEPT
    settled = delete(MailMessage).where(
        or_(col(MailMessage.sent_at) < long_ago, col(MailMessage.failed_at) < long_ago)
    )
    return session.execute(settled).rowcount  # type: ignore[attr-defined,no-any-return]


# The demonstration's outbox ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A mail as its reader sees it."""

    id: uuid.UUID
    to_address: str
    language: str
    created_at: datetime
    sent_at: datetime | None
    subject: str
    body: str


def outbox(session: Session, settings: Settings, link: Link, limit: int = 100) -> list[OutboxEntry]:
    """List the latest mails, written out with working links: for the demonstration's page only."""
    latest = session.exec(select(MailMessage).order_by(col(MailMessage.created_at).desc()).limit(limit))
    return [_as_outbox_entry(message, compose(message, settings, link)) for message in latest]


def _as_outbox_entry(message: MailMessage, email: EmailMessage) -> OutboxEntry:
    return OutboxEntry(
        id=message.id,
        to_address=message.to_address,
        language=message.language,
        created_at=message.created_at,
        sent_at=message.sent_at,
        subject=email["Subject"],
        body=email.get_content(),
    )
