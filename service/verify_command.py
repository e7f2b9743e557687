"""`canting verify`: documents judged with no server, no database and no settings, by a root certificate.

What only the service knows, whether the document is registered and its permit still in force, cannot be
told here, and each answer says so: a valid signature alone is never called genuine.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509

from service import clock
from service.console import Refused
from service.verification.examination import Examination
from service.verification.sandbox import Sandbox

LARGEST_FILE = 20 * 1024 * 1024


class Answer(StrEnum):
    """What can be said of a file by its signature alone."""

    SIGNATURE_VALID = "signature_valid"
    SIGNATURE_NOT_VALID = "signature_not_valid"
    UNDECIDED = "undecided"


EXIT_STATUS = {Answer.SIGNATURE_VALID: 0, Answer.SIGNATURE_NOT_VALID: 1, Answer.UNDECIDED: 2}
SENTENCES = {
    Answer.SIGNATURE_VALID: (
        "Tanda tangan sah dan isi berkas utuh.",
        "The signature is valid and the file unaltered.",
    ),
    Answer.SIGNATURE_NOT_VALID: (
        "Tanda tangan tidak sah, atau isi berkas berubah. Jangan terima dokumen ini.",
        "The signature is not valid, or the file was altered. Do not accept this document.",
    ),
    Answer.UNDECIDED: (
        "Berkas ini tidak dapat dipastikan. Periksa di halaman verifikasi layanan.",
        "Nothing can be said of this file. Verify it on the service's page.",
    ),
}
NOT_CHECKED = {
    "register": (
        "Daftar izin tidak diperiksa: apakah izinnya terdaftar dan masih berlaku, tidak diketahui.",
        "The register was not asked: whether the permit is registered and still in force is not known.",
    ),
    "revocation": (
        "Pencabutan sertifikat tidak diperiksa: tambahkan --crl.",
        "The certificates' revocation was not checked: add --crl.",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one file; reasons are stable codes of `signing.validate` or of the examination."""

    file: str
    sha256: str
    answer: Answer
    reasons: tuple[str, ...]
    not_checked: tuple[str, ...]
    level: str | None = None
    signer: str | None = None
    signed_at: str | None = None


def judge_file(sandbox: Sandbox, path: Path, *, at: datetime, crls: Sequence[bytes] = ()) -> Finding:
    """Examine a file in a child process of its own, as the service does. Raises OSError."""
    with path.open("rb") as file:
        pdf = file.read(LARGEST_FILE + 1)
    sha256 = hashlib.sha256(pdf).hexdigest()
    if len(pdf) > LARGEST_FILE:
        return Finding(str(path), sha256, Answer.UNDECIDED, ("too_large",), ())
    return _judge(str(path), sha256, sandbox.examine(pdf, at, crls), bool(crls))


def _judge(file: str, sha256: str, examination: Examination, has_lists: bool) -> Finding:
    findings: dict[str, Any] | None = examination.findings
    report = findings["report"] if findings else None
    if report is None:
        return Finding(file, sha256, Answer.UNDECIDED, (examination.stopped or "unreadable",), ())
    if not report["signatures"]:
        return Finding(file, sha256, Answer.SIGNATURE_NOT_VALID, tuple(report["reasons"]), ())
    first = report["signatures"][0]
    passed = report["indication"] == "TOTAL-PASSED"
    archived = first["level"] in ("B-LT", "B-LTA")
    return Finding(
        file,
        sha256,
        Answer.SIGNATURE_VALID if passed else Answer.SIGNATURE_NOT_VALID,
        tuple(report["reasons"]),
        ("register",) if has_lists or archived else ("register", "revocation"),
        level=first["level"],
        signer=first["signer"],
        signed_at=first["timestamped_at"] or first["signed_at"],
    )


def verify(
    files: Annotated[list[Path], typer.Argument(help="The permits' PDF files.")],
    trust: Annotated[
        Path, typer.Option(help="The root certificates to trust, as PEM: the service's /pki/root.pem.")
    ],
    crl: Annotated[
        list[Path] | None, typer.Option(help="A revocation list as DER, repeatable: /pki/issuing.crl.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Verify permits without the service. Exit status: 0 all signatures valid, 1 one is not, 2 unknown."""
    crls = [_read_list(path) for path in crl or []]
    _require_certificates(trust)
    with closing(Sandbox(trust)) as sandbox:
        sandbox.warm()
        findings = [_judge_or_refuse(sandbox, path, crls) for path in files]
    for finding in findings:
        print(json.dumps(asdict(finding)) if as_json else describe(finding))
    statuses = {EXIT_STATUS[each.answer] for each in findings}
    raise typer.Exit(1 if 1 in statuses else max(statuses))


def _judge_or_refuse(sandbox: Sandbox, path: Path, crls: Sequence[bytes]) -> Finding:
    try:
        return judge_file(sandbox, path, at=clock.now(), crls=crls)
    except OSError as error:
        raise Refused(f"Berkas {path} tidak dapat dibaca.", f"The file {path} cannot be read.") from error


def _read_list(path: Path) -> bytes:
    try:
        der = path.read_bytes()
        x509.load_der_x509_crl(der)
    except (OSError, ValueError) as error:
        raise Refused(
            f"{path} bukan daftar pencabutan (CRL) dalam DER.", f"{path} is no revocation list in DER."
        ) from error
    return der


def _require_certificates(path: Path) -> None:
    try:
        x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Refused(
            f"{path} bukan sertifikat dalam PEM. Unduh /pki/root.pem dari layanan dan cocokkan sidiknya.",
            f"{path} holds no certificate in PEM. Download /pki/root.pem and compare its fingerprint.",
        ) from error


def describe(finding: Finding) -> str:
    """Write a finding for a person, in both languages."""
    lines = [finding.file, *(f"  {sentence}" for sentence in SENTENCES[finding.answer])]
    if finding.signer:
        when = f", {_readable(finding.signed_at)}" if finding.signed_at else ""
        lines.append(f"  {finding.signer}{when}, {finding.level or '-'}")
    for name in finding.not_checked:
        lines += [f"  {sentence}" for sentence in NOT_CHECKED[name]]
    if finding.reasons:
        lines.append(f"  ({', '.join(finding.reasons)})")
    lines.append(f"  SHA-256 {finding.sha256}")
    return "\n".join(lines)


def _readable(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
