"""By whose authorities a file is judged, when it is examined anew, and which of its signatures are ours."""

from datetime import timedelta
from pathlib import Path

import cases
import pytest
from examining import READER, Examiner, Verify, register
from pki import NOW, make_pki
from signed_pages import one_page, sign_again, sign_page
from sqlmodel import Session, select

from service.permits.models import Permit
from service.pki.models import RevocationList
from service.pki.register import current_lists
from service.verification.examination import Examination
from service.verification.verify import verify_file
from signing.provenance import MAX_SIGNATURES

DAY = timedelta(days=1)
STRANGER = make_pki()
PAGE = one_page()
UNREADABLE = Examination(
    {"readable": False, "report": None, "revisions": [], "fingerprints": [], "code": None}
)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "penerbit.crl").write_bytes(b"their list")
    return tmp_path


@pytest.mark.parametrize(
    ("signed_by", "level", "has_lists", "lists", "by_others"),
    [
        ("here", "B-T", True, "ours", False),
        ("bsre", "B-T", True, "both", True),
        ("bsre", "B-T", False, "none", True),
        ("bsre", "B-LTA", False, "ours", True),
    ],
)
def test_a_document_is_judged_by_the_authorities_of_whoever_the_register_says_signed_it(
    session: Session,
    verify: Verify,
    issued_once: cases.Issued,
    outside: Path,
    signed_by: str,
    level: str,
    has_lists: bool,
    lists: str,
    by_others: bool,
) -> None:
    session.exec(select(Permit)).one().signed_by = signed_by
    register(session, issued_once.pdf, level=level)
    examiner = Examiner(outside, outside if has_lists else None, answer=UNREADABLE)
    verify(issued_once.pdf, examiner)
    ours = current_lists(session)
    expected = {"none": [], "ours": ours, "both": [*ours, b"their list"]}[lists]
    assert examiner.asked == [{"at": NOW, "crls": expected, "by_others": by_others, "detailed": False}]
    assert ours


def test_what_nobody_registered_is_judged_by_our_own_lists_each_time(
    session: Session, verify: Verify, outside: Path
) -> None:
    examiner = Examiner(outside, outside, answer=UNREADABLE)
    verify(PAGE, examiner)
    verify(PAGE, examiner)
    ours = {"at": NOW, "crls": current_lists(session), "by_others": False, "detailed": False}
    assert examiner.asked == [ours, ours]


def test_a_registered_document_is_examined_anew_when_what_judges_it_changes(
    session: Session, verify: Verify, issued_once: cases.Issued, key_folder: Path
) -> None:
    examiner = Examiner(key_folder, answer=UNREADABLE)

    def asked(pdf: bytes = issued_once.pdf) -> int:
        verify(pdf, examiner)
        return len(examiner.asked)

    assert (asked(), asked()) == (1, 1)
    newest = current_lists(session)
    newer = {"number": 2, "this_update": NOW, "next_update": NOW + DAY}
    session.add(RevocationList(issuer="issuing", der=b"a newer list", **newer))
    assert newest != current_lists(session)
    assert (asked(), asked()) == (2, 2)
    session.exec(select(Permit)).one().signed_by = "bsre"
    register(session, issued_once.pdf, level="B-LTA")  # So that the lists stay the same.
    assert (asked(), asked()) == (3, 3)
    register(session, PAGE)
    assert (asked(PAGE), asked(PAGE)) == (4, 4)


def test_a_report_is_asked_for_each_time_and_passed_on(
    session: Session, issued_once: cases.Issued, key_folder: Path
) -> None:
    report = {"policy": {"name": "canting-validation"}, "etsi": "<ValidationReport/>"}
    for pdf in (issued_once.pdf, PAGE):
        examiner = Examiner(key_folder, answer=Examination({**(UNREADABLE.findings or {}), **report}))
        for _ in range(2):
            found = verify_file(session, examiner, pdf, now=NOW, reader=READER, detailed=True)
        assert (found.policy, found.etsi) == (report["policy"], report["etsi"])
        assert [each["detailed"] for each in examiner.asked] == [True, True]


# Each signature -----------------------------------------------------------------------------------


def test_each_signature_is_told_as_ours_or_not(
    session: Session, examiner: Examiner, issued_once: cases.Issued
) -> None:
    countersigned = sign_again(issued_once.pdf, STRANGER.official, "Kedua")
    for pdf, told in (
        (issued_once.pdf, [("TandaTangan", True)]),
        (countersigned, [("TandaTangan", True), ("Kedua", False)]),
        (sign_again(PAGE, STRANGER.official, "Pertama"), [("Pertama", False)]),
        (PAGE, []),
    ):
        found = verify_file(session, examiner, pdf, now=NOW, reader=READER)
        assert [(each.field_name, each.ours) for each in found.signatures] == told


def test_of_a_file_full_of_signatures_the_first_are_told(
    session: Session, examiner: Examiner, issued_once: cases.Issued
) -> None:
    findings = dict(examiner.examine(sign_page(STRANGER.official), NOW).findings or {})
    (signature,) = findings["report"]["signatures"]
    findings["report"]["signatures"] = [
        signature | {"field_name": str(number)} for number in range(MAX_SIGNATURES + 1)
    ]
    examiner.answer = Examination(findings)
    found = verify_file(session, examiner, PAGE, now=NOW, reader=READER)
    assert [each.field_name for each in found.signatures] == [str(number) for number in range(MAX_SIGNATURES)]
