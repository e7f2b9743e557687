"""Documents signed anew: by strangers under our names, and by our real keys outside the service."""

import io
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pikepdf
from attacks.surgery import Variants
from pki import issue, make_pki

from keys import profiles
from keys.authority import Subject
from keys.store import OpenKey
from keys.timestamp import Timestamper, local_timestamper
from signing.sign import sign_document

OTHER_FACTS = ((b"Siti", b"Rina"), (b"2031", b"2099"))


def unsigned(pdf: bytes, changes: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Take the signatures out of a permit document, and change its attached data."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        for name in ("/AcroForm", "/Perms", "/DSS"):
            if name in document.Root:
                del document.Root[name]
        for page in document.pages:
            page.obj.Annots = document.make_indirect(pikepdf.Array())
        for each in document.attachments.values():
            data = each.get_file().read_bytes()
            for old, new in changes:
                data = data.replace(old, new)
            each.obj.EF.F.write(data)
        out = io.BytesIO()
        document.save(out)
        return out.getvalue()


def _stampers(ours: OpenKey | None, theirs: OpenKey, now: datetime) -> dict[str, Timestamper | None]:
    stampers: dict[str, Timestamper | None] = {
        "stamped by a stranger": local_timestamper(theirs, lambda: now),
        "not stamped": None,
    }
    if ours is not None:
        stampers["stamped by our authority"] = local_timestamper(ours, lambda: now)
    return stampers


def foreign_signers(pdf: bytes, *, signer: OpenKey, tsa: OpenKey, now: datetime) -> Variants:
    """Sign the document anew by keys of another root that bear our names, or that lean on our certificates.

    `signer` and `tsa` are the real ones: a stranger has their certificates, and asks the authority for time
    stamps as anybody may.
    """
    plain, begin = unsigned(pdf), now - timedelta(days=1)
    for algorithm in ("p256", "p384", "rsa3072"):
        stranger = make_pki(begins=begin, algorithm=algorithm)
        same_name = issue(
            profiles.OFFICIAL, Subject.of(signer.certificate).common_name, stranger.issuing, begin, algorithm
        )
        signers = {
            "our names": same_name,
            "our chain": replace(same_name, chain=signer.chain),
            "their seal": stranger.seal,
        }
        if algorithm == "p256":
            signers["our certificate without its key"] = replace(signer, sign=stranger.official.sign)
        for name, key in signers.items():
            for stamp, stamper in _stampers(tsa, stranger.tsa, now).items():
                yield (
                    f"{name}, {algorithm}, {stamp}",
                    sign_document(plain, key, signed_at=now, timestamper=stamper),
                )


def outside_the_service(pdf: bytes, *, signer: OpenKey, tsa: OpenKey, now: datetime) -> Variants:
    """Sign by the official's real key and the real authority, but outside the service: registered nowhere."""
    stranger = make_pki(begins=now - timedelta(days=1))
    documents = {
        "the same": unsigned(pdf),
        "other facts": unsigned(pdf, OTHER_FACTS),
        "another code": unsigned(pdf, [(b'"code"', b'"kode"')]),
        "signed once more": pdf,
    }
    for name, document in documents.items():
        if name == "signed once more":
            continue
        for moment in (now, now - timedelta(hours=3)):
            for stamp, stamper in _stampers(tsa, stranger.tsa, now).items():
                signed = sign_document(document, signer, signed_at=moment, timestamper=stamper)
                yield f"{name}, {moment:%H:%M}, {stamp}", signed
    for stamp, stamper in _stampers(tsa, stranger.tsa, now).items():
        for name in ("the same", "other facts"):
            once = sign_document(documents[name], signer, signed_at=now, timestamper=stamper)
            yield f"{name}, {stamp}, with a tail", once + b"\n"
