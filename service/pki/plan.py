"""The plan of a ceremony: one YAML file, read and checked before any key is made."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from keys import profiles, store
from keys.algorithms import ED25519
from keys.authority import Subject
from keys.ceremony import Entry, Plan
from keys.hierarchy import EXAMPLE_MARK
from keys.profiles import Profile
from service.catalogue.source import CatalogueError, Problem, Series, Table, locate, read_yaml

EXAMPLE = Path(__file__).parent / "data" / "ceremony.yaml"
"""A plan with comments, to be copied."""
LONGEST_PART = 64
"""X.520 allows so many characters in each part of a name."""
FEWEST_CUSTODIANS = FEWEST_WITNESSES = 2

_OF_THE_HIERARCHY = (
    profiles.ROOT,
    profiles.ISSUING_CA,
    profiles.TSA,
    profiles.OCSP_RESPONDER,
    profiles.SEAL,
)
_PEOPLE = (
    ("custodians", profiles.CUSTODIAN, store.CUSTODIAN_PREFIX),
    ("officials", profiles.OFFICIAL, store.OFFICIAL_PREFIX),
)
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_BASE_URL = re.compile(r"https?://[a-z0-9.:\[\]-]+(/[a-z0-9._/-]*[a-z0-9])?", re.IGNORECASE)


def read_plan(path: Path) -> Plan:
    """Read and check a plan. Raises CatalogueError with file, line and reason of every fault."""
    data = read_yaml(path.parent, path.name)
    reader = _Reader(data)
    plan = reader.plan()
    if reader.problems:
        raise CatalogueError(reader.problems)
    return plan


def example_plan(base_url: str, organisation: str, locality: str) -> str:
    """Return the example's text with an installation's own address and names in it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for key, value in (("base_url", base_url), ("organisation", organisation), ("locality", locality)):
        # A JSON string is a YAML string, whatever stands in it.
        lines = re.split(rf"^{key}: .*$", text, flags=re.MULTILINE)
        text = f"{key}: {json.dumps(value, ensure_ascii=False)}".join(lines)
    return text


def digest_of_plan(path: Path) -> str:
    """Return the SHA-256 of a plan's file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Reader:
    """Reads one plan and gathers what is wrong with it."""

    def __init__(self, data: Table) -> None:
        self.data = data
        self.problems: list[Problem] = []

    def plan(self) -> Plan:
        self._fields(("ceremony", "organisation", "locality", "base_url", "keys", "custodians", "officials"))
        self._fields(("place", "leader", "witnesses"), "ceremony")
        self._fields([*(each.name for each in _OF_THE_HIERARCHY), store.LOG], "keys")
        entries = [self._entry(profile, profile.name, "keys", profile.name) for profile in _OF_THE_HIERARCHY]
        entries.append(self._log())
        for section, profile, prefix in _PEOPLE:
            entries += [self._entry(profile, prefix + slug, section, slug) for slug in self._slugs(section)]
        self._compare_lifetimes({entry.name: entry for entry in entries})
        self._require_custodians(entries)
        base_url = self._text("base_url")
        if base_url and not _BASE_URL.fullmatch(base_url):
            self._fault(
                ("base_url",),
                "Isi alamat seperti https://izin.example.org, tanpa garis miring di akhir.",
                "Give an address such as https://izin.example.org, without a slash at its end.",
            )
        return Plan(
            tuple(entries),
            base_url,
            self._text("ceremony", "place"),
            self._text("ceremony", "leader"),
            self._witnesses(),
        )

    def _entry(self, profile: Profile, name: str, *path: str) -> Entry:
        titled = ("title",) if profile is profiles.OFFICIAL else ()
        self._fields(("common_name", "algorithm", "days"), *path, optional=titled)
        common_name = self._text(*path, "common_name")
        if profile in _OF_THE_HIERARCHY and common_name and not common_name.endswith(f" {EXAMPLE_MARK}"):
            self._fault(
                (*path, "common_name"),
                f"Nama harus diakhiri {EXAMPLE_MARK}: hierarki ini belum diakui otoritas nasional.",
                f"The name must end with {EXAMPLE_MARK}: the national authority has not recognised it.",
            )
        subject = Subject(
            common_name,
            organisation=self._text("organisation"),
            locality=self._text("locality"),
            title=self._text(*path, "title") if self._value(*path, "title") is not None else None,
        )
        algorithm = self._algorithm(profile.algorithms, *path)
        return Entry(name, algorithm, profile, subject, self._validity(profile, *path))

    def _log(self) -> Entry:
        self._fields(("algorithm",), "keys", store.LOG)
        return Entry(store.LOG, self._algorithm((ED25519.name,), "keys", store.LOG))

    def _algorithm(self, allowed: Collection[str], *path: str) -> str:
        algorithm = self._value(*path, "algorithm")
        if algorithm is not None and algorithm not in allowed:
            choice = ", ".join(allowed)
            self._fault((*path, "algorithm"), f"Pilih salah satu: {choice}.", f"Choose one of {choice}.")
        return str(algorithm)

    def _validity(self, profile: Profile, *path: str) -> timedelta:
        days, most = self._value(*path, "days"), profile.validity.days
        if days is None:
            return profile.validity
        if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= most:
            self._fault(
                (*path, "days"), f"Isi angka dari 1 sampai {most}.", f"Give a number from 1 to {most}."
            )
            return profile.validity
        return timedelta(days=days)

    def _compare_lifetimes(self, entries: Mapping[str, Entry]) -> None:
        sections = {prefix: section for section, _, prefix in _PEOPLE}
        for entry in entries.values():
            issuer = entries[entry.profile.issued_by] if entry.profile and entry.profile.issued_by else None
            if issuer and entry.validity and issuer.validity and entry.validity > issuer.validity:
                prefix = next((each for each in sections if entry.name.startswith(each)), "")
                path = (sections.get(prefix, "keys"), entry.name.removeprefix(prefix), "days")
                self._fault(
                    path,
                    f"Tidak boleh lebih lama daripada penerbitnya, {issuer.name}.",
                    f"It must not be longer than its issuer's, {issuer.name}.",
                )

    def _require_custodians(self, entries: Collection[Entry]) -> None:
        names = [entry.subject for entry in entries if entry.profile is profiles.CUSTODIAN]
        if len(names) < FEWEST_CUSTODIANS or len(set(names)) < len(names):
            self._fault(
                ("custodians",),
                "Sebutkan sedikitnya dua pemegang kunci dengan nama berbeda.",
                "Name at least two custodians, each by another name.",
            )
        if self._value("keys", "root", "common_name") == self._value("keys", "issuing", "common_name"):
            self._fault(
                ("keys", "issuing", "common_name"),
                "CA penerbit harus bernama lain daripada akar.",
                "The issuing CA needs another name than the root.",
            )

    def _witnesses(self) -> tuple[str, ...]:
        listed = self._value("ceremony", "witnesses")
        names = listed if isinstance(listed, Series) else []
        plain = [name for name in names if isinstance(name, str) and name.strip()]
        if listed is not None and (len(plain) < len(names) or len(set(plain)) < FEWEST_WITNESSES):
            self._fault(
                ("ceremony", "witnesses"),
                "Sebutkan sedikitnya dua saksi yang berbeda.",
                "Name at least two different witnesses.",
            )
        return tuple(plain)

    def _slugs(self, section: str) -> list[str]:
        people = self._value(section)
        if not isinstance(people, Table):
            if people is not None:
                self._fault((section,), "Isi dengan kunci dan nilai.", "Give keys and values.")
            return []
        for slug in people:
            if not _SLUG.fullmatch(slug):
                self._fault(
                    (section, slug),
                    "Nama kunci hanya huruf kecil, angka, dan tanda hubung.",
                    "A key's name is lower-case letters, digits and hyphens.",
                )
        return [slug for slug in people if _SLUG.fullmatch(slug)]

    def _fields(self, required: Collection[str], *path: str, optional: Collection[str] = ()) -> None:
        """Require a mapping with these keys and no others."""
        table = self._value(*path)
        if not isinstance(table, Table):
            # What is missing was told where the mapping around it was read.
            if table is not None:
                self._fault(path, "Isi dengan kunci dan nilai.", "Give keys and values.")
            return
        for key in table:
            if key not in required and key not in optional:
                self._fault((*path, key), "Kunci ini tidak dikenal.", "This key is not known.")
        for key in required:
            if table.get(key) is None:
                self._fault((*path, key), "Bagian ini belum diisi.", "This part is missing.")

    def _text(self, *path: str) -> str:
        value = self._value(*path)
        if value is None:
            return ""
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= LONGEST_PART:
            self._fault(
                path,
                f"Isi teks dengan 1 sampai {LONGEST_PART} karakter.",
                f"Give a text of 1 to {LONGEST_PART} characters.",
            )
            return ""
        return value

    def _value(self, *path: str) -> Any:
        value: Any = self.data
        for part in path:
            value = value.get(part) if isinstance(value, Table) else None
        return value

    def _fault(self, path: tuple[str, ...], reason_id: str, reason_en: str) -> None:
        self.problems.append(locate(self.data, path, reason_id, reason_en))
