"""Giving a permit's evidence out: to whom, sealed by the agency, and recorded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from fastapi import Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine
from sqlmodel import Session

from service import clock
from service.accounts.access import Actor
from service.accounts.models import Kind as AccountKind
from service.applications.review import CaseNotFound, find_case
from service.audit import record_event
from service.database import snapshot, transaction
from service.permits.agency_seal import seal_content
from service.permits.bundle import MANIFEST, MANIFEST_SEAL, SEAL_TIME, digest_of, stream_zip, write_manifest
from service.permits.documents import PermitNotFound, find_readable
from service.permits.evidence import Evidence, gather_evidence
from service.permits.models import Permit
from service.permits.signer import OperationsKeys
from service.permits.workshop import SigningUnavailable
from service.pki.outside_trust import read_outside_trust
from service.pki.register import require_in_force
from service.storage import Storage, get_document
from service.transparency.api import log_key
from service.transparency.notes import LogKey


@dataclass(frozen=True, slots=True)
class Archive:
    """What evidence is drawn from, and what seals it."""

    engine: Engine
    storage: Storage
    keys: OperationsKeys
    log: LogKey
    outside_anchors: Path | None = None
    """The folder of other houses' trust anchors and revocation lists."""


def may_have_evidence(session: Session, permit: Permit, actor: Actor) -> bool:
    """Tell whether a reader may have a permit's evidence: its holder, or an officer who may open the case."""
    if actor.kind != AccountKind.OFFICER:
        return permit.holder_id == actor.user_id
    try:
        find_case(session, permit.application_id, actor=actor)
    except CaseNotFound:
        return False
    return True


def find_for_evidence(session: Session, code: str, actor: Actor) -> Permit:
    """Find a permit whose evidence the reader may have. Raises PermitNotFound."""
    permit = find_readable(session, code, actor)
    if not may_have_evidence(session, permit, actor):
        raise PermitNotFound
    return permit


def give_evidence(
    archive: Archive, find: Callable[[Session], Permit], *, actor: Actor, now: datetime
) -> tuple[str, Iterator[bytes]]:
    """Gather, seal and record the evidence of a permit; return the bundle's name and its bytes.

    Everything is refused before the first byte: raises what `find` raises, CertificateRevoked,
    SignerCertificateNotValid, TimestampUnavailable, and as `get_document`.
    """
    with snapshot(archive.engine) as session:
        permit = find(session)
        gathered = gather_evidence(
            session,
            permit,
            archive.log,
            read_outside_trust(archive.outside_anchors),
            whole=actor.user_id != permit.holder_id,
        )
        require_in_force(session, archive.keys.seal.certificate)
    require_documents(archive.storage, gathered)
    evidence = seal_evidence(gathered, archive.keys, now)
    with transaction(archive.engine) as session:
        record_giving(session, permit, evidence, actor, now)
    return evidence.filename, stream_evidence(archive.storage, evidence)


def evidence_response(request: Request, code: str, actor: Actor) -> StreamingResponse:
    """Answer with a permit's bundle, to whoever may have it.

    Raises PermitNotFound, SigningUnavailable, and as `give_evidence`.
    """
    state = request.app.state
    if state.operations_keys is None:
        raise SigningUnavailable
    archive = Archive(
        state.engine,
        state.storage,
        state.operations_keys,
        log_key(state.settings, state.operations_keys),
        state.settings.outside_anchors,
    )
    name, chunks = give_evidence(
        archive, lambda session: find_for_evidence(session, code, actor), actor=actor, now=clock.now()
    )
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "private, no-store"}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


def seal_evidence(evidence: Evidence, keys: OperationsKeys, now: datetime) -> Evidence:
    """Add the manifest of all files, the agency's seal on it, and the time stamp of the seal.

    Raises SignerCertificateNotValid or TimestampUnavailable.
    """
    digests = {path: digest_of(data) for path, data in evidence.files.items()}
    manifest = write_manifest(digests | evidence.documents)
    sealed = seal_content(keys, manifest, now)
    added = {MANIFEST: manifest, MANIFEST_SEAL: sealed.signature, SEAL_TIME: sealed.time_stamp}
    return replace(evidence, files=evidence.files | added)


def require_documents(storage: Storage, evidence: Evidence) -> None:
    """Read every document once, while it can still be refused. Raises as `get_document`."""
    for sha256 in evidence.documents.values():
        get_document(storage, sha256)


def stream_evidence(storage: Storage, evidence: Evidence) -> Iterator[bytes]:
    """Yield the bundle's bytes, with one document in memory at a time. Raises as `get_document`."""

    def files() -> Iterator[tuple[str, bytes]]:
        for path in sorted(evidence.files.keys() | evidence.documents.keys()):
            sha256 = evidence.documents.get(path)
            yield path, get_document(storage, sha256) if sha256 else evidence.files[path]

    return stream_zip(files())


def record_giving(session: Session, permit: Permit, evidence: Evidence, actor: Actor, now: datetime) -> None:
    """Record who was given which bundle: it discloses a whole case.

    The event is the permit's own, not its application's, so that giving a bundle does not change the next.
    """
    record_event(
        session,
        action="evidence_given",
        subject_type="permit",
        subject_id=permit.id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"number": permit.number, "manifest": digest_of(evidence.files[MANIFEST])},
    )
