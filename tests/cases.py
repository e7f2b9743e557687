"""Applications brought to a step of their workflow through the real transitions, and a city to sign in."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from factories import actor_of, make_citizen, make_officer
from pki import FAST
from sqlalchemy import Engine
from sqlmodel import Session

from keys import profiles
from keys.approval import Approval, Approver, approver
from keys.authority import Subject
from keys.ceremony import Entry, Plan, hold_ceremony
from keys.hierarchy import enrol_official
from keys.profiles import Profile
from keys.software import SoftwareKeyStore
from keys.store import KeyStore, OpenKey
from service.accounts.models import User
from service.applications import review
from service.applications.models import Application
from service.applications.remarks import Remark
from service.applications.transitions import apply_action
from service.applications.workflow import Action
from service.catalogue.format import Catalogue, PermitType
from service.catalogue.load import load_catalogue, read_catalogue
from service.catalogue.models import find_permit_type
from service.clock import city_date
from service.config import Settings
from service.database import reading, transaction
from service.permits.compose import Printing, compose_document, signature_block
from service.permits.issue import Workshop, sign_application
from service.permits.mandates import mandate_for
from service.permits.models import Permit
from service.permits.register import current_version
from service.permits.signer import open_operations_keys, service_of
from service.storage import Storage, get_document

ROOT_PASSPHRASE = "sandi akar untuk uji"
OPERATIONS_PASSPHRASE = "sandi operasional uji"
OFFICIAL_PASSPHRASE = "canting tembaga kuningan"
CUSTODIANS = {"custodian-satu": "sandi pemegang satu", "custodian-dua": "sandi pemegang dua"}
PASSPHRASES = {"root": ROOT_PASSPHRASE, "operations": OPERATIONS_PASSPHRASE, **CUSTODIANS}
SLUG = "sip-tenaga-kesehatan"
VALUES: dict[str, Any] = {
    "nik": "3375014708900000",
    "full_name": "Siti Contoh, A.Md.Keb.",
    "birth_place": "Pekalongan",
    "birth_date": "1990-08-07",
    "sex": "P",
    "address": "Jalan Contoh Nomor 1 RT 01 RW 02",
    "village": "33.75.01.1002",
    "phone": "+6281234567890",
    "email": "siti@contoh.invalid",
    "profession": "bidan",
    "str_number": "STR-CONTOH-00001",
    "str_lifetime": True,
    "practice_order": 1,
    "practice_kind": "fasilitas_kesehatan",
    "practice_name": "Puskesmas Contoh",
    "practice_address": "Jalan Contoh Nomor 2",
    "practice_village": "33.75.01.1003",
    "truth_declared": True,
}
APPROVING = {
    "front_office": Action.FORWARD,
    "back_office": Action.FORWARD,
    "technical_agency": Action.RECOMMEND,
    "licensing_analyst": Action.INITIAL,
    "division_head": Action.INITIAL,
}


def _entry(profile: Profile, name: str, common_name: str) -> Entry:
    return Entry(name, "p256", profile, Subject(common_name, organisation="Kota Contoh"))


PLAN = Plan(
    (
        _entry(profiles.ROOT, "root", "Canting Root CA (CONTOH)"),
        _entry(profiles.ISSUING_CA, "issuing", "Canting Issuing CA (CONTOH)"),
        _entry(profiles.TSA, "tsa", "Canting TSA (CONTOH)"),
        _entry(profiles.SEAL, "seal", "Segel Elektronik (CONTOH)"),
        Entry("log", "ed25519"),
        _entry(profiles.CUSTODIAN, "custodian-satu", "Pemegang Satu"),
        _entry(profiles.CUSTODIAN, "custodian-dua", "Pemegang Dua"),
    ),
    "http://izin.invalid",
)


@cache
def catalogue() -> Catalogue:
    return read_catalogue()


@dataclass
class City:
    """A loaded catalogue and the people who bring a case to its decision."""

    citizen: User
    officers: dict[str, User]
    head: User
    permit_type: PermitType


def make_city(
    session: Session,
    now: datetime,
    *,
    head_key: str | None = "official-head",
    settings: Settings | None = None,
) -> City:
    """Load the catalogue and make an officer of each role; the head signs with `head_key`.

    With `settings` the officers have their second factor set up.
    """
    load_catalogue(session, catalogue(), now)
    officers = {
        role: make_officer(session, [role], full_name=f"Petugas {role}", settings=settings)
        for role in APPROVING
    }
    head = make_officer(
        session,
        ["department_head"],
        full_name="Dra. Contoh Pejabat, M.Si.",
        position="Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu",
        key_name=head_key,
        settings=settings,
    )
    return City(make_citizen(session), officers, head, find_permit_type(session, SLUG).permit_type)


def make_keys(folder: Path, now: datetime) -> SoftwareKeyStore:
    """Make a hierarchy with one official, its passphrases cheap to check, its root beside the others."""
    keys = SoftwareKeyStore(folder, FAST)
    fill_keys(keys, keys, now)
    return keys


def fill_keys(keys: KeyStore, root_keys: SoftwareKeyStore, now: datetime) -> None:
    """Make a hierarchy with one official, `official-head`, in an empty key store."""
    hold(keys, root_keys, now)
    custodians = [keys.open_key(name, passphrase, now=now) for name, passphrase in CUSTODIANS.items()]
    enrol_alone(keys, "head", now, approver("enrol", custodians, now))


def enrol_alone(keys: KeyStore, slug: str, now: datetime, approve: Approver | None = None) -> None:
    """Make the key `official-<slug>` of an official, without custodians unless they approve."""
    enrol_official(
        keys,
        slug,
        Subject("Dra. Contoh Pejabat, M.Si.", organisation="Kota Contoh"),
        official_passphrase=OFFICIAL_PASSPHRASE,
        operations_passphrase=OPERATIONS_PASSPHRASE,
        now=now,
        approve=approve,
    )


def hold(
    keys: KeyStore, root_keys: SoftwareKeyStore, now: datetime, plan: Plan = PLAN, **changed: str
) -> Approval:
    """Hold a ceremony with PASSPHRASES, some of them changed, and return its record."""
    passphrases = {**PASSPHRASES, **changed}
    return hold_ceremony(plan, keys, root_keys, passphrases, plan_sha256="", software="", now=now)


def draft_case(
    session: Session,
    city: City,
    now: datetime,
    *,
    request: str = "new",
    continues: Permit | None = None,
    **changes: Any,
) -> Application:
    """Begin an application of type SLUG with valid values, its uploads left out."""
    revision = find_permit_type(session, SLUG)
    application = Application(
        applicant_id=city.citizen.id,
        revision_id=revision.id,
        slug=SLUG,
        request=request,
        applicant_kind="person",
        continues_id=continues.id if continues else None,
        holder_name=VALUES["full_name"],
        values=VALUES | changes,
        created_at=now,
        updated_at=now,
    )
    session.add(application)
    session.flush()
    return application


def submit_case(session: Session, city: City, now: datetime, **changes: Any) -> Application:
    """Submit an application as `draft_case` begins it."""
    application = draft_case(session, city, now, **changes)
    application.receipt_number = f"P-{now:%Y%m%d}-{application.id.hex[:6].upper()}"
    return apply_action(
        session,
        application,
        Action.SUBMIT,
        actor=actor_of(session, city.citizen),
        now=now,
        permit_type=city.permit_type,
    )


def bring_to_signature(
    session: Session, city: City, now: datetime, *, reasons: str | None = None, **changes: Any
) -> Application:
    """Submit a case as `draft_case` begins it, and take it to the signature as `review_case` does."""
    application = submit_case(session, city, now, **changes)
    return review_case(session, city, application, now, reasons=reasons)


def review_case(
    session: Session, city: City, application: Application, now: datetime, *, reasons: str | None = None
) -> Application:
    """Take a submitted case to the signature, approved, or with `reasons` proposed for rejection."""
    while True:
        step = city.permit_type.step(str(application.step))
        if step.role == "department_head":
            return application
        action, note = APPROVING[step.role], None
        if reasons and step.role == "back_office":
            action, note = Action.PROPOSE_REJECTION, reasons
        application = apply_action(
            session,
            application,
            action,
            actor=actor_of(session, city.officers[step.role]),
            now=now,
            permit_type=city.permit_type,
            note=note,
        )


def return_case(session: Session, city: City, application: Application, now: datetime) -> Application:
    """Return a submitted case to its applicant, asking for one field and one document."""
    asked = [
        Remark("field", "str_number", "Nomor STR tidak sama dengan hasil pindai."),
        Remark("document", "photo", "Pas foto buram."),
    ]
    actor = actor_of(session, city.officers["front_office"])
    return review.return_case(session, application.id, asked, actor=actor, now=now, seen_visit=None)


@dataclass(frozen=True)
class Issued:
    """A permit with the bytes of its document."""

    permit: Permit
    pdf: bytes


def digest_shown(workshop: Workshop, city: City, case: Application, now: datetime) -> str:
    """Return the digest of the preview that the head of office would see."""
    with reading(workshop.engine) as session:
        mandate = mandate_for(session, city.head.id, case.slug, city_date(now))
        head = session.get_one(User, city.head.id)
        return compose_document(
            session,
            session.get_one(Application, case.id),
            city.permit_type,
            signature=signature_block(head, mandate),
            service=service_of(head),
            printing=workshop.printing,
            today=city_date(now),
        ).digest


def issue_case(workshop: Workshop, city: City, case: Application, signer: OpenKey, now: datetime) -> Issued:
    """Sign a case as the head of office and return what was issued."""
    with reading(workshop.engine) as session:
        head = actor_of(session, city.head)
    digest = digest_shown(workshop, city, case, now)
    permit = sign_application(workshop, case.id, actor=head, signer=signer, seen_digest=digest)
    with reading(workshop.engine) as session:
        return Issued(permit, get_document(workshop.storage, current_version(session, permit).sha256))


def issue_one(
    engine: Engine, keys: SoftwareKeyStore, storage: Storage, base_url: str, now: datetime
) -> Issued:
    """Make a city and issue a permit in it, as a sample."""
    operations = open_operations_keys(keys, OPERATIONS_PASSPHRASE, lambda: now)
    printing = Printing(base_url, is_sample=True)
    workshop = Workshop(engine, storage, operations.timestamper, lambda: now, printing)
    with transaction(engine) as session:
        city = make_city(session, now)
        case = bring_to_signature(session, city, now)
    signer = keys.open_key("official-head", OFFICIAL_PASSPHRASE, now=now)
    return issue_case(workshop, city, case, signer, now)
