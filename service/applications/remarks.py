"""What officers write: notes, remarks to the applicant, findings of a visit, and when they will not do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from service.applications.asked import documents_of, sections_of
from service.applications.models import Application
from service.catalogue.format import PermitType
from service.errors import FieldProblem

MAX_NOTE = 4000
MAX_REMARK = 1000


@dataclass(frozen=True, slots=True)
class Remark:
    """A field or document to be mended, with the remark that the applicant reads."""

    kind: Literal["field", "document"]
    key: str
    remark: str


def note_problems(note: str, *, required: bool) -> list[FieldProblem]:
    """Judge a note to the next officer; `required` where the action cannot go without its reason."""
    if required and not note.strip():
        return [
            FieldProblem(
                "note",
                "required",
                "Tulis alasan atau catatannya; petugas berikutnya perlu mengetahuinya.",
                "Write the reason or note; the next officer needs to know it.",
            )
        ]
    if len(note) > MAX_NOTE:
        return [
            FieldProblem(
                "note",
                "too_long",
                f"Catatan paling banyak {MAX_NOTE} karakter; sekarang {len(note)}.",
                f"The note may have {MAX_NOTE} characters; it has {len(note)}.",
            )
        ]
    return []


def asked_problems(
    permit_type: PermitType, application: Application, asked: Sequence[Remark]
) -> list[FieldProblem]:
    """Judge what the applicant is asked to mend: something, each known and once, each with a remark."""
    if not asked:
        return [
            FieldProblem(
                "asked",
                "nothing_asked",
                "Tandai sedikitnya satu isian atau dokumen yang harus diperbaiki pemohon.",
                "Mark at least one answer or document that the applicant must mend.",
            )
        ]
    known, problems = askable(permit_type, application), []
    seen: set[tuple[str, str]] = set()
    for position, item in enumerate(asked):
        place = f"/asked/{position}"
        if (item.kind, item.key) not in known:
            problems.append(
                FieldProblem(
                    "asked",
                    "unknown_key",
                    "Isian atau dokumen ini tidak diminta pada permohonan tersebut.",
                    "This answer or document is not asked for in that application.",
                    f"{place}/key",
                )
            )
        elif (item.kind, item.key) in seen:
            problems.append(
                FieldProblem(
                    f"remark-{item.kind}-{item.key}",
                    "repeated",
                    "Isian atau dokumen ini disebut dua kali; satukan catatannya.",
                    "This answer or document is named twice; put the remarks together.",
                    f"{place}/key",
                )
            )
        else:
            problems += _remark_problems(item, known[item.kind, item.key], f"{place}/remark")
        seen.add((item.kind, item.key))
    return problems


def _remark_problems(item: Remark, labels: tuple[str, str], pointer: str) -> list[FieldProblem]:
    field = f"remark-{item.kind}-{item.key}"
    if not item.remark.strip():
        sentences = (
            f"{labels[0]}: tulis apa yang harus diperbaiki.",
            f"{labels[1]}: write what has to be mended.",
        )
        return [FieldProblem(field, "required", *sentences, pointer)]
    if len(item.remark) > MAX_REMARK:
        sentences = (
            f"{labels[0]}: catatan paling banyak {MAX_REMARK} karakter.",
            f"{labels[1]}: the remark may have {MAX_REMARK} characters.",
        )
        return [FieldProblem(field, "too_long", *sentences, pointer)]
    return []


def askable(permit_type: PermitType, application: Application) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what may be asked to be mended: `{(kind, key): (label in Indonesian, in English)}`."""
    labels = {}
    for section in sections_of(permit_type, application):
        for field in section.fields:
            labels["field", field.key] = (field.label.id, field.label.en)
    for document in documents_of(permit_type, application):
        labels["document", document.key] = (document.label.id, document.label.en)
    return labels


def report_problems(permit_type: PermitType, findings: Mapping[str, str]) -> list[FieldProblem]:
    """Judge a field visit's findings: one for each item of the type, and no other."""
    known = {item.key: item.label for item in permit_type.report_items}
    problems = [
        FieldProblem(
            f"finding-{key}",
            "unknown_key",
            "Butir ini tidak ada pada berita acara jenis izin ini.",
            "This item is not part of the report of this permit type.",
            f"/findings/{key}",
        )
        for key in findings
        if key not in known
    ]
    for key, label in known.items():
        text = findings.get(key, "")
        pointer, field = f"/findings/{key}", f"finding-{key}"
        if not text.strip():
            sentences = (f"{label.id}: tulis hasil pemeriksaannya.", f"{label.en}: write what was found.")
            problems.append(FieldProblem(field, "required", *sentences, pointer))
        elif len(text) > MAX_REMARK:
            sentences = (
                f"{label.id}: paling banyak {MAX_REMARK} karakter.",
                f"{label.en}: at most {MAX_REMARK} characters.",
            )
            problems.append(FieldProblem(field, "too_long", *sentences, pointer))
    return problems
