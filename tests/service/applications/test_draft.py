"""Drafts: begun, filled in page by page, deleted, and nobody else's."""

from datetime import datetime

import pytest
from factories import (
    HEALTH_WORKER_VALUES,
    WRAPPING_KEYS,
    actor_of,
    clean_jpeg,
    give_documents,
    load_city,
    make_citizen,
    make_draft,
    make_submitted,
)
from sqlalchemy import Engine
from sqlmodel import Session, select

from service.accounts.models import User
from service.applications.asked import DocumentNotAsked, SectionNotFound, given_documents
from service.applications.cleaning import CleanFile
from service.applications.draft import (
    MAX_DRAFTS,
    ApplicationNotFound,
    TooManyDrafts,
    add_document,
    delete_draft,
    own_application,
    remove_document,
    save_section,
    start_draft,
    values_to_offer,
)
from service.applications.models import Application, Upload
from service.applications.submit import submit_application
from service.applications.uploads import UploadTypeRefused
from service.applications.workflow import State
from service.audit import events_of
from service.catalogue.models import PermitTypeNotFound, find_permit_type
from service.database import transaction
from service.errors import InvalidInput
from service.storage import Storage


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
