"""Examines a document that is made for it, so that the first stranger's finds everything ready.

Much of what an examination needs is made at its first time: libraries' tables, the interpreter's shortcuts. A
process that forks for each file (`service.verification.examiner`) would make all of it anew for each.
"""

import io
from datetime import UTC, datetime, timedelta

import pikepdf

from keys import profiles
from keys.algorithms import generate_key, sign_with
from keys.authority import Subject, create_root, issue_certificate
from keys.profiles import Profile
from keys.revocation import build_crl
from keys.store import OpenKey
from keys.timestamp import local_timestamper
from signing.extend import add_archive_timestamp
from signing.sign import sign_document
from signing.validate import Indication, validate_document

_SIGNED_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""Any moment does, as nobody trusts these keys."""
_DAY = timedelta(days=1)
_TIMES = 8
"""CPython 3.11 looks for shortcuts in a function that it has called so often."""


def rehearse() -> None:
    """Sign an empty page with new keys, archive it, validate it. Raises RuntimeError if it does not pass."""
    root = create_root(Subject("Root"), generate_key("p256"), now=_SIGNED_AT - _DAY)
    issuing = _issue(profiles.ISSUING_CA, "Issuing", root)
    signer, tsa = _issue(profiles.OFFICIAL, "Signer", issuing), _issue(profiles.TSA, "TSA", issuing)
    crls = [
        build_crl(each, (), number=1, this_update=_SIGNED_AT, next_update=_SIGNED_AT + _DAY)
        for each in (root, issuing)
    ]
    timestamper = local_timestamper(tsa, lambda: _SIGNED_AT)
    signed = sign_document(_empty_page(), signer, signed_at=_SIGNED_AT, timestamper=timestamper)
    certificates = [each.certificate for each in (signer, tsa, issuing)]
    archived = add_archive_timestamp(signed, timestamper=timestamper, certificates=certificates, crls=crls)
    for _ in range(_TIMES):
        report = validate_document(archived, [root.certificate], at=_SIGNED_AT, crls=crls)
        if report.indication is not Indication.TOTAL_PASSED:
            raise RuntimeError(f"The rehearsal found {', '.join(report.reasons)}.")


def _issue(profile: Profile, name: str, issuer: OpenKey) -> OpenKey:
    key = generate_key("p256")
    certificate = issue_certificate(profile, Subject(name), key.public_key(), issuer, now=_SIGNED_AT - _DAY)
    return OpenKey(profile.name, certificate, (issuer.certificate, *issuer.chain), sign_with(key))


def _empty_page() -> bytes:
    output = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.save(output, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return output.getvalue()
