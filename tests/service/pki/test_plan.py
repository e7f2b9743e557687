"""A plan is checked before any key is made: each fault with its file, line and reason."""

import re
from pathlib import Path

import pytest

from keys import profiles
from keys.algorithms import ALGORITHMS
from service.catalogue.source import CatalogueError
from service.pki.plan import EXAMPLE, example_plan, read_plan


def faults(path: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        read_plan(path)
    return [problem.text("en") for problem in caught.value.problems]


def test_the_example_can_be_carried_out() -> None:
    plan = read_plan(EXAMPLE)

    assert [entry.name for entry in plan.entries] == [
        "root",
        "issuing",
        "tsa",
        "ocsp",
        "seal",
        "log",
        "custodian-satu",
        "custodian-dua",
    ]
    assert plan.holders == ("root", "operations", "custodian-satu", "custodian-dua")
    assert all(entry.algorithm in ALGORITHMS for entry in plan.entries)
    assert len(plan.witnesses) == 2


def test_an_official_may_be_part_of_it(tmp_path: Path) -> None:
    text = re.sub(r"^officials: \{\}$", "officials:", EXAMPLE.read_text(), flags=re.MULTILINE)
    path = tmp_path / "plan.yaml"
    path.write_text(re.sub(r"^#(  .*)$", r"\1", text, flags=re.MULTILINE))

    official = read_plan(path).entries[-1]

    assert (official.name, official.profile) == ("official-kadis", profiles.OFFICIAL)
    assert official.subject is not None
    assert official.subject.title == "Kepala Dinas"


def test_an_installations_names_are_put_into_the_example(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(example_plan("http://127.0.0.1:8000", 'Pemerintah "Kota": Contoh', "Kota Contoh"))

    plan = read_plan(path)

    assert plan.base_url == "http://127.0.0.1:8000"
    assert {entry.subject.organisation for entry in plan.entries if entry.subject} == {
        'Pemerintah "Kota": Contoh'
    }


@pytest.mark.parametrize(
    ("old", "new", "at", "reason"),
    [
        ("algorithm: p384", "algorithm: p521", "keys.root.algorithm", "Choose one of p256"),
        ("algorithm: ed25519", "algorithm: p256", "keys.log.algorithm", "Choose one of ed25519"),
        ("days: 2920", "days: 2921", "keys.tsa.days", "from 1 to 2920"),
        ("days: 90", "days: yes", "keys.ocsp.days", "from 1 to 90"),
        ("days: 7300", "days: 3600", "keys.issuing.days", "longer than its issuer's, root"),
        ("Canting TSA (CONTOH)", "Canting TSA", "keys.tsa.common_name", "must end with (CONTOH)"),
        ("Canting Issuing CA", "Canting Root CA", "keys.issuing.common_name", "another name than the root"),
        ("Pemegang Kunci Dua", "Pemegang Kunci Satu", "custodians", "two custodians"),
        ("Saksi Dua", "Saksi Satu", "ceremony.witnesses", "two different witnesses"),
        ("  place: Ruang", "  room: Ruang", "ceremony.room", "not known"),
        ("leader: Pemimpin Upacara Contoh", "leader:", "ceremony.leader", "missing"),
        ("izin.example.org\n", "izin.example.org/\n", "base_url", "without a slash"),
        ("  satu:", "  Satu_1:", "custodians.Satu_1", "lower-case letters"),
        ("locality: Kota Pekalongan", f"locality: {'a' * 65}", "locality", "1 to 64 characters"),
        ("officials: {}", "officials: none", "officials", "keys and values"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, old: str, new: str, at: str, reason: str) -> None:
    text = EXAMPLE.read_text()
    assert old in text
    path = tmp_path / "plan.yaml"
    path.write_text(text.replace(old, new, 1))

    told = [fault for fault in faults(path) if f": {at}: " in fault]

    assert len(told) == 1
    assert reason in told[0]
    assert re.match(r"plan\.yaml:\d+: ", told[0])


def test_the_line_is_the_faults(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(EXAMPLE.read_text().replace("days: 2920", "days: 9999"))
    line = 1 + path.read_text().splitlines().index("    days: 9999")

    assert faults(path) == [f"plan.yaml:{line}: keys.tsa.days: Give a number from 1 to 2920."]
