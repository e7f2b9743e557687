"""Corrections: exactly what was named is opened, and a second round is frozen."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from factories import HEALTH_WORKER_VALUES, WRAPPING_KEYS, actor_of, clean_jpeg, make_officer, make_submitted
from sqlmodel import Session

from service.accounts.models import User
from service.applications.asked import given_documents, last_submission, open_corrections
from service.applications.correct import correction_round, resubmit_application, save_corrections
from service.applications.draft import NotEditable, add_document, remove_document, save_section
from service.applications.models import Application
from service.applications.remarks import Remark
from service.applications.review import return_case
from service.applications.submit import NotComplete
from service.applications.workflow import State
from service.catalogue.models import find_permit_type
from service.errors import InvalidInput
from service.storage import Storage


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
