"""What is known of a registered document, and when it is looked at anew."""

from collections.abc import Hashable
from datetime import UTC, datetime, timedelta

import pytest

from service.verification.examination import KEPT, MOST, Examination, KnownExaminations

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
PASSED = Examination({"indication": "TOTAL-PASSED"})


class Examiner:
    """Counts how often it is asked."""

    def __init__(self, answer: Examination = PASSED) -> None:
        self.answer = answer
        self.known = KnownExaminations()
        self.asked = 0

    def look_up(self, key: Hashable, at: datetime) -> Examination:
        return self.known.look_up(key, at, self.examine)

    def examine(self) -> Examination:
        self.asked += 1
        return self.answer


def test_the_same_bytes_under_the_same_lists_are_examined_once() -> None:
    examiner = Examiner()
    for minutes in range(10):
        assert examiner.look_up(("bytes", "lists"), NOW + timedelta(minutes=minutes)) is PASSED
    assert examiner.asked == 1


@pytest.mark.parametrize(
    ("key", "at"),
    [
        (("bytes", "lists"), NOW + KEPT),
        (("bytes", "lists"), NOW - timedelta(seconds=1)),
        (("bytes", "newer lists"), NOW),
        (("other bytes", "lists"), NOW),
    ],
    ids=["later", "earlier", "newer lists", "other bytes"],
)
def test_whatever_else_is_examined_anew(key: Hashable, at: datetime) -> None:
    examiner = Examiner()
    examiner.look_up(("bytes", "lists"), NOW)
    examiner.look_up(key, at)
    assert examiner.asked == 2


def test_an_examination_that_did_not_finish_is_not_remembered() -> None:
    examiner = Examiner(Examination(None, "busy"))
    assert examiner.look_up("key", NOW).stopped == "busy"
    assert examiner.look_up("key", NOW).stopped == "busy"
    assert examiner.asked == 2


def test_the_oldest_makes_room() -> None:
    examiner = Examiner()
    for number in range(MOST + 1):
        examiner.look_up(number, NOW)
    examiner.look_up(1, NOW)
    assert examiner.asked == MOST + 1
    examiner.look_up(0, NOW)
    assert examiner.asked == MOST + 2
