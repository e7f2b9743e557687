"""Notifications: queued, written in both languages, and sent to a real SMTP server on loopback."""

import socket
import ssl
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from aiosmtpd.smtp import Session as SmtpSession
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import Session, select

from service import mail
from service.config import Settings
from service.database import reading, transaction
from service.mail import MailMessage, MailNotSent

PERMIT = {"permit_title": "Surat Izin Praktik", "number": "503/1/SIP/2026", "path": "/permits/abc"}
APPLICATION = {
    "permit_title": "Surat Izin Praktik",
    "receipt_number": "2026-000001",
    "path": "/applications/1",
    "due_on": "2026-12-01",
}
CONTEXTS: dict[str, dict[str, Any]] = {
    "confirm_email": {"reference": "0001"},
    "reset_password": {"reference": "0001"},
    "application_submitted": APPLICATION,
    "application_returned": APPLICATION,
    "application_decided": APPLICATION | {"decision": "approved"},
    "permit_issued": PERMIT,
    "rejection_letter_issued": PERMIT,
    "permit_revoked": PERMIT,
    "permit_suspended": PERMIT,
    "permit_active": PERMIT,
    "permit_superseded": PERMIT | {"successor": "503/2/SIP/2026"},
    "expiry_alarm": {
        "path": "/admin/keys",
        "endings": [
            {"kind": kind, "name": "tsa", "action": action, "ends_on": "2026-12-01"}
            for kind, action in (
                ("key", "renew"),
                ("key", "enrol"),
                ("key", "sign_root_list"),
                ("key", "appoint"),
                ("key", "import_list"),
                ("mandate", "grant"),
                ("proofs", "look_into"),
            )
        ],
    },
    "overdue_alarm": {"path": "/queue", "cases": [APPLICATION]},
}


def link(purpose: str, reference: str) -> str:
    return f"https://canting.test/{purpose}/{reference}.signed"


def a_mail(now: datetime, **changes: Any) -> MailMessage:
    fields: dict[str, Any] = {
        "to_address": "warga@contoh.invalid",
        "language": "id",
        "template": "permit_issued",
        "context": {"full_name": "Warga Contoh", **PERMIT},
        "created_at": now,
    }
    return MailMessage(**fields | changes)


# Writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", CONTEXTS)
def test_every_template_reads_whole_in_both_languages(
    template: str, settings: Settings, now: datetime
) -> None:
    context = {"full_name": "Warga Contoh", **CONTEXTS[template]}
    bodies = set()
    for language, sign_off in (("id", "Salam,"), ("en", "Kind regards,")):
        message = a_mail(now, template=template, language=language, context=context)
        email = mail.compose(message, settings, link)
        body = email.get_content()
        assert email["Subject"]
        assert f"{sign_off}\nCanting – Kota Pekalongan\n" in body
        assert "Warga Contoh" in body.splitlines()[0]
        assert "{" not in email["Subject"] + body
        bodies.add(body)
    assert len(bodies) == 2


def test_dates_are_written_in_the_readers_language(settings: Settings, now: datetime) -> None:
    written = [
        mail.compose(
            a_mail(now, template="application_submitted", language=language, context=context), settings, link
        ).get_content()
        for language in ("id", "en")
        for context in [{"full_name": "Warga Contoh", **APPLICATION}]
    ]
    assert "1 Desember 2026" in written[0]
    assert "1 December 2026" in written[1]


def test_a_one_time_link_is_made_only_when_the_mail_is_written(settings: Settings, now: datetime) -> None:
    context = {"reference": "0001"}
    message = a_mail(now, template="confirm_email", context=context)
    email = mail.compose(message, settings, link)
    assert "https://canting.test/confirm-email/0001.signed" in email.get_content()
    assert "signed" not in str(message.model_dump())


def test_what_somebody_typed_cannot_pose_as_a_header_or_a_paragraph(
    settings: Settings, now: datetime
) -> None:
    context = APPLICATION | {
        "full_name": "Warga\r\nBcc: semua@contoh.invalid\n\nTransfer ke rekening",
        "receipt_number": "1\nBcc: semua@contoh.invalid",
    }
    email = mail.compose(a_mail(now, template="application_submitted", context=context), settings, link)
    received = message_from_bytes(email.as_bytes(), policy=default)
    assert received["Bcc"] is None
    assert received["Subject"] == "Permohonan 1 Bcc: semua@contoh.invalid telah kami terima"
    assert received.get_content().splitlines()[0] == (
        "Yth. Warga Bcc: semua@contoh.invalid Transfer ke rekening,"
    )


@pytest.mark.parametrize(
    "address", ["warga", "a@contoh.invalid, b@contoh.invalid", "a@contoh.invalid\nBcc: b@contoh.invalid", ""]
)
def test_an_address_that_is_not_exactly_one_is_refused(address: str, session: Session, now: datetime) -> None:
    with pytest.raises((ValueError, IndexError)):
        mail.queue_mail(session, to=address, language="id", template="permit_issued", context={}, now=now)


def test_an_unknown_template_is_refused_when_queued(session: Session, now: datetime) -> None:
    with pytest.raises(LookupError):
        mail.queue_mail(
            session, to="a@contoh.invalid", language="id", template="../base", context={}, now=now
        )


# Sending --------------------------------------------------------------------------------------


@dataclass
class Sink:
    """A mail server that keeps what it gets, or answers as told."""

    answer: str = "250 OK"
    received: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 (the server's name for it)
        self, server: SMTP, session: SmtpSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: SmtpSession, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def smtp_settings(sink: Sink, settings: Settings, unused_port: int) -> Iterator[Settings]:
    controller = Controller(sink, hostname="127.0.0.1", port=unused_port)
    controller.start()
    yield settings.model_copy(update={"smtp_port": unused_port})
    controller.stop()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def queued(engine: Engine, now: datetime) -> str:
    with transaction(engine) as session:
        message = mail.queue_mail(
            session,
            to="warga@contoh.invalid",
            language="id",
            template="permit_issued",
            context={"full_name": "Warga Contoh", **PERMIT},
            now=now,
        )
    return str(message.id)


def stored(engine: Engine) -> MailMessage:
    with reading(engine) as session:
        return session.exec(select(MailMessage)).one()


def test_a_queued_mail_is_sent_once(
    engine: Engine, queued: str, sink: Sink, smtp_settings: Settings, now: datetime
) -> None:
    for _ in range(2):
        mail.deliver(engine, queued, smtp_settings, link)
    [received] = sink.received
    assert sink.recipients == [["warga@contoh.invalid"]]
    assert received["To"] == "warga@contoh.invalid"
    assert received["From"] == "Canting <no-reply@contoh.invalid>"
    assert received["Subject"] == "Izin 503/1/SIP/2026 telah terbit"
    assert received["Message-ID"] == f"<{queued.replace('-', '')}@contoh.invalid>"
    assert received["Auto-Submitted"] == "auto-generated"
    assert received["Date"].datetime == now
    assert "http://testserver/permits/abc" in received.get_content()
    message = stored(engine)
    assert (message.attempts, message.last_error, message.failed_at) == (1, None, None)
    assert message.sent_at is not None


def test_a_mail_put_off_is_tried_again(
    engine: Engine, queued: str, sink: Sink, smtp_settings: Settings
) -> None:
    sink.answer = "451 try later"
    with pytest.raises(MailNotSent, match="recipient_refused_451"):
        mail.deliver(engine, queued, smtp_settings, link)
    assert (stored(engine).attempts, stored(engine).last_error) == (1, "recipient_refused_451")
    sink.answer = "250 OK"
    mail.deliver(engine, queued, smtp_settings, link)
    assert (stored(engine).attempts, stored(engine).last_error) == (2, None)
    assert len(sink.received) == 1


def test_a_mail_refused_for_good_is_recorded_and_not_tried_again(
    engine: Engine, queued: str, sink: Sink, smtp_settings: Settings
) -> None:
    sink.answer = "550 no such mailbox"
    for _ in range(2):
        mail.deliver(engine, queued, smtp_settings, link)
    message = stored(engine)
    assert message.failed_at is not None
    assert (message.attempts, message.last_error, message.sent_at) == (1, "recipient_refused_550", None)


def test_an_unreachable_server_is_a_passing_failure(
    engine: Engine, queued: str, settings: Settings, unused_port: int
) -> None:
    with pytest.raises(MailNotSent, match="server_unreachable") as raised:
        mail.deliver(engine, queued, settings.model_copy(update={"smtp_port": unused_port}), link)
    assert not raised.value.permanent


def test_nothing_is_sent_in_the_clear_when_tls_is_asked_for(
    engine: Engine, queued: str, sink: Sink, smtp_settings: Settings
) -> None:
    with pytest.raises(MailNotSent, match="server_lacks_tls_or_login"):
        mail.deliver(engine, queued, smtp_settings.model_copy(update={"smtp_security": "starttls"}), link)
    assert sink.received == []


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = Encoding.PEM
    path = tmp_path / "server.pem"
    path.write_bytes(
        certificate.public_bytes(pem) + key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


@pytest.fixture
def secure_settings(
    sink: Sink, settings: Settings, unused_port: int, certificate: Path
) -> Iterator[Settings]:
    """A server that takes mail only over TLS and from whoever signs in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def authenticate(server: SMTP, session: SmtpSession, envelope: Envelope, *given: Any) -> AuthResult:
        return AuthResult(success=given[1].password == b"CANARY-right", handled=False)

    controller = Controller(
        sink,
        hostname="127.0.0.1",
        port=unused_port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    controller.start()
    changes = {
        "smtp_port": unused_port,
        "smtp_security": "starttls",
        "smtp_user": "canting",
        "smtp_password": SecretStr("CANARY-right"),
    }
    yield settings.model_copy(update=changes)
    controller.stop()


def test_mail_goes_over_tls_with_a_login(
    engine: Engine,
    queued: str,
    sink: Sink,
    secure_settings: Settings,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    wrong = secure_settings.model_copy(update={"smtp_password": SecretStr("CANARY-wrong")})
    with pytest.raises(MailNotSent, match="sender_refused_535") as raised:
        mail.deliver(engine, queued, wrong, link)
    assert "CANARY" not in "".join(traceback.format_exception(raised.value))
    mail.deliver(engine, queued, secure_settings, link)
    assert len(sink.received) == 1


def test_a_server_with_a_certificate_nobody_vouches_for_gets_nothing(
    engine: Engine, queued: str, sink: Sink, secure_settings: Settings
) -> None:
    with pytest.raises(MailNotSent, match="tls_failed"):
        mail.deliver(engine, queued, secure_settings, link)
    assert sink.received == []


def test_the_demonstration_reads_its_mails_in_the_outbox(
    engine: Engine, queued: str, settings: Settings
) -> None:
    demo = settings.model_copy(update={"environment": "demo", "smtp_host": ""})
    mail.deliver(engine, queued, demo, link)
    with reading(engine) as session:
        [entry] = mail.outbox(session, demo, link)
    assert entry.sent_at is not None
    assert entry.subject == "Izin 503/1/SIP/2026 telah terbit"
    assert "http://testserver/permits/abc" in entry.body
