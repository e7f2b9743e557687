"""The child that examines strangers' files and bundles; `sandbox` runs it. It imports no web and no SQL.

It warms up once, then forks for every file: the fork has its own memory and time, no file to write and
nothing to lose, so a hostile file costs its own fork only. Nothing here reaches a network.
"""

import base64
import gc
import hashlib
import json
import os
import resource
import signal
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import date, datetime
from importlib import import_module
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from cryptography import x509

from service.verification.evidence import examine_bundle
from signing.detached import validate_detached
from signing.errors import UnreadableDocument
from signing.etsi_report import write_report
from signing.policy import current_policy, state_policy
from signing.provenance import find_clues
from signing.quickening import quicken_libraries
from signing.rehearsal import rehearse
from signing.statement import open_statement
from signing.trust import TIME_ANCHOR_FILES
from signing.validate import ValidationReport, validate_document

ENCODINGS = ("ascii", "cp437", "idna", "latin_1", "utf_16", "utf_16_be", "utf_16_le", "utf_32_be")
LAZY_MODULES = (
    "_strptime",
    "cryptography.hazmat.backends.openssl",
    "dateutil.parser",
    "idna",
    "lxml.etree",
    "pyhanko.pdf_utils.crypt.pdfmac",
    "pyhanko.pdf_utils.filters",
    "pyhanko.pdf_utils.metadata.xmp_xml",
    "pyhanko_certvalidator.validate",
    *(f"encodings.{name}" for name in ENCODINGS),
)
"""What libraries import only when a file asks for it. A fork opens no file any more, so they come first."""
LENGTH = struct.Struct(">Q")
AT_EASE = 0.5
"""CPU seconds after which an examination stands back, by so many steps of niceness:"""
STANDS_BACK = 10
READY = b"R"
"""Sent once the examiner is warm: what it costs to start is no part of a file's budget."""


def main(channel: socket.socket) -> None:
    """Fork for every connection handed over the channel, until the parent closes it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in LAZY_MODULES:
        import_module(name)
    current_policy()
    quicken_libraries()
    rehearse()
    # What is loaded now stays: a fork that collects garbage need not copy it.
    gc.freeze()
    channel.sendall(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            channel.close()
            status = 1
            try:
                examine_connection(socket.socket(fileno=descriptors[0]))
                status = 0
            finally:
                os._exit(status)
        os.close(descriptors[0])


def examine_connection(connection: socket.socket) -> None:
    """Read one request, examine its file, write one JSON answer.

    The request is a JSON line with the limits, then the revocation lists and the file, each by its length.
    """
    with connection, connection.makefile("rwb") as stream:
        request = json.loads(stream.readline(65536))
        place = Path(request["anchors"])
        anchors = read_anchors(place)
        time_anchors = b"".join(path.read_bytes() for path in sorted(place.glob(TIME_ANCHOR_FILES)))
        if request.get("outside"):
            # Another house's anchors judge the signature; ours, the time stamps.
            time_anchors = b"\n".join([time_anchors, anchors])
            theirs = sorted(Path(request["outside"]).glob("*.pem"))
            anchors = b"\n".join(path.read_bytes() for path in theirs)
        limit(seconds=request["seconds"], memory=request["memory"])
        *crls, data = (_read_part(stream) for _ in range(request["crls"] + 1))
        try:
            at = datetime.fromisoformat(request["at"])
            if request.get("bundle"):
                answer = examine_bundle(data, anchors, at, crls)
            else:
                detailed = request.get("detailed", False)
                answer = examine(data, anchors, at, crls, time_anchors, detailed=detailed)
        except Exception as error:  # What no check foresaw is our fault, and no verdict.
            answer = {"error": "examiner_fault", "kind": type(error).__name__}
        stream.write(json.dumps(answer, default=_encode).encode())


def read_anchors(place: Path) -> bytes:
    """Read the trust anchors (PEM) of a file, or of a key store's folder: its `root*.pem`."""
    paths = [place] if place.is_file() else sorted(place.glob("root*.pem"))
    return b"".join(path.read_bytes() for path in paths)


def _read_part(stream: BufferedIOBase) -> bytes:
    return stream.read(LENGTH.unpack(stream.read(LENGTH.size))[0])


def limit(*, seconds: float, memory: int) -> None:
    """Bound this process: wall and CPU time in seconds, and `memory` bytes beyond what it holds now.

    It opens no file and no socket any more: neither for what a file asks for, nor for who takes it over.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    # A permit is examined long before this; whatever takes longer lets the others go first.
    signal.signal(signal.SIGPROF, lambda _signal, _frame: os.nice(STANDS_BACK))
    signal.setitimer(signal.ITIMER_PROF, AT_EASE)
    cpu = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + memory, held + memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def is_statement(file: bytes) -> bool:
    """Tell a JSON file, such as a statement under a seal, from a PDF by its first character."""
    return file.lstrip()[:1] == b"{"


def examine(
    pdf: bytes,
    anchors_pem: bytes,
    at: datetime,
    crls: Sequence[bytes] = (),
    time_anchors_pem: bytes = b"",
    *,
    detailed: bool = False,
) -> dict[str, Any]:
    """Validate a file and gather the clues to its origin, as values for JSON."""
    report = receipt = policy = etsi = None
    try:
        clues = find_clues(pdf)
        with suppress(UnreadableDocument):
            anchors = x509.load_pem_x509_certificates(anchors_pem)
            stamping = x509.load_pem_x509_certificates(time_anchors_pem) if time_anchors_pem else []
            if is_statement(pdf):
                receipt, content, signature = open_statement(pdf)
                report = validate_detached(
                    content, signature, anchors, at=at, crls=crls, time_anchors=stamping
                )
            else:
                report = validate_document(
                    pdf, anchors, at=at, crls=crls, time_anchors=stamping, detailed=detailed
                )
                receipt = clues.receipt
            if detailed:
                policy = state_policy(current_policy(), anchors, stamping)
                sha256 = hashlib.sha256(pdf).hexdigest()
                etsi = write_report(report, policy, document_sha256=sha256, at=at)
    except MemoryError:
        return {"error": "memory_limit"}
    return {
        "readable": report is not None,
        "revisions": clues.revisions,
        "fingerprints": clues.signatures,
        "code": clues.code,
        "receipt": receipt,
        "report": _gather(report) if report else None,
        "policy": asdict(policy) if policy else None,
        "etsi": etsi,
    }


def _gather(report: ValidationReport) -> dict[str, Any]:
    gathered = asdict(report)
    for signature in gathered["signatures"]:
        # The details have the whole, with its chain.
        certificate = signature.pop("signer_certificate") or b""
        signature["certificate"] = hashlib.sha256(certificate).hexdigest()
    return gathered


def _encode(value: object) -> str:
    """Write what JSON has no form for: times, and bytes as Base64."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no form in JSON.")


if __name__ == "__main__":
    main(socket.socket(fileno=0))
