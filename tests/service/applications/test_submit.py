"""Drafts, submission, corrections, payment and withdrawal: the applicant's verbs."""

import re
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import (
    ADVERTISEMENT,
    ADVERTISEMENT_VALUES,
    HEALTH_WORKER_VALUES,
    WRAPPING_KEYS,
    actor_of,
    clean_jpeg,
    give_documents,
    load_city,
    make_citizen,
    make_draft,
    make_officer,
    make_submitted,
)
from sqlalchemy import Engine
from sqlmodel import Session, select

from service.accounts.models import User
from service.applications.asked import (
    PAYMENT_RECEIPT,
    DocumentNotAsked,
    SectionNotFound,
    given_documents,
    last_submission,
    open_corrections,
)
from service.applications.cleaning import CleanFile
from service.applications.correct import correction_round, resubmit_application, save_corrections
from service.applications.draft import (
    MAX_DRAFTS,
    ApplicationNotFound,
    NotADraft,
    NotEditable,
    TooManyDrafts,
    add_document,
    delete_draft,
    own_application,
    remove_document,
    save_section,
    start_draft,
    values_to_offer,
)
from service.applications.models import Application, Submission, Upload
from service.applications.remarks import Remark
from service.applications.review import return_case
from service.applications.submit import (
    NotComplete,
    pay,
    problems_before_submission,
    submission_sha256,
    submit_application,
    withdraw_application,
)
from service.applications.uploads import UploadTypeRefused, uploads_of
from service.applications.workflow import ActionNotAllowed, State
from service.audit import events_of
from service.catalogue.models import PermitTypeNotFound, find_permit_type
from service.database import transaction
from service.errors import InvalidInput
from service.storage import Storage, open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage((tmp_path / "storage").as_uri())


@pytest.fixture
def citizen(session: Session) -> User:
    return make_citizen(session)


def send_back(
    session: Session, application: Application, now: datetime, *asked: tuple[str, str, str]
) -> Application:
    """Let the front office return an application: (kind, key, remark) each."""
    officer = make_officer(session, ["front_office"])
    return return_case(
        session,
        application.id,
        [Remark(kind, key, remark) for kind, key, remark in asked],
        actor=actor_of(session, officer),
        now=now,
        seen_visit=None,
    )


# Drafts -----------------------------------------------------------------------------------------


def test_a_draft_starts_with_the_account_s_name_and_address(
    session: Session, citizen: User, now: datetime
) -> None:
    load_city(session)
    application = start_draft(
        session,
        "sip-tenaga-kesehatan",
        request="new",
        applicant_kind="person",
        actor=actor_of(session, citizen),
        now=now,
    )
    assert application.state == State.DRAFT
    assert application.values == {"full_name": citizen.full_name, "email": citizen.email}
    assert application.revision_id == find_permit_type(session, "sip-tenaga-kesehatan").id


@pytest.mark.parametrize(
    ("request_kind", "applicant_kind", "field"),
    [("closure", "person", "request"), ("new", "organisation", "applicant_kind")],
)
def test_what_the_type_does_not_offer_is_refused(
    session: Session, citizen: User, now: datetime, request_kind: str, applicant_kind: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        make_draft(session, citizen, request=request_kind, applicant_kind=applicant_kind, now=now)
    assert [problem.field for problem in refused.value.problems] == [field]


def test_a_type_that_is_not_offered_cannot_be_applied_for(
    session: Session, citizen: User, now: datetime
) -> None:
    load_city(session)
    revision = find_permit_type(session, "sip-tenaga-kesehatan")
    revision.active = False
    session.flush()
    with pytest.raises(PermitTypeNotFound):
        start_draft(
            session,
            revision.slug,
            request="new",
            applicant_kind="person",
            actor=actor_of(session, citizen),
            now=now,
        )


def test_drafts_are_limited(session: Session, citizen: User) -> None:
    for _ in range(MAX_DRAFTS):
        make_draft(session, citizen)
    with pytest.raises(TooManyDrafts):
        make_draft(session, citizen)


def test_a_page_is_saved_exactly_as_typed_even_when_wrong(
    session: Session, citizen: User, now: datetime
) -> None:
    application = make_draft(session, citizen, values={"phone": "0812"})
    typed = {"nik": "bukan angka", "birth_date": "1990-13-45", "phone": None}
    save_section(session, application.id, "person", typed, actor=actor_of(session, citizen), now=now)
    session.expire(application)
    assert application.values == {"nik": "bukan angka", "birth_date": "1990-13-45"}
    assert application.updated_at == now


def test_a_page_takes_only_its_own_fields(session: Session, citizen: User, now: datetime) -> None:
    application, actor = make_draft(session, citizen), actor_of(session, citizen)
    with pytest.raises(InvalidInput) as refused:
        save_section(session, application.id, "person", {"profession": "bidan"}, actor=actor, now=now)
    assert refused.value.problems[0].pointer == "/values/profession"
    with pytest.raises(SectionNotFound):
        save_section(session, application.id, "organisation", {}, actor=actor, now=now)


def test_a_document_replaces_the_earlier_one_and_must_be_of_the_right_kind(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application, actor = make_draft(session, citizen), actor_of(session, citizen)

    def give(key: str, clean: CleanFile) -> Upload:
        return add_document(
            session, storage, WRAPPING_KEYS, application.id, key, "a", clean, actor=actor, now=now
        )

    give("photo", clean_jpeg())
    second = give("photo", clean_jpeg())
    assert given_documents(session, application) == {"photo": second}
    with pytest.raises(UploadTypeRefused):
        give("photo", CleanFile("application/pdf", b"%PDF"))
    with pytest.raises(DocumentNotAsked):
        give("skp_proof", clean_jpeg())
    remove_document(session, storage, application.id, second.id, actor=actor, now=now)
    assert given_documents(session, application) == {}


def test_deleting_a_draft_leaves_nothing_but_its_trail(
    engine: Engine, storage: Storage, now: datetime
) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
        application = make_draft(session, user)
        give_documents(session, storage, application, user)
    assert storage.folder is not None
    assert list((storage.folder / "uploads").iterdir())
    with transaction(engine) as session:
        delete_draft(session, storage, application.id, actor=actor_of(session, user), now=now)
    assert not list((storage.folder / "uploads").iterdir())
    with transaction(engine) as session:
        assert session.get(Application, application.id) is None
        assert session.exec(select(Upload)).all() == []
        events = events_of(session, "application", application.id)
        assert [event.action for event in events] == [
            "application.draft_started",
            "application.draft_deleted",
        ]


def test_only_the_owner_finds_an_application(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application, stranger = make_draft(session, citizen), actor_of(session, make_citizen(session))
    with pytest.raises(ApplicationNotFound):
        own_application(session, application.id, stranger)
    with pytest.raises(ApplicationNotFound):
        save_section(session, application.id, "person", {}, actor=stranger, now=now)
    with pytest.raises(ApplicationNotFound):
        submit_application(session, application.id, declared=True, actor=stranger, now=now)
    with pytest.raises(ApplicationNotFound):
        delete_draft(session, storage, application.id, actor=stranger, now=now)


def test_answers_given_before_are_offered_for_what_is_still_empty(
    session: Session, storage: Storage, citizen: User
) -> None:
    make_submitted(session, storage, citizen)
    make_submitted(session, storage, make_citizen(session))
    application = make_draft(session, citizen, values={"full_name": "Siti Baru"})
    section = find_permit_type(session, application.slug).permit_type.sections[0]
    offered = values_to_offer(session, application, section, actor_of(session, citizen))
    assert offered["nik"] == HEALTH_WORKER_VALUES["nik"]
    assert "full_name" not in offered
    assert "profession" not in offered


# Submitting ---------------------------------------------------------------------------------------


def test_submitting_numbers_freezes_and_starts_the_workflow(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application = make_submitted(session, storage, citizen, now=now)
    assert (application.state, application.step) == (State.UNDER_REVIEW, "completeness")
    assert application.receipt_number is not None
    assert re.fullmatch(r"P-20261123-[0-9A-HJKMNP-TV-Z]{6}", application.receipt_number)
    assert application.holder_name == HEALTH_WORKER_VALUES["full_name"]
    assert application.submitted_at == now
    submission = last_submission(session, application)
    assert submission is not None
    assert submission.round == 1
    assert submission.values == {**HEALTH_WORKER_VALUES, "truth_declared": True}
    given = given_documents(session, application)
    assert {document["upload_id"] for document in submission.documents} == {
        str(upload.id) for upload in given.values()
    }
    assert submission.sha256 == submission_sha256(submission.values, submission.documents)
    assert submission.sha256 != submission_sha256({**submission.values, "sex": "L"}, submission.documents)
    last_event = events_of(session, "application", application.id)[-1]
    assert (last_event.action, last_event.data["sha256"]) == ("application.submit", submission.sha256)


def test_an_incomplete_application_is_refused_with_every_problem_and_stays_a_draft(
    session: Session, citizen: User, now: datetime
) -> None:
    wrong = {**HEALTH_WORKER_VALUES, "phone": "123"}
    del wrong["profession"]
    application = make_draft(session, citizen, values=wrong)
    with pytest.raises(NotComplete) as refused:
        submit_application(session, application.id, declared=False, actor=actor_of(session, citizen), now=now)
    pointers = [problem.pointer for problem in refused.value.problems]
    assert pointers[:3] == ["/values/phone", "/values/profession", "/values/truth_declared"]
    assert "/documents/ktp" in pointers
    assert "/documents/first_sip" not in pointers
    assert (application.state, application.receipt_number) == (State.DRAFT, None)
    assert session.exec(select(Submission)).all() == []


def test_a_document_is_required_only_where_its_condition_holds(
    session: Session, citizen: User, now: datetime
) -> None:
    application = make_draft(session, citizen, values={**HEALTH_WORKER_VALUES, "practice_order": 2})
    problems = problems_before_submission(session, application, now, declared=True)
    assert "/documents/first_sip" in [problem.pointer for problem in problems]


def test_a_draft_of_a_type_that_was_withdrawn_cannot_be_submitted(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application = make_draft(session, citizen)
    give_documents(session, storage, application, citizen)
    find_permit_type(session, application.slug).active = False
    session.flush()
    with pytest.raises(PermitTypeNotFound):
        submit_application(session, application.id, declared=True, actor=actor_of(session, citizen), now=now)


def test_a_submitted_application_is_changed_by_none_of_the_draft_s_verbs(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application, actor = make_submitted(session, storage, citizen), actor_of(session, citizen)
    upload = uploads_of(session, application.id)[0]
    with pytest.raises(NotEditable):
        save_section(session, application.id, "person", {"sex": "L"}, actor=actor, now=now)
    with pytest.raises(NotEditable):
        add_document(
            session, storage, WRAPPING_KEYS, application.id, "ktp", "a", clean_jpeg(), actor=actor, now=now
        )
    with pytest.raises(NotEditable):
        remove_document(session, storage, application.id, upload.id, actor=actor, now=now)
    with pytest.raises(NotADraft):
        delete_draft(session, storage, application.id, actor=actor, now=now)
    with pytest.raises(ActionNotAllowed):
        save_corrections(session, application.id, {"sex": "L"}, actor=actor, now=now)


def test_of_two_submissions_at_once_one_wins(engine: Engine, storage: Storage, now: datetime) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
        application = make_draft(session, user)
        give_documents(session, storage, application, user)
        actor = actor_of(session, user)
    start, outcomes = threading.Barrier(2), []

    def submit() -> None:
        start.wait()
        try:
            with transaction(engine) as session:
                submit_application(session, application.id, declared=True, actor=actor, now=now)
            outcomes.append("submitted")
        except NotADraft:
            outcomes.append("too late")

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["submitted", "too late"]
    with transaction(engine) as session:
        assert len(session.exec(select(Submission)).all()) == 1


# Correcting ---------------------------------------------------------------------------------------


def test_a_correction_round_opens_exactly_what_was_named(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application, actor = make_submitted(session, storage, citizen), actor_of(session, citizen)
    send_back(
        session,
        application,
        now,
        ("field", "practice_name", "Nama klinik tidak lengkap."),
        ("document", "ktp", "Foto KTP buram."),
    )
    permit_type = find_permit_type(session, application.slug).permit_type
    asked = correction_round(session, application, permit_type, now)
    assert [(item.field.key, item.remark) for item in asked.fields] == [
        ("practice_name", "Nama klinik tidak lengkap.")
    ]
    assert [(item.document.key, item.remark) for item in asked.documents] == [("ktp", "Foto KTP buram.")]
    for values in ({"practice_address": "Lain"}, {"practice_name": "Baru", "nik": "1"}):
        with pytest.raises(NotEditable):
            save_corrections(session, application.id, values, actor=actor, now=now)
    with pytest.raises(NotEditable):
        save_section(session, application.id, "person", {"address": "Lain"}, actor=actor, now=now)
    with pytest.raises(NotEditable):
        add_document(
            session, storage, WRAPPING_KEYS, application.id, "str", "a", clean_jpeg(), actor=actor, now=now
        )
    with pytest.raises(InvalidInput):
        save_corrections(session, application.id, {"unknown": "x"}, actor=actor, now=now)


def test_resubmitting_freezes_a_second_round_and_resolves_the_corrections(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application, actor = make_submitted(session, storage, citizen), actor_of(session, citizen)
    first = last_submission(session, application)
    assert first is not None
    receipt_number, old_values = application.receipt_number, dict(first.values)
    send_back(
        session, application, now, ("field", "practice_name", "Lengkapi."), ("document", "ktp", "Buram.")
    )
    later = now + timedelta(hours=1)
    save_corrections(
        session, application.id, {"practice_name": "Klinik Contoh Sehat"}, actor=actor, now=later
    )
    old_ktp = given_documents(session, application)["ktp"]
    remove_document(session, storage, application.id, old_ktp.id, actor=actor, now=later)
    with pytest.raises(NotComplete) as refused:
        resubmit_application(session, application.id, actor=actor, now=later)
    assert [problem.pointer for problem in refused.value.problems] == ["/documents/ktp"]
    new_ktp = add_document(
        session, storage, WRAPPING_KEYS, application.id, "ktp", "b", clean_jpeg(), actor=actor, now=later
    )
    resubmit_application(session, application.id, actor=actor, now=later)

    assert (application.state, application.step) == (State.UNDER_REVIEW, "completeness")
    assert application.receipt_number == receipt_number
    assert open_corrections(session, application) == []
    second = last_submission(session, application)
    assert second is not None
    assert (second.round, second.values["practice_name"]) == (2, "Klinik Contoh Sehat")
    references = {document["requirement"]: document["upload_id"] for document in second.documents}
    assert references["ktp"] == str(new_ktp.id)
    session.refresh(first)
    assert first.values == old_values
    assert str(old_ktp.id) in [document["upload_id"] for document in first.documents]


def test_a_wrong_correction_is_kept_but_not_sent(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application, actor = make_submitted(session, storage, citizen), actor_of(session, citizen)
    send_back(session, application, now, ("field", "phone", "Tidak dapat dihubungi."))
    save_corrections(session, application.id, {"phone": "nol delapan"}, actor=actor, now=now)
    with pytest.raises(NotComplete) as refused:
        resubmit_application(session, application.id, actor=actor, now=now)
    assert [problem.field for problem in refused.value.problems] == ["phone"]
    assert application.values["phone"] == "nol delapan"
    assert application.state == State.RETURNED


def test_what_a_correction_makes_necessary_opens_too_and_stays_open(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application, actor = make_submitted(session, storage, citizen), actor_of(session, citizen)
    send_back(
        session,
        application,
        now,
        ("field", "str_lifetime", "STR Anda berbatas waktu."),
        ("field", "practice_order", "Ini tempat kedua."),
    )
    permit_type = find_permit_type(session, application.slug).permit_type

    def opened() -> tuple[list[str], list[str]]:
        asked = correction_round(session, application, permit_type, now)
        return [item.field.key for item in asked.fields], [item.document.key for item in asked.documents]

    assert opened() == (["str_lifetime", "practice_order"], [])
    save_corrections(
        session, application.id, {"str_lifetime": False, "practice_order": 2}, actor=actor, now=now
    )
    following = (["str_lifetime", "str_valid_until", "practice_order"], ["first_sip"])
    assert opened() == following
    save_corrections(session, application.id, {"str_valid_until": "2029-01-31"}, actor=actor, now=now)
    assert opened() == following


def test_an_answer_that_was_good_in_time_is_not_judged_again(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    values: dict[str, Any] = {
        **HEALTH_WORKER_VALUES,
        "str_lifetime": False,
        "str_valid_until": "2026-11-30",
    }
    application, actor = (
        make_submitted(session, storage, citizen, values=values, now=now),
        actor_of(session, citizen),
    )
    send_back(session, application, now, ("field", "practice_name", "Lengkapi."))
    resubmit_application(session, application.id, actor=actor, now=now + timedelta(days=14))
    assert application.state == State.UNDER_REVIEW


# Paying and withdrawing ---------------------------------------------------------------------------


def test_paying_needs_the_proof_and_moves_on(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    actor = actor_of(session, citizen)
    application = make_submitted(session, storage, citizen, slug=ADVERTISEMENT, values=ADVERTISEMENT_VALUES)
    with pytest.raises(ActionNotAllowed):
        pay(session, application.id, actor=actor, now=now)
    with pytest.raises(DocumentNotAsked):
        add_document(
            session,
            storage,
            WRAPPING_KEYS,
            application.id,
            PAYMENT_RECEIPT,
            "a",
            clean_jpeg(),
            actor=actor,
            now=now,
        )
    application.step = "payment"
    session.flush()
    with pytest.raises(NotComplete):
        pay(session, application.id, actor=actor, now=now)
    add_document(
        session,
        storage,
        WRAPPING_KEYS,
        application.id,
        PAYMENT_RECEIPT,
        "a",
        clean_jpeg(),
        actor=actor,
        now=now,
    )
    pay(session, application.id, actor=actor, now=now)
    assert application.state == State.UNDER_REVIEW
    assert application.step != "payment"


def test_withdrawing_ends_it_and_a_draft_is_deleted_instead(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    actor = actor_of(session, citizen)
    with pytest.raises(ActionNotAllowed):
        withdraw_application(session, make_draft(session, citizen).id, actor=actor, now=now)
    application = make_submitted(session, storage, citizen)
    withdraw_application(session, application.id, actor=actor, now=now, note="Batal.")
    assert (application.state, application.step) == (State.WITHDRAWN, None)
    with pytest.raises(ActionNotAllowed):
        withdraw_application(session, application.id, actor=actor, now=now)
