"""Examines an evidence bundle by trust anchors alone: what its README's commands check, and as they do.

Run in the examiner's fork; imports no web and no SQL. The service need not exist any more.
"""

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from service.canonical import canonical, chained_hash, committed_hash, row_hash, text_hash
from service.errors import ServiceError
from service.permits.bundle import MANIFEST, MANIFEST_SEAL, SEAL_TIME, digest_of
from service.transparency.merkle import leaf_hash, verify_inclusion
from service.transparency.notes import Checkpoint, open_checkpoint, parse_vkey
from signing.errors import UnreadableDocument
from signing.stamped import validate_stamped
from signing.validate import validate_document

LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]+)")
LEAF = re.compile(r"log/([0-9]{8,16})\.leaf")
DOCUMENT = re.compile(r"documents/[0-9]{2,6}\.pdf")
SUBMITTING = ("application.submit", "application.resubmit")
"""Events that name the hash of what was submitted."""
TOLD = ("at", "kind", "status", "version", "sha256")
"""What is repeated of a log entry."""
UNREADABLE = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    RecursionError,
    ServiceError,
    UnreadableDocument,
)
"""What a check may meet in a file of another form than ours."""

Files = dict[str, bytes]


@dataclass(slots=True)
class Found:
    """What was found of a bundle; `reasons` is empty when everything holds."""

    reasons: list[str] = field(default_factory=list)
    number: str | None = None
    sealed_by: str | None = None
    sealed_at: datetime | None = None
    vkey: str | None = None
    checkpoint: str | None = None
    """The body of the checkpoint that the proofs lead to."""
    documents: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    """What the log tells of the permit's status, oldest first."""
    events: int = 0
    not_logged: int = 0
    """Events to which no entry of the log commits yet."""
    rows: int = 0
    bare_rows: int = 0
    """Rows whose seal is not in the bundle."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"sealed_at": self.sealed_at.isoformat() if self.sealed_at else None}


def examine_bundle(
    bundle: bytes, anchors_pem: bytes, at: datetime, crls: Sequence[bytes] = ()
) -> dict[str, Any]:
    """Check a bundle's list, seal, documents, log, audit trail and rows; values for JSON.

    Seal and documents are judged at the time of the seal's stamp, by the bundle's revocation lists; with
    newer lists (`crls`, DER) the documents at the time `at`.
    Reasons: `unreadable`, `list_differs`, a `signing.stamped.Fault` after `seal_`, `document_not_passed`,
    `log_not_valid`, `not_in_log`, `trail_broken`, `row_altered`.
    """
    try:
        anchors = x509.load_pem_x509_certificates(anchors_pem)
        files = read_bundle(bundle)
    except MemoryError:
        return {"error": "memory_limit"}
    except (*UNREADABLE, zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError):
        return Found(["unreadable"]).as_json()
    found = Found()
    checks: list[tuple[str, Callable[[], None]]] = [
        ("list_differs", lambda: _check_list(files)),
        ("seal_malformed_signature", lambda: _check_seal(files, anchors, crls, found)),
        ("log_not_valid", lambda: _check_log(files, found)),
        ("document_not_passed", lambda: _check_documents(files, anchors, crls, at, found)),
        ("trail_broken", lambda: _check_trail(files, found)),
        ("row_altered", lambda: _check_rows(files, found)),
    ]
    try:
        for reason, check in checks:
            try:
                check()
            except _Differs as differs:
                found.reasons.append(str(differs) or reason)
            except UNREADABLE:
                found.reasons.append(reason)
    except MemoryError:
        return {"error": "memory_limit"}
    return found.as_json()


class _Differs(Exception):
    """A check does not hold; its text is the reason where the check's own is too general."""


def _require(holds: bool, reason: str = "") -> None:
    if not holds:
        raise _Differs(reason)


def read_bundle(bundle: bytes) -> Files:
    """Read a ZIP's files by their paths. Raises as zipfile does, and ValueError for two of one name."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        if len(names) != len(set(names)):
            raise ValueError("two files of the bundle have one name")
        return {name: archive.read(name) for name in names}


def _check_list(files: Files) -> None:
    lines = files[MANIFEST].decode().splitlines()
    matches = [LINE.fullmatch(line) for line in lines]
    listed = {match[2]: match[1] for match in matches if match}
    _require(len(listed) == len(lines))
    held = {path: data for path, data in files.items() if path not in (MANIFEST, MANIFEST_SEAL, SEAL_TIME)}
    _require(listed == {path: digest_of(data) for path, data in held.items()})


def _check_seal(
    files: Files, anchors: Sequence[x509.Certificate], crls: Sequence[bytes], found: Found
) -> None:
    report = validate_stamped(
        files[MANIFEST],
        files[MANIFEST_SEAL],
        files[SEAL_TIME],
        anchors,
        between=x509.load_pem_x509_certificates(files["certificates/authorities.pem"]),
        crls=[*_lists(files), *crls],
    )
    _require(report.fault is None, f"seal_{report.fault}")
    found.sealed_by, found.sealed_at = report.signer, report.stamped_at


def _lists(files: Files) -> Iterator[bytes]:
    """Yield the bundle's revocation lists as DER."""
    for path, data in sorted(files.items()):
        if path.startswith("revocation/"):
            yield x509.load_pem_x509_crl(data).public_bytes(Encoding.DER)


# The log ------------------------------------------------------------------------------------------


def _check_log(files: Files, found: Found) -> None:
    found.vkey = files["log/vkey"].decode().strip()
    checkpoint = open_checkpoint(files["log/checkpoint"].decode(), parse_vkey(found.vkey))
    found.checkpoint = checkpoint.body.rstrip()
    code = text_hash(_rows(files)["permit"][0]["code"])
    for index, leaf in leaves_of(files).items():
        _require(_is_proven(files[f"log/{index:08}.leaf"], index, files, checkpoint), "not_in_log")
        if leaf.get("code_sha256") == code:
            found.statuses.append({name: leaf[name] for name in TOLD})


def leaves_of(files: Files) -> dict[int, dict[str, Any]]:
    """Return the bundle's log entries by their index."""
    indexes = sorted(int(match[1]) for path in files if (match := LEAF.fullmatch(path)))
    return {index: json.loads(files[f"log/{index:08}.leaf"]) for index in indexes}


def _is_proven(leaf: bytes, index: int, files: Files, checkpoint: Checkpoint) -> bool:
    head, _, note = files[f"log/{index:08}.proof"].decode().partition("\n\n")
    kind, place, *path = head.split("\n")
    hashes = [base64.b64decode(line, validate=True) for line in path]
    return (
        (kind, place, note.encode()) == ("c2sp.org/tlog-proof@v1", f"index {index}", files["log/checkpoint"])
    ) and verify_inclusion(leaf_hash(leaf), index, checkpoint.size, hashes, checkpoint.root)


# The documents ------------------------------------------------------------------------------------


def _check_documents(
    files: Files, anchors: Sequence[x509.Certificate], crls: Sequence[bytes], at: datetime, found: Found
) -> None:
    logged = {status["sha256"] for status in found.statuses}
    lists = [*_lists(files), *crls]
    at = found.sealed_at if found.sealed_at and not crls else at
    before = b""
    for path in sorted(filter(DOCUMENT.fullmatch, files)):
        pdf = files[path]
        report = validate_document(pdf, anchors, at=at, crls=lists)
        first = report.signature
        found.documents.append(
            {
                "path": path,
                "sha256": digest_of(pdf),
                "indication": report.indication,
                "reasons": report.reasons,
                "level": first.level if first else None,
                "signer": first.signer if first else None,
            }
        )
        _require(pdf.startswith(before))
        _require(digest_of(pdf) in logged, "not_in_log")
        before = pdf
    _require(bool(found.documents))
    _require(all(each["indication"] == "TOTAL-PASSED" for each in found.documents))


# The audit trail and the case -------------------------------------------------------------------------


def _rows(files: Files) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = json.loads(files["case.json"])["rows"]
    return rows


def _events(files: Files) -> dict[str, dict[str, Any]]:
    """Return the events shown, by their digests."""
    lines = files["audit/events.jsonl"].decode().split("\n")
    return {text_hash(line): json.loads(line) for line in lines if line}


def _check_trail(files: Files, found: Found) -> None:
    events, leaves, placed = _events(files), leaves_of(files), set[str]()
    for stretch in json.loads(files["audit/chain.json"]):
        value, shown = stretch["previous_hash"], 0
        for number, digest in enumerate(stretch["digests"], stretch["first"]):
            value = chained_hash(value, digest)
            if digest in events:
                _require(events[digest]["number"] == number)
                placed.add(digest)
                shown += 1
        if "leaf" in stretch:
            leaf = leaves[stretch["leaf"]]
            _require(leaf["audit_event"] == stretch["first"] + len(stretch["digests"]) - 1)
            _require(leaf["audit_commitment"] == committed_hash(stretch["nonce"], value))
        else:
            found.not_logged += shown
    _require(placed == set(events))
    found.events = len(events)


def _check_rows(files: Files, found: Found) -> None:
    seals: dict[tuple[str, str], str] = {}
    events = sorted(_events(files).values(), key=lambda event: int(event["number"]))
    for event in events:
        if event["action"] == "rows_sealed":
            for table, listed in event["data"]["rows"].items():
                seals |= {(table, key): seal for key, seal in listed.items()}
    rows = _rows(files)
    for table, listed in rows.items():
        for row in listed:
            seal = seals.get((table, row["id"]))
            _require(seal is None or seal[:64] == row_hash(table, row["id"], row))
            found.rows, found.bare_rows = found.rows + 1, found.bare_rows + (seal is None)
    submitted = {event["data"].get("sha256") for event in events if event["action"] in SUBMITTING}
    for row in rows["application_submission"]:
        content = {"documents": row["documents"], "values": row["values"]}
        _require(row["sha256"] == text_hash(canonical(content)) and row["sha256"] in submitted)
    found.number = rows["permit"][0]["number"]
