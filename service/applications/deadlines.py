"""Deadlines in working days, as values: Monday to Friday less the holidays that are given.

Counting starts on the day after the documents were declared complete (UU 30/2014 art. 53).
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import ceil

from service.applications.workflow import Step

ONE_DAY = timedelta(days=1)
SATURDAY = 5


def is_working_day(day: date, holidays: AbstractSet[date]) -> bool:
    """Tell whether the office works on that day."""
    return day.weekday() < SATURDAY and day not in holidays


def add_working_days(start: date, days: int, holidays: AbstractSet[date]) -> date:
    """Return the last of `days` working days, counted from the day after `start`.

    With no days at all the answer is `start` itself. Raises ValueError for a negative count.
    """
    if days < 0:
        raise ValueError("working days are counted forwards")
    day = start
    while days:
        day += ONE_DAY
        days -= is_working_day(day, holidays)
    return day


def working_days_between(start: date, end: date, holidays: AbstractSet[date]) -> int:
    """Count the working days after `start` up to and including `end`; 0 when `end` is not later."""
    days, day = 0, start
    while day < end:
        day += ONE_DAY
        days += is_working_day(day, holidays)
    return days


def due_dates(
    start: date, total: int, steps: Sequence[Step], holidays: AbstractSet[date], *, paused: int = 0
) -> dict[str, date]:
    """Return the last day of each step on the clock, which together last `total` working days.

    `start` is the day the clock started, `steps` those after it started, `paused` the working days it
    stood still. Each step's share counts up with those before it, so the last step is due on the last
    day of the whole, and a step is never due before the one ahead of it.
    """
    whole = sum(step.share for step in steps)
    dates: dict[str, date] = {}
    so_far = 0.0
    for step in steps:
        so_far += step.share
        # Rounding first keeps 0.1 + 0.2 from costing a whole day.
        days = ceil(round(total * so_far / whole, 6)) if whole else total
        dates[step.key] = add_working_days(start, days + paused, holidays)
    return dates


def last_day(start: date, total: int, holidays: AbstractSet[date], *, paused: int = 0) -> date:
    """Return the last day of the whole service, `paused` working days later than without a pause."""
    return add_working_days(start, total + paused, holidays)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time a case has used: when it started, the working days it stood still, and since when."""

    started_on: date | None = None
    days_paused: int = 0
    paused_on: date | None = None


def run_clock(clock: Clock, today: date, holidays: AbstractSet[date], *, runs: bool) -> Clock:
    """Let a started clock run or stand still from today on.

    The day it stops still counts; the day it goes on does not, as with the day it started.
    """
    if clock.started_on is None:
        return clock
    if runs and clock.paused_on is not None:
        stood = working_days_between(clock.paused_on, today, holidays)
        return replace(clock, days_paused=clock.days_paused + stood, paused_on=None)
    if not runs and clock.paused_on is None:
        return replace(clock, paused_on=today)
    return clock
