"""The permit document's words, number, validity and public facts."""

from datetime import date
from functools import cache
from typing import Any

import pytest

from service.catalogue.format import PermitType, Wording
from service.catalogue.load import read_catalogue
from service.catalogue.samples import sample_application
from service.catalogue.wording import (
    FilledWording,
    ValidityOver,
    fill_wording,
    format_number,
    holder_name,
    machine_readable,
    public_facts,
    validity_period,
)
from signing.document import Facts, NumberedList, Paragraph

TODAY = date(2026, 11, 23)
SLUGS = [permit_type.slug for permit_type in read_catalogue().permit_types]
NURSE, BILLBOARD, BANNER, SCHOOL, CARD, LAND = (
    "sip-tenaga-kesehatan",
    "reklame-tetap",
    "reklame-insidentil",
    "satuan-pendidikan-dasar",
    "kartu-pengawasan-trayek",
    "izin-perubahan-penggunaan-tanah",
)


@cache
def permit_type(slug: str) -> PermitType:
    return {item.slug: item for item in read_catalogue().permit_types}[slug]


def values_of(slug: str, **changes: Any) -> dict[str, Any]:
    values = {**sample_application(slug, TODAY).values, **changes}
    return {key: value for key, value in values.items() if value is not ...}


def fill(slug: str, body: str = "", facts: dict[str, object] | None = None, **changes: Any) -> FilledWording:
    """Fill the type's own wording, or a body, from its sample after the changes."""
    sample, values = sample_application(slug, TODAY), values_of(slug, **changes)
    start, end = validity_period(permit_type(slug), values, TODAY)
    known = {
        "request": sample.request,
        "applicant_kind": sample.applicant_kind,
        "issued_date": TODAY,
        "valid_from": start,
        "valid_until": end,
        **(facts or {}),
    }
    wording = Wording(title="Judul", body=body) if body else None
    return fill_wording(permit_type(slug), values, known, wording)


def rows_of(filled: FilledWording) -> dict[str, str]:
    return {label: text for block in filled.blocks if isinstance(block, Facts) for label, text in block.rows}


@pytest.mark.parametrize("slug", SLUGS)
def test_every_type_is_worded_without_gaps(slug: str) -> None:
    filled = fill(slug)
    assert filled.empty_placeholders == ()
    assert filled.validity
    assert not any(mark in f"{filled}" for mark in ("{{", "}}", "[[", "]]"))


def test_a_practice_licence_reads_as_one() -> None:
    filled = fill(NURSE)
    assert filled.title == "SURAT IZIN PRAKTIK BIDAN"
    assert filled.blocks == (
        Paragraph(
            "Berdasarkan Undang-Undang Nomor 17 Tahun 2023 tentang Kesehatan, diberikan izin praktik kepada:"
        ),
        Facts(
            (
                ("Nama", "Siti Contoh Rahmawati, S.Tr.Keb."),
                ("Tempat, tanggal lahir", "Pekalongan, 7 Agustus 1990"),
                ("Alamat", "Jalan Contoh Kenanga Nomor 7 RT 01 RW 04, Kelurahan Medono"),
                ("Nomor STR", "BB00000000000002"),
                ("Untuk praktik sebagai", "Bidan"),
                (
                    "Tempat praktik ke-1",
                    "Praktik Mandiri Bidan Siti Contoh, Jalan Contoh Kenanga Nomor 7, Kelurahan Medono",
                ),
            )
        ),
        Paragraph("Izin ini hanya berlaku untuk tempat praktik tersebut."),
    )
    assert filled.validity == "Surat izin ini berlaku sampai dengan tanggal 23 November 2031."


def test_an_optional_part_goes_alone() -> None:
    filled = fill(NURSE, village=...)
    assert rows_of(filled)["Alamat"] == "Jalan Contoh Kenanga Nomor 7 RT 01 RW 04"
    assert filled.empty_placeholders == ()


def test_a_line_with_an_empty_placeholder_goes_and_is_told() -> None:
    filled = fill(NURSE, str_number=...)
    assert "Nomor STR" not in rows_of(filled)
    assert filled.empty_placeholders == ("str_number",)


def test_what_need_not_be_answered_is_not_missed() -> None:
    assert "Badan" not in rows_of(fill(BANNER))
    assert fill(BANNER).empty_placeholders == ()
    assert "NPSN" not in rows_of(fill(SCHOOL))


def test_what_the_circumstances_ask_for_is_missed() -> None:
    assert fill(SCHOOL, facts={"request": "change"}).empty_placeholders == ("npsn", "change_summary")


def test_a_fact_that_is_not_known_is_missed() -> None:
    assert fill(NURSE, "Nomor : {{number}}").empty_placeholders == ("number",)


def test_the_title_keeps_its_other_words_when_a_placeholder_is_empty() -> None:
    filled = fill(NURSE, profession=...)
    assert filled.title == "SURAT IZIN PRAKTIK"
    assert "profession_label" in filled.empty_placeholders


def test_the_suffixes() -> None:
    body = """
    Satu : {{quantity}} ({{quantity_words}})
    Dua : {{locations_joined}}
    Tiga : {{start_date_long}}
    Empat : {{ad_kind_label}}
    Lima : {{village_name}}
    Enam : {{request_label}}, {{applicant_kind_label}}

    {{locations_list}}
    """
    filled = fill(
        BANNER, body, start_date="2026-11-30", end_date="2026-12-14", locations=["Utara", "Selatan"]
    )
    assert rows_of(filled) == {
        "Satu": "12 (dua belas)",
        "Dua": "Utara; Selatan",
        "Tiga": "30 November 2026",
        "Empat": "Spanduk",
        "Lima": "Krapyak",
        "Enam": "Permohonan baru, Perorangan",
    }
    assert filled.blocks[-1] == NumberedList(("Utara", "Selatan"))


@pytest.mark.parametrize(
    ("area", "text"),
    [
        (750, "750 m² (tujuh ratus lima puluh meter persegi)"),
        (2450.5, "2.450,5 m² (dua ribu empat ratus lima puluh koma lima meter persegi)"),
        (2026.0, "2.026 m² (dua ribu dua puluh enam meter persegi)"),
    ],
)
def test_numbers_are_written_the_indonesian_way(area: float, text: str) -> None:
    assert rows_of(fill(LAND, area_m2=area))["Luas"] == text


def test_a_year_is_not_grouped() -> None:
    assert rows_of(fill(CARD))["Kendaraan"] == "Contoh Minibus 1.5, tahun 2019"


def test_a_value_is_never_read_as_notation() -> None:
    name = "Siti {{str_number}} [[{{nik}}]] : <b>tebal</b>\n\n- butir"
    assert rows_of(fill(NURSE, full_name=name))["Nama"] == (
        "Siti {{str_number}} [[{{nik}}]] : <b>tebal</b> - butir"
    )


def test_a_label_of_the_type_overrides_the_usual_one() -> None:
    assert fill(SCHOOL).title == "IZIN PENDIRIAN SATUAN PENDIDIKAN DASAR"


def test_a_rejection_letter_numbers_its_reasons() -> None:
    city = read_catalogue().city
    filled = fill_wording(
        permit_type(NURSE),
        values_of(NURSE),
        {
            "holder": "Siti Contoh",
            "permit_title": permit_type(NURSE).title.id,
            "receipt_number": "P-20261123-AAAAAA",
            "submitted_date": TODAY,
            "reasons": ("STR tidak terbaca.", "Tempat praktik tidak ada."),
        },
        city.rejection_letter.wording,
    )
    assert filled.title == "SURAT PENOLAKAN PERMOHONAN"
    assert NumberedList(("STR tidak terbaca.", "Tempat praktik tidak ada.")) in filled.blocks
    assert rows_of(filled)["Tanggal permohonan"] == "23 November 2026"
    assert filled.empty_placeholders == ()


def test_a_rejection_letter_without_reasons_is_told() -> None:
    letter = read_catalogue().city.rejection_letter.wording
    assert "reasons_list" in fill_wording(permit_type(NURSE), {}, {}, letter).empty_placeholders


# Facts of the permit -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slug", "issued_on", "changes", "expected"),
    [
        (NURSE, date(2026, 11, 23), {}, (date(2026, 11, 23), date(2031, 11, 23))),
        (NURSE, date(2028, 2, 29), {}, (date(2028, 2, 29), date(2033, 2, 28))),
        (
            NURSE,
            TODAY,
            {"str_lifetime": False, "str_valid_until": "2028-01-31"},
            (TODAY, date(2028, 1, 31)),
        ),
        (NURSE, TODAY, {"str_lifetime": True, "str_valid_until": "2028-01-31"}, (TODAY, date(2031, 11, 23))),
        (NURSE, TODAY, {"str_lifetime": False, "str_valid_until": "2040-01-31"}, (TODAY, date(2031, 11, 23))),
        (BILLBOARD, date(2027, 3, 31), {}, (date(2027, 3, 31), date(2028, 3, 31))),
        (CARD, TODAY, {"kir_valid_until": "2027-01-15"}, (TODAY, date(2027, 1, 15))),
        (CARD, TODAY, {"kir_valid_until": "2028-01-15"}, (TODAY, date(2027, 11, 23))),
        (
            BANNER,
            TODAY,
            {"start_date": "2026-12-01", "end_date": "2026-12-24"},
            (date(2026, 12, 1), date(2026, 12, 24)),
        ),
        (SCHOOL, TODAY, {}, (TODAY, None)),
    ],
)
def test_validity(
    slug: str, issued_on: date, changes: dict[str, Any], expected: tuple[date, date | None]
) -> None:
    assert validity_period(permit_type(slug), values_of(slug, **changes), issued_on) == expected


@pytest.mark.parametrize(
    ("slug", "changes"),
    [
        (BANNER, {"start_date": "2026-11-01", "end_date": "2026-11-22"}),
        (BANNER, {"end_date": ...}),
        (CARD, {"kir_valid_until": "2026-11-22"}),
    ],
)
def test_no_permit_is_over_before_it_is_issued(slug: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidityOver):
        validity_period(permit_type(slug), values_of(slug, **changes), TODAY)


def test_numbers_of_documents() -> None:
    pattern = permit_type(NURSE).number_format
    assert format_number(pattern, 7, "SIP-TK", date(2026, 8, 1)) == "500.16.7.2/0007/SIP-TK/VIII/2026"
    assert format_number(pattern, 12345, "SIP-TK", date(2026, 1, 1)) == "500.16.7.2/12345/SIP-TK/I/2026"


@pytest.mark.parametrize(
    ("slug", "changes", "name"),
    [
        (NURSE, {}, "Siti Contoh Rahmawati, S.Tr.Keb."),
        (BILLBOARD, {}, "PT Contoh Reklame Pesisir"),
        (BILLBOARD, {"org_name": ...}, "Arif Contoh Santoso"),
    ],
)
def test_who_holds_the_permit(slug: str, changes: dict[str, Any], name: str) -> None:
    assert holder_name(permit_type(slug), values_of(slug, **changes)) == name


@pytest.mark.parametrize("slug", SLUGS)
def test_the_public_sees_the_public_fields_and_nothing_else(slug: str) -> None:
    kind = permit_type(slug)
    private = {key: f"RAHASIA-{key}" for key in kind.fields if key not in kind.public_fields}
    values = {**values_of(slug), **private}
    told = public_facts(kind, values)
    assert [fact["key"] for fact in told] == [key for key in kind.public_fields if key in values_of(slug)]
    assert "RAHASIA" not in f"{told}{machine_readable(kind, values)}"


def test_public_facts_are_in_both_languages() -> None:
    facts = {fact["key"]: fact for fact in public_facts(permit_type(BANNER), values_of(BANNER))}
    assert facts["ad_kind"]["label"] == {"id": "Jenis reklame", "en": "Kind of advertisement"}
    assert facts["ad_kind"]["value"] == {"id": "Spanduk", "en": "Banner"}
    assert machine_readable(permit_type(BANNER), values_of(BANNER))["ad_kind"] == "spanduk"
