"""What an examination found; of registered documents for some minutes: the same bytes need no second look."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

KEPT = timedelta(minutes=10)
"""How late the end of a certificate, a list or an algorithm, or another trust anchor, may be noticed."""
MOST = 500
"""Examinations of one process that are kept."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What the examiner found, or why it did not finish.

    `stopped` is `time_limit`, `memory_limit`, `busy`, `stopped` (the child died) or `examiner_fault` (it met
    what no check foresaw), and empty when there are findings.
    """

    findings: dict[str, Any] | None
    stopped: str = ""


@dataclass
class KnownExaminations:
    """The latest examinations of this process, safe to use from many threads."""

    _found: OrderedDict[Hashable, tuple[datetime, Examination]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look_up(self, key: Hashable, at: datetime, examine: Callable[[], Examination]) -> Examination:
        """Return what is known under a key at a moment, or else examine and remember what was found.

        The key names what the findings rest on: the bytes and the revocation lists.
        """
        with self._lock:
            known = self._found.get(key)
        if known is not None and known[0] <= at < known[0] + KEPT:
            return known[1]
        examination = examine()
        if examination.findings is not None:
            with self._lock:
                self._found[key] = at, examination
                self._found.move_to_end(key)
                if len(self._found) > MOST:
                    self._found.popitem(last=False)
        return examination
