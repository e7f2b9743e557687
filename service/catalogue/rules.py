"""Cross-field rules: a small language of comparisons, read by one grammar and never evaluated as code.

    rule       = comparison, { " and ", comparison }
    comparison = term, ("<" | "<=" | ">" | ">=" | "=" | "!="), term
    term       = field | "today" | integer, [ ("+" | "-"), integer, ("day" | "month" | "year"), ["s"] ]

Example: `end_date > start_date and end_date < start_date + 1 year`. A span may follow only a date.
A month or year that lacks the day ends on its last day: 31 January + 1 month is 28 or 29 February.
"""

import operator
import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

TERM = r"([a-z][a-z0-9_]*|-?[0-9]+)(?:\s*([+-])\s*([0-9]{1,4})\s+(day|month|year)s?)?"
COMPARISON = re.compile(rf"\s*{TERM}\s*(<=|>=|!=|<|>|=)\s*{TERM}\s*")
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
TODAY = "today"


class RuleSyntaxError(ValueError):
    """The text is not a rule."""


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    """A field, `today`, or an integer in digits."""
    amount: int
    """Days, months or years to add; 0 without a span."""
    unit: str


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Term
    sign: str
    right: Term


@cache
def parse_rule(expression: str) -> tuple[Comparison, ...]:
    """Read a rule. Raises RuleSyntaxError."""
    comparisons = []
    for part in re.split(r"\band\b", expression):
        match = COMPARISON.fullmatch(part)
        if match is None:
            raise RuleSyntaxError(part.strip())
        left, sign, right = match.group(1, 2, 3, 4), match[5], match.group(6, 7, 8, 9)
        comparisons.append(Comparison(_term(*left), sign, _term(*right)))
    return tuple(comparisons)


def _term(name: str, sign: str | None, amount: str | None, unit: str | None) -> Term:
    if sign is None or amount is None or unit is None:
        return Term(name, 0, "")
    return Term(name, int(sign + amount), unit)


def fields_of_rule(expression: str) -> set[str]:
    """Return the fields a rule compares. Raises RuleSyntaxError."""
    terms = [term for pair in parse_rule(expression) for term in (pair.left, pair.right)]
    return {term.name for term in terms if term.name != TODAY and not _is_integer(term.name)}


def rule_holds(expression: str, values: Mapping[str, object], today: date) -> bool:
    """Tell whether the values keep the rule.

    A rule about something missing or unreadable holds: that field's own check speaks of it.
    """
    for pair in parse_rule(expression):
        left, right = _evaluate(pair.left, values, today), _evaluate(pair.right, values, today)
        if left is None or right is None or isinstance(left, date) != isinstance(right, date):
            continue
        if not OPERATORS[pair.sign](left, right):
            return False
    return True


def _evaluate(term: Term, values: Mapping[str, object], today: date) -> date | int | float | None:
    value: object
    if term.name == TODAY:
        value = today
    elif _is_integer(term.name):
        value = int(term.name)
    else:
        value = values.get(term.name)
    if isinstance(value, str):
        value = read_date(value)
    if isinstance(value, date):
        return add_span(value, term.amount, term.unit) if term.unit else value
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_integer(name: str) -> bool:
    return name.lstrip("-").isdigit()


def read_date(text: str) -> date | None:
    """Read `YYYY-MM-DD`, the only form stored values have; None for anything else."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def add_span(day: date, amount: int, unit: str) -> date | None:
    """Add days, months or years to a date; None beyond the calendar's years 1-9999."""
    try:
        if unit == "day":
            return day + timedelta(days=amount)
        months = day.month - 1 + amount * (12 if unit == "year" else 1)
        year, month = day.year + months // 12, months % 12 + 1
        return date(year, month, min(day.day, monthrange(year, month)[1]))
    except (ValueError, OverflowError):
        return None
