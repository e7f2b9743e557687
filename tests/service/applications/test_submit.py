"""Submitting, paying and withdrawing."""

import re
import threading
from datetime import datetime

import pytest
from factories import (
    ADVERTISEMENT,
    ADVERTISEMENT_VALUES,
    HEALTH_WORKER_VALUES,
    WRAPPING_KEYS,
    actor_of,
    clean_jpeg,
    give_documents,
    make_citizen,
    make_draft,
    make_submitted,
)
from sqlalchemy import Engine
from sqlmodel import Session, select

from service.accounts.models import User
from service.applications.asked import PAYMENT_RECEIPT, DocumentNotAsked, given_documents, last_submission
from service.applications.correct import save_corrections
from service.applications.draft import (
    NotADraft,
    NotEditable,
    add_document,
    delete_draft,
    remove_document,
    save_section,
)
from service.applications.models import Submission
from service.applications.submit import (
    NotComplete,
    pay,
    problems_before_submission,
    submission_sha256,
    submit_application,
    withdraw_application,
)
from service.applications.uploads import uploads_of
from service.applications.workflow import ActionNotAllowed, State
from service.audit import events_of
from service.catalogue.models import PermitTypeNotFound, find_permit_type
from service.database import transaction
from service.storage import Storage

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
