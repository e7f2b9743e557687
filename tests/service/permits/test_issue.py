"""Issuing on a real database, with real keys: one decision, one number, one document."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta

import cases
import pytest
from factories import actor_of
from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

from keys.errors import WrongPassphrase
from keys.hierarchy import load_trust_anchors
from keys.software import SoftwareKeyStore
from keys.store import OpenKey
from service.accounts.access import Actor
from service.accounts.models import User
from service.applications.models import Application
from service.applications.transitions import FourEyesRequired
from service.audit import verify_chain
from service.database import reading, transaction
from service.errors import Conflict
from service.mail import MailMessage
from service.permits.issue import (
    DocumentChanged,
    NotYoursToFinish,
    WordingIncomplete,
    Workshop,
    finish_issuance,
    reserve_permit,
    sign_application,
    unfinished_issuances,
)
from service.permits.models import DocumentVersion, Permit
from service.permits.register import current_version
from service.permits.signer import NoSigningKey, open_signer
from service.storage import get_document
from service.transparency.log import prove_inclusion
from service.transparency.notes import COSIGNATURE, Verifier
from service.transparency.witnesses import Witness, Witnesses, WitnessSilent
from signing.validate import validate_document


@pytest.fixture
def signer(key_store: SoftwareKeyStore, now: datetime) -> OpenKey:
    return key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)


@pytest.fixture
def head(engine: Engine, city: cases.City) -> Actor:
    with reading(engine) as session:
        return actor_of(session, session.get_one(User, city.head.id))


def ready(workshop: Workshop, city: cases.City, now: datetime, **options: object) -> Application:
    with transaction(workshop.engine) as session:
        return cases.bring_to_signature(session, city, now, **options)  # type: ignore[arg-type]


def sign(
    workshop: Workshop, city: cases.City, case: Application, head: Actor, signer: OpenKey, now: datetime
) -> Permit:
    digest = cases.digest_shown(workshop, city, case, now)
    return sign_application(workshop, case.id, actor=head, signer=signer, seen_digest=digest)


def test_a_signed_permit_is_numbered_stored_registered_logged_and_told(
    workshop: Workshop,
    city: cases.City,
    head: Actor,
    signer: OpenKey,
    key_store: SoftwareKeyStore,
    now: datetime,
) -> None:
    case = ready(workshop, city, now)
    permit = sign(workshop, city, case, head, signer, now)
    assert permit.number == "500.16.7.2/0001/SIP-TK/XI/2026"
    assert permit.status == "active"
    assert (permit.valid_from, permit.valid_until) == (date(2026, 11, 23), date(2031, 11, 23))
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", permit.code)
    with reading(workshop.engine) as session:
        assert session.get_one(Application, case.id).state == "approved"
        version = current_version(session, permit)
        pdf = get_document(workshop.storage, version.sha256)
        assert version.log_index is not None
        assert prove_inclusion(session, version.log_index) is not None
        mails = session.exec(select(MailMessage.template)).all()
        assert "permit_issued" in mails
        assert verify_chain(session) > 0
    report = validate_document(pdf, load_trust_anchors(key_store.folder), at=now)
    assert report.indication == "TOTAL-PASSED"
    assert report.signature is not None
    assert report.signature.level == "B-T"


def test_a_rejection_is_a_letter_with_its_reasons_signed_the_same_way(
    workshop: Workshop, city: cases.City, head: Actor, signer: OpenKey, now: datetime
) -> None:
    case = ready(workshop, city, now, reasons="STR tidak terbaca.\nTempat praktik di luar kota.")
    letter = sign(workshop, city, case, head, signer, now)
    assert (letter.kind, letter.status, letter.valid_until) == ("rejection_letter", "active", None)
    assert "STR tidak terbaca." in str(letter.document["body"])
    with reading(workshop.engine) as session:
        assert session.get_one(Application, case.id).state == "rejected"


def test_a_wrong_passphrase_opens_nothing(
    engine: Engine, city: cases.City, key_store: SoftwareKeyStore, now: datetime
) -> None:
    with pytest.raises(WrongPassphrase) as refusal:
        open_signer(key_store, city.head, "salah sama sekali", now)
    assert "salah" not in str(refusal.value)
    keyless = city.head.model_copy(update={"key_name": None})
    with pytest.raises(NoSigningKey):
        open_signer(key_store, keyless, cases.OFFICIAL_PASSPHRASE, now)


def test_nothing_is_signed_when_the_document_changed_since_it_was_seen(
    workshop: Workshop, city: cases.City, head: Actor, signer: OpenKey, now: datetime
) -> None:
    case = ready(workshop, city, now)
    with pytest.raises(DocumentChanged):
        sign_application(workshop, case.id, actor=head, signer=signer, seen_digest="0" * 64)
    assert_untouched(workshop, case)


def test_nothing_is_signed_while_a_witness_may_know_more(
    workshop: Workshop, city: cases.City, head: Actor, signer: OpenKey, now: datetime
) -> None:
    case = ready(workshop, city, now)
    verifier = Verifier("saksi.contoh.invalid", COSIGNATURE, bytes(32))
    nobody = (Witness(verifier, "http://127.0.0.1:1/checkpoint"),)
    watched = replace(workshop, witnesses=Witnesses(nobody, "izin.contoh.invalid/log", timedelta(hours=24)))
    with pytest.raises(WitnessSilent):
        sign(watched, city, case, head, signer, now)
    assert_untouched(workshop, case)


def test_a_document_with_a_gap_is_not_signed(
    workshop: Workshop, city: cases.City, head: Actor, signer: OpenKey, now: datetime
) -> None:
    case = ready(workshop, city, now, practice_name="")
    with pytest.raises(WordingIncomplete):
        sign(workshop, city, case, head, signer, now)
    assert_untouched(workshop, case)


def test_nobody_signs_what_they_reviewed(
    workshop: Workshop, city: cases.City, signer: OpenKey, now: datetime
) -> None:
    case = ready(workshop, city, now)
    with reading(workshop.engine) as session:
        reviewer = actor_of(session, city.officers["back_office"])
    both = replace(reviewer, roles=reviewer.roles | {"department_head"})
    with pytest.raises(FourEyesRequired):
        sign_application(workshop, case.id, actor=both, signer=signer, seen_digest="0" * 64)
    assert_untouched(workshop, case)


def assert_untouched(workshop: Workshop, case: Application) -> None:
    with reading(workshop.engine) as session:
        assert session.get_one(Application, case.id).state == "under_review"
        assert session.exec(select(func.count()).select_from(Permit)).one() == 0


def test_a_crash_after_the_reservation_is_finished_under_the_same_number(
    workshop: Workshop, city: cases.City, head: Actor, signer: OpenKey, now: datetime
) -> None:
    case = ready(workshop, city, now)
    digest = cases.digest_shown(workshop, city, case, now)
    with transaction(workshop.engine) as session:
        reserved = reserve_permit(
            session, case.id, actor=head, now=now, seen_digest=digest, printing=workshop.printing
        )
    with reading(workshop.engine) as session:
        assert [permit.number for permit in unfinished_issuances(session, head)] == [reserved.number]
    finished = finish_issuance(workshop, reserved.id, actor=head, signer=signer)
    assert (finished.number, finished.code, finished.status) == (reserved.number, reserved.code, "active")
    with pytest.raises(NotYoursToFinish):
        finish_issuance(workshop, reserved.id, actor=head, signer=signer)
    assert sign(workshop, city, ready(workshop, city, now), head, signer, now).sequence == 2


def test_two_hundred_attempts_on_one_case_give_one_permit(
    workshop: Workshop, city: cases.City, head: Actor, signer: OpenKey, now: datetime
) -> None:
    case = ready(workshop, city, now)
    digest = cases.digest_shown(workshop, city, case, now)

    def attempt(_number: int) -> str:
        try:
            return sign_application(workshop, case.id, actor=head, signer=signer, seen_digest=digest).number
        except Conflict:
            return "refused"

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(attempt, range(200)))
    assert len(outcomes) - outcomes.count("refused") == 1
    with reading(workshop.engine) as session:
        assert session.exec(select(func.count()).select_from(Permit)).one() == 1
        assert session.exec(select(func.count()).select_from(DocumentVersion)).one() == 1


@pytest.mark.slow
def test_two_hundred_cases_at_once_get_two_hundred_consecutive_numbers(
    workshop: Workshop, city: cases.City, head: Actor, signer: OpenKey, now: datetime
) -> None:
    with transaction(workshop.engine) as session:
        every = [cases.bring_to_signature(session, city, now) for _ in range(200)]
    digests = {case.id: cases.digest_shown(workshop, city, case, now) for case in every}

    def issue(case: Application) -> int:
        digest = digests[case.id]
        return sign_application(workshop, case.id, actor=head, signer=signer, seen_digest=digest).sequence

    with ThreadPoolExecutor(20) as pool:
        sequences = list(pool.map(issue, every))
    assert sorted(sequences) == list(range(1, 201))
    with reading(workshop.engine) as session:
        assert_register_is_whole(session, 200)


def assert_register_is_whole(session: Session, count: int) -> None:
    """Every number once and without gap, every permit active with one signed, logged document."""
    permits = session.exec(select(Permit).order_by(col(Permit.sequence))).all()
    assert [permit.sequence for permit in permits] == list(range(1, count + 1))
    assert {permit.status for permit in permits} == {"active"}
    indexes = session.exec(select(DocumentVersion.log_index)).all()
    assert sorted(index for index in indexes if index is not None) == list(range(count))
    verify_chain(session)
