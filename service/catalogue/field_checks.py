"""What a JSON Schema cannot say about one value: identity numbers, real dates, regions, clean text.

Every check takes a value that already has its type's shape and answers with a refusal or None.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import phonenumbers
from stdnum.exceptions import ValidationError
from stdnum.id import nik as nik_format
from stdnum.id import npwp as npwp_format

from service.catalogue.format import Bilingual, Field, FieldType
from service.catalogue.regions import find_kelurahan
from service.catalogue.rules import read_date

Refusal = tuple[str, Bilingual]
"""A stable code, and the sentence for the applicant."""

NIK_DAY_OF_WOMEN = 40
PROVINCES_AFTER_2012 = frozenset({"65", "92", "93", "95", "96"})
"""North Kalimantan and the new provinces of Papua, which the number library does not know yet."""

DIGITS_OF = {FieldType.NIK: "[0-9]{16}", FieldType.NPWP: "[0-9]{15,16}", FieldType.NIB: "[0-9]{13}"}
PATTERNS = {
    **{kind: f"^{digits}$" for kind, digits in DIGITS_OF.items()},
    FieldType.REGION: r"^[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{4}$",
    FieldType.COORDINATES: r"^-?[0-9]{1,2}\.[0-9]{3,8},-?[0-9]{1,3}\.[0-9]{3,8}$",
}
"""The shape of each type that has one, as a JSON Schema pattern."""

_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,24}")
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def say(indonesian: str, english: str) -> Bilingual:
    return Bilingual(id=indonesian, en=english)


def shape_message(field: Field) -> Bilingual:
    """Say what a value should look like, for a value that does not match its pattern."""
    if field.pattern_message is not None:
        return field.pattern_message
    label_id, label_en = field.label.id, field.label.en
    return {
        FieldType.NIK: say(f"{label_id} harus 16 angka, tanpa spasi.", f"{label_en} must be 16 digits."),
        FieldType.NPWP: say(f"{label_id} harus 15 atau 16 angka.", f"{label_en} must be 15 or 16 digits."),
        FieldType.NIB: say(f"{label_id} harus 13 angka.", f"{label_en} must be 13 digits."),
        FieldType.REGION: say(
            f"{label_id}: pilih salah satu dari daftar.", f"{label_en}: choose one from the list."
        ),
        FieldType.COORDINATES: say(
            f"{label_id} ditulis lintang,bujur, misalnya -6.88861,109.67528.",
            f"{label_en} is written latitude,longitude, for example -6.88861,109.67528.",
        ),
    }.get(field.type, say(f"{label_id} tidak sesuai bentuk yang diminta.", f"{label_en} has the wrong form."))


def check_value(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    """Check one value of the right shape; `values` are all of them, for what must agree."""
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if isinstance(text, str) and not _is_clean(text, lines=field.type is FieldType.LONG_TEXT):
            return "unprintable_character", say(
                f"{field.label.id} memuat karakter yang tidak dapat dicetak. Ketik ulang isian ini.",
                f"{field.label.en} contains a character that cannot be printed. Type it again.",
            )
    check = CHECKS.get(field.type)
    return check(field, value, values) if check else None


def _is_clean(text: str, *, lines: bool) -> bool:
    """Refuse control, invisible and direction-changing characters: they would forge a printed document."""
    allowed = "\n\r" if lines else ""
    return all(char in allowed or unicodedata.category(char) not in _UNPRINTABLE for char in text)


def _check_number(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    if math.isfinite(value):
        return None
    return "wrong_type", say(f"{field.label.id} harus berupa angka.", f"{field.label.en} must be a number.")


def _check_date(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    day = read_date(value)
    if day is not None and date(1900, 1, 1) <= day <= date(2200, 12, 31):
        return None
    return "invalid_date", say(
        f"{field.label.id} harus tanggal yang benar, misalnya 27 9 2026.",
        f"{field.label.en} must be a real date, for example 27 9 2026.",
    )


def _check_email(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    if len(value) <= 254 and _EMAIL.fullmatch(value):
        return None
    return "invalid_email", say(
        f"{field.label.id} harus berbentuk nama@contoh.id.",
        f"{field.label.en} must look like name@example.id.",
    )


def _check_phone(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    if normalise_phone(value) is not None:
        return None
    return "invalid_phone", say(
        f"{field.label.id} harus nomor HP yang benar, misalnya 0812 3456 7890.",
        f"{field.label.en} must be a real mobile number, for example 0812 3456 7890.",
    )


def normalise_phone(text: str) -> str | None:
    """Return a mobile number in E.164 (`+6281234567890`), or None when it is not one."""
    try:
        number = phonenumbers.parse(text, "ID")
    except phonenumbers.NumberParseException:
        return None
    mobile = {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
    if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in mobile:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _check_region(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    return None if find_kelurahan(value) else ("unknown_region", shape_message(field))


def _check_coordinates(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    latitude, longitude = (float(part) for part in value.split(","))
    if abs(latitude) <= 90 and abs(longitude) <= 180:
        return None
    return "invalid_coordinates", shape_message(field)


def _check_nik(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    """Check the NIK (PPKKCC DDMMYY SSSS), and against `birth_date` and `sex` where they are given."""
    if not is_nik(value):
        return "invalid_nik", say(
            f"{field.label.id} tidak benar. Salin 16 angka persis seperti pada KTP.",
            f"{field.label.en} is not a real number. Copy the 16 digits exactly as on the identity card.",
        )
    day, month_and_year = int(value[6:8]), value[8:12]
    is_woman = day > NIK_DAY_OF_WOMEN
    birth = read_date(str(values.get("birth_date", "")))
    if birth and f"{day % NIK_DAY_OF_WOMEN:02d}{month_and_year}" != birth.strftime("%d%m%y"):
        return "nik_birth_date", say(
            f"{field.label.id} tidak cocok dengan tanggal lahir. Periksa keduanya pada KTP.",
            f"{field.label.en} does not agree with the date of birth. Check both on the identity card.",
        )
    if values.get("sex") in {"L", "P"} and (values["sex"] == "P") != is_woman:
        return "nik_sex", say(
            f"{field.label.id} tidak cocok dengan jenis kelamin. Periksa keduanya pada KTP.",
            f"{field.label.en} does not agree with the sex. Check both on the identity card.",
        )
    return None


def is_nik(number: str) -> bool:
    """Tell whether 16 digits can be a NIK: a province and a birth date that exist."""
    try:
        nik_format.get_birth_date(number)
    except ValidationError:
        return False
    is_day = int(number[6:8]) <= NIK_DAY_OF_WOMEN + 31
    return is_day and (nik_format.is_valid(number) or number[:2] in PROVINCES_AFTER_2012)


def _check_npwp(field: Field, value: Any, values: Mapping[str, Any]) -> Refusal | None:
    """Check an NPWP: a NIK, or (0 +) 15 digits of which the first nine carry a Luhn digit."""
    is_individual = len(value) == 16 and not value.startswith("0")
    if is_nik(value) if is_individual else npwp_format.is_valid(value):
        return None
    return "invalid_npwp", say(
        f"{field.label.id} tidak benar. Salin angkanya persis seperti pada kartu NPWP.",
        f"{field.label.en} is not a real number. Copy the digits exactly as on the tax card.",
    )


CHECKS: dict[FieldType, Callable[[Field, Any, Mapping[str, Any]], Refusal | None]] = {
    FieldType.INTEGER: _check_number,
    FieldType.NUMBER: _check_number,
    FieldType.DATE: _check_date,
    FieldType.EMAIL: _check_email,
    FieldType.PHONE: _check_phone,
    FieldType.REGION: _check_region,
    FieldType.COORDINATES: _check_coordinates,
    FieldType.NIK: _check_nik,
    FieldType.NPWP: _check_npwp,
}
