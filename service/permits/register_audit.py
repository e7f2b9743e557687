"""The audit of the register: every row that matters against its seal, the audit trail, and the log.

It reads everything in one snapshot and names each row and column that is not what the service wrote.
What anchors a column: sealed tables (see `service.seals`) by the audit trail; the trail by its chain and
by the commitments of the log's leaves; the log by its tree, whose root others hold (`canting log audit
URL`, `canting log witness`); and the number counters by the permits.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from sqlalchemy import Table, select
from sqlmodel import Session, SQLModel

from service.audit import GENESIS, AuditHead, read_chain
from service.canonical import committed_hash
from service.permits.models import DocumentVersion, NumberCounter, Permit, Status, StatusChange
from service.seals import ACTION, SEALED, SealedTable, altered_columns
from service.storage import SHA256_HEX
from service.transparency.log import AUDIT_TRAIL, code_hash
from service.transparency.merkle import complete_subtrees, leaf_hash
from service.transparency.models import LogEntry, LogHead, LogNode

CHECKED_OTHERWISE = {"audit_event", "audit_head", "log_entry", "log_node", "log_head", "number_counter"}
"""Tables that need no seal: the trail is a chain, the log a tree, and counters follow from the permits."""
PASSED_OVER = {
    "account_api_token": "access that ends by itself; a token opens nothing that its owner may not do",
    "account_one_time_link": "spent or over within days, then deleted",
    "account_recovery_code": "hashes that are used up",
    "account_session": "deleted a month after its end",
    "expiry_alarm": "what administrators were told already",
    "log_witness": "what witnesses said, which they say again",
    "mail_message": "copies of what was told, deleted after three months",
    "ocsp_answer": "signed answers, made anew each day",
    "proof_renewal": "how far a renewal has come; what it made is registered",
    "proof_renewal_item": "the same, for each document",
    "reconciliation": "the last report, made anew each day",
    "sign_batch": "what was ordered stands in the trail, by its digest; what was signed, in the permits",
    "sign_batch_item": "as its batch",
    "status_list": "signed lists of what the permits say, made anew each hour",
}
"""Tables that nobody's right rests on, and why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that is not what the service wrote, and the columns that differ, if they are known."""

    table: str
    row: str
    columns: tuple[str, ...]
    problem: str
    """`altered`, `missing`, `unknown` (never written by the service), `contradicts_log` or `unreadable`."""

    def __str__(self) -> str:
        return f"{self.table} {self.row} {self.problem}: {', '.join(self.columns) or '-'}"


@dataclass(slots=True)
class RegisterAudit:
    """What an audit read and found."""

    events: int = 0
    leaves: list[str] = field(default_factory=list)
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _Trail:
    """The audit trail as it stands: each event's hash, and the last seal of each row."""

    hashes: dict[int, str] = field(default_factory=dict)
    seals: dict[str, dict[str, str | None]] = field(default_factory=lambda: defaultdict(dict))


def audit_register(session: Session) -> RegisterAudit:
    """Audit the whole register, in a snapshot's session; tell everything that was found. Reads only."""
    audit, trail = RegisterAudit(), _Trail()
    audit.findings += _check_trail(session, audit, trail)
    audit.findings += _check_log(session, audit, trail)
    for table in SEALED.values():
        audit.findings += _check_sealed(session, audit, table, trail.seals[table.table.name])
    audit.findings += _check_permits(session, audit.leaves)
    audit.findings += _check_counters(session)
    return audit


def _rows(session: Session, table: Table) -> Iterator[Mapping[str, Any]]:
    """Read a table in the order of its key, as plain values."""
    statement = select(table).order_by(*table.primary_key).execution_options(yield_per=2000)
    for row in session.connection().execute(statement).mappings():
        yield dict(row)


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


# The audit trail ----------------------------------------------------------------------------------


def _check_trail(session: Session, audit: RegisterAudit, trail: _Trail) -> Iterator[Finding]:
    number, last_hash = 0, GENESIS
    try:
        for event in read_chain(session):
            row = event.row
            if not event.follows:
                yield Finding("audit_event", str(row["number"]), (), "altered")
            if row["action"] == ACTION and isinstance(row["data"], dict):
                for table, seals in row["data"].get("rows", {}).items():
                    trail.seals[table].update(seals)
            number, last_hash = row["number"], row["hash"]
            trail.hashes[number] = last_hash
            audit.events += 1
    except (ValueError, TypeError, AttributeError):
        yield Finding("audit_event", str(number + 1), (), "unreadable")
    expected = {"id": 1, "number": number, "hash": last_hash}
    yield from _check_single(session, _table(AuditHead), expected)


def _check_single(session: Session, table: Table, expected: Mapping[str, Any]) -> Iterator[Finding]:
    """Check a table that has one row."""
    rows = list(_rows(session, table))
    for row in rows:
        if columns := tuple(name for name, value in expected.items() if row[name] != value):
            yield Finding(table.name, str(row["id"]), columns, "altered")
    if len(rows) != 1:
        yield Finding(table.name, str(expected["id"]), (), "missing" if not rows else "unknown")


# The log ------------------------------------------------------------------------------------------


def _check_log(session: Session, audit: RegisterAudit, trail: _Trail) -> Iterator[Finding]:
    lowest = {row["index"]: row["hash"] for row in _rows(session, _table(LogNode)) if row["level"] == 0}
    hashes: list[bytes] = []
    for index, row in enumerate(_rows(session, _table(LogEntry))):
        computed = leaf_hash(row["leaf"].encode()).hex()
        columns = []
        if row["index"] != index:
            columns.append("index")
        if computed != row["leaf_hash"]:
            # Two of three agree: the leaf, its hash beside it, and its node in the tree.
            # The row's own index finds the node also where an entry before it is gone.
            node = lowest.get(row["index"])
            is_leaf = row["leaf_hash"] == node and SHA256_HEX.fullmatch(row["leaf_hash"])
            columns.append("leaf" if is_leaf else "leaf_hash")
            computed = row["leaf_hash"] if is_leaf else computed
        else:
            columns += _broken_promises(row, trail)
        if columns:
            yield Finding("log_entry", str(row["index"]), tuple(columns), "altered")
        hashes.append(bytes.fromhex(computed))
        audit.leaves.append(row["leaf"])
    yield from _check_nodes(session, hashes)
    yield from _check_single(session, _table(LogHead), {"id": 1, "size": len(hashes)})


def _broken_promises(row: Mapping[str, Any], trail: _Trail) -> Iterator[str]:
    """Name what of an entry's row contradicts its leaf."""
    leaf = _read_leaf(row["leaf"])
    if leaf.get("at") != row["logged_at"].astimezone(UTC).isoformat():
        yield "logged_at"
    number = leaf.get("audit_event", 0)
    event_hash = trail.hashes.get(number, GENESIS if number == 0 else "")
    if committed_hash(row["nonce"], event_hash) != leaf.get("audit_commitment"):
        yield "nonce"
        # Either the nonce was changed, or the trail up to that event is not the one the leaf committed to.
        yield f"audit_event {number}"


def _read_leaf(text: str) -> dict[str, Any]:
    """Read a leaf's text; one that is no JSON object any more says nothing."""
    try:
        leaf = json.loads(text)
    except ValueError:
        return {}
    return leaf if isinstance(leaf, dict) else {}


def _check_nodes(session: Session, hashes: Sequence[bytes]) -> Iterator[Finding]:
    levels = complete_subtrees(hashes)
    expected = {
        (level, index): value.hex() for level, nodes in enumerate(levels) for index, value in enumerate(nodes)
    }
    for row in _rows(session, _table(LogNode)):
        key = row["level"], row["index"]
        wanted = expected.pop(key, None)
        if wanted is None:
            yield Finding("log_node", f"{key[0]}/{key[1]}", ("level", "index"), "unknown")
        elif wanted != row["hash"]:
            yield Finding("log_node", f"{key[0]}/{key[1]}", ("hash",), "altered")
    for level, index in expected:
        yield Finding("log_node", f"{level}/{index}", ("level", "index"), "missing")


# Sealed tables ------------------------------------------------------------------------------------


def _check_sealed(
    session: Session, audit: RegisterAudit, table: SealedTable, seals: dict[str, str | None]
) -> Iterator[Finding]:
    name, key_columns = table.table.name, table.key_columns
    present = {key for key, seal in seals.items() if seal is not None}
    for row in _readable_rows(session, table.table):
        if isinstance(row, Finding):
            present.discard(row.row)
            yield row
            continue
        audit.rows += 1
        key = table.key_of(row)
        seal = seals.get(key)
        present.discard(key)
        if seal is None:
            yield Finding(name, key, key_columns, "unknown")
        elif columns := altered_columns(table, row, seal):
            yield Finding(name, key, tuple(columns), "altered")
    for key in sorted(present):
        yield Finding(name, key, key_columns, "missing")


def _readable_rows(session: Session, table: Table) -> Iterator[Mapping[str, Any] | Finding]:
    """Read a table's rows; where one cannot be read, read them one by one and name each that cannot."""
    try:
        rows = list(_rows(session, table))
    except (ValueError, TypeError):
        key = table.primary_key
        for values in session.connection().execute(select(*key)).all():
            conditions = [column == value for column, value in zip(key, values, strict=True)]
            try:
                yield dict(session.connection().execute(select(table).where(*conditions)).mappings().one())
            except (ValueError, TypeError):
                yield Finding(table.name, "/".join(map(str, values)), (), "unreadable")
        return
    yield from rows


# The register against the log, both ways ----------------------------------------------------------


def _check_permits(session: Session, leaves: Sequence[str]) -> Iterator[Finding]:
    """Check that every permit, version and status stands in the log, and every leaf in the register."""
    told: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for index, text in enumerate(leaves):
        leaf = _read_leaf(text)
        if leaf.get("kind") != AUDIT_TRAIL:
            told[str(leaf.get("code_sha256"))].append((index, leaf))
    versions, changes = _by_permit(session, DocumentVersion), _by_permit(session, StatusChange)
    permit = _table(Permit)
    columns = (permit.c.id, permit.c.code, permit.c.status)
    for permit_id, code, status in session.connection().execute(select(*columns)):
        told_here = dict(told.pop(code_hash(code), []))
        if status == Status.ISSUING and not told_here:
            continue
        if not told_here or told_here[max(told_here)]["status"] != status:
            yield Finding("permit", str(permit_id), ("status",), "contradicts_log")
        for row in versions[permit_id]:
            leaf = told_here.get(row["log_index"], {})
            if (leaf.get("version"), leaf.get("sha256")) != (row["version"], row["sha256"]):
                yield _contradiction("permit_document_version", row, ("log_index", "version", "sha256"))
        for row in changes[permit_id]:
            if told_here.get(row["log_index"], {}).get("status") != row["status"]:
                yield _contradiction("permit_status_change", row, ("log_index", "status"))
        known = {row["log_index"] for row in (*versions[permit_id], *changes[permit_id])}
        for index in told_here.keys() - known:
            yield Finding("log_entry", str(index), (), "contradicts_log")
    for entries in told.values():
        for index, _leaf in entries:
            yield Finding("log_entry", str(index), ("code_sha256",), "contradicts_log")


def _contradiction(table: str, row: Mapping[str, Any], columns: tuple[str, ...]) -> Finding:
    return Finding(table, str(row["id"]), columns, "contradicts_log")


def _by_permit(
    session: Session, model: type[DocumentVersion] | type[StatusChange]
) -> dict[Any, list[Mapping[str, Any]]]:
    """Read of each permit's rows what the log tells too."""
    table = _table(model)
    found: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    names = [
        name for name in ("id", "permit_id", "version", "sha256", "status", "log_index") if name in table.c
    ]
    for row in session.connection().execute(select(*(table.c[name] for name in names))).mappings():
        found[row["permit_id"]].append(dict(row))
    return found


def _check_counters(session: Session) -> Iterator[Finding]:
    """Check that each series has the numbers from 1 to its counter's last, and no other."""
    permit = _table(Permit)
    given: dict[tuple[str, int], list[int]] = defaultdict(list)
    for series, year, sequence in session.connection().execute(
        select(permit.c.series, permit.c.year, permit.c.sequence)
    ):
        given[series, year].append(sequence)
    for row in _rows(session, _table(NumberCounter)):
        numbers = given.pop((row["series"], row["year"]), [])
        if not numbers:
            yield Finding("number_counter", f"{row['series']}/{row['year']}", ("series", "year"), "unknown")
        elif sorted(numbers) != list(range(1, row["last"] + 1)):
            yield Finding("number_counter", f"{row['series']}/{row['year']}", ("last",), "altered")
    for series, year in given:
        yield Finding("number_counter", f"{series}/{year}", ("series", "year"), "missing")
