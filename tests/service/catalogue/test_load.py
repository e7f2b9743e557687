"""Loading: the city's own catalogue is in order; a broken one is refused with file, line and reason."""

import contextlib
import random
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from service.audit import events_of
from service.catalogue.format import PermitType
from service.catalogue.load import (
    DATA_FOLDER,
    canonical_content,
    check_command,
    load_catalogue,
    load_command,
    read_catalogue,
)
from service.catalogue.models import (
    CatalogueNotLoaded,
    CityRevision,
    PermitTypeNotFound,
    PermitTypeRevision,
    active_city,
    active_permit_types,
    find_permit_type,
    get_revision,
)
from service.catalogue.source import CatalogueError

TRAYEK = "permit_types/kartu-pengawasan-trayek.yaml"
SEKOLAH = "permit_types/satuan-pendidikan-dasar.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA_FOLDER, tmp_path / "catalogue"))


def edit(folder: Path, file: str, old: str, new: str) -> int:
    """Replace a text that stands in the file once, and return its line."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_the_catalogue_of_the_city_is_in_order() -> None:
    catalogue = read_catalogue()
    assert [permit_type.slug for permit_type in catalogue.permit_types] == [
        "izin-perubahan-penggunaan-tanah",
        "kartu-pengawasan-trayek",
        "reklame-insidentil",
        "reklame-tetap",
        "satuan-pendidikan-dasar",
        "sip-tenaga-kesehatan",
        "sip-tenaga-medis",
        "surat-keterangan-penelitian",
    ]


def test_workflow_templates_are_written_out() -> None:
    steps = {t.slug: [step.key for step in t.steps] for t in read_catalogue().permit_types}
    end = ["draft", "initial_analyst", "initial_division", "sign", "issue"]
    assert steps["kartu-pengawasan-trayek"] == ["completeness", "review", *end]
    assert steps["reklame-tetap"] == [
        *["completeness", "review", "field_visit", "agency_opinion", "payment"],
        *end,
    ]


def test_what_is_stored_reads_back_equal() -> None:
    for permit_type in read_catalogue().permit_types:
        content, _ = canonical_content(permit_type)
        assert PermitType.model_validate(content, strict=False) == permit_type


@pytest.mark.parametrize(
    ("file", "old", "new", "offset", "reason"),
    [
        (TRAYEK, "status: active", "status: [active", 1, "Not readable as YAML"),
        (TRAYEK, "status: active", "status: open", 0, "Choose one of"),
        (TRAYEK, "status: active", "statut: active", 0, "'statut' is not known"),
        (TRAYEK, "status: active", "code: KPT2", 0, "already given above"),
        (TRAYEK, "en: Route supervision card", "ne: Route supervision card", 0, "'ne' is not known"),
        (TRAYEK, "category: perhubungan", "category: udara", 0, "'udara' is not known"),
        (TRAYEK, "slug: kartu-pengawasan-trayek", "slug: kartu", 0, "must be the file's name"),
        (TRAYEK, "code: KPT ", "code: SPD ", None, "already used by another type"),
        (TRAYEK, "code: KPT ", "code: TOLAK ", 0, "already used by another type"),
        (TRAYEK, "- include: person", "- include: nobody", 0, "'nobody' is not known"),
        (TRAYEK, "- {key: stnk,", "- {key: ktp,", 0, "'ktp' is already used above"),
        (TRAYEK, "- key: plate", "- key: seats", None, "already the name of another field"),
        (TRAYEK, "- key: plate", "- key: number", 0, "already the name of another field"),
        (TRAYEK, "[A-Z]{0,3}$", "[A-Z{0,3}$", 0, "not a regular expression"),
        (TRAYEK, "maximum: 2100", "maximum: 1900", -1, "The lower bound is above"),
        (TRAYEK, "required_if: {request: [new]}", "required_if: {request: [closure]}", 0, "'closure'"),
        (TRAYEK, "required_if: {request: [new]}", "required_if: {plate: [x]}", 0, "'plate' is none"),
        (TRAYEK, "kir_valid_until > today", "kir_valid_until > tomorrow", 0, "'tomorrow' is not known"),
        (TRAYEK, "kir_valid_until > today", "kir_valid_until > today or 1", 0, "The rule cannot be read"),
        (TRAYEK, "plate, vehicle_make]", "plate, colour]", 0, "'colour' is not known"),
        (TRAYEK, "plate, vehicle_make]", "plate, nik]", 0, "must not be public"),
        (TRAYEK, "holder: [org_name]", "holder: [owner]", 0, "'owner' is not known"),
        (TRAYEK, "requires: [old_permit,", "requires: [older,", 0, "'older' is not known"),
        (TRAYEK, "renewal: {allowed: true", "renewal: {allowed: false", 0, "Renewal must be among"),
        (TRAYEK, "cap_field: kir_valid_until", "cap_field: plate", 0, "'plate' is not a date field"),
        (TRAYEK, "  length: 12\n", "", None, "need a length"),
        (TRAYEK, "fee: {kind: free}", "fee: {kind: fixed}", 0, "needs an amount"),
        (TRAYEK, "/{seq:04d}/", "/{seq.real}/", 0, "A number format has only"),
        (TRAYEK, "/{seq:04d}/", "/{seq:0999d}/", 0, "A number format has only"),
        (TRAYEK, "/{roman_month}/{year}", "/{roman_month}", 0, "two permits would share a number"),
        (TRAYEK, "signer_role: department_head", "signer_role: secretary", None, "The signer must be"),
        (TRAYEK, "template: desk_review", "template: no_review", 0, "'no_review' is not known"),
        (TRAYEK, "skip: [agency_opinion]", "skip: [sign]", 0, "'sign' is not an optional step"),
        (TRAYEK, "{{plate}}", "{{colour}}", None, "'{{colour}}' is not known"),
        (TRAYEK, "{{plate}}", "{{plate_long}}", None, "'{{plate_long}}' is not known"),
        (TRAYEK, "{{plate}}", "{{plate}", None, "incomplete"),
        (TRAYEK, "    Kartu ini wajib", "    Ditetapkan di Pekalongan\n    Kartu", None, "signature block"),
        (TRAYEK, "deadline_working_days: 5", "deadline_working_days: lima", 0, None),
        (TRAYEK, "revocation_reasons:", "revocation_reasons: []\nreport_items:", 0, "At least 1"),
        (
            SEKOLAH,
            "agency: {id: Dinas Pendidikan, en: Education Office}",
            "",
            None,
            "needs the agency's name",
        ),
        (SEKOLAH, "  new: {id: Pendirian", "  renewal: {id: Pendirian", 0, "'renewal' is not known"),
        ("workflows.yaml", "        share: 1.5", "        share: 0", 0, "must be more than 0"),
        ("workflows.yaml", "          share: 0\n", "          share: 1\n", 0, "has a share of 0"),
        ("workflows.yaml", "actions: [submit_report,", "actions: [", 0, "are unreachable"),
        ("workflows.yaml", "actions: [issue]", "actions: [issue, sign]", None, "exactly one step that signs"),
        ("workflows.yaml", "actions: [sign,", "actions: [forward,", None, "exactly one step that signs"),
        ("workflows.yaml", "        automatic: true", "", None, "only automatic steps follow"),
        ("workflows.yaml", "role: licensing_analyst", "role: janitor", 0, "'janitor' is not known"),
        ("workflows.yaml", "role: licensing_analyst", "role: applicant", 0, "The applicant pays"),
        ("workflows.yaml", "        assigns_number: true", "", None, "assigned at the signing step"),
        ("workflows.yaml", "extends: field_review\n", "extends: field_review_paid\n", 0, "not known"),
        ("workflows.yaml", "      agency_opinion:", "      opinion:", 0, "'opinion' is not known"),
        ("field_groups.yaml", "        type: nik", "        type: number_of_person", 0, "Choose one of"),
        ("roles.yaml", "{key: secretary,", "{key: front_office,", 0, "already used above"),
        ("city.yaml", 'postal_code: "51111"', "postal_code: 51111", 0, "must be text"),
        ("city.yaml", "    {{reasons_list}}", "    Alasan: {{reasons_list}}", None, "must stand alone"),
        ("city.yaml", "place: Pekalongan", "place: .nan", 0, "YAML type 'float'"),
    ],
)
def test_a_broken_catalogue_is_refused_with_file_line_and_reason(
    folder: Path, file: str, old: str, new: str, offset: int | None, reason: str | None
) -> None:
    line = edit(folder, file, old, new)
    with pytest.raises(CatalogueError) as refused:
        read_catalogue(folder)
    told = [p for p in refused.value.problems if reason is None or reason in p.reason_en]
    assert told, [p.text("en") for p in refused.value.problems]
    assert all(problem.reason_id for problem in told)
    if offset is not None:
        assert (file, line + offset) in {(problem.file, problem.line) for problem in told}


def test_every_problem_is_told_at_once(folder: Path) -> None:
    first = edit(folder, TRAYEK, "category: perhubungan", "category: udara")
    second = edit(folder, TRAYEK, "plate, vehicle_make]", "plate, colour]")
    status, lines = check_command(folder, "id")
    assert status == 1
    assert lines == [
        f"{TRAYEK}:{first}: category: 'udara' tidak dikenal.",
        f"{TRAYEK}:{second}: public_fields.4: 'colour' tidak dikenal.",
    ]


def test_an_alias_is_refused(folder: Path) -> None:
    line = edit(folder, TRAYEK, "fee: {kind: free}", "fee: &fee {kind: free}\nrenewals: *fee")
    with pytest.raises(CatalogueError, match=rf"{TRAYEK}:{line}: renewals: YAML aliases"):
        read_catalogue(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "roles.yaml").unlink()
    with pytest.raises(CatalogueError, match=r"roles\.yaml:1: This file is missing"):
        read_catalogue(folder)


def test_a_type_that_can_only_be_approved_is_refused(folder: Path) -> None:
    path = folder / "workflows.yaml"
    path.write_text(path.read_text().replace(", propose_rejection", ""))
    with pytest.raises(CatalogueError, match="able to propose a rejection"):
        read_catalogue(folder)


def test_no_damage_to_a_file_breaks_the_reader(folder: Path) -> None:
    """Whatever a line is replaced by, the answer is a catalogue or a refusal."""
    chance = random.Random(3375)
    pieces = ["x", "- 1", "[", "{a: b}", "? [1, 2]", "!!python/name:os.system", "~", "- [[1]]", '"\\ud800"']
    for _ in range(60):
        path = chance.choice(sorted(folder.rglob("*.yaml")))
        lines = path.read_text(encoding="utf-8").splitlines()
        at = chance.randrange(len(lines))
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        key = lines[at].split(":")[0] + ": " if chance.random() < 0.6 else indent
        damaged = [*lines[:at], key + chance.choice(pieces), *lines[at + 1 :]]
        original = path.read_bytes()
        path.write_text("\n".join(damaged), encoding="utf-8")
        with contextlib.suppress(CatalogueError):
            assert read_catalogue(folder).permit_types
        path.write_bytes(original)


def test_loading_again_changes_nothing(session: Session, now: datetime) -> None:
    catalogue = read_catalogue()
    first = load_catalogue(session, catalogue, now)
    again = load_catalogue(session, catalogue, now)
    assert {(item.slug, item.revision) for item in first} == {
        *((permit_type.slug, 1) for permit_type in catalogue.permit_types),
        ("city", 1),
    }
    assert again == []
    assert len(events_of(session, "catalogue", "catalogue")) == 1


def test_a_changed_type_becomes_a_new_revision_and_the_old_one_stays(
    session: Session, now: datetime, folder: Path
) -> None:
    load_catalogue(session, read_catalogue(), now)
    old = find_permit_type(session, "kartu-pengawasan-trayek")
    edit(folder, TRAYEK, "maximum: 60", "maximum: 55")
    edit(folder, "city.yaml", "place: Pekalongan", "place: Kota Pekalongan")
    changed = load_catalogue(session, read_catalogue(folder), now)
    new = find_permit_type(session, "kartu-pengawasan-trayek")
    assert [(item.slug, item.revision) for item in changed] == [("kartu-pengawasan-trayek", 2), ("city", 2)]
    assert (old.revision, old.active, new.revision, new.active) == (1, False, 2, True)
    assert get_revision(session, old.id).permit_type.fields["seats"].maximum == 60
    assert new.permit_type.fields["seats"].maximum == 55
    assert active_city(session).place == "Kota Pekalongan"
    assert len(session.exec(select(CityRevision)).all()) == 2


def test_a_type_taken_out_of_the_catalogue_is_no_longer_offered(
    session: Session, now: datetime, folder: Path
) -> None:
    load_catalogue(session, read_catalogue(), now)
    old = find_permit_type(session, "kartu-pengawasan-trayek")
    (folder / TRAYEK).unlink()
    load_catalogue(session, read_catalogue(folder), now)
    with pytest.raises(PermitTypeNotFound):
        find_permit_type(session, "kartu-pengawasan-trayek")
    assert get_revision(session, old.id).permit_type.code == "KPT"


def test_only_active_types_are_offered(session: Session, now: datetime) -> None:
    load_catalogue(session, read_catalogue(), now)
    offered = [row.slug for row in active_permit_types(session)]
    assert "kartu-pengawasan-trayek" in offered
    assert "surat-keterangan-penelitian" not in offered
    with pytest.raises(PermitTypeNotFound):
        find_permit_type(session, "surat-keterangan-penelitian")


def test_without_a_catalogue_there_is_no_city(session: Session) -> None:
    with pytest.raises(CatalogueNotLoaded):
        active_city(session)


def test_the_commands_tell_what_they_did(engine: Engine, now: datetime, folder: Path) -> None:
    assert check_command(folder) == (0, ["8 jenis izin sudah benar."])
    status, lines = load_command(engine, now, folder)
    assert (status, len(lines)) == (0, 9)
    assert load_command(engine, now, folder) == (0, ["Tidak ada yang berubah."])
    edit(folder, TRAYEK, "category: perhubungan", "category: udara")
    status, lines = load_command(engine, now, folder)
    assert status == 1
    assert "'udara' tidak dikenal" in lines[0]
    with Session(engine) as session:
        assert len(session.exec(select(PermitTypeRevision)).all()) == 8
