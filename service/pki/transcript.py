"""What a ceremony leaves to those who were not there: its plan, its record, and the text that witnesses sign.

`ceremony.yaml`, `ceremony.json` (the record, signed by the custodians), `ceremony.pem` (the certificates that
were made) and `ceremony.txt` lie beside the keys. The text follows from the others, so that it can be written
anew and compared.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

import keys as keys_package
from keys.algorithms import algorithm_of
from keys.approval import Approval, digest_of_tbs, verify_approval
from keys.ceremony import Plan, addresses_below, fingerprint, hold_ceremony
from keys.errors import ApprovalNotValid, KeysError, ProfileViolation
from keys.files import write_file
from keys.lint import lint_certificate
from keys.profiles import Addresses
from keys.software import SoftwareKeyStore, load_certificates
from keys.store import ISSUING, OCSP, OFFICIAL_PREFIX, ROOT, KeyStore
from service.pki.plan import digest_of_plan, read_plan

PLAN, RECORD, CERTIFICATES, TEXT = (f"ceremony.{kind}" for kind in ("yaml", "json", "pem", "txt"))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not follow from the ceremony's record."""

    message_id: str
    message_en: str


def software_version() -> str:
    """Name what makes the keys by the SHA-256 of its sources, which anyone can compute again."""
    digest = hashlib.sha256()
    for path in sorted(Path(keys_package.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return f"canting, SHA-256 keys/*.py: {digest.hexdigest()}"


def hold(
    plan_file: Path,
    folder: Path,
    service_keys: KeyStore,
    root_keys: SoftwareKeyStore,
    passphrases: Mapping[str, str],
    *,
    plan: Plan,
    now: datetime,
) -> str:
    """Hold the ceremony of a plan that was read from a file, and return the text.

    What it leaves to others is kept in `folder`, where `service_keys` publishes, and beside the root's key.

    Raises ProfileViolation when the file was changed since, and as `hold_ceremony`.
    """
    plan_sha256 = digest_of_plan(plan_file)
    if read_plan(plan_file) != plan:
        raise ProfileViolation("The plan was changed since it was read.")
    record = hold_ceremony(
        plan,
        service_keys,
        root_keys,
        passphrases,
        plan_sha256=plan_sha256,
        software=software_version(),
        now=now,
    )
    made = {name: service_keys.certificates(name)[0] for name in record.facts["certificates"]}
    text = write_transcript(plan, record, made)
    left = {
        PLAN: plan_file.read_bytes(),
        RECORD: record.to_json().encode(),
        CERTIFICATES: b"".join(each.public_bytes(Encoding.PEM) for each in made.values()),
        TEXT: text.encode(),
    }
    for place in dict.fromkeys((folder, root_keys.folder)):
        for name, content in left.items():
            write_file(place / name, content, mode=0o644)
    return text


def _certificates_made(folder: Path, record: Approval) -> dict[str, x509.Certificate]:
    """Return the certificates that a record names, by their keys' names. Raises KeyFileDamaged."""
    kept = {fingerprint(each): each for each in load_certificates(folder / CERTIFICATES)}
    named = record.facts["certificates"]
    return {name: kept[sha256] for name, sha256 in named.items() if sha256 in kept}


def verify_ceremony(folder: Path, keys: KeyStore) -> tuple[str, list[Fault]]:
    """Compare a folder and its key store with the record of their ceremony; return the text and all faults.

    Checked are the custodians' signatures, the plan's and each certificate's SHA-256, that each certificate
    is what plan and profile say and its issuer signed, its approval, and the text. Raises ApprovalNotValid or
    KeyFileDamaged when there is no record to compare with, CatalogueError for a plan that cannot be read.
    """
    try:
        record = Approval.from_json((folder / RECORD).read_text())
        saved = (folder / TEXT).read_text()
    except OSError as error:
        raise ApprovalNotValid(f"The folder {folder} holds no record of a ceremony.") from error
    plan = read_plan(folder / PLAN)
    found = _certificates_made(folder, record)
    faults = [*_record_faults(folder, keys, plan, record, found), *_certificate_faults(keys, plan, found)]
    text = write_transcript(plan, record, found)
    if not faults and text != saved:
        faults.append(Fault(f"{TEXT} bukan teks upacara ini.", f"{TEXT} is not the text of this ceremony."))
    return text, faults


def _record_faults(
    folder: Path, keys: KeyStore, plan: Plan, record: Approval, found: Mapping[str, x509.Certificate]
) -> Iterable[Fault]:
    if record.facts["plan_sha256"] != digest_of_plan(folder / PLAN):
        yield Fault(f"{PLAN} bukan rencana upacara ini.", f"{PLAN} is not the plan of this ceremony.")
    try:
        verify_approval(record, [found[ROOT]] if ROOT in found else [])
    except ApprovalNotValid:
        yield Fault(
            "Catatan upacara tidak ditandatangani dua pemegang kunci.",
            "The record of the ceremony is not signed by two custodians.",
        )
    planned = {entry.name for entry in plan.entries if entry.profile}
    for name in sorted(planned ^ set(record.facts["certificates"])):
        yield Fault(f"{name}: rencana dan catatan berbeda.", f"{name}: plan and record differ.")
    for name in record.facts["certificates"]:
        # The service certifies its responder anew every month, and an official may get another house's.
        is_replaced = name == OCSP or name.startswith(OFFICIAL_PREFIX)
        if name not in found or not (is_replaced or _current(keys, name) == found[name]):
            yield Fault(f"{name}: sertifikatnya lain atau hilang.", f"{name}: another certificate, or none.")


def _current(keys: KeyStore, name: str) -> x509.Certificate | None:
    try:
        return next(iter(keys.certificates(name)), None)
    except KeysError:
        return None


def _certificate_faults(keys: KeyStore, plan: Plan, found: Mapping[str, x509.Certificate]) -> Iterable[Fault]:
    for entry in plan.entries:
        certificate = found.get(entry.name)
        if certificate is None or entry.profile is None or entry.subject is None:
            continue
        issuer_name = entry.profile.issued_by
        issuer = found.get(issuer_name) if issuer_name else None
        addresses = addresses_below(plan.base_url, issuer_name) if issuer_name else Addresses()
        try:
            identifier = algorithm_of((issuer or certificate).public_key()).identifier
            lint_certificate(certificate.tbs_certificate_bytes, identifier, entry.profile, issuer, addresses)
            certificate.verify_directly_issued_by(issuer or certificate)
            if certificate.subject != entry.subject.as_name():
                raise ProfileViolation("The subject is not the plan's.")
            if issuer_name == ISSUING:
                approval = Approval.from_json(keys.approval(entry.name) or "")
                verify_approval(approval, [found[ROOT]])
                if approval.facts["tbs_sha256"] != digest_of_tbs(certificate):
                    raise ApprovalNotValid("The approval is another certificate's.")
        except (KeysError, ValueError, TypeError, KeyError, InvalidSignature) as error:
            yield Fault(f"{entry.name}: {error}", f"{entry.name}: {error}")


# The text -----------------------------------------------------------------------------------------


def write_transcript(plan: Plan, record: Approval, found: Mapping[str, x509.Certificate]) -> str:
    """Write what witnesses read and sign: plain text, Indonesian and English side by side."""
    facts = record.facts
    lines = [
        "BERITA ACARA UPACARA KUNCI / TRANSCRIPT OF A KEY CEREMONY",
        "",
        f"Tempat / Place: {plan.place}",
        f"Waktu / Time: {datetime.fromisoformat(facts['at']):%Y-%m-%d %H:%M:%S UTC}",
        f"Pemimpin / Leader: {plan.leader}",
        f"Saksi / Witnesses: {'; '.join(plan.witnesses)}",
        f"Perangkat lunak / Software: {facts['software']}",
        f"SHA-256 rencana / of the plan: {facts['plan_sha256']}",
        f"SHA-256 berkas kunci akar (root.key.json) / of the root's key file: {facts['root_key_sha256']}",
        f"Alamat terbitan / Published below: {plan.base_url}/pki/",
        "",
        "SERTIFIKAT / CERTIFICATES",
    ]
    for entry in plan.entries:
        lines += ["", *_entry_lines(entry.name, entry.algorithm, facts, found.get(entry.name))]
    lines += ["", "TANDA TANGAN / SIGNATURES", ""]
    lines += [_signature_line("Pemimpin / Leader", plan.leader)]
    lines += [_signature_line("Saksi / Witness", name) for name in plan.witnesses]
    for entry in plan.entries:
        if entry.subject and entry.holder == entry.name != ROOT:
            lines.append(_signature_line(f"Pemegang / Holder of {entry.name}", entry.subject.common_name))
    return "\n".join(lines) + "\n"


def _entry_lines(
    name: str, algorithm: str, facts: Mapping[str, Mapping[str, str]], certificate: x509.Certificate | None
) -> list[str]:
    lines = [name]
    if name in facts["tokens"]:
        lines.append(
            f"  Dibuat dan tinggal di token / Made in, and never leaving, the token: {facts['tokens'][name]}"
        )
    if name in facts["keys"]:
        return [
            *lines,
            f"  Algoritma / Algorithm: {algorithm}",
            f"  SHA-256 kunci / of the key: {facts['keys'][name]}",
        ]
    lines.append(f"  SHA-256: {facts['certificates'].get(name, '-')}")
    if certificate is None:
        return lines
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    kind = algorithm_of(certificate.public_key())
    experimental = " (PERCOBAAN / EXPERIMENTAL)" if kind.is_experimental else ""
    return [
        *lines,
        f"  Subjek / Subject: {certificate.subject.rfc4514_string()}",
        f"  Penerbit / Issuer: {certificate.issuer.rfc4514_string()}",
        f"  Nomor seri / Serial: {certificate.serial_number:x}",
        f"  Berlaku / Valid: {begins:%Y-%m-%d %H:%M:%S} – {ends:%Y-%m-%d %H:%M:%S} UTC",
        f"  Algoritma / Algorithm: {kind.name}{experimental}",
    ]


def _signature_line(role: str, name: str) -> str:
    return f"{role}: {name}\n\n    ______________________________\n"
