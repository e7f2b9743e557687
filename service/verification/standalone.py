"""Judging files with no server, no register and no settings: by a root certificate and what the log proves.

What only the service knows cannot be told here, and each finding names what was not checked. A valid
signature alone is never called genuine: that takes the log's proof as well.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from service.transparency.merkle import leaf_hash, verify_inclusion
from service.transparency.notes import Verifier, open_checkpoint
from service.verification.evidence import UNREADABLE
from service.verification.examination import Examination
from service.verification.sandbox import Sandbox

LARGEST_FILE = 20 * 1024 * 1024
LARGEST_BUNDLE = 64 * 1024 * 1024
ZIP_BEGINS = b"PK\x03\x04"


class Answer(StrEnum):
    """What can be said of a file."""

    GENUINE = "genuine"
    """A document whose signature is valid, and which the log has."""
    SIGNATURE_VALID = "signature_valid"
    SIGNATURE_NOT_VALID = "signature_not_valid"
    RECEIPT_VALID = "receipt_valid"
    """A verification receipt whose signature is valid; whose, is for the reader to see."""
    EVIDENCE_VALID = "evidence_valid"
    EVIDENCE_NOT_VALID = "evidence_not_valid"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one file; reasons are stable codes."""

    file: str
    sha256: str
    answer: Answer
    reasons: tuple[str, ...]
    not_checked: tuple[str, ...]
    """`register`, `revocation`, `later_status`, `seal`, `log_key`, `trail_not_logged` or `rows_without_seal`:
    what the answer does not rest on."""
    level: str | None = None
    signer: str | None = None
    signed_at: str | None = None
    status: str | None = None
    """The permit's status as the log last tells it."""
    status_at: str | None = None
    receipt: dict[str, Any] = field(default_factory=dict)
    """Of a verification receipt: what it states."""
    bundle: dict[str, Any] = field(default_factory=dict)
    """Of a bundle: what `verification.evidence.Found` holds."""


@dataclass(frozen=True, slots=True)
class LogTrust:
    """What is known of the log: its key, a checkpoint held for one's own, and proofs by document."""

    verifier: Verifier | None = None
    held: str | None = None
    """The body of a checkpoint; every proof must lead to this very one."""
    proofs: tuple[dict[str, Any], ...] = ()
    """As `/api/v1/permits/{code}/log-proof` gives them."""


def judge_file(
    sandbox: Sandbox, path: Path, *, at: datetime, crls: Sequence[bytes] = (), log: LogTrust = LogTrust()
) -> Finding:
    """Examine a document or a bundle in a child process of its own. Raises OSError."""
    with path.open("rb") as file:
        begins = file.read(len(ZIP_BEGINS))
        largest = LARGEST_BUNDLE if begins == ZIP_BEGINS else LARGEST_FILE
        data = begins + file.read(largest)
        # A file too large to be examined is named by its own hash all the same.
        sha256 = hashlib.file_digest(file, lambda: hashlib.sha256(data)).hexdigest()
    if len(data) > largest:
        return Finding(str(path), sha256, Answer.UNDECIDED, ("too_large",), ())
    if begins == ZIP_BEGINS:
        return _judge_bundle(str(path), sha256, sandbox.examine_bundle(data, at, crls), log)
    return _judge(str(path), sha256, sandbox.examine(data, at, crls), bool(crls), log)


def _judge(file: str, sha256: str, examination: Examination, has_lists: bool, log: LogTrust) -> Finding:
    findings: dict[str, Any] = examination.findings or {}
    report = findings.get("report")
    if report is None:
        return Finding(file, sha256, Answer.UNDECIDED, (examination.stopped or "unreadable",), ())
    reasons = tuple(report["reasons"])
    if not report["signatures"]:
        return Finding(file, sha256, Answer.SIGNATURE_NOT_VALID, reasons, ())
    first = report["signatures"][0]
    passed = report["indication"] == "TOTAL-PASSED"
    receipt: dict[str, Any] = (findings["receipt"] if passed else None) or {}
    told = find_in_log(sha256, log) if passed and not receipt else None
    unknown = ["later_status" if told else "seal" if receipt else "register"]
    if not has_lists and first["level"] not in ("B-LT", "B-LTA"):
        unknown.append("revocation")
    answer = Answer.SIGNATURE_VALID if passed else Answer.SIGNATURE_NOT_VALID
    if told and told["status"] != "active":
        reasons = (f"permit_{told['status']}",)
    return Finding(
        file,
        sha256,
        Answer.GENUINE if told else Answer.RECEIPT_VALID if receipt else answer,
        reasons,
        tuple(unknown),
        level=first["level"],
        signer=first["signer"],
        signed_at=first["timestamped_at"] or first["signed_at"],
        status=told["status"] if told else None,
        status_at=told["at"] if told else None,
        receipt=receipt,
    )


# The log ------------------------------------------------------------------------------------------


def find_in_log(sha256: str, log: LogTrust) -> dict[str, Any] | None:
    """Return the last leaf of the permit whose document this is, if the log is proven to have the document.

    Every leaf of a proof must be proven, or the whole proof counts for nothing.
    """
    for proof in log.proofs:
        try:
            leaves = proven_leaves(proof, log)
        except UNREADABLE:
            continue
        code = next((leaf["code_sha256"] for leaf in leaves if leaf.get("sha256") == sha256), None)
        if code is not None:
            return [leaf for leaf in leaves if leaf.get("code_sha256") == code][-1]
    return None


def proven_leaves(proof: dict[str, Any], log: LogTrust) -> list[dict[str, Any]]:
    """Return a proof's leaves in the log's order. Raises one of UNREADABLE for a proof that does not hold."""
    note = str(proof["checkpoint"])
    if log.held is not None and body_of(note) != log.held:
        raise ValueError("the proof leads to another checkpoint")
    if log.verifier is not None:
        open_checkpoint(note, log.verifier)
    elif log.held is None:
        raise ValueError("nothing is known of the log")
    size, root = read_body(body_of(note))
    leaves = {}
    for entry in proof["entries"]:
        text, index = str(entry["leaf"]), int(entry["index"])
        path = [bytes.fromhex(item) for item in entry["path"]]
        if not verify_inclusion(leaf_hash(text.encode()), index, size, path, root):
            raise ValueError("a leaf is not proven")
        leaves[index] = json.loads(text)
    return [leaves[index] for index in sorted(leaves)]


def body_of(note: str) -> str:
    """Return what is signed of a checkpoint."""
    return note.partition("\n\n")[0]


def read_body(body: str) -> tuple[int, bytes]:
    """Return the size and the root of a checkpoint's body. Raises ValueError."""
    _, size, root = body.split("\n")
    return int(size), base64.b64decode(root, validate=True)


# Bundles ------------------------------------------------------------------------------------------


def _judge_bundle(file: str, sha256: str, examination: Examination, log: LogTrust) -> Finding:
    found: dict[str, Any] | None = examination.findings
    if found is None:
        return Finding(file, sha256, Answer.UNDECIDED, (examination.stopped,), ())
    reasons = list(found["reasons"])
    if reasons == ["unreadable"]:
        return Finding(file, sha256, Answer.UNDECIDED, ("unreadable",), ())
    if log.verifier is not None and found["vkey"] != log.verifier.vkey:
        reasons.append("other_log_key")
    same_state = log.held is None or found["checkpoint"] == log.held
    known = {
        "later_status": False,
        "log_key": same_state and (log.verifier is not None or log.held is not None),
        "trail_not_logged": not found["not_logged"],
        "rows_without_seal": not found["bare_rows"],
    }
    last: dict[str, Any] = found["statuses"][-1] if found["statuses"] else {}
    newest: dict[str, Any] = found["documents"][-1] if found["documents"] else {}
    return Finding(
        file,
        sha256,
        Answer.EVIDENCE_NOT_VALID if reasons else Answer.EVIDENCE_VALID,
        tuple(reasons),
        () if reasons else tuple(name for name, is_known in known.items() if not is_known),
        level=newest.get("level"),
        signer=newest.get("signer"),
        status=last.get("status"),
        status_at=last.get("at"),
        bundle=found,
    )
