"""Signing one page: ours against plain pyHanko, LibPDF, and the private-key operations it cannot avoid."""

from dataclasses import dataclass

from documents import PERMIT
from libpdf_peer import libpdf_signer
from measuring import Row, compare, medians
from pki import make_pki
from pyhanko_peer import plain_signer, sign_plainly

from keys import profiles
from keys.algorithms import PrivateKey, generate_key, sign_with
from keys.authority import Subject, issue_certificate
from keys.store import OpenKey
from keys.timestamp import local_timestamper
from service.clock import now
from signing.render import render_document
from signing.sign import sign_document

ROUNDS = 40
ALGORITHMS = {"p256": "P-256", "rsa3072": "RSA-3072"}


@dataclass(frozen=True)
class Signers:
    """An official's key, as ours and with the private half that pyHanko wants, and a TSA's key."""

    official: OpenKey
    private_key: PrivateKey
    tsa: OpenKey


def make_signers(algorithm: str) -> Signers:
    """Make a hierarchy and certify an official's key."""
    began = now()
    pki = make_pki(begins=began, algorithm=algorithm)
    private_key = generate_key(algorithm)
    subject = Subject("Kepala Dinas Contoh")
    certificate = issue_certificate(
        profiles.OFFICIAL, subject, private_key.public_key(), pki.issuing, now=began
    )
    chain = (pki.issuing.certificate, pki.root.certificate)
    return Signers(OpenKey("official", certificate, chain, sign_with(private_key)), private_key, pki.tsa)


def measure() -> list[Row]:
    """Sign the same rendered page at both levels with both kinds of key."""
    page = render_document(PERMIT)
    return [row for algorithm in ALGORITHMS for row in _measure_with(algorithm, page)]


def _measure_with(algorithm: str, page: bytes) -> list[Row]:
    signers = make_signers(algorithm)
    official, tsa = signers.official, signers.tsa
    timestamper = local_timestamper(tsa, now)
    peer = plain_signer(official, signers.private_key)

    def raw_operations() -> None:
        official.sign(b"x" * 200)
        tsa.sign(b"x" * 200)

    def render_and_sign() -> None:
        page = render_document(PERMIT)
        sign_document(page, official, signed_at=now(), timestamper=timestamper)

    with libpdf_signer(official, signers.private_key, page) as libpdf:
        times = medians(
            {
                "B-B": lambda: sign_document(page, official, signed_at=now(), timestamper=None),
                "one": lambda: official.sign(b"x" * 200),
                "B-T": lambda: sign_document(page, official, signed_at=now(), timestamper=timestamper),
                "two": raw_operations,
                "whole": render_and_sign,
                "peer": lambda: sign_plainly(peer, page),
                "libpdf": libpdf,
            },
            rounds=ROUNDS,
        )
    name = ALGORITHMS[algorithm]
    peers = {"peer": "pyHanko's `PdfSigner`, B-B", "libpdf": "LibPDF, B-B"}
    b_b = peers | {"one": "its private-key operation"}
    b_t = peers | {"two": "its two private-key operations"}
    return [
        *compare(f"Sign a page, {name}, B-B", times, "B-B", b_b),
        *compare(f"Sign a page, {name}, B-T", times, "B-T", b_t),
        *compare(f"Render and sign a page, {name}, B-T", times, "whole", {"B-T": "signing it alone"}),
    ]
