"""What is said of a file by trust anchors and proofs of the log alone, examined in the test's process."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from examining import Examiner, digest
from logs import make_log_key, prove_leaves
from pki import NOW, throwaway_pki
from signed_pages import HOUR, one_page, sign_page

from service.transparency.notes import NoteInvalid
from service.verification.examination import Examination
from service.verification.standalone import (
    Answer,
    Finding,
    LogTrust,
    body_of,
    find_in_log,
    judge_file,
    proven_leaves,
    read_body,
)

PKI = throwaway_pki()
KEY, OTHER_KEY = make_log_key(), make_log_key()
PAGE = one_page()
SIGNED = sign_page(PKI.official, PKI.tsa)
SIGNATURE = {
    "level": "B-T",
    "signer": "Kepala Dinas Contoh",
    "signed_at": NOW.isoformat(),
    "timestamped_at": (NOW + HOUR).isoformat(),
}
PASSED = {"indication": "TOTAL-PASSED", "reasons": [], "signatures": [SIGNATURE]}
FAILED = {"indication": "TOTAL-FAILED", "reasons": ["not_whole_file"], "signatures": [SIGNATURE]}
STATED = {"verdict": "genuine", "permit": {"number": "1/2"}}
Judge = Callable[..., Finding]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Judge a file an hour after the signature, by what was found if told; its path is left out."""
    root = tmp_path / "root.pem"
    root.write_bytes(PKI.root.certificate.public_bytes(Encoding.PEM))

    def judge(
        content: bytes, answer: Examination | None = None, log: LogTrust = LogTrust(), crls: Any = ()
    ) -> Finding:
        path, examiner = tmp_path / "berkas", Examiner(root, answer=answer)
        path.write_bytes(content)
        finding = judge_file(examiner, path, at=NOW + HOUR, crls=crls, log=log)
        assert finding.file == str(path)
        assert all((each["at"], each["crls"]) == (NOW + HOUR, list(crls)) for each in examiner.asked)
        assert all(each.get("bundle", content) == content for each in examiner.asked)
        return replace(finding, file="")

    return judge


def found(report: dict[str, Any] | None, receipt: dict[str, Any] | None = None) -> Examination:
    return Examination({"report": report, "receipt": receipt})


def at_level(level: str) -> dict[str, Any]:
    return PASSED | {"signatures": [SIGNATURE | {"level": level}]}


# Documents and receipts ---------------------------------------------------------------------------

VALID = Finding(
    "",
    digest(PAGE),
    Answer.SIGNATURE_VALID,
    (),
    ("register", "revocation"),
    level="B-T",
    signer="Kepala Dinas Contoh",
    signed_at=(NOW + HOUR).isoformat(),
)


def test_a_signed_document_is_judged_by_the_root(judge: Judge) -> None:
    signed = replace(VALID, sha256=digest(SIGNED), signed_at=NOW.isoformat())
    assert judge(SIGNED) == signed
    altered = SIGNED + b"\n"
    not_valid = replace(signed, answer=Answer.SIGNATURE_NOT_VALID, reasons=("not_whole_file",))
    assert judge(altered) == replace(not_valid, sha256=digest(altered))


def test_what_nobody_signed_or_nobody_can_read_is_no_valid_document(judge: Judge) -> None:
    assert judge(PAGE) == Finding("", digest(PAGE), Answer.SIGNATURE_NOT_VALID, ("no_signature",), ())
    assert judge(b"%PDF-") == Finding("", digest(b"%PDF-"), Answer.UNDECIDED, ("unreadable",), ())


def test_why_an_examination_stopped_is_told(judge: Judge) -> None:
    stopped = Examination(None, "time_limit")
    assert judge(PAGE, stopped) == Finding("", digest(PAGE), Answer.UNDECIDED, ("time_limit",), ())


@pytest.mark.parametrize(
    ("level", "crls", "not_checked"),
    [
        ("B-B", [], ("register", "revocation")),
        ("B-T", [], ("register", "revocation")),
        ("B-T", [b"a list"], ("register",)),
        ("B-LT", [], ("register",)),
        ("B-LTA", [], ("register",)),
    ],
)
def test_revocation_is_checked_by_lists_of_the_document_or_of_the_reader(
    judge: Judge, level: str, crls: list[bytes], not_checked: tuple[str, ...]
) -> None:
    finding = judge(PAGE, found(at_level(level)), crls=crls)
    assert finding == replace(VALID, level=level, not_checked=not_checked)


def test_a_signature_without_a_time_stamp_is_as_old_as_its_signer_says(judge: Judge) -> None:
    report = PASSED | {"signatures": [SIGNATURE | {"timestamped_at": None}]}
    assert judge(PAGE, found(report)) == replace(VALID, signed_at=NOW.isoformat())


def test_the_first_signature_is_told(judge: Judge) -> None:
    report = PASSED | {"signatures": [SIGNATURE, SIGNATURE | {"signer": "Kedua", "level": "B-LTA"}]}
    assert judge(PAGE, found(report)) == VALID


def test_a_receipt_is_one_only_if_its_signature_is_valid(judge: Judge) -> None:
    sealed = replace(VALID, answer=Answer.RECEIPT_VALID, not_checked=("seal", "revocation"), receipt=STATED)
    assert judge(PAGE, found(PASSED, STATED)) == sealed
    not_valid = replace(VALID, answer=Answer.SIGNATURE_NOT_VALID, reasons=("not_whole_file",))
    assert judge(PAGE, found(FAILED, STATED)) == not_valid


@pytest.mark.parametrize(("begins", "limit"), [(b"%PDF", "LARGEST_FILE"), (b"PK\x03\x04", "LARGEST_BUNDLE")])
def test_a_file_too_large_is_named_by_its_own_hash_and_not_examined(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, begins: bytes, limit: str
) -> None:
    monkeypatch.setattr(f"service.verification.standalone.{limit}", 100)
    for length in (101, 104, 105, 5000):
        content = begins.ljust(length, b".")
        assert judge(content) == Finding("", digest(content), Answer.UNDECIDED, ("too_large",), ())
    largest = begins.ljust(100, b".")
    assert judge(largest) == Finding("", digest(largest), Answer.UNDECIDED, ("unreadable",), ())


# The log ------------------------------------------------------------------------------------------


def leaf(sha256: str, status: str = "active", code: str = "c0de", day: str = "2026-11-23") -> str:
    return json.dumps({"at": day, "status": status, "code_sha256": code, "sha256": sha256})


OURS, OTHERS = digest(PAGE), digest(SIGNED)
TREE_HEAD = json.dumps({"kind": "audit"})
"""A leaf that is of no permit."""
LIFE = [
    leaf(OTHERS, "revoked", code="another"),
    leaf(OURS),
    TREE_HEAD,
    leaf(OURS, "suspended", day="2026-11-24"),
    leaf(OTHERS, "revoked", code="another"),
]
PROOF = prove_leaves(LIFE, KEY)
TRUST = LogTrust(KEY.verifier, proofs=(PROOF,))
LAST = json.loads(LIFE[3])


def test_a_document_that_the_log_has_is_genuine_and_its_permits_last_status_is_told(judge: Judge) -> None:
    proof = prove_leaves([leaf(OURS)], KEY)
    genuine = replace(
        VALID,
        answer=Answer.GENUINE,
        not_checked=("later_status", "revocation"),
        status="active",
        status_at="2026-11-23",
    )
    log = LogTrust(KEY.verifier, proofs=(proof,))
    assert judge(PAGE, found(PASSED), log) == genuine
    reasons = PASSED | {"reasons": ["not_extended"]}
    assert judge(PAGE, found(reasons), log) == replace(genuine, reasons=("not_extended",))
    suspended = replace(genuine, reasons=("permit_suspended",), status="suspended", status_at="2026-11-24")
    assert judge(PAGE, found(PASSED), TRUST) == suspended


def test_a_proof_makes_no_failed_signature_genuine_and_no_document_of_a_receipt(judge: Judge) -> None:
    assert judge(PAGE, found(FAILED), TRUST).answer == Answer.SIGNATURE_NOT_VALID
    assert judge(PAGE, found(PASSED, STATED), TRUST).answer == Answer.RECEIPT_VALID


def test_of_several_proofs_the_one_that_holds_and_has_the_document_counts() -> None:
    forged = prove_leaves([leaf(OURS, "active")], OTHER_KEY)
    of_another = prove_leaves([leaf(OTHERS, code="another")], KEY)
    assert find_in_log(OURS, LogTrust(KEY.verifier, proofs=(forged, of_another, PROOF))) == LAST
    assert find_in_log(OURS, LogTrust(KEY.verifier, proofs=(forged, of_another))) is None
    assert find_in_log(OURS, LogTrust(KEY.verifier)) is None


def test_the_leaves_are_told_in_the_order_of_the_log() -> None:
    turned = PROOF | {"entries": PROOF["entries"][::-1]}
    assert proven_leaves(turned, TRUST) == proven_leaves(PROOF, TRUST) == [json.loads(each) for each in LIFE]


def changed(**change: object) -> dict[str, Any]:
    """Return the proof with its second entry changed."""
    first, second, *rest = PROOF["entries"]
    return PROOF | {"entries": [first, second | change, *rest]}


@pytest.mark.parametrize(
    "change",
    [{"leaf": leaf(OURS, "revoked")}, {"index": 0}, {"index": 5}, {"path": []}, {"path": ["00" * 32] * 3}],
)
def test_one_leaf_that_is_not_proven_spoils_the_proof(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^a leaf is not proven$"):
        proven_leaves(changed(**change), TRUST)
    assert find_in_log(OURS, LogTrust(KEY.verifier, proofs=(changed(**change),))) is None


def test_a_proof_counts_by_the_logs_key_or_by_a_checkpoint_that_is_held_and_by_both_if_both_are() -> None:
    note = PROOF["checkpoint"]
    held, other = body_of(note), body_of(prove_leaves(LIFE[:1], KEY)["checkpoint"])
    assert note.startswith(f"{held}\n\n")
    assert body_of(f"{note}\n\nmore") == held
    for log in (LogTrust(KEY.verifier), LogTrust(held=held), LogTrust(KEY.verifier, held)):
        assert proven_leaves(PROOF, log)
    for log in (LogTrust(OTHER_KEY.verifier), LogTrust(OTHER_KEY.verifier, held)):
        with pytest.raises(NoteInvalid):
            proven_leaves(PROOF, log)
    for log in (LogTrust(held=other), LogTrust(KEY.verifier, other)):
        with pytest.raises(ValueError, match=r"^the proof leads to another checkpoint$"):
            proven_leaves(PROOF, log)
    with pytest.raises(ValueError, match=r"^nothing is known of the log$"):
        proven_leaves(PROOF, LogTrust())


@pytest.mark.parametrize(
    "body", ["", "log\n5", "log 5 AAAA", "log\nfive\nAAAA", "log\n5\nA*AAA", "log\n5\nAAAA\nmore"]
)
def test_what_is_no_checkpoint_is_refused(body: str) -> None:
    assert read_body("log\n5\nAAAA") == (5, bytes(3))
    with pytest.raises(ValueError, match=r"."):
        read_body(body)


# Bundles ------------------------------------------------------------------------------------------

BUNDLE = b"PK\x03\x04 a bundle"
HELD = body_of(PROOF["checkpoint"])
EVIDENCE: dict[str, Any] = {
    "reasons": [],
    "vkey": KEY.verifier.vkey,
    "checkpoint": HELD,
    "documents": [{"level": level, "signer": f"Penanda {level}"} for level in ("B-T", "B-LT", "B-LTA")],
    "statuses": [{"status": status, "at": f"at {status}"} for status in ("issued", "active", "suspended")],
    "not_logged": 0,
    "bare_rows": 0,
}
WHOLE = Finding(
    "",
    digest(BUNDLE),
    Answer.EVIDENCE_VALID,
    (),
    ("later_status",),
    level="B-LTA",
    signer="Penanda B-LTA",
    status="suspended",
    status_at="at suspended",
    bundle=EVIDENCE,
)
KNOWN = LogTrust(KEY.verifier)


def test_a_whole_bundle_is_valid_and_its_newest_document_and_last_status_are_told(judge: Judge) -> None:
    for log in (KNOWN, LogTrust(held=HELD), LogTrust(KEY.verifier, HELD)):
        assert judge(BUNDLE, Examination(EVIDENCE), log) == WHOLE
    assert judge(BUNDLE, Examination(EVIDENCE), KNOWN, [b"a newer list"]) == WHOLE


def test_a_log_that_only_the_bundle_names_is_said_not_to_be_checked(judge: Judge) -> None:
    bare = replace(WHOLE, not_checked=("later_status", "log_key"))
    for log in (LogTrust(), LogTrust(held="another"), LogTrust(KEY.verifier, "another")):
        assert judge(BUNDLE, Examination(EVIDENCE), log) == bare


def test_what_no_log_and_no_seal_covers_is_said_not_to_be_checked(judge: Judge) -> None:
    for change, name in (({"not_logged": 1}, "trail_not_logged"), ({"bare_rows": 1}, "rows_without_seal")):
        evidence = EVIDENCE | change
        expected = replace(WHOLE, bundle=evidence, not_checked=("later_status", name))
        assert judge(BUNDLE, Examination(evidence), KNOWN) == expected


def test_a_bundle_of_another_log_or_with_faults_is_not_valid(judge: Judge) -> None:
    not_valid = replace(WHOLE, answer=Answer.EVIDENCE_NOT_VALID, not_checked=())
    other = LogTrust(OTHER_KEY.verifier)
    assert judge(BUNDLE, Examination(EVIDENCE), other) == replace(not_valid, reasons=("other_log_key",))
    broken = EVIDENCE | {"reasons": ["trail_broken"], "documents": [], "statuses": []}
    bare = {"level": None, "signer": None, "status": None, "status_at": None, "bundle": broken}
    assert judge(BUNDLE, Examination(broken), KNOWN) == replace(not_valid, reasons=("trail_broken",), **bare)
    reasons = ("trail_broken", "other_log_key")
    assert judge(BUNDLE, Examination(broken), other) == replace(not_valid, reasons=reasons, **bare)


def test_a_bundle_that_was_not_examined_or_is_none_is_undecided(judge: Judge) -> None:
    for examination, reason in (
        (Examination(None, "memory_limit"), "memory_limit"),
        (None, "unreadable"),
    ):
        assert judge(BUNDLE, examination) == Finding("", digest(BUNDLE), Answer.UNDECIDED, (reason,), ())
