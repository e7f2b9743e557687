"""Each rule of a bundle by a small one, made by hand: what is told of it, and why if it differs."""

import base64
import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from bundles import Change, Files, in_json, pack, replaced, sealed_anew, unpack
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from logs import make_log_key, prove_leaves
from pki import NOW, make_pki, throwaway_pki
from signed_pages import DAY, HOUR, archive_page, extend_page, lists, one_page, sign_page

from keys.revocation import Revocation
from keys.store import BareKey
from keys.timestamp import local_timestamper
from service.canonical import canonical, chained_hash, committed_hash, row_hash, text_hash
from service.permits.bundle import MANIFEST, MANIFEST_SEAL, SEAL_TIME, digest_of
from service.permits.signer import OperationsKeys
from service.verification.evidence import examine_bundle, read_bundle

PKI, STRANGER = throwaway_pki(), make_pki()
SEALED_AT = NOW + 2 * HOUR
LOG_KEY = make_log_key()
BARE_KEY = Ed25519PrivateKey.generate()
KEYS = OperationsKeys(
    local_timestamper(PKI.tsa, lambda: SEALED_AT),
    PKI.tsa,
    PKI.seal,
    BareKey("log", BARE_KEY.public_key(), BARE_KEY.sign),
)
ROOT = PKI.root.certificate.public_bytes(Encoding.PEM)
FIRST = sign_page(PKI.official, PKI.tsa)
SECOND = archive_page(extend_page(FIRST), PKI.tsa)
CODE, NUMBER = "kode-umum", "503/1/2026"
CONTENT = {"documents": ["ktp"], "values": {"full_name": "Contoh"}}
SUBMITTED = text_hash(canonical(CONTENT))
ROWS: dict[str, list[dict[str, Any]]] = {
    "permit": [{"id": "p1", "code": CODE, "number": NUMBER}],
    "application_submission": [{"id": "s1", "sha256": SUBMITTED, **CONTENT}],
    "note": [{"id": "n1", "text": "Lengkap"}, {"id": "n2", "text": "Tanpa segel"}],
}
NONCE, BEFORE, UNSHOWN = "5e" * 16, "ab" * 32, "cd" * 32


def seal(table: str, place: int) -> str:
    row = ROWS[table][place]
    return f"{row_hash(table, row['id'], row)}:mac"


def event(number: int, action: str, **data: Any) -> str:
    return canonical({"number": number, "action": action, "data": data})


def sealing(number: int, **rows: dict[str, str]) -> str:
    return event(number, "rows_sealed", rows=rows)


EVENTS = [
    sealing(9, note={"n1": seal("note", 0)}),
    sealing(6, permit={"p1": seal("permit", 0)}, note={"n1": "00" * 32}),
    event(7, "application.submit", sha256=SUBMITTED),
    sealing(12, application_submission={"s1": seal("application_submission", 0)}),
    event(13, "permit.read", by="Nama dengan spasi"),
    event(20, "permit.read"),
]
"""As the bundle's lines; of the two seals of the row `n1` the later counts, wherever its line stands."""
CHAIN: list[dict[str, Any]] = [
    {
        "first": 5,
        "previous_hash": BEFORE,
        "digests": [UNSHOWN, text_hash(EVENTS[1]), text_hash(EVENTS[2]), UNSHOWN, text_hash(EVENTS[0])],
        "leaf": 3,
        "nonce": NONCE,
    },
    {"first": 12, "previous_hash": BEFORE, "digests": [text_hash(EVENTS[3]), text_hash(EVENTS[4])]},
    {"first": 20, "previous_hash": BEFORE, "digests": [text_hash(EVENTS[5])]},
]


def chained(value: str, digests: Sequence[str]) -> str:
    for digest in digests:
        value = chained_hash(value, digest)
    return value


def told(kind: str, status: str, version: int, pdf: bytes) -> dict[str, Any]:
    return {
        "at": NOW.isoformat(),
        "kind": kind,
        "status": status,
        "version": version,
        "sha256": digest_of(pdf),
    }


def make_files(*documents: bytes) -> Files:
    """Make the files of a bundle with these documents, which shows all of the log but one entry."""
    told_of = [told("issued", "active", version, pdf) for version, pdf in enumerate(documents, 1)]
    told_of.append(told("suspended", "suspended", len(documents), documents[-1]))
    commitment = committed_hash(NONCE, chained(BEFORE, CHAIN[0]["digests"]))
    leaves = [
        canonical(told_of[0] | {"code_sha256": text_hash(CODE)}),
        canonical({"code_sha256": text_hash("another")}),
        canonical({"code_sha256": text_hash("another"), "kind": "issued"}),
        canonical({"audit_event": 9, "audit_commitment": commitment}),
        *(canonical(each | {"code_sha256": text_hash(CODE)}) for each in told_of[1:]),
    ]
    proof = prove_leaves(leaves, LOG_KEY)
    files = {
        "README.md": b"Bacalah.",
        "case.json": canonical({"rows": ROWS}).encode(),
        "audit/events.jsonl": "".join(f"{line}\n" for line in EVENTS).encode(),
        "audit/chain.json": canonical(CHAIN).encode(),
        "certificates/authorities.pem": PKI.issuing.certificate.public_bytes(Encoding.PEM),
        "log/vkey": f"{LOG_KEY.verifier.vkey}\n".encode(),
        "log/checkpoint": proof["checkpoint"].encode(),
    }
    for number, der in enumerate(lists(NOW)):
        pem = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
        files[f"revocation/{number}.pem"] = pem
    for number, pdf in enumerate(documents, 1):
        files[f"documents/{number:02}.pdf"] = pdf
    for entry in proof["entries"]:
        if (index := entry["index"]) != 1:
            path = [base64.b64encode(bytes.fromhex(each)).decode() for each in entry["path"]]
            lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *path]
            files[f"log/{index:08}.leaf"] = entry["leaf"].encode()
            files[f"log/{index:08}.proof"] = "\n".join([*lines, "", proof["checkpoint"]]).encode()
    return sealed_anew(files, KEYS, SEALED_AT)


FILES = make_files(FIRST, SECOND)


def examined(files: Files, at: datetime = SEALED_AT, crls: Sequence[bytes] = ()) -> dict[str, Any]:
    return examine_bundle(pack(files), ROOT, at, crls)


def document(path: str, pdf: bytes, level: str | None, **more: Any) -> dict[str, Any]:
    passed = {"indication": "TOTAL-PASSED", "reasons": (), "signer": "Kepala Dinas Contoh"}
    return {"path": path, "sha256": digest_of(pdf), "level": level} | passed | more


WHOLE = {
    "reasons": [],
    "number": NUMBER,
    "sealed_by": "Segel Elektronik (UJI)",
    "sealed_at": SEALED_AT.isoformat(),
    "vkey": LOG_KEY.verifier.vkey,
    "checkpoint": FILES["log/checkpoint"].decode().partition("\n\n")[0],
    "documents": [
        document("documents/01.pdf", FIRST, "B-T"),
        document("documents/02.pdf", SECOND, "B-LTA"),
    ],
    "statuses": [
        told("issued", "active", 1, FIRST),
        told("issued", "active", 2, SECOND),
        told("suspended", "suspended", 2, SECOND),
    ],
    "events": 6,
    "not_logged": 3,
    "rows": 4,
    "bare_rows": 1,
}
NOTHING = {
    "reasons": ["unreadable"],
    "number": None,
    "sealed_by": None,
    "sealed_at": None,
    "vkey": None,
    "checkpoint": None,
    "documents": [],
    "statuses": [],
    "events": 0,
    "not_logged": 0,
    "rows": 0,
    "bare_rows": 0,
}


def test_what_is_told_of_a_whole_bundle_is_the_same_whenever_it_is_read() -> None:
    for years in (0, 40):
        assert examined(FILES, SEALED_AT + timedelta(days=365 * years)) == WHOLE


def without(*paths: str) -> Change:
    return lambda files: {path: data for path, data in files.items() if path not in paths}


def in_case(change: Callable[[dict[str, list[dict[str, Any]]]], object]) -> Change:
    return in_json("case.json", lambda case: change(case["rows"]))


def in_chain(place: int, **change: Any) -> Change:
    return in_json("audit/chain.json", lambda chain: chain[place].update(change))


def another_submission(**change: Any) -> Change:
    """A submission of its own seal, or none, and not of its own hash or of none that was submitted."""
    return in_case(lambda rows: rows["application_submission"][0].update({"id": "s2"} | change))


OTHER = {"documents": [], "values": {}}
PROOF = "log/00000000.proof"
DIFFERENT: dict[str, tuple[Change, list[str]]] = {
    # The seal and what it rests on.
    "no authorities": (without("certificates/authorities.pem"), ["seal_malformed_signature"]),
    "a list that is none": (
        lambda files: files | {"revocation/2.pem": b"none"},
        ["seal_malformed_signature", "document_not_passed"],
    ),
    # The log.
    "no key of the log": (without("log/vkey"), ["log_not_valid", "not_in_log"]),
    "a key that is none": (replaced("log/vkey", b"+", b"-"), ["log_not_valid", "not_in_log"]),
    "another log's proof": (replaced(PROOF, b"tlog-proof@v1", b"tlog-proof@v2"), ["not_in_log"] * 2),
    "a proof of another place": (replaced(PROOF, b"index 0", b"index 1"), ["not_in_log"] * 2),
    "a proof of another checkpoint": (replaced(PROOF, b"\n\n", b"\n\n\n"), ["not_in_log"] * 2),
    "a proof with something in between": (
        replaced(PROOF, b"index 0\n", b"index 0\n*"),
        ["log_not_valid", "not_in_log"],
    ),
    "a proof of other hashes": (
        replaced("log/00000005.proof", b"index 5\n", b"index 5\n" + b"A" * 43 + b"=\n"),
        ["not_in_log"],
    ),
    "no permit": (
        in_case(lambda rows: rows["permit"].clear()),
        ["log_not_valid", "not_in_log", "row_altered"],
    ),
    # The documents.
    "no document": (without("documents/01.pdf", "documents/02.pdf"), ["document_not_passed"]),
    "a document that nobody issued": (
        lambda files: files | {"documents/03.pdf": SECOND + b"\n"},
        ["not_in_log"],
    ),
    "versions that do not follow one another": (
        lambda files: files | {"documents/01.pdf": SECOND, "documents/02.pdf": FIRST},
        ["document_not_passed"],
    ),
    # The audit trail.
    "an event of another number": (in_chain(0, first=4), ["trail_broken"]),
    "an event left out of the chain": (in_chain(2, digests=[]), ["trail_broken"]),
    "a stretch that begins elsewhere": (in_chain(0, previous_hash="ef" * 32), ["trail_broken"]),
    "a stretch that ends elsewhere": (
        in_json("audit/chain.json", lambda chain: chain[0]["digests"].append(UNSHOWN)),
        ["trail_broken"],
    ),
    "another nonce": (in_chain(0, nonce="00" * 16), ["trail_broken"]),
    "a stretch by another entry": (in_chain(0, leaf=0), ["trail_broken"]),
    "no chain": (without("audit/chain.json"), ["trail_broken"]),
    # The case.
    "another row": (in_case(lambda rows: rows["note"][0].update(text="X")), ["row_altered"]),
    "another submission with its seal": (
        in_case(lambda rows: rows["application_submission"][0].update(OTHER)),
        ["row_altered"],
    ),
    "a submission not of its hash": (another_submission(**OTHER), ["row_altered"]),
    "a submission that nobody submitted": (
        another_submission(**OTHER, sha256=text_hash(canonical(OTHER))),
        ["row_altered"],
    ),
    "no rows": (without("case.json"), ["log_not_valid", "not_in_log", "row_altered"]),
}


@pytest.mark.parametrize(("change", "reasons"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_differs_is_named_and_the_rest_is_told_all_the_same(change: Change, reasons: list[str]) -> None:
    found = examined(sealed_anew(change(FILES), KEYS, SEALED_AT))
    assert found["reasons"] == reasons
    if "seal_malformed_signature" not in reasons:
        assert (found["sealed_by"], found["sealed_at"]) == (WHOLE["sealed_by"], WHOLE["sealed_at"])


def test_an_event_that_is_in_no_stretch_is_noticed() -> None:
    path = "audit/events.jsonl"
    changed = FILES | {path: FILES[path] + event(21, "permit.read").encode() + b"\n"}
    assert examined(sealed_anew(changed, KEYS, SEALED_AT)) == WHOLE | {
        "reasons": ["trail_broken"],
        "events": 0,
    }


LISTED: dict[str, tuple[Change, list[str]]] = {
    "a file that is not listed": (lambda files: files | {"LAIN.md": b""}, ["list_differs"]),
    "a file that is missing": (without("README.md"), ["list_differs"]),
    "a file of other bytes": (replaced("README.md", b"B", b"b"), ["list_differs"]),
    "no list": (without(MANIFEST), ["list_differs", "seal_malformed_signature"]),
    "a line that is none": (
        lambda files: files | {MANIFEST: files[MANIFEST] + b"#\n"},
        ["list_differs", "seal_signature_not_valid"],
    ),
    "no seal": (without(MANIFEST_SEAL), ["seal_malformed_signature"]),
    "no time of the seal": (without(SEAL_TIME), ["seal_malformed_signature"]),
}


@pytest.mark.parametrize(("change", "reasons"), LISTED.values(), ids=LISTED.keys())
def test_the_sealed_list_is_of_all_the_files_and_of_no_other(change: Change, reasons: list[str]) -> None:
    found = examined(change(FILES))
    assert found == WHOLE | {"reasons": reasons} | (
        {} if reasons == ["list_differs"] else {"sealed_by": None, "sealed_at": None}
    )


def test_a_seal_counts_by_the_root_alone_and_by_every_list() -> None:
    by_stranger = examine_bundle(pack(FILES), STRANGER.root.certificate.public_bytes(Encoding.PEM), SEALED_AT)
    assert by_stranger["reasons"] == ["seal_time_stamp_not_valid", "document_not_passed"]
    revoked = Revocation(PKI.seal.certificate.serial_number, NOW + HOUR)
    newer = lists(SEALED_AT, revoked)
    found = examined(FILES, SEALED_AT, newer)
    assert found == WHOLE | {"reasons": ["seal_signature_not_valid"], "sealed_by": None, "sealed_at": None}
    (der, _) = newer
    files = FILES | {"revocation/2.pem": x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)}
    assert examined(sealed_anew(files, KEYS, SEALED_AT))["reasons"] == ["seal_signature_not_valid"]


def test_documents_are_judged_when_the_bundle_was_sealed_or_by_newer_lists_now() -> None:
    later = SEALED_AT + 3 * DAY
    assert examined(FILES, later) == WHOLE
    assert examined(FILES, later, lists(later)) == WHOLE
    revoked = Revocation(PKI.official.certificate.serial_number, NOW - HOUR)
    found = examined(FILES, later, lists(later, revoked))
    assert found["reasons"] == ["document_not_passed"]
    assert "TOTAL-PASSED" not in [each["indication"] for each in found["documents"]]


def test_a_document_that_does_not_pass_is_no_evidence_though_the_log_has_it() -> None:
    page, signed = one_page(), sign_page(STRANGER.official, PKI.tsa)
    unsigned = examined(make_files(page))
    failed = {"indication": "INDETERMINATE", "reasons": ("no_signature",), "signer": None}
    assert unsigned["reasons"] == ["document_not_passed"]
    assert unsigned["documents"] == [document("documents/01.pdf", page, None, **failed)]
    by_stranger = examined(make_files(signed))
    assert by_stranger["reasons"] == ["document_not_passed"]
    assert [each["signer"] for each in by_stranger["documents"]] == ["Kepala Dinas Contoh"]


# The file itself ----------------------------------------------------------------------------------


def test_what_is_no_bundle_is_unreadable() -> None:
    assert examine_bundle(b"PK\x03\x04", ROOT, NOW) == NOTHING
    assert examine_bundle(pack(FILES), b"no root", NOW) == NOTHING


def test_folders_are_passed_over_and_two_files_of_one_name_refused() -> None:
    packed = io.BytesIO(pack(FILES))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.mkdir("log/")
    assert examine_bundle(packed.getvalue(), ROOT, SEALED_AT) == WHOLE
    assert read_bundle(packed.getvalue()) == unpack(pack(FILES))
    with zipfile.ZipFile(packed, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("README.md", b"Bukan.")
    with pytest.raises(ValueError, match=r"^two files of the bundle have one name$"):
        read_bundle(packed.getvalue())
    assert examine_bundle(packed.getvalue(), ROOT, NOW) == NOTHING


@pytest.mark.parametrize("where", ["read_bundle", "validate_stamped"])
def test_a_limit_that_is_reached_anywhere_is_told(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def exhaust(*_given: object, **_named: object) -> None:
        raise MemoryError

    monkeypatch.setattr(f"service.verification.evidence.{where}", exhaust)
    assert examined(FILES) == {"error": "memory_limit"}
