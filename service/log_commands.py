"""`canting log …`: auditing the log and the register, witnessing another's log, reconciling documents."""

import functools
import http.server
import threading
import time
from pathlib import Path
from typing import Annotated

import httpx2
import typer

from service import clock
from service.console import Refused, opened, read_settings, require_schema, say
from service.database import snapshot
from service.errors import ServiceError
from service.permits.reconcile import find_discrepancies, reconcile
from service.permits.register_audit import RegisterAudit, audit_register
from service.transparency.notes import Checkpoint, Verifier, open_checkpoint, parse_vkey
from service.transparency.remote import WholeLog, fetch_from, read_whole_log
from service.transparency.witness import WitnessKey, open_witness_key, replace_file, witness_log

log_app = typer.Typer(no_args_is_help=True, help="The transparency log: audit, witness, reconcile.")

Url = Annotated[str, typer.Argument(help="The log's address, such as https://izin.example.org/log.")]
Vkey = Annotated[str, typer.Option(help="The log's verifier key, got by a way that you trust.")]


@log_app.command("audit")
def log_audit(
    url: Annotated[str, typer.Argument(help="The log's address; none: audit this register alone.")] = "",
    vkey: Vkey = "",
    state: Annotated[
        Path | None, typer.Option(help="Where the last checkpoint is kept; a file named after the log.")
    ] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Audit this installation's register against that log, too.")
    ] = False,
) -> None:
    """Read and recompute a whole log, and audit the register: every row against seal, trail and log."""
    whole = _audit_remote(url, vkey, state) if url else None
    if register or whole is None:
        _audit_register(whole)


def _audit_remote(url: str, vkey: str, state: Path | None) -> WholeLog:
    if not vkey:
        raise Refused(
            "Beri --vkey, kunci log yang Anda percaya (diumumkan di /log/vkey).",
            "Give --vkey, the log's key that you trust (it is announced at /log/vkey).",
        )
    verifier = parse_vkey(vkey)
    path = state or Path(f"{verifier.name.replace('/', '_')}.checkpoint")
    with httpx2.Client() as client:
        whole = read_whole_log(fetch_from(url, client), verifier, _seen(path, verifier))
    replace_file(path, whole.note.encode())
    say(
        f"Log utuh: {whole.checkpoint.size} entri, lanjutan dari checkpoint di {path}.",
        f"The log is whole: {whole.checkpoint.size} entries, continuing the checkpoint kept in {path}.",
    )
    return whole


def _seen(path: Path, verifier: Verifier) -> Checkpoint | None:
    return open_checkpoint(path.read_text(), verifier) if path.exists() else None


def _audit_register(whole: WholeLog | None) -> None:
    with opened(read_settings()) as engine:
        require_schema(engine)
        with snapshot(engine) as session:
            audit = audit_register(session)
    for finding in audit.findings:
        print(finding.table, finding.row, finding.problem, ",".join(finding.columns) or "-", sep="\t")
    if whole is not None:
        _compare_leaves(audit, whole)
    if audit.findings:
        raise Refused(
            f"{len(audit.findings)} hal pada register tidak seperti yang ditulis layanan.",
            f"{len(audit.findings)} things in the register are not as the service wrote them.",
        )
    say(
        f"Register utuh: {audit.rows} baris, {audit.events} peristiwa, {len(audit.leaves)} entri log.",
        f"The register is whole: {audit.rows} rows, {audit.events} events, {len(audit.leaves)} log entries.",
    )


def _compare_leaves(audit: RegisterAudit, whole: WholeLog) -> None:
    """Refuse a database whose log is not the one that was published."""
    own = [leaf.encode() for leaf in audit.leaves[: whole.checkpoint.size]]
    differing = [str(index) for index, leaf in enumerate(whole.leaves) if leaf not in own[index : index + 1]]
    if differing:
        raise Refused(
            f"Log di basis data berbeda dari yang diumumkan, mulai entri {differing[0]}.",
            f"The log in the database differs from the one published, from entry {differing[0]}.",
        )


@log_app.command("witness")
def log_witness(
    url: Url,
    vkey: Vkey,
    name: Annotated[str, typer.Option(help="The witness's name, such as inspektorat.example.org/saksi.")],
    key: Annotated[Path, typer.Option(help="The witness's key file; made if it is missing.")],
    state: Annotated[Path, typer.Option(help="Where the last cosigned checkpoint is kept.")],
    every: Annotated[int, typer.Option(min=0, help="Repeat after so many seconds; 0: once.")] = 0,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Serve /checkpoint on this port; 0: do not.")
    ] = 0,
    host: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
) -> None:
    """Cosign a log's checkpoints from another machine; refuse forks and rewinds.

    Give the service the witness's key, which is printed, and the address of its /checkpoint.
    """
    witness, log = open_witness_key(key, name), parse_vkey(vkey)
    say(f"Kunci saksi: {witness.verifier.vkey}", f"Witness's key: {witness.verifier.vkey}")
    if port:
        serve_state(state, host, port)
    while True:
        try:
            _witness_once(url, log, witness, state)
        except ServiceError as error:
            if not every:
                raise
            say(f"{error.message('id')}", f"{error.message('en')}")
        if not every:
            return
        time.sleep(every)


def _witness_once(url: str, log: Verifier, witness: WitnessKey, state: Path) -> None:
    with httpx2.Client() as client:
        note = witness_log(fetch_from(url, client), log, witness, state, clock.now())
    size = open_checkpoint(note, witness.verifier).size
    say(f"{size} entri ditandatangani.", f"{size} entries are cosigned.")


class _StateServer(http.server.BaseHTTPRequestHandler):
    """Gives out the last cosigned checkpoint, and nothing else."""

    def __init__(self, *arguments: object, state: Path) -> None:
        self.state = state
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        found = self.path == "/checkpoint" and self.state.exists()
        body = self.state.read_bytes() if found else b""
        self.send_response(200 if found else 404)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("cache-control", "no-store")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: who asks is nobody's business."""


def serve_state(state: Path, host: str, port: int) -> http.server.ThreadingHTTPServer:
    """Serve the last cosigned checkpoint in a thread of its own, at `/checkpoint`."""
    handler = functools.partial(_StateServer, state=state)
    server = http.server.ThreadingHTTPServer((host, port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@log_app.command("reconcile")
def log_reconcile(
    quiet: Annotated[bool, typer.Option("--no-alarm", help="List only; keep and mail nothing.")] = False,
) -> None:
    """Check that each decision has one live stored document, and each document a decision."""
    # Imported here, because it takes as long as all commands together that need no storage.
    from service.operations import open_settings_storage

    settings = read_settings()
    storage = open_settings_storage(settings)
    with opened(settings) as engine:
        require_schema(engine)
        if quiet:
            _, found = find_discrepancies(engine, storage, clock.now())
        else:
            found = reconcile(engine, storage, clock.now())
    for each in found:
        print(each.problem, each.subject, sep="\t")
    if found:
        raise Refused(f"{len(found)} ketidakcocokan.", f"{len(found)} discrepancies.")
    say("Keputusan, register, dan penyimpanan cocok.", "Decisions, register and storage agree.")
