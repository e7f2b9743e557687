"""Kelurahan, kecamatan and the city by their Kemendagri codes (`33.75.01.1002`)."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REGIONS_FILE = Path(__file__).parent / "data" / "regions.csv"


@dataclass(frozen=True, slots=True)
class Region:
    code: str
    name: str
    level: str
    """`kota`, `kecamatan` or `kelurahan`."""
    postal_code: str


@cache
def regions() -> dict[str, Region]:
    """Return every known region by its code, in the order of the codes."""
    with REGIONS_FILE.open(encoding="utf-8", newline="") as file:
        rows = [Region(row["code"], row["name"], row["level"], row["postal"]) for row in csv.DictReader(file)]
    return {region.code: region for region in rows}


def find_kelurahan(code: str) -> Region | None:
    """Return the kelurahan with this code, or None where there is none."""
    region = regions().get(code)
    return region if region is not None and region.level == "kelurahan" else None


def kelurahan_by_kecamatan() -> list[tuple[Region, list[Region]]]:
    """Return each kecamatan with its kelurahan, for a grouped list to choose from."""
    everything = list(regions().values())
    return [
        (parent, [r for r in everything if r.level == "kelurahan" and r.code.startswith(f"{parent.code}.")])
        for parent in everything
        if parent.level == "kecamatan"
    ]
