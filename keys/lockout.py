"""The wait that grows with wrong passphrases, so that guessing at a key does not pay."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keys.errors import KeyLocked, WrongPassphrase
from keys.files import give_to_owner

FREE_FAILURES = 4
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)


def wait_after(failures: int) -> timedelta:
    """Return the wait after so many wrong passphrases in a row: none, then a minute, doubling to an hour."""
    if failures <= FREE_FAILURES:
        return timedelta(0)
    # No more than sixteen doublings, so that the number stays a duration's.
    doublings: int = min(failures - FREE_FAILURES - 1, 16)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def require_waited(failures: int, last_failure: datetime, now: datetime) -> None:
    """Raise KeyLocked while the wait lasts. A clock that was set back prolongs none."""
    wait = wait_after(failures)
    if abs(now - last_failure) < wait:
        raise KeyLocked(last_failure + wait)


@contextmanager
def counting_failures(key_file: Path, failures: Path, now: datetime) -> Iterator[None]:
    """Let one attempt at a key through at a time; count it in `failures` when it raises WrongPassphrase.

    That file's size is the number of wrong passphrases since the last right one, and its time of
    modification is the last one's: nothing in it can be half written. The key's own file is locked, so
    that attempts at once cannot pass between the check and the count. Raises KeyLocked.
    """
    with key_file.open("rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        if failures.exists():
            state = failures.stat()
            require_waited(state.st_size, datetime.fromtimestamp(state.st_mtime, UTC), now)
        try:
            yield
        except WrongPassphrase:
            _count(failures, now)
            raise
        failures.unlink(missing_ok=True)


def _count(failures: Path, now: datetime) -> None:
    descriptor = os.open(failures, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        give_to_owner(descriptor, failures.parent)
        os.write(descriptor, b".")
        os.utime(descriptor, (now.timestamp(), now.timestamp()))
    finally:
        os.close(descriptor)
