"""Pages that compare a paper with the register: a form, and which of its fields agree."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel import Session
from starlette.datastructures import FormData

from service.accounts.access import PUBLIC, Actor, allow
from service.accounts.limits import Limiter, LimiterDep
from service.clock import now
from service.errors import FieldProblem, InvalidInput
from service.permits.models import Permit
from service.permits.numbering import normalise_code
from service.permits.register import PublicPermit, find_by_code, find_by_number, public_permit
from service.verification.compare import (
    MAX_TEXT,
    Comparison,
    Match,
    PaperSays,
    compare_paper,
    require_something,
)
from service.verification.intake import (
    COMPARISONS_OF_PERMIT,
    ReaderDep,
    ReadingDep,
    TypedDay,
    TypedNumber,
    form_number,
    limit_comparisons,
)
from service.verification.verify import Reader
from service.web import render, translate

router = APIRouter(include_in_schema=False, dependencies=[Depends(limit_comparisons)])
Anyone = Annotated[Actor, allow(PUBLIC)]
FACT = "fact-"
HOLDER, VALID_UNTIL = "Pemegang", "Berlaku sampai dengan"


class TypedPaper:
    """What was typed of a paper, to be compared and to be shown again; fields left empty are not compared."""

    def __init__(self, form: FormData, valid_until: TypedDay) -> None:
        typed = {name: value.strip()[:MAX_TEXT] for name, value in form.items() if isinstance(value, str)}
        self.holder = typed.get("holder", "")
        self.valid_until = valid_until
        self.facts = {
            name.removeprefix(FACT): text for name, text in typed.items() if name.startswith(FACT) and text
        }

    def read(self) -> PaperSays:
        """Return what to compare. Raises InvalidInput for a day that is none, and when nothing was typed."""
        day = self.valid_until.read()
        if day is None and not self.valid_until.is_empty:
            raise InvalidInput(problems=[self.valid_until.problem("valid_until")])
        paper = PaperSays(self.holder or None, day, self.facts)
        require_something(paper)
        return paper


async def typed_paper(
    request: Request,
    day: Annotated[str, Form(alias="valid_until-day", max_length=4)] = "",
    month: Annotated[str, Form(alias="valid_until-month", max_length=20)] = "",
    year: Annotated[str, Form(alias="valid_until-year", max_length=6)] = "",
) -> TypedPaper:
    """Take a form whose fields depend on the permit."""
    return TypedPaper(await request.form(), TypedDay(day, month, year))


PaperDep = Annotated[TypedPaper, Depends(typed_paper)]


@router.post("/v/{code}/comparison")
def compare_by_code(
    request: Request,
    code: str,
    _actor: Anyone,
    session: ReadingDep,
    limiter: LimiterDep,
    reader: ReaderDep,
    typed: PaperDep,
) -> Response:
    """Compare a paper with the permit that its QR code names."""
    normal = normalise_code(code)
    permit = find_by_code(session, normal) if normal else None
    return _answer(request, session, limiter, reader, permit, typed, f"/v/{normal}")


@router.post("/verify/number/comparison")
def compare_by_number(
    request: Request,
    _actor: Anyone,
    session: ReadingDep,
    limiter: LimiterDep,
    reader: ReaderDep,
    asked: Annotated[TypedNumber, Depends(form_number)],
    typed: PaperDep,
) -> Response:
    """Compare a paper with the permit of its number; a wrong day and an unknown number look the same."""
    issued_on = asked.issued_on.read()
    permit = find_by_number(session, asked.number, issued_on) if issued_on else None
    return _answer(request, session, limiter, reader, permit, typed, "/verify/number", asked)


def _answer(
    request: Request,
    session: Session,
    limiter: Limiter,
    reader: Reader,
    permit: Permit | None,
    typed: TypedPaper,
    address: str,
    by_number: TypedNumber | None = None,
) -> Response:
    if permit is None:
        return render(
            request,
            "verification/register_answer.html",
            404,
            permit=None,
            by_number=by_number,
            checked_at=now(),
        )
    limiter.count(COMPARISONS_OF_PERMIT, permit.code)
    shown = public_permit(
        session, permit, moment=now(), language=reader.language, base_url=reader.base_url, masked=True
    )
    comparison: Comparison | None = None
    problems: tuple[FieldProblem, ...] = ()
    try:
        comparison = compare_paper(permit, typed.read())
    except InvalidInput as refusal:
        problems = refusal.problems
    return render(
        request,
        "verification/comparison.html",
        422 if problems else 200,
        permit=shown,
        typed=typed,
        comparison=comparison,
        rows=_rows(shown, typed, comparison, reader.language) if comparison else [],
        problems=problems,
        errors={problem.field: problem.message(reader.language) for problem in problems},
        address=address,
        by_number=by_number,
        checked_at=now(),
    )


def _rows(
    permit: PublicPermit, typed: TypedPaper, comparison: Comparison, language: str
) -> list[tuple[str, str | date | None, Match]]:
    """Return what was compared, in the form's order: label, what was typed, and the outcome."""
    rows: list[tuple[str, str | date | None, Match]] = []
    if comparison.holder:
        rows.append((translate(HOLDER, language), typed.holder, comparison.holder))
    if comparison.valid_until:
        rows.append((translate(VALID_UNTIL, language), typed.valid_until.read(), comparison.valid_until))
    for key, (label, _) in zip(permit.fact_keys, permit.facts, strict=True):
        if key in comparison.facts:
            rows.append((label, typed.facts[key], comparison.facts[key]))
    return rows
