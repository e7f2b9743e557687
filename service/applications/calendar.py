"""The office's holidays: those of the library, corrected by the editable table.

National holidays and cuti bersama of later years are estimates until their decree comes, so a day in
the table goes before the library's.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache

import holidays
from sqlmodel import Session, col, select

from service.applications.models import Holiday

HORIZON = timedelta(days=400)
"""The longest deadline there is, in calendar days: how far ahead holidays matter."""


def holidays_between(session: Session, years: Iterable[int]) -> frozenset[date]:
    """Return every day of those years on which the office is closed besides weekends."""
    wanted = sorted(set(years))
    if not wanted:
        return frozenset()
    days = set().union(*(_library_holidays(year) for year in wanted))
    statement = select(Holiday).where(
        col(Holiday.on) >= date(wanted[0], 1, 1), col(Holiday.on) <= date(wanted[-1], 12, 31)
    )
    for row in session.exec(statement):
        (days.discard if row.is_working_day else days.add)(row.on)
    return frozenset(days)


def holidays_around(session: Session, earliest: date, today: date) -> frozenset[date]:
    """Return the holidays from the year of `earliest` as far ahead as a deadline reaches from today."""
    return holidays_between(session, range(earliest.year, (today + HORIZON).year + 1))


@lru_cache(maxsize=64)
def _library_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("ID", categories=("public", "government"), years=year))
