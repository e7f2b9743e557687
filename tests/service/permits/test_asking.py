"""BSrE's service and a CSC provider as signers: asked once, on the record, one document for a number."""

import logging
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cases
import outside
import pypdfium2
import pytest
from cryptography.x509 import ReasonFlags
from factories import actor_of, app_of, let_forms_pass, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine, inspect, text
from sqlmodel import col, select

from keys.revocation import Revocation, build_crl
from service.accounts.access import Actor
from service.accounts.models import BSRE, CSC, User
from service.applications.models import Application
from service.audit import AuditEvent, verify_chain
from service.config import Settings
from service.database import reading, transaction
from service.errors import ServiceError, translate_foreign
from service.permits.asking import SigningUnderWay
from service.permits.batch import find_batch, select_files
from service.permits.batch_progress import count_files
from service.permits.batch_run import BatchRuns
from service.permits.desk import DeskFile
from service.permits.extend import extend_document
from service.permits.issue import finish_issuance, reserve_permit, sign_application, unfinished_issuances
from service.permits.models import HERE, DocumentVersion, Permit, SignBatch
from service.permits.register import current_version
from service.permits.sign import OtherService, Workshop
from service.permits.signer import OutsideSigner, open_operations_keys, open_signer, signing_as
from service.permits.workshop import workshop_of
from service.pki.enrol import connect_signer
from service.pki.publish import publish_revocation_lists
from service.pki.store import open_store
from service.storage import get_document, open_storage
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader, Verification, verify_file

SIGN, STATUS = "/api/v2/sign/pdf", "/api/v2/user/check/status"
SIGN_HASH = "/csc/v2/signatures/signHash"
BEGINS = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
SECONDS = 2
LATER = timedelta(minutes=1)
"""After every question to a service must have been answered."""


@pytest.fixture(scope="session")
def house() -> outside.House:
    return outside.make_house(BEGINS)


@pytest.fixture
def city(engine: Engine, settings: Settings, now: datetime) -> cases.City:
    """A city whose officers can sign in."""
    with transaction(engine) as session:
        return cases.make_city(session, now - timedelta(days=3), settings=settings)


@dataclass
class Moment:
    """A clock that tests move on."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def moment(now: datetime) -> Moment:
    return Moment(now)


@pytest.fixture
def bsre(house: outside.House, moment: Moment) -> Iterator[outside.BsreServer]:
    server = outside.BsreServer(house, moment)
    with outside.serving(server):
        yield server


@pytest.fixture
def csc(house: outside.House, moment: Moment) -> Iterator[outside.CscServer]:
    server = outside.CscServer(house, moment)
    with outside.serving(server):
        yield server


def connected(
    settings: Settings, house: outside.House, now: datetime, server: outside.Server, **changes: Any
) -> Settings:
    """Settings of an installation that is connected to the server, with a short patience."""
    folder = house.write_trust(settings.data_folder.parent / "anchors", now)
    known: dict[str, Any] = {"outside_anchors": folder}
    if isinstance(server, outside.BsreServer):
        known |= {"bsre_url": server.url, "bsre_user": server.user, "bsre_seconds": SECONDS}
        known |= {"bsre_password": type(settings.secret_key)(server.password)}
    if isinstance(server, outside.CscServer):
        known |= {"csc_url": server.url, "csc_client_id": server.client_id, "csc_seconds": SECONDS}
        known |= {"csc_client_secret": type(settings.secret_key)(server.client_secret)}
    return settings.model_copy(update=known | changes)


@dataclass
class Desk:
    """A head of office who signs through a service outside, and a case that waits for it."""

    settings: Settings
    workshop: Workshop
    city: cases.City
    moment: Moment
    server: outside.Server

    @property
    def official(self) -> User:
        with reading(self.workshop.engine) as session:
            return session.get_one(User, self.city.head.id)

    @property
    def head(self) -> Actor:
        with reading(self.workshop.engine) as session:
            return actor_of(session, self.city.head)

    def case(self) -> Application:
        with transaction(self.workshop.engine) as session:
            return cases.bring_to_signature(session, self.city, self.moment())

    def digest(self, case: Application) -> str:
        return cases.digest_shown(self.workshop, self.city, case, self.moment())

    def sign(self, case: Application, passphrase: str = outside.PASSPHRASE) -> Permit:
        digest = self.digest(case)
        with signing_as(self.official, passphrase, settings=self.settings, now=self.moment()) as signer:
            return sign_application(
                self.workshop, case.id, actor=self.head, signer=signer, seen_digest=digest
            )

    def finish(self, permit: Permit, passphrase: str = outside.PASSPHRASE) -> Permit:
        with signing_as(self.official, passphrase, settings=self.settings, now=self.moment()) as signer:
            return finish_issuance(self.workshop, permit.id, actor=self.head, signer=signer)

    def permit(self) -> Permit:
        with reading(self.workshop.engine) as session:
            return session.exec(select(Permit)).one()

    def versions(self) -> list[DocumentVersion]:
        with reading(self.workshop.engine) as session:
            return list(session.exec(select(DocumentVersion)))

    def trail(self) -> list[tuple[str, dict[str, Any]]]:
        """What the audit trail says of signing."""
        with reading(self.workshop.engine) as session:
            assert verify_chain(session) > 0
            events = session.exec(select(AuditEvent).order_by(col(AuditEvent.number))).all()
            return [(each.action, each.data) for each in events if each.action.startswith("sign")]

    def verify(self, pdf: bytes, at: datetime) -> Verification:
        sandbox = Sandbox(self.settings.effective_keys_folder, self.settings.outside_anchors, seconds=30)
        try:
            with reading(self.workshop.engine) as session:
                return verify_file(session, sandbox, pdf, now=at, reader=Reader("id", "https://x.invalid"))
        finally:
            sandbox.close()

    def document(self) -> bytes:
        with reading(self.workshop.engine) as session:
            permit = session.exec(select(Permit)).one()
            return get_document(self.workshop.storage, current_version(session, permit).sha256)


def desk_of(
    server: outside.Server,
    settings: Settings,
    city: cases.City,
    engine: Engine,
    moment: Moment,
    name: str = outside.HOLDER,
) -> Desk:
    service = BSRE if isinstance(server, outside.BsreServer) else CSC
    identity = outside.NIK if service == BSRE else "KREDENSIAL-CONTOH-1"
    with transaction(engine) as session:
        connect_signer(
            session,
            settings,
            city.head.email,
            service=service,
            identity=identity,
            certificate_name=name,
            now=moment(),
        )
    passphrase = settings.operations_passphrase.get_secret_value()
    keys = open_operations_keys(open_store(settings), passphrase, moment)
    storage = open_storage(settings.effective_storage_url)
    workshop = replace(workshop_of(settings, engine, storage, keys, None), clock=moment)
    publish_revocation_lists(engine, open_store(settings), passphrase, moment())
    return Desk(settings, workshop, city, moment, server)


@pytest.fixture
def at_bsre(
    settings: Settings,
    house: outside.House,
    bsre: outside.BsreServer,
    city: cases.City,
    engine: Engine,
    moment: Moment,
) -> Desk:
    return desk_of(bsre, connected(settings, house, moment(), bsre), city, engine, moment)


@pytest.fixture
def at_csc(
    settings: Settings,
    house: outside.House,
    csc: outside.CscServer,
    city: cases.City,
    engine: Engine,
    moment: Moment,
) -> Desk:
    return desk_of(csc, connected(settings, house, moment(), csc), city, engine, moment)


def code_of(failure: BaseException) -> str:
    """The code that the official's refusal carries, with sentences in both languages."""
    assert isinstance(failure, Exception)
    refusal = failure if isinstance(failure, ServiceError) else translate_foreign(failure)
    assert refusal is not None
    assert refusal.message("id") != refusal.message("en")
    return refusal.code


# Documents that outlive their signer -------------------------------------------------------------


def test_a_document_signed_at_bsre_is_genuine_and_becomes_b_lta(at_bsre: Desk, now: datetime) -> None:
    permit = at_bsre.sign(at_bsre.case())
    (version,) = at_bsre.versions()
    assert (permit.status, permit.signed_by, permit.asked_at) == ("active", BSRE, None)
    assert (version.level, version.signed_at) == ("B-LT", now)
    assert at_bsre.server.asked == {STATUS: 1, SIGN: 1}
    assert at_bsre.verify(at_bsre.document(), now).verdict == "genuine"
    keys = open_operations_keys(open_store(at_bsre.settings), cases.OPERATIONS_PASSPHRASE, at_bsre.moment)
    extended = extend_document(at_bsre.workshop, permit.id, tsa=keys.tsa)
    assert extended is not None
    assert extended.level == "B-LTA"
    archived = at_bsre.document()
    assert at_bsre.verify(archived, now).verdict == "genuine"
    # What that house knew of its certificates stands in the document; its folder may fall behind.
    for path in Path(str(at_bsre.settings.outside_anchors)).glob("*.crl"):
        path.unlink()
    assert at_bsre.verify(archived, now + timedelta(hours=20)).verdict == "genuine"


def test_a_clock_that_is_ahead_at_bsre_does_no_harm(at_bsre: Desk) -> None:
    ahead = timedelta(seconds=20)
    at_bsre.server.clock = lambda: at_bsre.moment() + ahead
    permit = at_bsre.sign(at_bsre.case())
    at_bsre.moment.at += timedelta(seconds=1)
    keys = open_operations_keys(open_store(at_bsre.settings), cases.OPERATIONS_PASSPHRASE, at_bsre.moment)
    assert extend_document(at_bsre.workshop, permit.id, tsa=keys.tsa) is not None
    assert at_bsre.verify(at_bsre.document(), at_bsre.moment()).verdict == "genuine"


def test_a_document_signed_by_a_csc_provider_is_genuine(at_csc: Desk, now: datetime) -> None:
    permit = at_csc.sign(at_csc.case())
    (version,) = at_csc.versions()
    assert (permit.signed_by, version.level) == (CSC, "B-T")
    assert at_csc.verify(at_csc.document(), now).verdict == "genuine"
    assert len(at_csc.server.signed) == 1


def test_a_revocation_in_the_other_house_is_noticed(
    at_csc: Desk, house: outside.House, now: datetime
) -> None:
    at_csc.sign(at_csc.case())
    revoked = Revocation(
        house.official.certificate.serial_number, now - timedelta(hours=1), ReasonFlags.key_compromise
    )
    crl = build_crl(house.issuing, [revoked], number=2, this_update=now, next_update=now + timedelta(days=1))
    (Path(str(at_csc.settings.outside_anchors)) / "penerbit.crl").write_bytes(crl)
    assert at_csc.verify(at_csc.document(), now).verdict == "undecided"


# Faults --------------------------------------------------------------------------------------------

REFUSED = [
    ("429", "outside_busy", 0),
    ("503", "outside_busy", 0),
    ("bad data", "outside_refused", 0),
    ("unsigned document", "returned_document_refused", 0),
    ("another document", "returned_document_refused", 1),
    ("written on", "returned_document_refused", 1),
    ("another signer", "returned_document_refused", 1),
]
LOST = [
    ("504", 0),
    ("time-out before signing", 0),
    ("time-out after signing", 1),
    ("cut after signing", 1),
]


@pytest.mark.parametrize(("fault", "code", "signed"), REFUSED)
def test_what_bsre_refuses_is_told_and_keeps_its_number(
    at_bsre: Desk, fault: str, code: str, signed: int
) -> None:
    at_bsre.server.fault = fault
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(at_bsre.case())
    assert code_of(failure.value) == code
    assert (at_bsre.server.asked[SIGN], len(at_bsre.server.signed)) == (1, signed)
    reserved = at_bsre.permit()
    assert (reserved.status, reserved.asked_at, at_bsre.versions()) == ("issuing", None, [])
    at_bsre.server.fault = ""
    finished = at_bsre.finish(reserved)
    assert (finished.number, finished.status, len(at_bsre.versions())) == (reserved.number, "active", 1)
    assert at_bsre.server.asked[SIGN] == 2


@pytest.mark.parametrize(("fault", "signed"), LOST)
def test_a_lost_answer_is_never_asked_for_again_by_itself(
    at_bsre: Desk, fault: str, signed: int, now: datetime
) -> None:
    at_bsre.server.fault = fault
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(at_bsre.case())
    assert code_of(failure.value) == "outcome_unknown"
    assert (at_bsre.server.asked[SIGN], len(at_bsre.server.signed)) == (1, signed)
    reserved = at_bsre.permit()
    assert (reserved.status, reserved.asked_at, at_bsre.versions()) == ("issuing", now, [])
    at_bsre.server.fault = ""
    with pytest.raises(SigningUnderWay):
        at_bsre.finish(reserved)
    assert at_bsre.server.asked[SIGN] == 1
    at_bsre.moment.at += LATER
    finished = at_bsre.finish(reserved)
    assert (finished.number, finished.status, finished.asked_at) == (reserved.number, "active", None)
    assert (at_bsre.server.asked[SIGN], len(at_bsre.versions())) == (2, 1)
    events = at_bsre.trail()
    assert [action for action, _ in events] == [
        "signer_connected",
        "signature_requested",
        "signature_outcome_unknown",
        "signature_requested",
    ]
    (_, first), _, (_, second) = events[1:]
    assert (first["outcome_unknown_before"], second["outcome_unknown_before"]) == (False, True)
    # The same page was sent both times.
    assert first["sha256"] == second["sha256"]
    if signed:
        stray = at_bsre.verify(at_bsre.server.signed[0], at_bsre.moment())
        assert (stray.verdict, stray.reasons[0]) == ("altered", "differs_from_registered")


def test_a_crash_while_bsre_signs_leaves_the_outcome_unknown(at_bsre: Desk, now: datetime) -> None:
    case = at_bsre.case()
    digest = at_bsre.digest(case)

    def killed(*_: object) -> bytes:
        raise KeyboardInterrupt

    with signing_as(at_bsre.official, "", settings=at_bsre.settings, now=now) as opened:
        assert isinstance(opened, OutsideSigner)
        signer = replace(opened, sign=killed)
    with pytest.raises(KeyboardInterrupt):
        sign_application(at_bsre.workshop, case.id, actor=at_bsre.head, signer=signer, seen_digest=digest)
    assert (at_bsre.permit().asked_at, at_bsre.versions()) == (now, [])


def test_two_who_finish_at_once_ask_once(at_bsre: Desk) -> None:
    case = at_bsre.case()
    digest = at_bsre.digest(case)
    with transaction(at_bsre.workshop.engine) as session:
        reserved = reserve_permit(
            session,
            case.id,
            actor=at_bsre.head,
            now=at_bsre.moment(),
            seen_digest=digest,
            printing=at_bsre.workshop.printing,
        )

    def attempt(_number: int) -> str:
        try:
            return at_bsre.finish(reserved).status
        except ServiceError as refusal:
            return refusal.code

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(attempt, range(4)))
    assert outcomes.count("active") == 1
    assert set(outcomes) <= {"active", "signing_under_way", "not_yours_to_finish"}
    assert (at_bsre.server.asked[SIGN], len(at_bsre.versions())) == (1, 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("EXPIRED", "signer_expired"),
        ("RENEW", "signer_renewing"),
        ("WAITING_FOR_VERIFICATION", "signer_waiting"),
        ("NEW", "signer_new"),
        ("NO_CERTIFICATE", "signer_no_certificate"),
        ("NOT_REGISTERED", "signer_not_registered"),
        ("SUSPEND", "signer_suspended"),
        ("REVOKE", "signer_revoked"),
        ("SOMETHING_ELSE", "outside_refused"),
    ],
)
def test_who_may_not_sign_at_bsre_is_told_before_a_number_is_taken(
    at_bsre: Desk, status: str, code: str
) -> None:
    assert isinstance(at_bsre.server, outside.BsreServer)
    at_bsre.server.status = status
    case = at_bsre.case()
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(case)
    assert code_of(failure.value) == code
    assert at_bsre.server.asked == {STATUS: 1}
    assert_untouched(at_bsre, case)


def assert_untouched(desk: Desk, case: Application) -> None:
    with reading(desk.workshop.engine) as session:
        assert session.get_one(Application, case.id).state == "under_review"
        assert session.exec(select(Permit)).all() == []


def test_without_a_connection_no_number_is_taken(at_bsre: Desk, house: outside.House, now: datetime) -> None:
    case = at_bsre.case()
    assert isinstance(at_bsre.server, outside.BsreServer)
    at_bsre.server.password = "diganti di sana"
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(case)
    assert code_of(failure.value) == "outside_access_denied"
    folder = Path(str(at_bsre.settings.outside_anchors))
    stale = house.write_trust(folder, now - timedelta(days=60))
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(case)
    assert code_of(failure.value) == "outside_trust_unusable"
    house.write_trust(stale, now)
    at_bsre.settings = at_bsre.settings.model_copy(update={"bsre_url": "http://127.0.0.1:9"})
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(case)
    assert code_of(failure.value) == "outside_unreachable"
    at_bsre.settings = at_bsre.settings.model_copy(update={"bsre_url": ""})
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(case)
    assert code_of(failure.value) == "no_outside_identity"
    assert_untouched(at_bsre, case)


def test_a_wrong_passphrase_is_tried_once_and_stays_nowhere(
    at_bsre: Desk, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "kanari frasa keliru 55512"
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(at_bsre.case(), wrong)
    assert code_of(failure.value) == "outside_passphrase_wrong"
    error: BaseException | None = failure.value
    assert failure.value.__context__ is None
    assert wrong not in repr(error)
    assert at_bsre.server.asked[SIGN] == 1
    at_bsre.server.fault = "time-out after signing"
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.finish(at_bsre.permit())
    assert failure.value.__context__ is None
    at_bsre.server.fault = ""
    at_bsre.moment.at += LATER
    at_bsre.finish(at_bsre.permit())
    logged = "".join(capfd.readouterr()) + caplog.text
    places = [logged.encode(), *_rows(at_bsre.workshop.engine)]
    root = at_bsre.settings.data_folder.parent
    places += [path.read_bytes() for path in root.rglob("*") if path.is_file()]
    for secret in (wrong, outside.PASSPHRASE, outside.NIK, at_bsre.server.password):  # type: ignore[attr-defined]
        for spelling in (secret, secret.replace(" ", "%20"), secret.replace(" ", "+")):
            holders = [place for place in places if spelling.encode() in place]
            # The applicant of this case has the same NIK in the form.
            assert not holders or secret == outside.NIK
    with reading(at_bsre.workshop.engine) as session:
        accounts = session.connection().execute(text("SELECT * FROM account_user")).all()
    assert outside.NIK not in str(accounts)


def _rows(engine: Engine) -> list[bytes]:
    with engine.connect() as connection:
        return [
            str(row).encode()
            for table in inspect(connection).get_table_names()
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]


# A provider of the Cloud Signature Consortium's API ---------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "signed"),
    [
        ("429", "outside_busy", 0),
        ("SAD expired", "outside_refused", 0),
        ("locked", "outside_key_locked", 0),
        ("another signer", "outside_refused", 1),
    ],
)
def test_what_a_csc_provider_refuses_is_told_and_keeps_its_number(
    at_csc: Desk, fault: str, code: str, signed: int
) -> None:
    at_csc.server.fault = fault
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_csc.sign(at_csc.case())
    assert code_of(failure.value) == code
    assert at_csc.server.asked[SIGN_HASH] == (0 if fault == "locked" else 1)
    reserved = at_csc.permit()
    assert (reserved.status, reserved.asked_at, len(at_csc.server.signed)) == ("issuing", None, signed)
    at_csc.server.fault = ""
    assert at_csc.finish(reserved).number == reserved.number
    assert len(at_csc.versions()) == 1


def test_a_signature_lost_on_its_way_from_a_csc_provider(at_csc: Desk, now: datetime) -> None:
    at_csc.server.fault = "time-out after signing"
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_csc.sign(at_csc.case())
    assert code_of(failure.value) == "outcome_unknown"
    assert (at_csc.server.asked[SIGN_HASH], at_csc.permit().asked_at) == (1, now)
    at_csc.server.fault = ""
    at_csc.moment.at += LATER
    finished = at_csc.finish(at_csc.permit())
    assert (finished.status, len(at_csc.versions())) == ("active", 1)


def test_a_wrong_pin_is_tried_once(at_csc: Desk) -> None:
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_csc.sign(at_csc.case(), "000000")
    assert code_of(failure.value) == "outside_passphrase_wrong"
    assert at_csc.server.asked["/csc/v2/credentials/authorize"] == 1
    assert at_csc.server.asked[SIGN_HASH] == 0


@pytest.mark.parametrize(
    ("key", "cert", "code"),
    [
        ("disabled", "valid", "signer_suspended"),
        ("enabled", "expired", "signer_expired"),
        ("enabled", "revoked", "signer_revoked"),
        ("enabled", "suspended", "signer_suspended"),
    ],
)
def test_a_credential_that_cannot_sign_is_told_before_a_number_is_taken(
    at_csc: Desk, key: str, cert: str, code: str
) -> None:
    assert isinstance(at_csc.server, outside.CscServer)
    at_csc.server.key_status, at_csc.server.cert_status = key, cert
    case = at_csc.case()
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_csc.sign(case)
    assert code_of(failure.value) == code
    assert_untouched(at_csc, case)


# What the page says of the certificate ------------------------------------------------------------------


def words_on(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return " ".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def test_a_test_authority_never_signs_under_the_national_sentence(
    settings: Settings,
    house: outside.House,
    bsre: outside.BsreServer,
    city: cases.City,
    engine: Engine,
    moment: Moment,
) -> None:
    real = connected(settings, house, moment(), bsre, is_sample=False)
    desk = desk_of(bsre, real, city, engine, moment)
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        desk.sign(desk.case())
    assert code_of(failure.value) == "returned_document_refused"
    assert desk.trail()[-1][1]["reasons"] == ["other_issuer"]
    assert desk.versions() == []


def test_the_national_authority_s_documents_say_so_and_samples_do_not(
    settings: Settings, house: outside.House, city: cases.City, engine: Engine, moment: Moment, now: datetime
) -> None:
    national = outside.make_house(BEGINS, "Badan Siber dan Sandi Negara", house.private_keys)
    server = outside.BsreServer(national, moment)
    with outside.serving(server):
        real = connected(settings, national, now, server, is_sample=False)
        desk = desk_of(server, real, city, engine, moment)
        desk.sign(desk.case())
        words = words_on(desk.document())
    assert "Balai Sertifikasi Elektronik" in words
    assert "TIDAK SAH" not in words


def test_a_key_of_ours_makes_samples_beside_a_connected_service(at_bsre: Desk, now: datetime) -> None:
    engine = at_bsre.workshop.engine
    printing = replace(at_bsre.workshop.printing, is_sample=False)
    at_bsre.workshop = replace(at_bsre.workshop, printing=printing)
    with transaction(engine) as session:
        official = session.get_one(User, at_bsre.city.head.id)
        official.key_name = "official-head"
        session.add(official)
    permit = at_bsre.sign(at_bsre.case(), cases.OFFICIAL_PASSPHRASE)
    assert permit.signed_by == HERE
    words = words_on(at_bsre.document())
    assert "TIDAK SAH" in words
    assert "diterbitkan oleh Balai Sertifikasi Elektronik" not in words


def test_a_document_composed_for_one_service_is_not_signed_by_another(at_bsre: Desk, now: datetime) -> None:
    at_bsre.server.fault = "429"
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(at_bsre.case())
    assert code_of(failure.value) == "outside_busy"
    official = at_bsre.city.head.model_copy(update={"key_name": "official-head"})
    key = open_signer(open_store(at_bsre.settings), official, cases.OFFICIAL_PASSPHRASE, now)
    with pytest.raises(OtherService):
        finish_issuance(at_bsre.workshop, at_bsre.permit().id, actor=at_bsre.head, signer=key)


# In a batch -------------------------------------------------------------------------------------------


def run_batch(desk: Desk, files: list[DeskFile] | uuid.UUID, passphrase: str) -> SignBatch:
    """Sign a new batch, or resume one, and wait for its end."""
    with transaction(desk.workshop.engine) as session:
        if isinstance(files, uuid.UUID):
            batch = find_batch(session, files, actor=desk.head)
        else:
            batch = select_files(session, files, actor=desk.head, now=desk.moment())
    runs = BatchRuns()
    signer = signing_as(desk.official, passphrase, settings=desk.settings, now=desk.moment())
    runs.start(desk.workshop, batch.id, actor=desk.head, signer=signer, seen_digest=batch.list_digest)
    runs.wait()
    return batch


def test_a_batch_ends_at_the_first_refusal_and_is_resumed(at_bsre: Desk) -> None:
    files = [DeskFile(case.id, "permit", at_bsre.digest(case)) for case in (at_bsre.case() for _ in range(3))]
    batch = run_batch(at_bsre, files, "kanari frasa keliru 55512")
    assert at_bsre.server.asked[SIGN] == 1
    reserved = at_bsre.permit()
    with reading(at_bsre.workshop.engine) as session:
        count = count_files(session, batch.id)
    assert (count.signed, count.resumable) == (0, 3)
    run_batch(at_bsre, batch.id, outside.PASSPHRASE)
    with reading(at_bsre.workshop.engine) as session:
        permits = session.exec(select(Permit).order_by(col(Permit.sequence))).all()
    assert [(each.sequence, each.status) for each in permits] == [(1, "active"), (2, "active"), (3, "active")]
    assert permits[0].number == reserved.number
    assert (at_bsre.server.asked[SIGN], len(at_bsre.versions())) == (4, 3)


# At the desk ------------------------------------------------------------------------------------------


@pytest.fixture
def page(at_bsre: Desk, client: TestClient, monkeypatch: pytest.MonkeyPatch, now: datetime) -> TestClient:
    """The head of office's browser, in an installation that is connected to BSrE."""
    app = app_of(client)
    app.state.settings = at_bsre.settings
    for module in ("service.permits.pages", "service.permits.workshop"):
        monkeypatch.setattr(f"{module}.now", lambda: at_bsre.moment())
    sign_in(client, at_bsre.official)
    let_forms_pass(client)
    return client


def order(page: TestClient, desk: Desk, case: Application, passphrase: str) -> str:
    """Sign on the page as the official does, and return what is shown in the end."""
    shown = page.get(f"/sign/{case.id}").text
    assert "Frasa sandi TTE" in shown
    assert "Sertifikat BSrE Anda" in shown
    digest = shown.split('name="digest" value="')[1].split('"')[0]
    answer = page.post(f"/sign/{case.id}", data={"passphrase": passphrase, "digest": digest})
    assert passphrase not in answer.text
    return page.get(answer.headers["location"]).text if answer.status_code == 303 else answer.text


def test_the_official_sees_what_became_of_it(page: TestClient, at_bsre: Desk) -> None:
    case = at_bsre.case()
    assert isinstance(at_bsre.server, outside.BsreServer)
    at_bsre.server.status = "SUSPEND"
    assert "TTE Anda sedang ditangguhkan" in order(page, at_bsre, case, outside.PASSPHRASE)
    at_bsre.server.status = "ISSUE"
    seen = order(page, at_bsre, case, "kanari frasa keliru 55512")
    assert "Frasa sandi TTE salah. Tidak ada yang ditandatangani." in seen
    assert "Penerbitan yang terhenti" in seen
    assert "Menunggu kepastian" not in seen
    at_bsre.server.fault = "cut after signing"
    permit = at_bsre.permit()
    finish = f"/sign/unfinished/{permit.id}"
    page.post(finish, data={"passphrase": outside.PASSPHRASE})
    seen = page.get("/sign").text
    assert "belum pasti apakah dokumennya sudah ditandatangani" in seen
    assert "Menunggu kepastian" in seen
    assert "pukul 10.00 WIB, tetapi jawabannya tidak sampai." in seen
    page.post(finish, data={"passphrase": outside.PASSPHRASE})
    assert "Tunggu sampai pukul" in page.get("/sign").text
    at_bsre.server.fault = ""
    at_bsre.moment.at += LATER
    page.post(finish, data={"passphrase": outside.PASSPHRASE})
    assert f"diterbitkan dengan nomor {permit.number}" in page.get("/sign").text
    with reading(at_bsre.workshop.engine) as session:
        assert unfinished_issuances(session, at_bsre.head) == []
    assert at_bsre.server.asked[SIGN] == 3
