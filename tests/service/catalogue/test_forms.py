"""Forms: what is asked of whom, and the answers that will not do."""

from datetime import date
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.catalogue.format import PermitType
from service.catalogue.forms import (
    asked_documents,
    asked_fields,
    json_schema,
    keep_asked,
    required_documents,
    validate_values,
    visible_sections,
)
from service.catalogue.load import read_catalogue
from service.catalogue.samples import sample_application

TODAY = date(2026, 11, 23)
SLUGS = [permit_type.slug for permit_type in read_catalogue().permit_types]
NURSE, BILLBOARD, BANNER, SCHOOL = (
    "sip-tenaga-kesehatan",
    "reklame-tetap",
    "reklame-insidentil",
    "satuan-pendidikan-dasar",
)


@cache
def permit_type(slug: str) -> PermitType:
    return {item.slug: item for item in read_catalogue().permit_types}[slug]


def problems(slug: str, only: str | None = None, **changes: Any) -> list[tuple[str, str]]:
    """Return (pointer, code) of what is wrong with the type's sample after the changes."""
    sample = sample_application(slug, TODAY)
    circumstances = {"request": sample.request, "applicant_kind": sample.applicant_kind}
    circumstances |= {key: changes.pop(key) for key in circumstances if key in changes}
    values = {key: value for key, value in {**sample.values, **changes}.items() if value is not ...}
    found = validate_values(permit_type(slug), values, **circumstances, today=TODAY, only_section=only)
    assert all(problem.message_id and problem.message_en for problem in found)
    return [(problem.pointer, problem.code) for problem in found]


@pytest.mark.parametrize("slug", SLUGS)
def test_every_sample_is_accepted(slug: str) -> None:
    assert problems(slug) == []


@pytest.mark.parametrize("slug", SLUGS)
def test_every_schema_is_one(slug: str) -> None:
    kind = permit_type(slug)
    for request in kind.requests:
        for applicant_kind in kind.applicant_kinds:
            for language in ("id", "en"):
                Draft202012Validator.check_schema(json_schema(kind, request, applicant_kind, language))


@pytest.mark.parametrize("slug", SLUGS)
def test_an_empty_form_is_told_everything_in_its_own_order(slug: str) -> None:
    sample = sample_application(slug, TODAY)
    found = validate_values(
        permit_type(slug), {}, request=sample.request, applicant_kind=sample.applicant_kind, today=TODAY
    )
    fields = asked_fields(permit_type(slug), sample.request, sample.applicant_kind)
    unconditional = [key for key, field in fields.items() if field.required and field.required_if is None]
    assert [(p.field, p.code) for p in found if p.field in unconditional] == [
        (key, "required") for key in unconditional
    ]


@pytest.mark.parametrize(
    ("slug", "changes", "expected"),
    [
        (NURSE, {"full_name": ...}, [("/values/full_name", "required")]),
        (NURSE, {"full_name": "   "}, [("/values/full_name", "required")]),
        (NURSE, {"full_name": None}, [("/values/full_name", "required")]),
        (NURSE, {"full_name": 7}, [("/values/full_name", "wrong_type")]),
        (NURSE, {"full_name": "A"}, [("/values/full_name", "too_short")]),
        (NURSE, {"full_name": "A" * 121}, [("/values/full_name", "too_long")]),
        (NURSE, {"nik": "337501470890000"}, [("/values/nik", "wrong_form")]),
        (NURSE, {"sex": "L"}, [("/values/nik", "nik_sex")]),
        (NURSE, {"sex": "X"}, [("/values/sex", "not_a_choice")]),
        (NURSE, {"str_number": "bb 12"}, [("/values/str_number", "wrong_form")]),
        (NURSE, {"practice_order": 3}, [("/values/practice_order", "too_large")]),
        (NURSE, {"practice_order": 0}, [("/values/practice_order", "too_small")]),
        (NURSE, {"practice_order": True}, [("/values/practice_order", "wrong_type")]),
        (NURSE, {"practice_order": "2"}, [("/values/practice_order", "wrong_type")]),
        (NURSE, {"str_lifetime": "ya"}, [("/values/str_lifetime", "wrong_type")]),
        (NURSE, {"str_lifetime": False}, [("/values/str_valid_until", "required")]),
        (
            NURSE,
            {"str_lifetime": False, "str_valid_until": "2026-11-23"},
            [("/values/str_valid_until", "rule")],
        ),
        (NURSE, {"str_lifetime": False, "str_valid_until": "2026-11-24"}, []),
        (NURSE, {"truth_declared": False}, [("/values/truth_declared", "required")]),
        (NURSE, {"org_name": "PT Contoh"}, [("/values/org_name", "not_asked")]),
        (NURSE, {"a/b~": 1}, [("/values/a~1b~0", "not_asked")]),
        (NURSE, {"birth_date": "2010-01-01", "nik": "3375014101100000"}, [("/values/birth_date", "rule")]),
        (NURSE, {"request": "closure"}, [("/request", "not_offered")]),
        (NURSE, {"applicant_kind": "organisation"}, [("/applicant_kind", "not_offered")]),
        (BILLBOARD, {"width_m": 0}, [("/values/width_m", "too_small")]),
        (BILLBOARD, {"width_m": float("nan")}, [("/values/width_m", "wrong_type")]),
        (BILLBOARD, {"location_point": "-7.1,110.2"}, [("/values/location_point", "wrong_form")]),
        (BILLBOARD, {"nib": "12"}, [("/values/nib", "wrong_form")]),
        (BANNER, {"locations": []}, [("/values/locations", "required")]),
        (BANNER, {"locations": "Alun-alun"}, [("/values/locations", "wrong_type")]),
        (BANNER, {"locations": ["a", "b" * 161]}, [("/values/locations/1", "too_long")]),
        (BANNER, {"locations": ["a"] * 101}, [("/values/locations", "too_many")]),
        (BANNER, {"end_date": "2026-11-30"}, [("/values/end_date", "rule")]),
        (BANNER, {"end_date": "2027-11-30"}, [("/values/end_date", "rule")]),
        (BANNER, {"end_date": "30 Nov"}, [("/values/end_date", "invalid_date")]),
        (
            SCHOOL,
            {"request": "change"},
            [("/values/npsn", "required"), ("/values/change_summary", "required")],
        ),
        (SCHOOL, {"npsn": "20300001"}, [("/values/npsn", "not_asked")]),
    ],
)
def test_an_answer_that_will_not_do(
    slug: str, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert problems(slug, **changes) == expected


def test_one_page_is_checked_alone_but_beside_the_others() -> None:
    assert problems(NURSE, only="practice", full_name=..., sex="L", practice_order=9) == [
        ("/values/practice_order", "too_large")
    ]


def test_messages_name_the_field_in_both_languages() -> None:
    kind, sample = permit_type(NURSE), sample_application(NURSE, TODAY)
    found = validate_values(
        kind, {**sample.values, "practice_order": 3}, request="new", applicant_kind="person", today=TODAY
    )
    assert [(p.message_id, p.message_en) for p in found] == [
        ("Tempat praktik ke- paling besar 2.", "Place of practice number may be at most 2.")
    ]


def test_the_organisation_is_asked_only_of_one() -> None:
    keys = {
        kind: [section.key for section in visible_sections(permit_type(BILLBOARD), "new", kind)]
        for kind in ("person", "organisation")
    }
    assert keys["person"] == ["person", "advertisement", "location", "declaration"]
    assert keys["organisation"] == ["person", "organisation", "advertisement", "location", "declaration"]


def test_a_page_without_a_field_in_these_circumstances_is_not_shown() -> None:
    doctor = permit_type("sip-tenaga-medis")
    assert "credits" not in [section.key for section in visible_sections(doctor, "new", "person")]
    assert "credits" in [section.key for section in visible_sections(doctor, "renewal", "person")]


def test_answers_no_longer_asked_are_left_behind() -> None:
    kept = keep_asked(
        permit_type(BILLBOARD),
        {"full_name": "Arif", "org_name": "PT Contoh", "stray": 1},
        request="new",
        applicant_kind="person",
    )
    assert kept == {"full_name": "Arif"}


@pytest.mark.parametrize(
    ("values", "request_kind", "present", "absent"),
    [
        ({"practice_order": 1}, "new", {"ktp", "str"}, {"first_sip", "sppl", "old_permit", "skp_proof"}),
        ({"practice_order": 2}, "new", {"first_sip"}, {"sppl"}),
        ({"practice_order": True}, "new", set(), {"first_sip"}),
        ({"practice_kind": "mandiri"}, "new", {"sppl"}, {"first_sip"}),
        ({}, "renewal", {"old_permit", "skp_proof"}, {"sppl"}),
    ],
)
def test_documents_depend_on_the_answers(
    values: dict[str, Any], request_kind: str, present: set[str], absent: set[str]
) -> None:
    required = {doc.key for doc in required_documents(permit_type(NURSE), values, request_kind, "person")}
    assert present <= required
    assert not absent & required


def test_an_optional_document_may_be_given() -> None:
    kind = permit_type(BILLBOARD)
    assert "tax_receipt" in {doc.key for doc in asked_documents(kind, {}, "new", "person")}
    assert "tax_receipt" not in {doc.key for doc in required_documents(kind, {}, "new", "person")}
