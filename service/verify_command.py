"""`canting verify`: documents and evidence bundles judged with no server, no database and no settings.

What was not checked is said with each answer: see `verification.standalone`.
"""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509

from service import clock
from service.console import Refused
from service.transparency.notes import Verifier, open_checkpoint, parse_vkey
from service.verification.sandbox import Sandbox
from service.verification.standalone import Answer, Finding, LogTrust, body_of, judge_file, read_body

EXIT_STATUS = {
    Answer.GENUINE: 0,
    Answer.SIGNATURE_VALID: 0,
    Answer.SIGNATURE_NOT_VALID: 1,
    Answer.RECEIPT_VALID: 0,
    Answer.EVIDENCE_VALID: 0,
    Answer.EVIDENCE_NOT_VALID: 1,
    Answer.UNDECIDED: 2,
}
SENTENCES = {
    Answer.GENUINE: (
        "Asli: tanda tangan sah, isi berkas utuh, dan dokumen ini terbukti tercatat di log.",
        "Genuine: the signature is valid, the file unaltered, and the document proven to be in the log.",
    ),
    Answer.SIGNATURE_VALID: (
        "Tanda tangan sah dan isi berkas utuh.",
        "The signature is valid and the file unaltered.",
    ),
    Answer.SIGNATURE_NOT_VALID: (
        "Tanda tangan tidak sah, atau isi berkas berubah. Jangan terima dokumen ini.",
        "The signature is not valid, or the file was altered. Do not accept this document.",
    ),
    Answer.RECEIPT_VALID: (
        "Tanda terima verifikasi: tanda tangannya sah dan isinya utuh.",
        "A verification receipt: its signature is valid and its words unaltered.",
    ),
    Answer.EVIDENCE_VALID: (
        "Bundel bukti utuh dan bersegel; surat, log, jejak audit, dan berkas permohonannya cocok.",
        "The evidence is whole and sealed; its documents, log, audit trail and case agree.",
    ),
    Answer.EVIDENCE_NOT_VALID: (
        "Bundel bukti ini tidak utuh, atau isinya tidak terbukti. Jangan pakai sebagai bukti.",
        "This evidence is not whole, or not proven. Do not use it as evidence.",
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
    "later_status": (
        "Apakah izinnya dibekukan atau dicabut sesudah itu, hanya diketahui daftar izin dan log.",
        "Whether the permit was suspended or revoked afterwards only the register and the log know.",
    ),
    "seal": (
        "Hanya segel instansi yang menerbitkan tanda terima: cocokkan nama penanda tangannya.",
        "Receipts are issued by the agency's seal alone: look whose signature it is.",
    ),
    "log_key": (
        "Kunci log hanya menurut bundel ini sendiri: tambahkan --vkey yang Anda percaya.",
        "The log's key is only what this bundle says: add --vkey, got by a way that you trust.",
    ),
    "trail_not_logged": (
        "Sebagian peristiwa belum tercakup log.",
        "Some of the events are not in the log yet.",
    ),
    "rows_without_seal": (
        "Sebagian baris tidak disertai segelnya dari jejak audit; baris itu hanya dijamin segel bundel.",
        "Some rows come without their seal of the audit trail; the bundle's seal alone vouches for them.",
    ),
}


def verify(
    files: Annotated[list[Path], typer.Argument(help="Permits (PDF), receipts, and evidence bundles (ZIP).")],
    trust: Annotated[
        Path, typer.Option(help="The root certificates to trust, as PEM: the service's /pki/root.pem.")
    ],
    crl: Annotated[
        list[Path] | None, typer.Option(help="A revocation list as DER, repeatable: /pki/issuing.crl.")
    ] = None,
    vkey: Annotated[str, typer.Option(help="The log's verifier key, got by a way that you trust.")] = "",
    log: Annotated[
        Path | None, typer.Option(help="A checkpoint of the log that you hold; proofs must lead to it.")
    ] = None,
    proof: Annotated[
        list[Path] | None,
        typer.Option(help="A permit's proof as /api/v1/permits/CODE/log-proof gives it, repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Verify permits and their evidence without the service.

    Exit status: 0 everything holds, 1 something does not, 2 nothing can be said of a file.
    """
    crls = [_read_list(path) for path in crl or []]
    _require_certificates(trust)
    known = _read_log(vkey, log, proof or [])
    with closing(Sandbox(trust)) as sandbox:
        sandbox.warm()
        findings = [_judge_or_refuse(sandbox, path, crls, known) for path in files]
    for finding in findings:
        print(json.dumps(asdict(finding)) if as_json else describe(finding))
    statuses = {_exit_status(each) for each in findings}
    raise typer.Exit(1 if 1 in statuses else max(statuses))


def _exit_status(finding: Finding) -> int:
    """Return a finding's part in the exit status: a genuine document of a revoked permit is not well."""
    return max(EXIT_STATUS[finding.answer], 1 if finding.reasons else 0)


def _judge_or_refuse(sandbox: Sandbox, path: Path, crls: Sequence[bytes], log: LogTrust) -> Finding:
    try:
        return judge_file(sandbox, path, at=clock.now(), crls=crls, log=log)
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


def _read_log(vkey: str, log: Path | None, proofs: Sequence[Path]) -> LogTrust:
    """Read what is known of the log. Raises Refused, KeyMalformed or NoteInvalid."""
    verifier = parse_vkey(vkey) if vkey else None
    if proofs and verifier is None and log is None:
        raise Refused(
            "Bukti log perlu --vkey (kunci log yang Anda percaya) atau --log (checkpoint yang Anda pegang).",
            "A proof needs --vkey, the log's key that you trust, or --log, a checkpoint that you hold.",
        )
    return LogTrust(verifier, _read_checkpoint(log, verifier), tuple(_read_proof(path) for path in proofs))


def _read_checkpoint(path: Path | None, verifier: Verifier | None) -> str | None:
    if path is None:
        return None
    try:
        note = path.read_text(encoding="utf-8")
        read_body(body_of(note))
    except (OSError, ValueError) as error:
        raise Refused(f"{path} bukan checkpoint log.", f"{path} is no checkpoint of a log.") from error
    if verifier is not None:
        open_checkpoint(note, verifier)
    return body_of(note)


def _read_proof(path: Path) -> dict[str, Any]:
    try:
        proof = json.loads(path.read_bytes())
        if isinstance(proof, dict) and {"checkpoint", "entries"} <= proof.keys():
            return proof
    except (OSError, ValueError, RecursionError):
        pass
    raise Refused(
        f"{path} bukan bukti log. Ambil dari /api/v1/permits/KODE/log-proof.",
        f"{path} is no proof of the log. Get it from /api/v1/permits/CODE/log-proof.",
    )


def describe(finding: Finding) -> str:
    """Write a finding for a person, in both languages."""
    lines = [finding.file, *(f"  {sentence}" for sentence in SENTENCES[finding.answer])]
    if finding.signer:
        when = f", {_readable(finding.signed_at)}" if finding.signed_at else ""
        lines.append(f"  {finding.signer}{when}, {finding.level or '-'}")
    if finding.status and finding.status_at:
        lines.append(f"  log: {finding.status}, {_readable(finding.status_at)}")
    if finding.receipt:
        permit = finding.receipt.get("permit")
        number = permit.get("number") if isinstance(permit, dict) else None
        stated = [finding.receipt.get("verdict"), number, finding.receipt.get("checked_at")]
        lines.append(f"  Menyatakan / states: {', '.join(str(each) for each in stated if each)}")
    if finding.bundle.get("sealed_at"):
        lines += _describe_bundle(finding.bundle)
    for name in finding.not_checked:
        lines += [f"  {sentence}" for sentence in NOT_CHECKED[name]]
    if finding.reasons:
        lines.append(f"  ({', '.join(finding.reasons)})")
    lines.append(f"  SHA-256 {finding.sha256}")
    return "\n".join(lines)


def _describe_bundle(bundle: dict[str, Any]) -> list[str]:
    """Tell what a bundle holds: who sealed it and when is for the reader to judge."""
    documents = len(bundle["documents"])
    sealed_by, sealed_at = bundle["sealed_by"], _readable(bundle["sealed_at"])
    return [
        f"  {bundle['number'] or '-'}",
        f"  Disegel oleh / sealed by: {sealed_by}, {sealed_at}",
        f"  {documents} surat, {bundle['events']} peristiwa, {bundle['rows']} baris / "
        f"{documents} documents, {bundle['events']} events, {bundle['rows']} rows",
    ]


def _readable(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
