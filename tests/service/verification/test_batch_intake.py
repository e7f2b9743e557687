"""Which files of a ZIP and which lines of a table are asked about, and what is refused whole or alone."""

import io
import struct
import zipfile
from datetime import date

import pytest
from factories import pdf_file

from service.errors import InvalidInput
from service.verification.batch_intake import (
    MAX_DIRECTORY_BYTES,
    MAX_LINES,
    MAX_NAME,
    MAX_NUMBERS,
    MAX_TABLE_BYTES,
    Entry,
    Question,
    is_zip,
    list_entries,
    open_zip,
    read_entry,
    read_table,
    shown_name,
)

TODAY = date(2026, 11, 23)
NOT_READ = ("Berkas ZIP ini tidak dapat dibaca.", "This ZIP file cannot be read.")
TABLE_NOT_READ = ("Tabel ini tidak dapat dibaca.", "This table cannot be read.")
NO_COLUMNS = (
    "Baris pertama harus berisi judul kolom: kode, atau nomor dan tanggal_terbit; boleh juga pada.",
    "The first line must name the columns: code, or number and issued_on; and on, if wanted.",
)
NOTHING = ("Tidak ada yang dapat diperiksa di dalamnya.", "There is nothing in it to check.")
TOO_MANY = (
    "Sekali unggah paling banyak 500 surat. Bagilah menjadi beberapa berkas.",
    "At most 500 documents at a time. Divide them into several files.",
)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.comment = comment
    return out.getvalue()


def refused(raised: pytest.ExceptionInfo[InvalidInput]) -> tuple[str, str]:
    """Return the sentences of a refusal, which are also those of its one problem: the file."""
    error = raised.value
    (problem,) = error.problems
    assert (problem.field, problem.code) == ("file", "batch_refused")
    assert (problem.message_id, problem.message_en) == (error.message_id, error.message_en)
    return error.message_id, error.message_en


# A ZIP --------------------------------------------------------------------------------------------


def test_a_zip_is_told_by_its_first_two_bytes() -> None:
    assert [is_zip(head) for head in (b"PK", b"PK\x03\x04", b"kode,PK", b"P", b"")] == [True, True] + [
        False
    ] * 3


def test_the_files_of_a_zip_are_listed_by_their_place_without_folders_and_a_macs_shadows() -> None:
    files = {"a/": b"", "a/1.pdf": b"1", "__MACOSX/1.pdf": b"", "x__MACOSX/\x1b.pdf": b"2"}
    listed = [Entry(1, "a/1.pdf"), Entry(3, "x__MACOSX/\N{REPLACEMENT CHARACTER}.pdf")]
    for comment in (b"", bytes(65535)):
        assert list_entries(io.BytesIO(zipped(files, comment=comment))) == listed


def test_as_many_files_as_allowed_are_listed_and_one_more_is_refused() -> None:
    files = {f"{number}.pdf": b"" for number in range(MAX_LINES)}
    assert len(list_entries(io.BytesIO(zipped(files)))) == MAX_LINES
    with pytest.raises(InvalidInput) as raised:
        list_entries(io.BytesIO(zipped(files | {"x.pdf": b""})))
    assert refused(raised) == TOO_MANY
    for empty in ({"a/": b""}, {}):
        with pytest.raises(InvalidInput) as raised:
            list_entries(io.BytesIO(zipped(empty)))
        assert refused(raised) == NOTHING


def with_directory_size(data: bytes, size: int) -> bytes:
    return data[:-10] + size.to_bytes(4, "little") + data[-6:]


def zip64(comment: bytes = b"") -> bytes:
    """Make a ZIP with the records of ZIP64 before its end record (APPNOTE 4.3.14 and 4.3.15)."""
    data = zipped({"a.pdf": b"x"}, comment=comment)
    place = len(data) - 22 - len(comment)
    _, _, _, count, size, start = struct.unpack("<4HLL", data[place + 4 : place + 20])
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    return data[:place] + record + struct.pack("<4sLQL", b"PK\x06\x07", 0, place, 1) + data[place:]


def test_the_directory_of_a_zip_within_a_zip_is_not_taken_for_its_own() -> None:
    inner = with_directory_size(zipped({"a.pdf": b"x"}), MAX_DIRECTORY_BYTES + 1)
    assert list_entries(io.BytesIO(zipped({"a.zip": inner}, zipfile.ZIP_STORED))) == [Entry(0, "a.zip")]
    far_off = zipped({"a.zip": zip64(), "b.pdf": bytes(70_000)}, zipfile.ZIP_STORED)
    assert list_entries(io.BytesIO(far_off)) == [Entry(0, "a.zip"), Entry(1, "b.pdf")]


@pytest.mark.parametrize("comment", [b"", bytes(65535)])
def test_the_zip64_that_is_refused_could_be_read(comment: bytes) -> None:
    with open_zip(io.BytesIO(zip64(comment))) as archive:
        assert archive.namelist() == ["a.pdf"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 without an end record",
        zipped({"a.pdf": b"x"})[:-1],
        zip64(),
        zip64(bytes(65535)),
        zipped({"a.pdf": b"x"}, comment=b"x")[:-1] + bytes(70_000),
        with_directory_size(zipped({"a.pdf": b"x"}), MAX_DIRECTORY_BYTES + 1),
        zipped({"a.pdf": b"x"}).replace(b"PK\x01\x02", b"PK\x01\x03"),
    ],
    ids=[
        "empty",
        "no end",
        "cut",
        "zip64",
        "zip64 far off",
        "end too far",
        "large directory",
        "no directory",
    ],
)
def test_a_zip_that_cannot_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput) as raised:
        list_entries(io.BytesIO(data))
    assert refused(raised) == NOT_READ


def test_no_directory_over_the_limit_is_read_and_one_at_the_limit_is() -> None:
    """Python's reader takes a directory's place from its end, so that zeros may stand before a short one."""
    name = "a" * 65_000
    names = [f"{number:02}{name}" for number in range(16)]
    padding = MAX_DIRECTORY_BYTES - 16 * (46 + len(names[0])) - 46
    full = zipped(dict.fromkeys([*names, "b" * padding], b""))
    assert int.from_bytes(full[-10:-6], "little") == MAX_DIRECTORY_BYTES
    assert len(list_entries(io.BytesIO(full))) == 17
    over = zipped(dict.fromkeys([*names, "b" * (padding + 1)], b""))
    with pytest.raises(InvalidInput) as raised:
        list_entries(io.BytesIO(over))
    assert refused(raised) == NOT_READ


# An entry -----------------------------------------------------------------------------------------


def read(data: bytes, limit: int = 100_000) -> tuple[bytes, str | None]:
    with open_zip(io.BytesIO(data)) as archive:
        return read_entry(archive, Entry(1, "b.pdf"), limit)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_entry_is_read_up_to_its_limit(method: int) -> None:
    pdf = pdf_file()
    data = zipped({"a.pdf": b"%PDF-1.7 another", "b.pdf": pdf}, method)
    assert read(data, len(pdf)) == (pdf, None)
    assert read(data, len(pdf) - 1) == (pdf[:-1], "entry_too_large")


def test_of_an_entry_too_large_no_more_is_read() -> None:
    """Or its end would be seen to be damaged, after all of it had been unpacked."""
    plain = zipped({"a.pdf": b"", "b.pdf": bytes(100_000)}, zipfile.ZIP_STORED)
    end = plain.rindex(bytes(1000))
    assert read(plain[:end] + b"#" + plain[end + 1 :], 10) == (bytes(10), "entry_too_large")


def test_an_entry_that_no_document_can_be_is_told_as_such() -> None:
    pdf = pdf_file()
    plain = zipped({"a.pdf": pdf, "b.pdf": pdf}, zipfile.ZIP_STORED)
    place = plain.rindex(b"PK\x01\x02")
    encrypted = plain[: place + 8] + b"\x01" + plain[place + 9 :]
    content = plain.rindex(pdf)
    damaged = plain[:content] + b"#" + plain[content + 1 :]
    assert read(encrypted) == (b"", "entry_encrypted")
    assert read(damaged) == (b"", "entry_damaged")
    assert read(zipped({"a.pdf": pdf, "b.pdf": b"a text"})) == (b"a text", "not_a_pdf")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_not_unpacked(method: int) -> None:
    assert read(zipped({"a.pdf": b"", "b.pdf": pdf_file()}, method)) == (b"", "entry_damaged")


def test_a_name_is_shown_by_its_end_in_printable_characters() -> None:
    assert shown_name("izin \x1b\u202e.pdf") == "izin \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.pdf"
    longest = "b" * MAX_NAME
    assert shown_name(longest) == longest
    assert shown_name("a" + longest) == "…" + longest[1:]


# A table ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "head", [["kode", "nomor", "tanggal_terbit", "pada"], [" Code", "NUMBER ", "Issued on", "on"]]
)
def test_a_table_asks_codes_and_numbers_for_days(separator: str, head: list[str]) -> None:
    rows = [
        head,
        [" A ", "", "", ""],
        ["A", "1/2", "", "22/11/2026"],
        ["A", "1/2", "kemarin", " 2026-11-23 "],
        ["", " ", "", ""],
        ["", "1/2", " 23 November 2026 ", ""],
        ["", "1/2", "2026-11-22", "21.11.2026"],
        ["A"],
    ]
    text = "\ufeff" + "\r\n".join(separator.join(row) for row in rows)
    assert read_table(text.encode(), TODAY) == [
        Question("A"),
        Question("A", on=date(2026, 11, 22)),
        Question("A", on=TODAY),
        Question(number="1/2", issued_on=TODAY),
        Question(number="1/2", issued_on=date(2026, 11, 22), on=date(2026, 11, 21)),
        Question("A"),
    ]


def test_a_separator_is_what_stands_most_often_in_the_first_line() -> None:
    assert read_table(b"kode;catatan\nA;a,b,c,d,e\n", TODAY) == [Question("A")]
    assert read_table(b'kode,"catatan; lain",pada\nA,x,2026-11-22\n', TODAY) == [
        Question("A", on=date(2026, 11, 22))
    ]


def test_a_line_that_cannot_be_asked_says_why() -> None:
    table = (
        "kode,nomor,tanggal_terbit,pada\n"
        ",,2026-11-23,2026-11-23\n"
        ",1/2,,\n"
        ",1/2,31/02/2026,2026-11-23\n"
        ",1/2,2026-11-23,kemarin\n"
        "A,1/2,,31/02/2027\n"
        "A,,,2026-11-24\n"
        ",1/2,2026-11-23,2026-11-24\n"
    )
    assert read_table(b"kode,pada\n,2026-11-23\n", TODAY) == [Question(fault="nothing_asked")]
    tomorrow = date(2026, 11, 24)
    assert read_table(table.encode(), TODAY) == [
        Question(fault="nothing_asked"),
        Question(number="1/2", fault="day_not_read"),
        Question(number="1/2", fault="day_not_read"),
        Question(number="1/2", fault="day_not_read"),
        Question("A", fault="day_not_read"),
        Question("A", on=tomorrow, fault="day_to_come"),
        Question(number="1/2", issued_on=TODAY, on=tomorrow, fault="day_to_come"),
    ]


@pytest.mark.parametrize(
    ("day", "read"),
    [
        ("2026-1-2", date(2026, 1, 2)),
        ("2/1/2026", date(2026, 1, 2)),
        ("2.1.2026", date(2026, 1, 2)),
        ("2 - Januari - 2026", date(2026, 1, 2)),
        ("2  januari\t2026", date(2026, 1, 2)),
        ("2/1/26", None),
        ("2026-01", None),
        ("2026-01-02-03", None),
        ("2026-13-01", None),
        ("20260102", None),
        ("2_1_2026", None),
    ],
)
def test_a_day_is_read_as_it_is_typed_here_or_as_a_machine_writes_it(day: str, read: date | None) -> None:
    (question,) = read_table(f"nomor;tanggal terbit\n1;{day}\n".encode(), TODAY)
    assert question == Question(number="1", issued_on=read, fault=None if read else "day_not_read")


@pytest.mark.parametrize(
    ("table", "sentences"),
    [
        (b"", NO_COLUMNS),
        (b"apa,tanggal_terbit,pada\n1,2,3\n", NO_COLUMNS),
        (b"kode\n", NOTHING),
        (b"kode,pada\n ,\n", NOTHING),
        (b"\xff\xfe\x00", TABLE_NOT_READ),
        (b'kode\n"A"B\n', TABLE_NOT_READ),
        (b"kode\n" + b"A\n" * (MAX_LINES + 1), TOO_MANY),
    ],
)
def test_what_is_no_table_or_too_long_a_one_is_refused_whole(
    table: bytes, sentences: tuple[str, str]
) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_table(table, TODAY)
    assert refused(raised) == sentences


def test_a_table_is_read_up_to_its_limits() -> None:
    assert len(read_table(b"kode\n" + b"A\n" * MAX_LINES, TODAY)) == MAX_LINES
    wide = b"kode,x\nA," + b"x" * 100_000 + b"\n"
    full = wide + b"," * (MAX_TABLE_BYTES - len(wide))
    assert read_table(full, TODAY) == [Question("A")]
    with pytest.raises(InvalidInput) as raised:
        read_table(full + b",", TODAY)
    assert refused(raised) == ("Tabel ini terlalu besar.", "This table is too large.")


def test_numbers_are_asked_up_to_their_own_limit_and_codes_are_not_limited_so() -> None:
    table = b"kode,nomor,tanggal_terbit\n" + b",1/2,2026-11-23\n" * MAX_NUMBERS + b"A,1/2,2026-11-23\n" * 9
    assert len(read_table(table, TODAY)) == MAX_NUMBERS + 9
    with pytest.raises(InvalidInput) as raised:
        read_table(table + b",1/2,\n", TODAY)
    assert refused(raised) == (
        "Sekali unggah paling banyak 100 nomor. Kode verifikasi tidak dibatasi demikian.",
        "At most 100 numbers at a time. Verification codes are not limited so.",
    )
