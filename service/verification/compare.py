"""Compare what a paper says with the register, and tell what agrees without telling what the register says.

Tolerant of how people type: case, spaces, punctuation, titles, the usual abbreviations of addresses. Never
of what makes another person or place: no letter may differ, be missing or change its order, and a title that
was typed must be the registered one. Every comparison takes the same steps over digests, so that neither the
time it takes nor the length of the answer tells how near a guess was.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import accumulate

from service.errors import FieldProblem, InvalidInput
from service.permits.models import Permit

MAX_TEXT = 300
"""Characters of one field; no register's fact is longer on paper."""


class Match(StrEnum):
    MATCHES = "matches"
    DIFFERS = "differs"
    NOT_LISTED = "not_listed"
    """The register has no such fact of this permit."""


@dataclass(frozen=True, slots=True)
class PaperSays:
    """What somebody reads on a paper; None and the facts left out are not compared.

    `facts` go by the key of the permit type's field.
    """

    holder: str | None = None
    valid_until: date | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self.holder is None and self.valid_until is None and not self.facts


def require_something(paper: PaperSays) -> None:
    """Raise InvalidInput when there is nothing to compare."""
    if paper.is_empty:
        sentence = (
            "Ketik sedikitnya satu keterangan seperti pada surat.",
            "Type at least one fact as on the paper.",
        )
        raise InvalidInput(*sentence, problems=[FieldProblem("holder", "required", *sentence)])


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of each thing that was typed, and nothing of the rest."""

    holder: Match | None
    valid_until: Match | None
    facts: dict[str, Match]

    @property
    def every(self) -> list[Match]:
        """The outcomes of all that was compared."""
        return [match for match in (self.holder, self.valid_until, *self.facts.values()) if match]

    @property
    def agrees(self) -> bool:
        return all(match == Match.MATCHES for match in self.every)


def compare_paper(permit: Permit, paper: PaperSays) -> Comparison:
    """Compare each thing that a paper says with the register's."""
    return Comparison(
        holder=None if paper.holder is None else _match(same_name(paper.holder, permit.holder_name)),
        valid_until=_compare_day(paper.valid_until, permit.valid_until),
        facts={key: _compare_fact(permit, key, text) for key, text in paper.facts.items()},
    )


def _match(same: bool) -> Match:
    return Match.MATCHES if same else Match.DIFFERS


def _compare_day(typed: date | None, registered: date | None) -> Match | None:
    if typed is None:
        return None
    return Match.NOT_LISTED if registered is None else _match(typed == registered)


def _compare_fact(permit: Permit, key: str, typed: str) -> Match:
    for fact in permit.public_facts:
        if fact["key"] == key:
            registered = str(fact["value"]["id"])
            same = same_name if registered == permit.holder_name else same_text
            return _match(same(typed, registered))
    return Match.NOT_LISTED


# Names ----------------------------------------------------------------------------------------

_BEFORE_NAMES = frozenset(
    {"prof", "dr", "drg", "drh", "dra", "drs", "ir", "apt", "ns", "bdn", "h", "hj", "kh"}
)
"""Titles before a name, as words without their dots."""


def same_name(typed: str, registered: str) -> bool:
    """Tell whether two writings are of one name.

    Titles may be left out, those behind the name from the last on; typed ones must be the registered ones.
    """
    name, *titles = registered.split(",")
    before, core = _part_titles(_words(name))
    typed_before, rest = _part_titles(_words(typed))
    tails = accumulate(("".join(_words(title)) for title in titles), initial="")
    return (
        _one_of(typed_before, [[], before])
        & _one_of(rest[: len(core)], [core])
        & _one_of(["".join(rest[len(core) :])], [[tail] for tail in tails])
    )


def _part_titles(words: list[str]) -> tuple[list[str], list[str]]:
    """Part the titles before a name from the name, of which one word at least stays."""
    count = 0
    while count + 1 < len(words) and words[count] in _BEFORE_NAMES:
        count += 1
    return words[:count], words[count:]


# Other facts ----------------------------------------------------------------------------------

_ABBREVIATIONS = {
    "jl": "jalan", "jln": "jalan", "gg": "gang", "no": "nomor", "nmr": "nomor", "kel": "kelurahan",
    "kec": "kecamatan", "kab": "kabupaten", "ds": "desa", "perum": "perumahan", "komp": "kompleks",
    "blk": "blok", "lt": "lantai",
}  # fmt: skip
_LEADING_ZEROS_AFTER = frozenset({"nomor", "rt", "rw"})


def same_text(typed: str, registered: str) -> bool:
    """Tell whether two writings are of one address or other fact: `Jl. Melati No.07` and `Jalan Melati 7`."""
    return _one_of(_written_out(typed), [_written_out(registered)])


def _written_out(text: str) -> list[str]:
    """Return the words in full, without `nomor` and the zeros before the numbers of houses, RT and RW."""
    words: list[str] = []
    before = ""
    for word in _words(text):
        full = _ABBREVIATIONS.get(word, word)
        if before in _LEADING_ZEROS_AFTER and full.isdecimal():
            full = str(int(full))
        if full != "nomor":
            words.append(full)
        before = full
    return words


# Writing --------------------------------------------------------------------------------------

_APOSTROPHES = dict.fromkeys(map(ord, "'`´‘’ʼ"))
_WORD = re.compile(r"[^\W\d_]+|\d+")


def _words(text: str) -> list[str]:
    """Return the runs of letters and of digits, in one case and one way of writing (Unicode NFKC)."""
    plain = unicodedata.normalize("NFKC", text[:MAX_TEXT].translate(_APOSTROPHES)).casefold()
    return _WORD.findall(plain)


def _one_of(words: list[str], allowed: Iterable[list[str]]) -> bool:
    """Compare digests, all of them: equally long whatever was typed, and without stopping at the first."""
    same = False
    for each in allowed:
        same |= hmac.compare_digest(_digest(words), _digest(each))
    return same


def _digest(words: list[str]) -> bytes:
    return hashlib.sha256(" ".join(words).encode()).digest()
