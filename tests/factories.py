"""Rows that tests start from, made as plainly as possible. Every text is made up."""

import io
import itertools
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pikepdf
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from PIL import Image
from sqlmodel import Session

from service import clock
from service.accounts.access import SESSION_COOKIE, SIGNING_ROLE, Actor, actor_of_user, uses_second_factor
from service.accounts.models import Kind, RoleAssignment, User
from service.accounts.passwords import hash_password
from service.accounts.second_factor import enrol_totp_directly
from service.accounts.sessions import open_session
from service.applications.asked import permit_type_of, required_of
from service.applications.cleaning import CleanFile
from service.applications.draft import add_document, start_draft
from service.applications.models import Application, Submission
from service.applications.submit import submit_application
from service.applications.transitions import apply_action
from service.applications.workflow import Action, State
from service.catalogue.format import Catalogue
from service.catalogue.load import load_catalogue, read_catalogue
from service.catalogue.models import find_permit_type
from service.config import Settings, parse_wrapping_keys
from service.database import transaction
from service.permits.models import Capacity, Mandate, Permit, Status
from service.permits.numbering import new_public_code
from service.storage import Storage
from service.web import CSRF_COOKIE, CSRF_HEADER, csrf_token

PASSWORD = "kuda lumping menari riang"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
LONG_AGO = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)

_numbers = itertools.count(1)


@cache
def password_hash() -> str:
    """Hash the tests' password once: hashing is slow on purpose."""
    return hash_password(PASSWORD)


def make_citizen(
    session: Session,
    *,
    email: str | None = None,
    full_name: str = "Siti Contoh",
    confirmed: bool = True,
    language: str = "id",
) -> User:
    """Make a citizen whose password is PASSWORD."""
    user = User(
        kind=Kind.CITIZEN,
        email=email or f"warga{next(_numbers)}@contoh.invalid",
        full_name=full_name,
        language=language,
        password_hash=password_hash(),
        created_at=LONG_AGO,
        email_confirmed_at=LONG_AGO if confirmed else None,
    )
    session.add(user)
    session.flush()
    return user


def make_officer(
    session: Session,
    roles: tuple[str, ...] | list[str] = ("front_office",),
    *,
    email: str | None = None,
    full_name: str = "Budi Contoh",
    settings: Settings | None = None,
    position: str | None = None,
    agency: str | None = None,
    key_name: str | None = None,
) -> User:
    """Make an officer whose password is PASSWORD; with `settings`, TOTP_SECRET is enrolled too.

    Whoever holds the signing role gets a definitive mandate for all permit types.
    """
    user = User(
        kind=Kind.OFFICER,
        email=email or f"petugas{next(_numbers)}@contoh.invalid",
        full_name=full_name,
        password_hash=password_hash(),
        created_at=LONG_AGO,
        email_confirmed_at=LONG_AGO,
        position=position,
        agency=agency,
        key_name=key_name,
    )
    session.add(user)
    session.flush()
    for role in roles:
        session.add(RoleAssignment(user_id=user.id, role=role))
    session.flush()
    if SIGNING_ROLE in roles:
        make_mandate(session, user, position=position or "Kepala Dinas")
    if settings is not None:
        keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
        enrol_totp_directly(session, user, TOTP_SECRET, keys, LONG_AGO)
    return user


def make_mandate(
    session: Session,
    official: User,
    *,
    capacity: Capacity = Capacity.DEFINITIVE,
    position: str = "Kepala Dinas",
    own_position: str = "",
    permit_types: tuple[str, ...] = (),
    valid_from: date = date(2020, 1, 1),
    valid_until: date | None = None,
) -> Mandate:
    """Make a mandate as it stands in the register, whoever granted it."""
    mandate = Mandate(
        official_id=official.id,
        capacity=capacity,
        position=position,
        own_position=own_position,
        basis="SK Wali Kota Contoh Nomor 1 Tahun 2020",
        permit_types=list(permit_types),
        valid_from=valid_from,
        valid_until=valid_until,
        created_at=LONG_AGO,
    )
    session.add(mandate)
    session.flush()
    return mandate


def actor_of(session: Session, user: User) -> Actor:
    """Return the actor that a user signed in by browser would be, for calling verbs."""
    return actor_of_user(session, user)


def sign_in(client: TestClient, user: User, *, hours: int = 12) -> None:
    """Sign the client in as the user, as if password and code had been given, and let its forms pass.

    The user's row must be committed in the app's own database (`with transaction(engine)`).
    """
    moment = clock.now()
    with transaction(app_of(client).state.engine) as session:
        opened = open_session(
            session,
            user,
            lifetime=timedelta(hours=hours),
            device="Uji",
            now=moment,
            second_factor=uses_second_factor(user),
        )
    client.cookies.set(SESSION_COOKIE, opened.token)
    let_forms_pass(client)


def let_forms_pass(client: TestClient) -> str:
    """Give the client a CSRF cookie and send its token along with every request; return the token."""
    cookie = "a-random-cookie-of-the-tests"
    headers = [(b"cookie", f"{CSRF_COOKIE}={cookie}".encode())]
    token = csrf_token(Request({"type": "http", "app": app_of(client), "headers": headers}))
    client.cookies.set(CSRF_COOKIE, cookie)
    client.headers[CSRF_HEADER] = token
    return token


def app_of(client: TestClient) -> FastAPI:
    app = client.app
    assert isinstance(app, FastAPI)
    return app


# The catalogue and applications ----------------------------------------------------------------

WRAPPING_KEYS = {"test": bytes(range(32))}
HEALTH_WORKER = "sip-tenaga-kesehatan"
HEALTH_WORKER_VALUES: dict[str, Any] = {
    "nik": "3375014708900000",
    "full_name": "Siti Contoh, A.Md.Keb.",
    "birth_place": "Pekalongan",
    "birth_date": "1990-08-07",
    "sex": "P",
    "address": "Jalan Contoh 12 RT 1 RW 2",
    "village": "33.75.01.1002",
    "phone": "+6281234567890",
    "email": "siti@contoh.id",
    "str_number": "STR-2020-000123",
    "str_lifetime": True,
    "profession": "bidan",
    "practice_order": 1,
    "practice_kind": "fasilitas_kesehatan",
    "practice_name": "Klinik Contoh",
    "practice_address": "Jalan Batik 1",
    "practice_village": "33.75.01.1002",
}
"""Right answers of a new application by a person."""

ADVERTISEMENT = "reklame-tetap"
ADVERTISEMENT_VALUES: dict[str, Any] = {
    **{
        key: value
        for key, value in HEALTH_WORKER_VALUES.items()
        if not key.startswith(("str_", "practice_", "profession"))
    },
    "ad_kind": "billboard_tiang",
    "ad_theme": "Batik Contoh",
    "width_m": 4,
    "height_m": 6,
    "faces": 1,
    "land_status": "milik_sendiri",
    "location_street": "Jalan Batik",
    "location_village": "33.75.01.1002",
    "location_point": "-6.88861,109.67528",
}
"""Right answers of a new application whose way has a payment step."""


@cache
def city_catalogue() -> Catalogue:
    """Read the city's own catalogue once."""
    return read_catalogue()


def load_city(session: Session) -> None:
    """Load the city's catalogue unless it is there."""
    load_catalogue(session, city_catalogue(), LONG_AGO)


@cache
def jpeg_file() -> bytes:
    """A photograph of nothing, 40 by 30 pixels."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "#7a4b21").save(file, "JPEG")
    return file.getvalue()


@cache
def pdf_file() -> bytes:
    """A PDF of one empty page."""
    file = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(file)
    return file.getvalue()


def clean_jpeg() -> CleanFile:
    """What checking `jpeg_file` gives, without the seconds of the real check."""
    return CleanFile("image/jpeg", jpeg_file())


def make_draft(
    session: Session,
    user: User,
    *,
    slug: str = HEALTH_WORKER,
    request: str = "new",
    applicant_kind: str = "person",
    values: dict[str, Any] | None = None,
    now: datetime = LONG_AGO,
) -> Application:
    """Make a draft of the user's; by default one of a health worker with right answers, without files."""
    load_city(session)
    application = start_draft(
        session,
        slug,
        request=request,
        applicant_kind=applicant_kind,
        actor=actor_of(session, user),
        now=now,
    )
    application.values = dict(HEALTH_WORKER_VALUES if values is None else values)
    session.add(application)
    session.flush()
    return application


def give_documents(
    session: Session, storage: Storage, application: Application, user: User, now: datetime = LONG_AGO
) -> None:
    """Give every document without which the application cannot be submitted."""
    permit_type = permit_type_of(session, application)
    for document in required_of(permit_type, application):
        add_document(
            session,
            storage,
            WRAPPING_KEYS,
            application.id,
            document.key,
            f"{document.key}.jpg",
            clean_jpeg(),
            actor=actor_of(session, user),
            now=now,
        )


def make_submitted(
    session: Session, storage: Storage, user: User, *, now: datetime = LONG_AGO, **draft: Any
) -> Application:
    """Make an application that was just submitted, complete with files; `draft` as for `make_draft`."""
    application = make_draft(session, user, now=now, **draft)
    give_documents(session, storage, application, user, now)
    return submit_application(session, application.id, declared=True, actor=actor_of(session, user), now=now)


def make_case(
    session: Session,
    slug: str = HEALTH_WORKER,
    *,
    applicant: User | None = None,
    values: dict[str, Any] | None = None,
    holder_name: str = "Siti Contoh, A.Md.Keb.",
    now: datetime = LONG_AGO,
    receipt_number: str | None = None,
) -> Application:
    """Make a submitted application at its first step, unchecked and without files."""
    load_city(session)
    applicant = applicant or make_citizen(session)
    revision = find_permit_type(session, slug)
    application = Application(
        receipt_number=receipt_number or f"P-20260105-{next(_numbers):06d}",
        applicant_id=applicant.id,
        revision_id=revision.id,
        slug=slug,
        request="new",
        applicant_kind="person",
        holder_name=holder_name,
        values=dict(HEALTH_WORKER_VALUES if values is None else values),
        created_at=now,
        updated_at=now,
    )
    session.add(application)
    session.flush()
    session.add(
        Submission(
            application_id=application.id,
            round=1,
            values=application.values,
            documents=[],
            sha256="0" * 64,
            submitted_at=now,
        )
    )
    return apply_action(
        session,
        application,
        Action.SUBMIT,
        actor=actor_of(session, applicant),
        now=now,
        permit_type=revision.permit_type,
    )


def make_permit(
    session: Session,
    holder: User,
    *,
    status: Status = Status.ACTIVE,
    issued_on: date = date(2026, 11, 23),
    valid_until: date | None = date(2031, 11, 23),
) -> Permit:
    """Make a health worker's permit as it stands in the register, with no document."""
    case = make_case(session, applicant=holder, values=HEALTH_WORKER_VALUES)
    case.state = State.APPROVED
    official = make_officer(session, [])
    number = next(_numbers)
    permit = Permit(
        application_id=case.id,
        slug=case.slug,
        revision_id=case.revision_id,
        series="SIP-TK",
        year=issued_on.year,
        sequence=number,
        number=f"500.16.7.2/{number:04d}/SIP-TK/XI/{issued_on.year}",
        code=new_public_code(),
        status=status,
        status_since=LONG_AGO,
        status_index=number,
        holder_id=holder.id,
        holder_name=str(HEALTH_WORKER_VALUES["full_name"]),
        document={"title": "SURAT IZIN PRAKTIK BIDAN"},
        public_facts=[],
        issued_on=issued_on,
        valid_from=issued_on,
        valid_until=valid_until,
        signer_id=official.id,
        signer_name=official.full_name,
        signer_position="Kepala Dinas",
        mandate_id=make_mandate(session, official).id,
        mandate_basis="SK Wali Kota Contoh Nomor 1 Tahun 2020",
        created_at=LONG_AGO,
    )
    session.add_all([case, permit])
    session.flush()
    return permit
