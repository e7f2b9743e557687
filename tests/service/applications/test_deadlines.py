"""Working days: the vectors of the domain, the shares of the steps, the clock that stands still."""

from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from service.applications.calendar import holidays_around, holidays_between
from service.applications.deadlines import (
    Clock,
    add_working_days,
    due_dates,
    is_working_day,
    last_day,
    run_clock,
    working_days_between,
)
from service.applications.models import Holiday

MONDAY = date(2026, 11, 23)
DAYS = st.dates(date(2026, 1, 1), date(2027, 12, 31))


@dataclass(frozen=True)
class Step:
    key: str
    share: float
    role: str = "back_office"
    actions: tuple[str, ...] = ("forward",)
    automatic: bool = False
    pauses_clock: bool = False


@pytest.mark.parametrize(
    ("complete_on", "due"),
    [
        ("2026-02-13", "2026-02-24"),
        ("2026-03-16", "2026-03-30"),
        ("2026-12-21", "2026-12-30"),
        ("2026-11-23", "2026-11-30"),
    ],
)
def test_five_working_days_pass_over_holidays_and_cuti_bersama(
    session: Session, complete_on: str, due: str
) -> None:
    off_days = holidays_between(session, [2026])
    assert add_working_days(date.fromisoformat(complete_on), 5, off_days) == date.fromisoformat(due)


def test_the_table_adds_a_holiday_and_takes_one_of_the_library_back(session: Session) -> None:
    session.add(Holiday(on=date(2026, 11, 25), name="Cuti bersama tambahan"))
    session.add(Holiday(on=date(2026, 12, 25), name="Ditarik kembali", is_working_day=True))
    session.flush()
    off_days = holidays_around(session, MONDAY, MONDAY)
    assert add_working_days(MONDAY, 5, off_days) == date(2026, 12, 1)
    assert is_working_day(date(2026, 12, 25), off_days)
    assert not is_working_day(date(2027, 1, 1), off_days)


@given(DAYS, st.integers(0, 60), st.frozensets(DAYS, max_size=20))
def test_counting_there_and_back_agrees(start: date, days: int, off_days: frozenset[date]) -> None:
    end = add_working_days(start, days, off_days)
    assert working_days_between(start, end, off_days) == days
    assert days == 0 or is_working_day(end, off_days)


def test_days_are_counted_forwards_only() -> None:
    with pytest.raises(ValueError, match="forwards"):
        add_working_days(MONDAY, -1, frozenset())
    assert working_days_between(MONDAY, MONDAY - timedelta(days=7), frozenset()) == 0


def test_each_step_gets_its_share_and_the_last_the_last_day() -> None:
    steps = [Step("review", 1), Step("opinion", 1.5), Step("payment", 0), Step("draft", 0.5), Step("sign", 1)]
    dates = due_dates(MONDAY, 5, steps, frozenset())
    assert dates == {
        "review": date(2026, 11, 25),
        "opinion": date(2026, 11, 27),
        "payment": date(2026, 11, 27),
        "draft": date(2026, 11, 27),
        "sign": date(2026, 11, 30),
    }
    assert dates["sign"] == last_day(MONDAY, 5, frozenset())


@given(DAYS, st.integers(1, 60), st.lists(st.floats(0, 5), min_size=1, max_size=9), st.integers(0, 20))
def test_no_step_is_due_before_the_one_ahead_and_a_pause_moves_them_all(
    start: date, total: int, shares: list[float], paused: int
) -> None:
    steps = [Step(f"step_{number}", share) for number, share in enumerate(shares)]
    plain = list(due_dates(start, total, steps, frozenset()).values())
    later = list(due_dates(start, total, steps, frozenset(), paused=paused).values())
    assert plain == sorted(plain)
    assert plain[-1] == last_day(start, total, frozenset())
    assert later == [add_working_days(day, paused, frozenset()) for day in plain]


def test_the_clock_stands_still_while_the_applicant_has_the_case() -> None:
    clock = Clock(started_on=MONDAY)
    stopped = run_clock(clock, date(2026, 11, 25), frozenset(), runs=False)
    assert stopped == Clock(MONDAY, 0, date(2026, 11, 25))
    assert run_clock(stopped, date(2026, 11, 26), frozenset(), runs=False) == stopped
    assert run_clock(stopped, date(2026, 11, 30), frozenset(), runs=True) == Clock(MONDAY, 3, None)


def test_a_clock_that_has_not_started_neither_runs_nor_stops() -> None:
    assert run_clock(Clock(), MONDAY, frozenset(), runs=False) == Clock()
