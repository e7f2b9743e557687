"""A log seen from outside, over HTTP: its checkpoint, its tiles, and whether it only ever grew.

Nothing here needs the service's database, and nothing fetched is believed before it leads to a signed root.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import httpx2

from service.errors import Conflict, ServiceError, Unavailable
from service.transparency.merkle import (
    NodeReader,
    complete_subtrees,
    consistency_proof,
    leaf_hash,
    root_hash,
    verify_consistency,
)
from service.transparency.notes import LARGEST_NOTE, Checkpoint, NoteInvalid, Verifier, open_checkpoint
from service.transparency.tiles import (
    HASH_BYTES,
    HEIGHT,
    LARGEST_ENTRY,
    WIDTH,
    node_reader,
    tile_levels,
    tile_path,
    tiles_of,
    unpack_entries,
)

TIMEOUT_SECONDS = 15
LARGEST_LOG = 2**32
"""Leaves of a log that is read at all: whoever signs a larger size wants to keep us busy."""

Fetch = Callable[[str, int], bytes]
"""From an address below the log's and the most bytes it may have to what stands there."""


class LogUnreachable(Unavailable):
    code = "log_unreachable"
    message_id = "Log tidak dapat dibaca di alamat itu. Periksa alamat dan sambungan."
    message_en = "The log cannot be read at that address. Check the address and the connection."


class LogForked(Conflict):
    """Two signed states of one log of which neither continues the other: evidence against who runs it."""

    code = "log_forked"
    message_id = (
        "Log bercabang: keadaannya sekarang bukan kelanjutan dari keadaan yang pernah ditandatangani."
    )
    message_en = "The log has forked: what it shows now does not continue what it signed before."


class LogRewound(Conflict):
    code = "log_rewound"
    message_id = "Log mundur: sekarang lebih pendek daripada yang pernah ditandatangani."
    message_en = "The log was rewound: it is shorter now than what it signed before."


class LogInconsistent(ServiceError):
    """Tiles or entries that do not lead to the root that was signed."""

    status = 422
    code = "log_inconsistent"
    message_id = "Isi log tidak menghasilkan akar (root) yang ditandatanganinya."
    message_en = "The log's contents do not lead to the root that it signed."


def fetch_from(url: str, client: httpx2.Client) -> Fetch:
    """Return the function that fetches below a log's address. It raises LogUnreachable."""

    def fetch(place: str, most: int) -> bytes:
        try:
            with client.stream("GET", f"{url.rstrip('/')}/{place}", timeout=TIMEOUT_SECONDS) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise LogUnreachable
                found = b""
                for part in answer.iter_bytes():
                    found += part
                    if len(found) > most:
                        raise LogInconsistent
                return found
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise LogUnreachable from error

    return fetch


def fetch_checkpoint(fetch: Fetch, verifier: Verifier, place: str = "checkpoint") -> tuple[str, Checkpoint]:
    """Fetch the log's checkpoint as (note, what it says). Raises LogUnreachable or NoteInvalid."""
    try:
        note = fetch(place, LARGEST_NOTE).decode()
    except UnicodeDecodeError as error:
        raise NoteInvalid from error
    checkpoint = open_checkpoint(note, verifier)
    if checkpoint.size > LARGEST_LOG:
        raise NoteInvalid
    return note, checkpoint


def require_growth(old: Checkpoint, new: Checkpoint, read: NodeReader) -> None:
    """Check that a state of the log continues an older one, `read` being the new one's tree.

    Raises LogRewound or LogForked.
    """
    if new.size < old.size:
        raise LogRewound
    if old.origin != new.origin:
        raise LogForked
    if old.size == 0:
        return
    try:
        proof = consistency_proof(old.size, new.size, read)
    except ValueError as error:
        raise LogForked from error
    if not verify_consistency(old.size, new.size, old.root, new.root, proof):
        raise LogForked


def remote_reader(fetch: Fetch, size: int) -> NodeReader:
    """Return the reader of a log's tree, which fetches each tile once; it raises as `fetch` does."""

    @cache
    def read_tile(level: int, index: int, width: int) -> bytes:
        return _fetch_wide(fetch, f"tile/{level}", index, width, width * HASH_BYTES)

    return node_reader(size, read_tile)


def _fetch_wide(fetch: Fetch, prefix: str, index: int, width: int, most: int) -> bytes:
    return fetch(f"{prefix}/{tile_path(index, width)}", most)


@dataclass(frozen=True, slots=True)
class WholeLog:
    """A log that was read and recomputed from its first leaf to its last."""

    note: str
    checkpoint: Checkpoint
    leaves: tuple[bytes, ...]


def read_whole_log(fetch: Fetch, verifier: Verifier, seen: Checkpoint | None = None) -> WholeLog:
    """Read every entry and every tile, recompute the tree, and check it against an older checkpoint.

    Raises NoteInvalid, LogUnreachable, LogInconsistent, LogForked or LogRewound.
    """
    note, checkpoint = fetch_checkpoint(fetch, verifier)
    if seen is not None and checkpoint.size < seen.size:
        raise LogRewound
    leaves: list[bytes] = []
    for index, width in tiles_of(checkpoint.size, 0):
        bundle = _fetch_wide(fetch, "tile/entries", index, width, width * (LARGEST_ENTRY + 2))
        try:
            entries = unpack_entries(bundle)
        except ValueError as error:
            raise LogInconsistent from error
        if len(entries) != width:
            raise LogInconsistent
        leaves += entries
    levels = complete_subtrees([leaf_hash(leaf) for leaf in leaves])

    def read(level: int, index: int) -> bytes:
        return levels[level][index]

    if root_hash(checkpoint.size, read) != checkpoint.root:
        raise LogInconsistent
    _compare_tiles(fetch, checkpoint.size, levels)
    if seen is not None:
        require_growth(seen, checkpoint, read)
    return WholeLog(note, checkpoint, tuple(leaves))


def _compare_tiles(fetch: Fetch, size: int, levels: list[list[bytes]]) -> None:
    for level in tile_levels(size):
        for index, width in tiles_of(size, level):
            hashes = levels[HEIGHT * level][index * WIDTH : index * WIDTH + width]
            if _fetch_wide(fetch, f"tile/{level}", index, width, width * HASH_BYTES) != b"".join(hashes):
                raise LogInconsistent
