"""Numbers without gap or duplicate, and public codes nobody can guess."""

import secrets
from functools import cache

from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from service.permits.models import NumberCounter

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without I, L, O and U, which a reader of paper confuses (Crockford)."""
CODE_LENGTH = 26
"""26 symbols of 5 bits: 130 random bits."""
LETTER_SERIES = "SPN"


def next_sequence(session: Session, series: str, year: int) -> int:
    """Take the next number of a series in a year, from 1, within the caller's transaction.

    The counter's row stays locked until that transaction ends: of two takers the second waits, and a
    transaction that is rolled back gives its number back. Hence no duplicate and no gap.
    """
    connection = session.connection()
    statement = _count_up(connection.dialect.name)
    return int(connection.execute(statement, {"series": series, "year": year, "last": 1}).scalar_one())


@cache
def _count_up(dialect: str) -> Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    counted = {"last": col(NumberCounter.last) + 1}
    statement = insert(NumberCounter).on_conflict_do_update(index_elements=["series", "year"], set_=counted)
    return statement.returning(col(NumberCounter.last))


def new_public_code() -> str:
    """Return a fresh public code: 26 symbols, 130 random bits."""
    return "".join(secrets.choice(CROCKFORD) for _ in range(CODE_LENGTH))


def normalise_code(text: str) -> str | None:
    """Read a public code as people copy it (spaces, hyphens, o for 0, i or l for 1), or None."""
    symbols = "".join(character for character in text.upper() if character not in " -\u2013\t\n")
    symbols = symbols.replace("O", "0").replace("I", "1").replace("L", "1")
    if len(symbols) != CODE_LENGTH or any(symbol not in CROCKFORD for symbol in symbols):
        return None
    return symbols


def spaced_code(code: str) -> str:
    """Write a code for paper in groups of five, so that it can be typed."""
    return " ".join(code[start : start + 5] for start in range(0, len(code), 5))
