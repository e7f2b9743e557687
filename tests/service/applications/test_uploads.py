"""Files from strangers: proven by content, built anew, kept encrypted, served harmless."""

import io
import struct
import threading
import zlib
from collections.abc import Callable
from datetime import datetime

import pikepdf
import pytest
from factories import (
    WRAPPING_KEYS,
    actor_of,
    clean_jpeg,
    jpeg_file,
    make_citizen,
    make_draft,
    make_submitted,
    pdf_file,
)
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import Engine
from sqlmodel import Session

from service.applications import cleaning
from service.applications.uploads import (
    UploadNotFound,
    UploadRefused,
    UploadTooLarge,
    UploadTypeRefused,
    check_file,
    check_media_type,
    clean_filename,
    open_upload,
    remove_upload,
    store_upload,
    upload_response,
    uploads_of,
)
from service.database import transaction
from service.errors import ServiceError, Unavailable
from service.storage import Storage


def image(size: tuple[int, int] = (40, 30), image_format: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "#7a4b21").save(file, image_format, **options)
    return file.getvalue()


def pdf(change: Callable[[pikepdf.Pdf], None] = lambda pdf: None, **options: object) -> bytes:
    file = io.BytesIO()
    with pikepdf.new() as made:
        made.add_blank_page(page_size=(200, 300))
        change(made)
        made.save(file, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and brings a few bytes: a bomb with its fuse."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


# Images ---------------------------------------------------------------------------------------


def test_a_photograph_is_turned_upright_and_loses_everything_but_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010F] = "RAHASIA"
    data = image(exif=exif, comment=b"RAHASIA", progressive=True)
    clean = check_file(data)
    assert clean.media_type == "image/jpeg"
    assert b"RAHASIA" in data
    assert b"RAHASIA" not in clean.data
    again = Image.open(io.BytesIO(clean.data))
    assert again.size == (30, 40)
    assert not again.getexif()
    assert "progressive" not in again.info


def test_a_png_keeps_its_transparency_and_loses_its_texts() -> None:
    texts = PngInfo()
    texts.add_text("Author", "RAHASIA")
    file = io.BytesIO()
    Image.new("RGBA", (5, 5), (255, 0, 0, 40)).save(file, "PNG", pnginfo=texts)
    clean = check_file(file.getvalue())
    again = Image.open(io.BytesIO(clean.data))
    assert (clean.media_type, again.mode, again.getpixel((0, 0))) == ("image/png", "RGBA", (255, 0, 0, 40))
    assert b"RAHASIA" not in clean.data


def test_a_polyglot_leaves_its_other_half_behind() -> None:
    clean = check_file(jpeg_file() + pdf() + b"<script>alert(1)</script>")
    assert clean.media_type == "image/jpeg"
    assert b"%PDF" not in clean.data
    assert b"<script>" not in clean.data


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(UploadRefused) as refused:
        check_file(png_header(30_000, 30_000))
    assert refused.value.problems[0].code == "too_many_pixels"


# PDF ------------------------------------------------------------------------------------------


def add_traps(made: pikepdf.Pdf) -> None:
    script = made.make_indirect(pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert('JAHAT')"))
    launch = pikepdf.Dictionary(S=pikepdf.Name.Launch, F="JAHAT.exe")
    made.Root.OpenAction = script
    made.Root.Names = pikepdf.Dictionary(
        JavaScript=pikepdf.Dictionary(Names=pikepdf.Array([pikepdf.String("x"), script]))
    )
    made.attachments["JAHAT.txt"] = b"JAHAT"
    made.docinfo["/Author"] = "JAHAT"
    page = made.pages[0].obj
    page.AA = pikepdf.Dictionary(O=launch)
    link = pikepdf.Dictionary(
        Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Link, Rect=pikepdf.Array([0, 0, 9, 9]), A=launch
    )
    page.Annots = pikepdf.Array([made.make_indirect(link)])


def test_a_pdf_is_rebuilt_without_scripts_actions_files_and_metadata() -> None:
    data = pdf(add_traps, object_stream_mode=pikepdf.ObjectStreamMode.disable, compress_streams=False)
    assert b"JAHAT" in data
    clean = check_file(data)
    with pikepdf.open(io.BytesIO(clean.data)) as again:
        assert set(again.Root.keys()) == {"/Type", "/Pages"}
        assert set(again.pages[0].obj.keys()) <= cleaning.KEPT_PAGE_KEYS
        assert len(again.attachments) == 0
        raw = io.BytesIO()
        again.save(raw, object_stream_mode=pikepdf.ObjectStreamMode.disable, qdf=True)
    assert b"JAHAT" not in raw.getvalue()


def test_a_filled_in_form_stays_readable() -> None:
    def add_field(made: pikepdf.Pdf) -> None:
        appearance = made.make_stream(b"BT /F1 10 Tf (JAWABAN) Tj ET")
        appearance.Type, appearance.Subtype = pikepdf.Name.XObject, pikepdf.Name.Form
        appearance.BBox = pikepdf.Array([0, 0, 100, 20])
        widget = made.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Tx,
                T="nama",
                V="JAWABAN",
                F=4,
                Rect=pikepdf.Array([10, 10, 110, 30]),
                AP=pikepdf.Dictionary(N=appearance),
            )
        )
        made.pages[0].obj.Annots = pikepdf.Array([widget])
        made.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([widget]))

    clean = check_file(pdf(add_field))
    with pikepdf.open(io.BytesIO(clean.data)) as again:
        drawn = [obj.read_bytes() for obj in again.objects if isinstance(obj, pikepdf.Stream)]
    assert any(b"JAWABAN" in stream for stream in drawn)


def test_pages_keep_what_they_inherit() -> None:
    def inherit(made: pikepdf.Pdf) -> None:
        page = made.pages[0].obj
        made.Root.Pages.MediaBox, made.Root.Pages.Rotate = page.MediaBox, 90
        del page["/MediaBox"]

    with pikepdf.open(io.BytesIO(check_file(pdf(inherit)).data)) as again:
        page = again.pages[0]
        assert [int(side) for side in page.mediabox] == [0, 0, 200, 300]
        assert page.obj.get("/Rotate") == 90


def encrypted(user: str) -> bytes:
    return pdf(encryption=pikepdf.Encryption(owner="pemilik", user=user))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"MZ" + bytes(200), "type_unknown"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "type_unknown"),
        (image(image_format="GIF"), "type_unknown"),
        (jpeg_file()[:200], "damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "damaged"),
        (b"%PDF-1.7\nrubbish", "damaged"),
        (encrypted(user=""), "encrypted"),
        (encrypted(user="rahasia"), "encrypted"),
        (pdf(lambda made: made.pages.extend([made.pages[0]] * cleaning.MAX_PAGES)), "too_many_pages"),
        (pdf(lambda made: made.pages.remove(p=1)), "no_pages"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_both_languages(data: bytes, code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        check_file(data)
    problem = refused.value.problems[0]
    assert (problem.field, problem.code) == ("file", code)
    assert problem.message_id != problem.message_en
    assert refused.value.status == (415 if code == "type_unknown" else 422)


def test_a_file_over_the_limit_is_413() -> None:
    with pytest.raises(UploadTooLarge) as refused:
        check_file(bytes(2 * 1024 * 1024 + 1), max_bytes=2 * 1024 * 1024)
    assert refused.value.status == 413
    assert "2 MB" in refused.value.message_id


def test_a_file_that_exhausts_its_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "WALL_SECONDS", 0.01)
    with pytest.raises(UploadRefused) as refused:
        check_file(jpeg_file())
    assert refused.value.problems[0].code == "too_complex"


def test_a_flood_of_files_waits_and_is_then_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "LONGEST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(cleaning, "AT_A_TIME", threading.BoundedSemaphore(1))
    with cleaning.AT_A_TIME, pytest.raises(Unavailable) as refused:
        check_file(jpeg_file())
    assert refused.value.problems[0].code == "busy"
    assert check_file(jpeg_file()).media_type == "image/jpeg"


def test_a_kind_the_document_is_not_asked_for_in_is_refused() -> None:
    with pytest.raises(UploadTypeRefused) as refused:
        check_media_type(check_file(pdf_file()), {"image/jpeg", "image/png"})
    assert "JPEG atau PNG" in refused.value.message_id
    check_media_type(clean_jpeg(), {"image/jpeg"})


# Names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("ktp.pdf", "ktp.jpg"),
        ("KTP.JPEG", "KTP.jpg"),
        ("../../etc/passwd", "passwd.jpg"),
        ("C:\\Users\\siti\\ktp.png", "ktp.jpg"),
        ("surat\u202egpj.exe", "surat gpj.exe.jpg"),
        ("a\r\nSet-Cookie: x=1.jpg", "a Set-Cookie: x=1.jpg"),
        ("cafe\u0301.jpg", "café.jpg"),
        (".htaccess", "htaccess.jpg"),
        ("", "berkas.jpg"),
        ("x" * 400, "x" * 156 + ".jpg"),
    ],
)
def test_names_are_for_people_only(given: str, shown: str) -> None:
    assert clean_filename(given, "image/jpeg") == shown


# Keeping and serving -----------------------------------------------------------------------------


def test_a_stored_file_is_encrypted_and_opens_again(
    session: Session, storage: Storage, now: datetime
) -> None:
    user = make_citizen(session)
    draft = make_draft(session, user)
    actor = actor_of(session, user)
    upload = store_upload(session, storage, WRAPPING_KEYS, draft, "ktp", "k.jpg", clean_jpeg(), actor, now)
    assert storage.folder is not None
    kept = (storage.folder / "uploads" / upload.object_name).read_bytes()
    assert jpeg_file() not in kept
    assert open_upload(storage, WRAPPING_KEYS, upload) == jpeg_file()
    assert (upload.filename, upload.media_type, upload.size) == ("k.jpg", "image/jpeg", len(jpeg_file()))


def test_removing_a_draft_file_destroys_its_key_and_its_bytes(
    engine: Engine, storage: Storage, now: datetime
) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
        draft = make_draft(session, user)
        upload = store_upload(
            session, storage, WRAPPING_KEYS, draft, "ktp", "k.jpg", clean_jpeg(), actor_of(session, user), now
        )
    assert storage.folder is not None
    path = storage.folder / "uploads" / upload.object_name
    with transaction(engine) as session:
        remove_upload(session, storage, session.merge(upload), now)
        assert path.exists(), "nothing is deleted before the transaction has committed"
    assert not path.exists()
    with transaction(engine) as session:
        assert uploads_of(session, draft.id) == []
        gone = session.get(type(upload), upload.id)
        assert gone is not None
        with pytest.raises(UploadNotFound):
            open_upload(storage, WRAPPING_KEYS, gone)


def test_a_submitted_file_stays_as_evidence_when_it_is_replaced(
    session: Session, storage: Storage, now: datetime
) -> None:
    application = make_submitted(session, storage, make_citizen(session))
    upload = uploads_of(session, application.id)[0]
    remove_upload(session, storage, upload, now)
    assert upload not in uploads_of(session, application.id)
    assert open_upload(storage, WRAPPING_KEYS, upload) == jpeg_file()


def test_a_served_file_can_do_nothing(session: Session, storage: Storage, now: datetime) -> None:
    user = make_citizen(session)
    draft = make_draft(session, user)
    upload = store_upload(
        session,
        storage,
        WRAPPING_KEYS,
        draft,
        "ktp",
        'kt"p é.jpg',
        clean_jpeg(),
        actor_of(session, user),
        now,
    )
    answer = upload_response(upload, jpeg_file())
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"kt_p _.jpg\"; filename*=UTF-8''kt%22p%20%C3%A9.jpg"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert upload_response(upload, b"", inline=True).headers["content-disposition"].startswith("inline;")
