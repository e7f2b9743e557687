"""From a folder of YAML files to stored revisions: read, resolve, check, load.

A type's file names a workflow template and may include sections; resolving writes both out, so that
a stored revision holds its whole way and its whole form and needs no other file.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy import Engine
from sqlmodel import Session, col, func, select

from service.accounts.access import SERVICE, Actor
from service.audit import record_event
from service.catalogue.check import check_city, check_permit_type
from service.catalogue.format import Catalogue, City, PermitType
from service.catalogue.models import CityRevision, PermitTypeRevision
from service.catalogue.resolve import resolve_permit_type
from service.catalogue.source import CatalogueError, Problem, Table, locate, read_yaml
from service.database import transaction

DATA_FOLDER = Path(__file__).parent / "data"
Model = TypeVar("Model", bound=BaseModel)


# Reading -------------------------------------------------------------------------------------


def read_catalogue(folder: Path = DATA_FOLDER) -> Catalogue:
    """Read and check the whole catalogue. Raises CatalogueError with every problem found."""
    problems: list[Problem] = []
    names = ["city.yaml", "roles.yaml", "workflows.yaml", "field_groups.yaml"]
    names += sorted(f"permit_types/{path.name}" for path in folder.glob("permit_types/*.yaml"))
    files: dict[str, Table] = {}
    for name in names:
        try:
            files[name] = read_yaml(folder, name)
        except CatalogueError as error:
            problems += error.problems
    if len(names) == 4:
        problems.append(Problem("permit_types", 1, "", "Tidak ada jenis izin.", "There is no permit type."))
    if problems:
        raise CatalogueError(problems)

    city_file, roles, workflows, groups = (files[name] for name in names[:4])
    if "roles" in roles:
        city_file.put("roles", roles["roles"], roles.lines["roles"])
    city = _parse(City, city_file, problems)
    resolved = [(name, resolve_permit_type(files[name], workflows, groups, problems)) for name in names[4:]]
    parsed = [(name, table, _parse(PermitType, table, problems)) for name, table in resolved]
    if city is None:
        raise CatalogueError(problems)
    problems += [locate(city_file, path, id_, en) for path, id_, en in check_city(city)]
    types = [(name, table, permit_type) for name, table, permit_type in parsed if permit_type is not None]
    for _, table, permit_type in types:
        problems += [locate(table, path, id_, en) for path, id_, en in check_permit_type(permit_type, city)]
    problems += _check_across(types, city)
    if problems:
        raise CatalogueError(problems)
    return Catalogue(city=city, permit_types=tuple(permit_type for _, _, permit_type in types))


def _check_across(types: Sequence[tuple[str, Table, PermitType]], city: City) -> Iterator[Problem]:
    codes = {city.rejection_letter.code}
    for name, table, permit_type in types:
        if Path(name).stem != permit_type.slug:
            yield locate(
                table, ("slug",), "Slug harus sama dengan nama berkas.", "The slug must be the file's name."
            )
        if permit_type.code in codes:
            yield locate(
                table,
                ("code",),
                f"Kode '{permit_type.code}' sudah dipakai jenis lain.",
                f"The code '{permit_type.code}' is already used by another type.",
            )
        codes.add(permit_type.code)


def _parse(model: type[Model], table: Table, problems: list[Problem]) -> Model | None:
    try:
        # By way of JSON, so that strict checking takes lists for tuples and nothing else for anything.
        return model.model_validate_json(json.dumps(table))
    except ValidationError as error:
        problems += [_format_problem(table, details) for details in error.errors()]
        return None


REASONS = {
    "missing": ("Kunci '{key}' wajib ada.", "The key '{key}' is missing."),
    "extra_forbidden": ("Kunci '{key}' tidak dikenal.", "The key '{key}' is not known."),
    "string_too_short": ("Teks ini kosong.", "This text is empty."),
    "enum": ("Pilih salah satu dari: {expected}.", "Choose one of: {expected}."),
    "literal_error": ("Pilih salah satu dari: {expected}.", "Choose one of: {expected}."),
    "string_pattern_mismatch": (
        "Tulisannya harus cocok dengan pola {pattern}.",
        "It must match the pattern {pattern}.",
    ),
    "too_short": ("Perlu sedikitnya {min_length} butir.", "At least {min_length} is needed."),
    "string_type": ("Nilai ini harus teks.", "This must be text."),
    "int_type": ("Nilai ini harus bilangan bulat.", "This must be a whole number."),
    "bool_type": ("Nilai ini harus true atau false.", "This must be true or false."),
    "greater_than_equal": ("Paling kecil {ge}.", "It must be at least {ge}."),
    "less_than_equal": ("Paling besar {le}.", "It may be at most {le}."),
}


def _format_problem(table: Table, details: ErrorDetails) -> Problem:
    path = details["loc"]
    facts = {**details.get("ctx", {}), "key": path[-1] if path else ""}
    if details["type"] not in REASONS:
        return locate(table, path, "Nilai ini tidak sesuai bentuk yang diminta.", f"{details['msg']}.")
    reason_id, reason_en = REASONS[details["type"]]
    return locate(table, path, reason_id.format(**facts), reason_en.format(**facts))


# Loading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadedRevision:
    """A revision that loading has just made; the city's own has the slug `city`."""

    slug: str
    revision: int


def canonical_content(value: PermitType | City) -> tuple[dict[str, Any], str]:
    """Return what is stored, without defaults so that old content survives new ones, and its SHA-256."""
    content = value.model_dump(mode="json", exclude_defaults=True)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return content, hashlib.sha256(canonical.encode()).hexdigest()


def load_catalogue(
    session: Session, catalogue: Catalogue, now: datetime, actor: Actor = SERVICE
) -> list[LoadedRevision]:
    """Store each changed type, and the city, as a new revision; return what changed.

    Loading the same catalogue again changes nothing. A type that is gone from the catalogue stays
    stored, inactive, for the applications made under it.
    """
    loaded = [_load_type(session, permit_type, now, actor) for permit_type in catalogue.permit_types]
    loaded.append(_load_city(session, catalogue.city, now, actor))
    kept = [permit_type.slug for permit_type in catalogue.permit_types]
    for row in session.exec(
        select(PermitTypeRevision).where(
            col(PermitTypeRevision.active), col(PermitTypeRevision.slug).not_in(kept)
        )
    ):
        row.active = False
        session.add(row)
    changed = [revision for revision in loaded if revision is not None]
    session.flush()
    if changed:
        record_event(
            session,
            action="catalogue_loaded",
            subject_type="catalogue",
            subject_id="catalogue",
            actor_id=actor.user_id,
            actor_name=actor.full_name,
            actor_role=actor.role_for_audit,
            now=now,
            data={"revisions": {revision.slug: revision.revision for revision in changed}},
        )
    return changed


def _load_type(
    session: Session, permit_type: PermitType, now: datetime, actor: Actor
) -> LoadedRevision | None:
    content, sha256 = canonical_content(permit_type)
    slug = permit_type.slug
    rows = session.exec(select(PermitTypeRevision).where(PermitTypeRevision.slug == slug)).all()
    active = next((row for row in rows if row.active), None)
    if active is not None and active.sha256 == sha256:
        return None
    if active is not None:
        active.active = False
    number = max((row.revision for row in rows), default=0) + 1
    session.add(
        PermitTypeRevision(
            slug=slug,
            revision=number,
            sha256=sha256,
            content=content,
            loaded_at=now,
            loaded_by=actor.full_name,
        )
    )
    return LoadedRevision(slug, number)


def _load_city(session: Session, city: City, now: datetime, actor: Actor) -> LoadedRevision | None:
    content, sha256 = canonical_content(city)
    active = session.exec(select(CityRevision).where(col(CityRevision.active))).first()
    if active is not None and active.sha256 == sha256:
        return None
    if active is not None:
        active.active = False
    number = (session.exec(select(func.max(CityRevision.revision))).one() or 0) + 1
    session.add(
        CityRevision(
            revision=number, sha256=sha256, content=content, loaded_at=now, loaded_by=actor.full_name
        )
    )
    return LoadedRevision("city", number)


# The command line ----------------------------------------------------------------------------


def check_command(folder: Path = DATA_FOLDER, language: str = "id") -> tuple[int, list[str]]:
    """Check a catalogue; return the exit status (0 or 1) and the lines to print."""
    try:
        catalogue = read_catalogue(folder)
    except CatalogueError as error:
        return 1, [problem.text(language) for problem in error.problems]
    count = len(catalogue.permit_types)
    return 0, [
        f"{count} permit types are in order." if language == "en" else f"{count} jenis izin sudah benar."
    ]


def load_command(
    engine: Engine, now: datetime, folder: Path = DATA_FOLDER, language: str = "id"
) -> tuple[int, list[str]]:
    """Check a catalogue and load it; return the exit status (0 or 1) and the lines to print."""
    status, lines = check_command(folder, language)
    if status:
        return status, lines
    catalogue = read_catalogue(folder)
    with transaction(engine) as session:
        loaded = load_catalogue(session, catalogue, now)
    nothing = "Nothing has changed." if language == "en" else "Tidak ada yang berubah."
    return 0, [f"{item.slug}: revisi {item.revision}" for item in loaded] or [nothing]
