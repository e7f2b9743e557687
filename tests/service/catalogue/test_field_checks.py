"""Checks of single values: identity numbers, dates, regions, text that can be printed."""

from typing import Any

import pytest

from service.catalogue.field_checks import check_value, normalise_phone
from service.catalogue.format import Bilingual, Field, FieldType, Privacy


def code(kind: FieldType, value: Any, **values: Any) -> str | None:
    """Return the code of the refusal of one value of a type, or None."""
    label = Bilingual(id="Isian", en="Field")
    refusal = check_value(Field(key="x", type=kind, label=label, privacy=Privacy.NONE), value, values)
    if refusal is None:
        return None
    assert "Isian" in refusal[1].id
    assert "Field" in refusal[1].en
    return refusal[0]


@pytest.mark.parametrize(
    ("nik", "sex", "birth_date", "expected"),
    [
        ("3375014708900000", "P", "1990-08-07", None),
        ("3375010708900000", "L", "1990-08-07", None),
        ("3375014708900000", None, None, None),
        ("3375012902000000", "L", "2000-02-29", None),
        ("6571010708900000", "L", "1990-08-07", None),
        ("9601010708900000", "L", "1990-08-07", None),
        ("3375014708900000", "L", "1990-08-07", "nik_sex"),
        ("3375010708900000", "P", "1990-08-07", "nik_sex"),
        ("3375014708900000", "P", "1990-08-08", "nik_birth_date"),
        ("3375014708900000", "P", "1991-08-07", "nik_birth_date"),
        ("9975014708900000", "P", "1990-08-07", "invalid_nik"),
        ("3375013213900000", "L", None, "invalid_nik"),
        ("3375018108900000", "P", None, "invalid_nik"),
        ("3375012902010000", "L", None, "invalid_nik"),
    ],
)
def test_nik(nik: str, sex: str | None, birth_date: str | None, expected: str | None) -> None:
    assert code(FieldType.NIK, nik, sex=sex, birth_date=birth_date) == expected


@pytest.mark.parametrize(
    ("npwp", "expected"),
    [
        ("013121660091000", None),
        ("0013121660091000", None),
        ("3375014708900000", None),
        ("6571010708900000", None),
        ("013121661091000", "invalid_npwp"),
        ("0013121661091000", "invalid_npwp"),
        ("9975014708900000", "invalid_npwp"),
    ],
)
def test_npwp(npwp: str, expected: str | None) -> None:
    assert code(FieldType.NPWP, npwp) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (FieldType.DATE, "2028-02-29", None),
        (FieldType.DATE, "2027-02-29", "invalid_date"),
        (FieldType.DATE, "1812-01-01", "invalid_date"),
        (FieldType.EMAIL, "siti.contoh+izin@kantor.contoh.id", None),
        (FieldType.EMAIL, "siti@contoh", "invalid_email"),
        (FieldType.EMAIL, "a@b.id,c@d.id", "invalid_email"),
        (FieldType.PHONE, "0812 3456 7890", None),
        (FieldType.PHONE, "0285 432086", "invalid_phone"),
        (FieldType.PHONE, "nol delapan", "invalid_phone"),
        (FieldType.REGION, "33.75.01.1002", None),
        (FieldType.REGION, "33.75.01.1001", "unknown_region"),
        (FieldType.COORDINATES, "-6.88861,109.67528", None),
        (FieldType.COORDINATES, "-96.88861,109.67528", "invalid_coordinates"),
        (FieldType.NUMBER, float("nan"), "wrong_type"),
        (FieldType.NUMBER, float("inf"), "wrong_type"),
        (FieldType.TEXT, "Jalan Ki Hajar 7 – sudut «utara»", None),
        (FieldType.TEXT, "dua\nbaris", "unprintable_character"),
        (FieldType.LONG_TEXT, "dua\nbaris", None),
        (FieldType.TEXT, "nol\x00", "unprintable_character"),
        (FieldType.TEXT, "balik\u202eakitec", "unprintable_character"),
        (FieldType.TEXT, "rusak\ud800", "unprintable_character"),
        (FieldType.LIST, ["baik", "tak\u200btampak"], "unprintable_character"),
    ],
)
def test_a_value(kind: FieldType, value: Any, expected: str | None) -> None:
    assert code(kind, value) == expected


def test_phone_numbers_are_kept_in_one_form() -> None:
    assert normalise_phone("0812-3456-7890") == normalise_phone("+62 812 3456 7890") == "+6281234567890"
