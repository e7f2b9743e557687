"""How values are shown to a reader."""

from typing import Any

import pytest

from service.catalogue.display import display_value
from service.catalogue.load import read_catalogue

FIELDS = {
    field.key: field for permit_type in read_catalogue().permit_types for field in permit_type.fields.values()
}


@pytest.mark.parametrize(
    ("key", "value", "indonesian", "english"),
    [
        ("full_name", "Siti", "Siti", "Siti"),
        ("full_name", None, "", ""),
        ("str_lifetime", True, "Ya", "Yes"),
        ("str_lifetime", "mungkin", "mungkin", "mungkin"),
        ("birth_date", "1990-08-07", "7 Agustus 1990", "7 August 1990"),
        ("birth_date", "1990-02-31", "1990-02-31", "1990-02-31"),
        ("sex", "P", "Perempuan", "Female"),
        ("sex", "X", "X", "X"),
        ("places", ["satu", "dua"], "satu; dua", "satu; dua"),
        ("village", "33.75.01.1002", "Medono", "Medono"),
        ("village", "33.75.01.9999", "33.75.01.9999", "33.75.01.9999"),
        ("height_m", 6.5, "6,5 m", "6.5 m"),
        ("land_area_m2", 1250, "1.250 m²", "1,250 m²"),
        ("vehicle_year", 2019, "2019", "2019"),
        ("vehicle_year", "dulu", "dulu", "dulu"),
    ],
)
def test_a_value_is_shown(key: str, value: Any, indonesian: str, english: str) -> None:
    assert display_value(FIELDS[key], value, "id") == indonesian
    assert display_value(FIELDS[key], value, "en") == english
