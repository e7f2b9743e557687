"""BSrE's service and a CSC provider as signers: asked once, on the record, one document for a number."""

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import cases
import outside
import pytest
from cryptography.x509 import ReasonFlags
from outside_desk import LATER, SIGN, SIGN_HASH, STATUS, Desk, code_of, refusal_of
from sqlalchemy import Engine, inspect, text
from sqlmodel import col, select

from keys.revocation import Revocation, build_crl
from service.accounts.models import BSRE, CSC
from service.database import reading, transaction
from service.errors import ServiceError
from service.permits.asking import SigningUnderWay
from service.permits.batch import find_batch, select_files
from service.permits.batch_progress import count_files
from service.permits.batch_run import BatchRuns
from service.permits.desk import DeskFile
from service.permits.extend import extend_document
from service.permits.issue import reserve_permit, sign_application
from service.permits.models import Permit, SignBatch
from service.permits.signer import OutsideSigner, open_operations_keys, signing_as
from service.pki.store import open_store

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
    assert refusal_of(lambda: at_bsre.sign(at_bsre.case())) == code
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
    assert refusal_of(lambda: at_bsre.sign(at_bsre.case())) == "outcome_unknown"
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


def test_a_wrong_passphrase_is_tried_once_and_stays_nowhere(
    at_bsre: Desk, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "kanari frasa keliru 55512"
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is asserted
        at_bsre.sign(at_bsre.case(), wrong)
    assert code_of(failure.value) == "outside_passphrase_wrong"
    assert failure.value.__context__ is None
    assert wrong not in repr(failure.value)
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
    assert refusal_of(lambda: at_csc.sign(at_csc.case())) == code
    assert at_csc.server.asked[SIGN_HASH] == (0 if fault == "locked" else 1)
    reserved = at_csc.permit()
    assert (reserved.status, reserved.asked_at, len(at_csc.server.signed)) == ("issuing", None, signed)
    at_csc.server.fault = ""
    assert at_csc.finish(reserved).number == reserved.number
    assert len(at_csc.versions()) == 1


def test_a_signature_lost_on_its_way_from_a_csc_provider(at_csc: Desk, now: datetime) -> None:
    at_csc.server.fault = "time-out after signing"
    assert refusal_of(lambda: at_csc.sign(at_csc.case())) == "outcome_unknown"
    assert (at_csc.server.asked[SIGN_HASH], at_csc.permit().asked_at) == (1, now)
    at_csc.server.fault = ""
    at_csc.moment.at += LATER
    finished = at_csc.finish(at_csc.permit())
    assert (finished.status, len(at_csc.versions())) == ("active", 1)


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
