"""Issuing a permit, whole and part by part: decide and number, render, sign and stamp, store, register."""

from collections import defaultdict
from statistics import median
from time import perf_counter

from documents import PERMIT
from measuring import Row, compare, medians
from place import Place
from pyhanko_peer import plain_signer, sign_plainly
from signing_documents import make_signers

from service.applications.models import Application
from service.clock import now
from service.database import transaction
from service.permits.issue import SignedDocument, register_document, reserve_permit, sign_application
from service.storage import put_document
from signing.document import PermitDocument
from signing.provenance import signature_fingerprints
from signing.render import render_document
from signing.sign import sign_document

ROUNDS = 25
PEERS = {
    "rendering": "rendering the page alone",
    "pyhanko": "pyHanko's `PdfSigner` signing the rendered page, B-B",
    "raw": "its two private-key operations alone",
}


def measure(place: Place) -> tuple[list[Row], dict[str, float]]:
    """Issue permits on SQLite beside parts of that work; return also each part's share of the whole."""
    waiting = iter(place.cases_to_sign(2 * (ROUNDS + 1)))
    stopwatch: dict[str, list[float]] = defaultdict(list)
    signers = make_signers("p256")
    peer = plain_signer(signers.official, signers.private_key)
    page = render_document(PERMIT)

    def issue() -> None:
        case, digest = next(waiting)
        sign_application(place.workshop, case.id, actor=place.head, signer=place.signer, seen_digest=digest)

    def issue_by_parts() -> None:
        for part, seconds in _time_parts(place, *next(waiting)).items():
            stopwatch[part].append(seconds)

    def raw_operations() -> None:
        signers.official.sign(b"x" * 200)
        signers.tsa.sign(b"x" * 200)

    times = medians(
        {
            "issue": issue,
            "parts": issue_by_parts,
            "rendering": lambda: render_document(PERMIT),
            "pyhanko": lambda: sign_plainly(peer, page),
            "raw": raw_operations,
        },
        rounds=ROUNDS,
    )
    parts = {part: median(seconds) for part, seconds in stopwatch.items()}
    whole = sum(parts.values())
    return compare("Issue a permit", times, "issue", PEERS), {
        part: seconds / whole for part, seconds in parts.items()
    }


def _time_parts(place: Place, case: Application, digest: str) -> dict[str, float]:
    """Take one case the way of `sign_application`, with a stopwatch in hand."""
    workshop, moment = place.workshop, now()
    laps = [perf_counter()]
    with transaction(workshop.engine) as session:
        permit = reserve_permit(
            session,
            case.id,
            actor=place.head,
            now=moment,
            seen_digest=digest,
            printing=workshop.printing,
            seal=workshop.seal,
        )
    laps.append(perf_counter())
    page = render_document(PermitDocument.from_json(permit.document))
    laps.append(perf_counter())
    pdf = sign_document(page, place.signer, signed_at=moment, timestamper=workshop.timestamper)
    laps.append(perf_counter())
    sha256 = put_document(workshop.storage, pdf)
    laps.append(perf_counter())
    until = place.signer.certificate.not_valid_after_utc
    signed = SignedDocument(sha256, signature_fingerprints(pdf)[0], len(pdf), "B-T", moment, until)
    with transaction(workshop.engine) as session:
        register_document(session, permit.id, signed, actor=place.head, now=moment)
    laps.append(perf_counter())
    names = ("decide and number", "render", "sign and stamp", "store", "register")
    return {name: after - before for name, before, after in zip(names, laps[:-1], laps[1:], strict=True)}
