"""The only clock of the service. Everything else takes `now` as an argument."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

CITY_TIMEZONE = ZoneInfo("Asia/Jakarta")


def now() -> datetime:
    """Return the present moment in UTC, to the microsecond."""
    return datetime.now(UTC)


def city_date(moment: datetime) -> date:
    """Return the calendar day in the city at the given moment."""
    return moment.astimezone(CITY_TIMEZONE).date()
