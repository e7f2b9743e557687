"""Taking a batch within its bounds: a ZIP's entries or a table's lines, listed before any is examined."""

import csv
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

from service.catalogue.entry import join_date
from service.errors import FieldProblem, InvalidInput
from service.verification.intake import is_verifiable

MAX_LINES = 500
MAX_NUMBERS = 100
"""Look-ups by number in one table: guessing must not be faster here than on the page."""
MAX_TABLE_BYTES = 1024 * 1024
MAX_DIRECTORY_BYTES = 1024 * 1024
"""Of a ZIP's directory, which is read whole."""
MAX_NAME = 100
"""Characters of a file's name that are kept."""
NOT_A_PDF, DAMAGED, ENCRYPTED, TOO_LARGE = "not_a_pdf", "entry_damaged", "entry_encrypted", "entry_too_large"
NO_DAY, NOTHING_ASKED, DAY_TO_COME = "day_not_read", "nothing_asked", "day_to_come"
_END, _END_SIZE, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65535
_ZIP64, _ZIP64_SIZE = b"PK\x06\x07", 20
"""The locator of ZIP64, which stands right before the end record."""
_COLUMNS = {
    "kode": "code", "code": "code", "nomor": "number", "number": "number",
    "tanggal_terbit": "issued_on", "issued_on": "issued_on", "pada": "on", "on": "on",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a ZIP: its place in the directory, and its name as it may be shown."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class Question:
    """A line of a table: a code, or a number with its day of issue, and the day asked about.

    `fault` says why it cannot be asked.
    """

    code: str = ""
    number: str = ""
    issued_on: date | None = None
    on: date | None = None
    fault: str | None = None


def is_zip(head: bytes) -> bool:
    """Tell a ZIP from a table by its first bytes."""
    return head[:2] == b"PK"


# A ZIP ----------------------------------------------------------------------------------------


def list_entries(file: BinaryIO) -> list[Entry]:
    """List the files of a ZIP. Raises InvalidInput when it cannot be read, is empty or has too many."""
    try:
        _require_small_directory(file)
        with open_zip(file) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise _refusal("Berkas ZIP ini tidak dapat dibaca.", "This ZIP file cannot be read.") from None
    entries = [
        Entry(index, shown_name(info.filename))
        for index, info in enumerate(listed)
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    _require_count(len(entries))
    return entries


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open a ZIP whose entries are read in place. Raises BadZipFile and its like."""
    return zipfile.ZipFile(file)


def read_entry(archive: zipfile.ZipFile, entry: Entry, limit: int) -> tuple[bytes, str | None]:
    """Return an entry's bytes, at most `limit`, and what is wrong with it or None. Raises nothing."""
    info = archive.infolist()[entry.index]
    if info.flag_bits & 1:
        return b"", ENCRYPTED
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # The others may ask for as much memory as they like before the first byte.
        return b"", DAMAGED
    try:
        with archive.open(info) as stream:
            data = stream.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        return b"", DAMAGED
    if len(data) > limit:
        return data[:limit], TOO_LARGE
    return data, None if is_verifiable(data) else NOT_A_PDF


def shown_name(name: str) -> str:
    """Return a file's name for a page or a table: its end, in printable characters alone."""
    plain = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name
    )
    return plain if len(plain) <= MAX_NAME else "…" + plain[-(MAX_NAME - 1) :]


def _require_small_directory(file: BinaryIO) -> None:
    """Look at the end record before the directory is read (APPNOTE 4.3.16). Raises BadZipFile.

    Without an end record, or with one of ZIP64, nobody can tell how large the directory is.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _ZIP64_SIZE - _END_SIZE - _LONGEST_COMMENT))
    tail = file.read()
    place = tail.rfind(_END)
    if place < 0 or _ZIP64 in tail or len(tail) - place < _END_SIZE:
        raise zipfile.BadZipFile
    if int.from_bytes(tail[place + 12 : place + 16], "little") > MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile


# A table --------------------------------------------------------------------------------------


def read_table(data: bytes, today: date) -> list[Question]:
    """Read a table (CSV) of `kode` or `nomor` and `tanggal_terbit`, and `pada`. Raises InvalidInput.

    A day to come is not answered, because the answer can be had under the seal.
    """
    if len(data) > MAX_TABLE_BYTES:
        raise _refusal("Tabel ini terlalu besar.", "This table is too large.")
    try:
        text = data.decode("utf-8-sig")
        head = text.partition("\n")[0]
        rows = list(csv.reader(io.StringIO(text), delimiter=max(";,\t", key=head.count), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise _refusal("Tabel ini tidak dapat dibaca.", "This table cannot be read.") from None
    names = [_COLUMNS.get(name.strip().lower().replace(" ", "_"), "") for name in rows[0]] if rows else []
    if not {"code", "number"} & set(names):
        raise _refusal(
            "Baris pertama harus berisi judul kolom: kode, atau nomor dan tanggal_terbit; boleh juga pada.",
            "The first line must name the columns: code, or number and issued_on; and on, if wanted.",
        )
    lines = [dict(zip(names, row, strict=False)) for row in rows[1:] if any(cell.strip() for cell in row)]
    _require_count(len(lines))
    questions = [_question(line, today) for line in lines]
    if sum(bool(each.number) for each in questions) > MAX_NUMBERS:
        raise _refusal(
            f"Sekali unggah paling banyak {MAX_NUMBERS} nomor. Kode verifikasi tidak dibatasi demikian.",
            f"At most {MAX_NUMBERS} numbers at a time. Verification codes are not limited so.",
        )
    return questions


def _question(line: dict[str, str], today: date) -> Question:
    cells = {name: value.strip() for name, value in line.items()}
    code, number = shown_name(cells.get("code", "")), shown_name(cells.get("number", ""))
    issued_on, on = (_read_day(cells.get(name, "")) for name in ("issued_on", "on"))
    if not code and not number:
        return Question(fault=NOTHING_ASKED)
    if (cells.get("on") and on is None) or (not code and issued_on is None):
        return Question(code, "" if code else number, fault=NO_DAY)
    fault = DAY_TO_COME if on is not None and on > today else None
    return Question(code, "" if code else number, issued_on, on, fault)


def _read_day(text: str) -> date | None:
    """Read `2026-11-23`, `23/11/2026` or `23 November 2026`; None for anything else, such as `23/11/26`."""
    parts = re.split(r"[\s/.-]+", text)
    if len(parts) != 3:
        return None
    year, month, day = parts if len(parts[0]) == 4 else reversed(parts)
    try:
        return date.fromisoformat(join_date(day, month, year))
    except ValueError:
        return None


def _require_count(count: int) -> None:
    if count == 0:
        raise _refusal("Tidak ada yang dapat diperiksa di dalamnya.", "There is nothing in it to check.")
    if count > MAX_LINES:
        raise _refusal(
            f"Sekali unggah paling banyak {MAX_LINES} surat. Bagilah menjadi beberapa berkas.",
            f"At most {MAX_LINES} documents at a time. Divide them into several files.",
        )


def _refusal(message_id: str, message_en: str) -> InvalidInput:
    problem = FieldProblem("file", "batch_refused", message_id, message_en)
    return InvalidInput(message_id, message_en, problems=[problem])
