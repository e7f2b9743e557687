"""Timing subjects against each other in one run, and the table that tells their ratios.

A busy machine slows whatever runs at that moment. So the subjects take turns, round by round, and only
medians are compared: what is said is a ratio, never a time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table: what the service does, what it is compared with, and the ratio of rates.

    `rate` is per second on one core of this machine, in this run; a ratio of 2 means twice as many.
    """

    subject: str
    rate: float
    peer: str
    ratio: float


def medians(subjects: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Run every subject once a round, in turn, after one round that only warms up; give median seconds.

    A subject that returns a float has held the watch itself, in another process.
    """
    for subject in subjects.values():
        subject()
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            begin = time.perf_counter()
            told = subject()
            times[name].append(told if isinstance(told, float) else time.perf_counter() - begin)
    return {name: median(values) for name, values in times.items()}


def compare(subject: str, times: Mapping[str, float], name: str, peers: Mapping[str, str]) -> list[Row]:
    """Set the subject timed under `name` against each peer, given as its name and what it is called."""
    return [Row(subject, 1 / times[name], title, times[peer] / times[name]) for peer, title in peers.items()]


def table(rows: list[Row]) -> str:
    """Write the rows as Markdown."""
    lines = ["| what the service does | per second here | compared with | ratio |", "|---|--:|---|--:|"]
    previous = ""
    for row in rows:
        subject = "" if row.subject == previous else row.subject
        rate = "" if row.subject == previous else f"{row.rate:,.0f}" if row.rate >= 10 else f"{row.rate:.1f}"
        lines.append(f"| {subject} | {rate} | {row.peer} | {_ratio(row.ratio)} |")
        previous = row.subject
    return "\n".join(lines)


def _ratio(ratio: float) -> str:
    return f"{ratio:.0f} ×" if ratio >= 10 else f"{ratio:.2g} ×"
