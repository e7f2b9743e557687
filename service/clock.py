"""The only clock of the service. Everything else takes `now` as an argument."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

CITY_TIMEZONE = ZoneInfo("Asia/Jakarta")


def _require_iso_day(value: Any) -> Any:
    """Refuse what only looks like a day: pydantic would read the number 0 as 1 January 1970."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return date.fromisoformat(value)
    if type(value) is date:
        return value
    raise ValueError("a day is written YYYY-MM-DD")


Day = Annotated[date, BeforeValidator(_require_iso_day, json_schema_input_type=date)]
"""A day that a request names, as RFC 3339 full-date and in no other way."""


def now() -> datetime:
    """Return the present moment in UTC, to the microsecond."""
    return datetime.now(UTC)


def city_date(moment: datetime) -> date:
    """Return the calendar day in the city at the given moment."""
    return moment.astimezone(CITY_TIMEZONE).date()
