"""The officers' verbs: taking, notes, returning, reporting, attaching."""

import uuid
from datetime import datetime

import pytest
from factories import WRAPPING_KEYS, actor_of, clean_jpeg, make_case, make_citizen, make_draft, make_officer
from sqlmodel import Session, select

from service.accounts.access import Actor
from service.applications.models import Application, Correction
from service.applications.remarks import MAX_NOTE, Remark
from service.applications.review import (
    MAX_ATTACHMENTS,
    CaseNotFound,
    TooManyAttachments,
    act_on_case,
    attach_file,
    find_case,
    release_case,
    remove_attachment,
    return_case,
    submit_report,
    take_case,
)
from service.applications.transitions import (
    AlreadyActed,
    FourEyesRequired,
    NotYourStep,
    TakenByAnother,
    visits_of,
)
from service.applications.uploads import UploadNotFound
from service.applications.workflow import Action, ActionNotAllowed, State
from service.audit import events_of
from service.errors import InvalidInput
from service.storage import Storage


@pytest.fixture
def case(session: Session, now: datetime) -> Application:
    return make_case(session, now=now)


def officer(session: Session, *roles: str, name: str = "Budi Contoh", agency: str | None = None) -> Actor:
    return actor_of(session, make_officer(session, list(roles), full_name=name, agency=agency))


def bring_to(session: Session, case: Application, step: str, now: datetime) -> None:
    """Bring a case to a step, by a fresh officer for each."""
    actions = {
        "completeness": ("front_office", Action.FORWARD),
        "review": ("back_office", Action.FORWARD),
        "agency_opinion": ("technical_agency", Action.RECOMMEND),
        "draft": ("back_office", Action.FORWARD),
    }
    while case.step != step:
        role, action = actions[case.step or ""]
        act_on_case(session, case.id, action, actor=officer(session, role), now=now, seen_visit=None)


# Who sees what --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["front_office", "back_office", "technical_agency", "department_head"])
def test_every_role_of_the_way_sees_the_case(session: Session, case: Application, role: str) -> None:
    found = find_case(session, case.id, actor=officer(session, role))
    assert found.actions == (
        {Action.FORWARD, Action.RETURN_FOR_COMPLETION} if role == "front_office" else set()
    )
    assert isinstance(found.refusal, NotYourStep) is (role != "front_office")


def test_a_case_is_hidden_from_other_roles_other_agencies_and_citizens(
    session: Session, case: Application
) -> None:
    applicant = actor_of(session, make_citizen(session))
    strangers = [
        officer(session, "administrator"),
        officer(session, "technical_team"),
        officer(session, "technical_agency", agency="Dinas Perhubungan"),
        applicant,
    ]
    for stranger in strangers:
        with pytest.raises(CaseNotFound):
            find_case(session, case.id, actor=stranger)


def test_a_draft_is_nobodys_to_see(session: Session) -> None:
    draft = make_draft(session, make_citizen(session))
    for unseen in (draft.id, uuid.uuid4()):
        with pytest.raises(CaseNotFound):
            find_case(session, unseen, actor=officer(session, "front_office"))


# Taking ---------------------------------------------------------------------------------------


def test_a_case_is_taken_taken_over_and_released(session: Session, case: Application, now: datetime) -> None:
    first, second = officer(session, "front_office", name="Rina Contoh"), officer(session, "front_office")
    take_case(session, case.id, actor=first, now=now)
    take_case(session, case.id, actor=first, now=now)
    with pytest.raises(TakenByAnother) as told:
        take_case(session, case.id, actor=second, now=now)
    assert "Rina Contoh" in told.value.message("id")
    take_case(session, case.id, actor=second, now=now, take_over=True)
    release_case(session, case.id, actor=first, now=now)
    assert case.taken_by == second.id
    release_case(session, case.id, actor=second, now=now)
    assert case.taken_by is None
    deeds = [event.action for event in events_of(session, "application", case.id)]
    assert deeds[1:] == ["application.taken", "application.taken_over", "application.released"]


def test_only_the_step_s_officers_take_a_case(session: Session, case: Application, now: datetime) -> None:
    with pytest.raises(NotYourStep):
        take_case(session, case.id, actor=officer(session, "back_office"), now=now)


# Acting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "role", "action"),
    [
        ("review", "back_office", Action.PROPOSE_REJECTION),
        ("review", "back_office", Action.RETURN_TO_PREVIOUS),
        ("agency_opinion", "technical_agency", Action.RECOMMEND_REJECTION),
    ],
)
def test_what_goes_against_the_applicant_or_back_needs_its_reason(
    session: Session, case: Application, now: datetime, step: str, role: str, action: Action
) -> None:
    bring_to(session, case, step, now)
    actor = officer(session, role)
    with pytest.raises(InvalidInput) as refused:
        act_on_case(session, case.id, action, actor=actor, now=now, seen_visit=None, note="  ")
    assert [(problem.field, problem.code) for problem in refused.value.problems] == [("note", "required")]
    assert case.step == step
    act_on_case(session, case.id, action, actor=actor, now=now, seen_visit=None, note=" Alasan. ")
    assert visits_of(session, case.id)[-2].note == "Alasan."


def test_a_note_has_its_bound(session: Session, case: Application, now: datetime) -> None:
    actor = officer(session, "front_office")
    with pytest.raises(InvalidInput) as refused:
        act_on_case(
            session, case.id, Action.FORWARD, actor=actor, now=now, seen_visit=1, note="a" * (MAX_NOTE + 1)
        )
    assert refused.value.problems[0].code == "too_long"


@pytest.mark.parametrize("action", [Action.SIGN, Action.WITHDRAW, Action.RETURN_FOR_COMPLETION])
def test_what_needs_a_way_of_its_own_is_no_simple_action(
    session: Session, case: Application, now: datetime, action: Action
) -> None:
    with pytest.raises(ActionNotAllowed):
        act_on_case(session, case.id, action, actor=officer(session, "front_office"), now=now, seen_visit=1)


def test_who_reviewed_the_case_is_told_why_they_may_not_initial(
    session: Session, case: Application, now: datetime
) -> None:
    both = officer(session, "front_office", "licensing_analyst")
    act_on_case(session, case.id, Action.FORWARD, actor=both, now=now, seen_visit=1)
    bring_to(session, case, "initial_analyst", now)
    seen = find_case(session, case.id, actor=both)
    assert isinstance(seen.refusal, FourEyesRequired)
    assert not seen.actions


# Returning ------------------------------------------------------------------------------------


def test_a_return_names_what_to_mend(session: Session, case: Application, now: datetime) -> None:
    asked = [Remark("field", "practice_address", " Tulis lengkap. "), Remark("document", "ktp", "Buram.")]
    return_case(session, case.id, asked, actor=officer(session, "front_office"), now=now, seen_visit=1)
    assert case.state == State.RETURNED
    rows = session.exec(select(Correction).where(Correction.application_id == case.id)).all()
    assert {(row.kind, row.key, row.remark, row.round) for row in rows} == {
        ("field", "practice_address", "Tulis lengkap.", 1),
        ("document", "ktp", "Buram.", 1),
    }


@pytest.mark.parametrize(
    ("asked", "code", "pointer"),
    [
        ([], "nothing_asked", "/asked"),
        ([Remark("field", "ktp", "x")], "unknown_key", "/asked/0/key"),
        ([Remark("document", "old_permit", "x")], "unknown_key", "/asked/0/key"),
        ([Remark("field", "nik", " ")], "required", "/asked/0/remark"),
        ([Remark("field", "nik", "a" * 1001)], "too_long", "/asked/0/remark"),
        ([Remark("field", "nik", "x"), Remark("field", "nik", "y")], "repeated", "/asked/1/key"),
    ],
)
def test_a_return_that_will_not_do_changes_nothing(
    session: Session, case: Application, now: datetime, asked: list[Remark], code: str, pointer: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        return_case(session, case.id, asked, actor=officer(session, "front_office"), now=now, seen_visit=1)
    assert [problem.code for problem in refused.value.problems] == [code]
    assert refused.value.problems[0].as_json("id")["pointer"] == pointer
    assert case.state == State.UNDER_REVIEW


def test_a_return_that_came_second_leaves_no_remark(
    session: Session, case: Application, now: datetime
) -> None:
    act_on_case(
        session, case.id, Action.FORWARD, actor=officer(session, "front_office"), now=now, seen_visit=1
    )
    with pytest.raises(AlreadyActed):
        return_case(
            session,
            case.id,
            [Remark("field", "nik", "Periksa.")],
            actor=officer(session, "front_office"),
            now=now,
            seen_visit=1,
        )
    assert not session.exec(select(Correction).where(Correction.application_id == case.id)).all()


# Reports and attachments ------------------------------------------------------------------------


def test_a_report_needs_a_finding_for_each_item(session: Session, storage: Storage, now: datetime) -> None:
    case = make_case(session, "reklame-tetap", now=now)
    bring_to_field_visit(session, case, now)
    team = officer(session, "technical_team")
    items = [item.key for item in find_case(session, case.id, actor=team).permit_type.report_items]
    with pytest.raises(InvalidInput) as refused:
        submit_report(session, case.id, {"bukan": "x"}, actor=team, now=now, seen_visit=3)
    assert [problem.code for problem in refused.value.problems] == ["unknown_key"] + ["required"] * len(items)
    photo = attach_file(
        session, storage, WRAPPING_KEYS, case.id, "lokasi.jpg", clean_jpeg(), actor=team, now=now
    )
    findings = dict.fromkeys(items, " Sesuai. ")
    submit_report(session, case.id, findings, actor=team, now=now, seen_visit=3)
    visit = visits_of(session, case.id)[2]
    assert visit.data == {"report": dict.fromkeys(items, "Sesuai."), "attachments": [str(photo.id)]}


def bring_to_field_visit(session: Session, case: Application, now: datetime) -> None:
    bring_to(session, case, "review", now)
    act_on_case(
        session, case.id, Action.FORWARD, actor=officer(session, "back_office"), now=now, seen_visit=2
    )
    assert case.step == "field_visit"


def test_an_own_attachment_is_removed_until_the_officer_has_acted(
    session: Session, storage: Storage, case: Application, now: datetime
) -> None:
    bring_to(session, case, "agency_opinion", now)
    mine, colleague = officer(session, "technical_agency"), officer(session, "technical_agency")
    first, second = (
        attach_file(session, storage, WRAPPING_KEYS, case.id, name, clean_jpeg(), actor=mine, now=now)
        for name in ("a.jpg", "b.jpg")
    )
    with pytest.raises(UploadNotFound):
        remove_attachment(session, storage, case.id, first.id, actor=colleague, now=now)
    remove_attachment(session, storage, case.id, first.id, actor=mine, now=now)
    act_on_case(session, case.id, Action.RECOMMEND, actor=mine, now=now, seen_visit=3)
    assert visits_of(session, case.id)[2].data == {"attachments": [str(second.id)]}
    with pytest.raises(NotYourStep):
        remove_attachment(session, storage, case.id, second.id, actor=mine, now=now)


def test_attachments_belong_to_steps_that_know_them_and_have_a_bound(
    session: Session, storage: Storage, case: Application, now: datetime
) -> None:
    with pytest.raises(ActionNotAllowed):
        attach_file(
            session,
            storage,
            WRAPPING_KEYS,
            case.id,
            "a.jpg",
            clean_jpeg(),
            actor=officer(session, "front_office"),
            now=now,
        )
    bring_to(session, case, "agency_opinion", now)
    agency = officer(session, "technical_agency")
    for _ in range(MAX_ATTACHMENTS):
        attach_file(session, storage, WRAPPING_KEYS, case.id, "a.jpg", clean_jpeg(), actor=agency, now=now)
    with pytest.raises(TooManyAttachments):
        attach_file(session, storage, WRAPPING_KEYS, case.id, "a.jpg", clean_jpeg(), actor=agency, now=now)
