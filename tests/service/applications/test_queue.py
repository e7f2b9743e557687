"""The queue: whose cases, in which order, found by which words."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from factories import actor_of, make_case, make_officer
from sqlalchemy import event
from sqlmodel import Session

from service.accounts.access import Actor
from service.applications import queue
from service.applications.queue import QueueFilter, Scope, Taken, Urgency, read_queue, visible_types
from service.applications.review import act_on_case, take_case
from service.applications.workflow import Action

TODAY = date(2026, 11, 23)


@pytest.fixture
def front(session: Session) -> Actor:
    return actor_of(session, make_officer(session, ["front_office"]))


def receipts(page: queue.QueuePage) -> list[str]:
    return [row.receipt_number for row in page.rows]


def test_overdue_comes_first_and_each_urgency_is_counted(
    session: Session, now: datetime, front: Actor
) -> None:
    due = {"rest": 30, "overdue": -1, "soon": 2, "today": 0}
    for name, days in due.items():
        case = make_case(session, now=now, receipt_number=f"P-20261123-{name.upper()}")
        case.step_due_on = TODAY + timedelta(days=days)
        session.add(case)
    page = read_queue(session, QueueFilter(text="P-20261123-"), actor=front, now=now)
    assert [row.urgency for row in page.rows] == list(Urgency)
    assert page.counts == dict.fromkeys(Urgency, 1)
    overdue = read_queue(session, QueueFilter(urgency=Urgency.OVERDUE), actor=front, now=now)
    assert receipts(overdue) == ["P-20261123-OVERDUE"]
    assert overdue.counts[Urgency.TODAY] == 1


def test_a_case_waits_for_the_role_of_its_step_only(session: Session, now: datetime, front: Actor) -> None:
    case = make_case(session, now=now)
    back = actor_of(session, make_officer(session, ["back_office"]))
    mine = QueueFilter(text=case.receipt_number or "")
    assert read_queue(session, mine, actor=front, now=now).total == 1
    assert read_queue(session, mine, actor=back, now=now).total == 0
    act_on_case(session, case.id, Action.FORWARD, actor=front, now=now, seen_visit=1)
    assert read_queue(session, mine, actor=front, now=now).total == 0
    waiting = read_queue(session, mine, actor=back, now=now).rows[0]
    assert (waiting.role, waiting.step) == ("back_office", "review")
    assert read_queue(session, replace(mine, scope=Scope.ALL), actor=front, now=now).total == 1


def test_an_agency_s_officers_see_their_agency_s_types_only(session: Session, now: datetime) -> None:
    case = make_case(session, now=now)
    for role in ("front_office", "back_office"):
        actor = actor_of(session, make_officer(session, [role]))
        act_on_case(session, case.id, Action.FORWARD, actor=actor, now=now, seen_visit=None)
    health = actor_of(session, make_officer(session, ["technical_agency"], agency="Dinas Kesehatan"))
    transport = actor_of(session, make_officer(session, ["technical_agency"], agency="Dinas Perhubungan"))
    any_agency = actor_of(session, make_officer(session, ["technical_agency"]))
    for scope in Scope:
        mine = QueueFilter(text=case.receipt_number or "", scope=scope)
        found = [
            read_queue(session, mine, actor=actor, now=now).total for actor in (health, transport, any_agency)
        ]
        assert found == [1, 0, 1]
    assert [item.slug for item in visible_types(session, transport)] == ["reklame-tetap"]


@pytest.mark.parametrize("text", ["klinik contoh", "SITI", "P-20261123-CARI01", "advertising"])
def test_the_search_looks_in_number_name_and_type(
    session: Session, now: datetime, front: Actor, text: str
) -> None:
    make_case(session, now=now, holder_name="Yayasan Klinik Contoh", receipt_number="P-20261123-LAIN01")
    make_case(session, now=now, holder_name="Siti Uji", receipt_number="P-20261123-CARI01")
    make_case(session, "reklame-tetap", now=now, holder_name="CV Uji", receipt_number="P-20261123-REKL01")
    wanted = {"klinik contoh": "LAIN01", "advertising": "REKL01"}.get(text, "CARI01")
    assert receipts(read_queue(session, QueueFilter(text=text), actor=front, now=now)) == [
        f"P-20261123-{wanted}"
    ]


def test_signs_that_a_database_reads_as_patterns_match_themselves_alone(
    session: Session, now: datetime, front: Actor
) -> None:
    make_case(session, now=now)
    for text in ("%", "_", "\\"):
        assert read_queue(session, QueueFilter(text=text), actor=front, now=now).total == 0


def test_filters_by_type_and_by_who_has_taken_it(session: Session, now: datetime, front: Actor) -> None:
    other = actor_of(session, make_officer(session, ["front_office"]))
    mine, theirs, free = (make_case(session, "kartu-pengawasan-trayek", now=now) for _ in range(3))
    make_case(session, now=now)
    take_case(session, mine.id, actor=front, now=now)
    take_case(session, theirs.id, actor=other, now=now)
    slug = "kartu-pengawasan-trayek"
    every = read_queue(session, QueueFilter(slug=slug), actor=front, now=now)
    assert {row.id for row in every.rows} == {mine.id, theirs.id, free.id}
    taken = read_queue(session, QueueFilter(slug=slug, taken=Taken.ME), actor=front, now=now)
    assert [row.id for row in taken.rows] == [mine.id]
    nobody = read_queue(session, QueueFilter(slug=slug, taken=Taken.NOBODY), actor=front, now=now)
    assert [row.id for row in nobody.rows] == [free.id]


def test_pages_are_bounded_and_a_page_beyond_the_last_is_the_last(
    session: Session, now: datetime, front: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PAGE_SIZE", 2)
    numbers = [
        make_case(session, now=now + timedelta(minutes=n), receipt_number=f"P-20261123-HAL{n}").receipt_number
        for n in range(5)
    ]
    pages = [
        read_queue(session, QueueFilter(text="-HAL", page=page), actor=front, now=now)
        for page in (1, 2, 3, 9)
    ]
    assert [receipts(page) for page in pages] == [numbers[:2], numbers[2:4], numbers[4:], numbers[4:]]
    assert (pages[3].page, pages[3].page_count, pages[3].total) == (3, 3, 5)


def test_a_longer_queue_takes_no_more_questions(session: Session, now: datetime, front: Actor) -> None:
    sent: list[str] = []
    connection = session.connection()

    def keep(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(connection, "before_cursor_execute", keep)
    counts = []
    for _ in range(2):
        make_case(session, now=now)
        session.flush()
        sent.clear()
        read_queue(session, QueueFilter(), actor=front, now=now)
        counts.append(len(sent))
    event.remove(connection, "before_cursor_execute", keep)
    assert counts[0] == counts[1] <= 8
