"""Files that applicants and reviewers give: proven, cleaned, stored encrypted, opened again.

A file's name and announced type prove nothing: `cleaning` opens it and builds it anew. The name is
kept for people to read only.
"""

import contextlib
import unicodedata
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from urllib.parse import quote

from fastapi.responses import Response
from sqlalchemy import event
from sqlmodel import Session, col, select

from service.accounts.access import Actor
from service.applications.cleaning import (
    MAX_PAGES,
    MAX_PIXELS,
    MEDIA_TYPES,
    CleanFile,
    FileRefused,
    clean_file,
)
from service.applications.models import Application, Submission, Upload
from service.errors import (
    FieldProblem,
    InvalidInput,
    NotFound,
    ServiceError,
    TooLarge,
    Unavailable,
    UnsupportedFile,
)
from service.storage import Storage, StorageUnavailable, delete_upload, get_upload, put_upload

ATTACHMENT = "attachment"
"""The requirement under which a reviewer's file stands."""
MAX_FILENAME = 160
EXTENSIONS = {"image/jpeg": ".jpg", "image/png": ".png", "application/pdf": ".pdf"}
ACCEPTED_MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "pdf": "application/pdf"}
"""The catalogue's words for kinds of files, as media types."""
KIND_NAMES = {"image/jpeg": "JPEG", "image/png": "PNG", "application/pdf": "PDF"}
FILE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; sandbox"
)
"""Laid on every file served: whatever is in it runs nothing and reaches nowhere."""


class UploadTooLarge(TooLarge):
    code = "upload_too_large"


class UploadTypeRefused(UnsupportedFile):
    code = "upload_type_refused"


class UploadRefused(InvalidInput):
    code = "upload_refused"


class UploadNotFound(NotFound):
    code = "upload_not_found"
    message_id = "Berkas ini tidak ditemukan atau sudah dihapus."
    message_en = "This file was not found or has been removed."


REFUSALS: dict[str, tuple[type[ServiceError], str, str]] = {
    "type_unknown": (
        UploadTypeRefused,
        "Berkas ini bukan JPEG, PNG, atau PDF. Foto atau pindai dokumennya, lalu unggah hasilnya.",
        "This file is not a JPEG, PNG or PDF. Photograph or scan the document and upload the result.",
    ),
    "damaged": (
        UploadRefused,
        "Berkas ini rusak dan tidak dapat dibuka. Simpan atau pindai ulang dokumennya, lalu unggah lagi.",
        "This file is damaged and cannot be opened. Save or scan the document again, then upload it.",
    ),
    "encrypted": (
        UploadRefused,
        "PDF ini dikunci dengan kata sandi. Simpan salinan tanpa kata sandi, lalu unggah salinan itu.",
        "This PDF is locked with a password. Save a copy without a password and upload that copy.",
    ),
    "no_pages": (
        UploadRefused,
        "PDF ini tidak memiliki halaman. Periksa berkasnya, lalu unggah yang benar.",
        "This PDF has no pages. Check the file and upload the right one.",
    ),
    "too_many_pages": (
        UploadRefused,
        f"PDF ini lebih dari {MAX_PAGES} halaman. Unggah hanya halaman yang diminta.",
        f"This PDF has more than {MAX_PAGES} pages. Upload only the pages asked for.",
    ),
    "too_many_pixels": (
        UploadRefused,
        f"Gambar ini lebih dari {MAX_PIXELS // 1_000_000} megapiksel. Perkecil gambarnya, lalu unggah lagi.",
        f"This picture has more than {MAX_PIXELS // 1_000_000} megapixels. Shrink it and upload it again.",
    ),
    "too_complex": (
        UploadRefused,
        "Berkas ini terlalu rumit untuk diperiksa. Simpan ulang sebagai PDF sederhana, lalu unggah.",
        "This file is too complex to be checked. Print or save it again as a plain PDF, then upload it.",
    ),
    "busy": (
        Unavailable,
        "Banyak berkas sedang diperiksa. Tunggu sebentar, lalu unggah lagi.",
        "Many files are being checked. Wait a little and upload it again.",
    ),
    "empty": (
        UploadRefused,
        "Pilih berkas yang akan diunggah; berkas yang dikirim kosong.",
        "Choose the file to upload; what was sent is empty.",
    ),
}


def check_file(data: bytes, *, max_bytes: int = 10 * 1024 * 1024) -> CleanFile:
    """Prove and clean a file's bytes. Takes up to seconds: call it outside any transaction.

    Raises UploadTooLarge (413), UploadTypeRefused (415), UploadRefused (422) or Unavailable (503, too
    many files at once), each with one problem for the field `file`.
    """
    if len(data) > max_bytes:
        megabytes = max_bytes // (1024 * 1024)
        raise _refusal(
            UploadTooLarge,
            "too_large",
            f"Berkas ini lebih besar dari {megabytes} MB. Pindai lebih kecil, lalu unggah lagi.",
            f"This file is larger than {megabytes} MB. Scan it smaller and upload it again.",
        )
    try:
        if not data:
            raise FileRefused("empty")
        clean = clean_file(data)
    except FileRefused as refusal:
        kind, message_id, message_en = REFUSALS[refusal.code]
        raise _refusal(kind, refusal.code, message_id, message_en) from None
    return clean


def check_media_type(clean: CleanFile, accept: Collection[str]) -> None:
    """Refuse a sound file of a kind this document is not asked for in. Raises UploadTypeRefused."""
    if clean.media_type not in accept:
        wanted = [KIND_NAMES[media_type] for media_type in MEDIA_TYPES if media_type in accept]
        raise _refusal(
            UploadTypeRefused,
            "type_not_accepted",
            f"Dokumen ini diminta sebagai {' atau '.join(wanted)}, sedangkan berkas Anda "
            f"{KIND_NAMES[clean.media_type]}. Ubah jenisnya, lalu unggah lagi.",
            f"This document is asked for as {' or '.join(wanted)}, but your file is "
            f"{KIND_NAMES[clean.media_type]}. Convert it and upload it again.",
        )


def _refusal(kind: type[ServiceError], code: str, message_id: str, message_en: str) -> ServiceError:
    return kind(message_id, message_en, problems=[FieldProblem("file", code, message_id, message_en)])


def clean_filename(name: str, media_type: str) -> str:
    """Return a name fit for display: no path, no control or direction marks, NFC, at most 160
    characters, ending in what the file really is.
    """
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    printable = "".join(
        character if unicodedata.category(character)[0] not in "CZ" else " " for character in name
    )
    name, extension = " ".join(printable.split()), EXTENSIONS[media_type]
    stem, _, given = name.rpartition(".")
    if f".{given.lower()}" not in {*EXTENSIONS.values(), ".jpeg"}:
        stem = name
    stem = stem.strip(". ")[: MAX_FILENAME - len(extension)]
    return f"{stem or 'berkas'}{extension}"


def store_upload(
    session: Session,
    storage: Storage,
    wrapping_keys: Mapping[str, bytes],
    application: Application,
    requirement: str,
    filename: str,
    clean: CleanFile,
    actor: Actor,
    now: datetime,
) -> Upload:
    """Encrypt and keep a file that `check_file` has passed, for an application.

    Checking takes seconds, so a route does it before its transaction begins. Whether the actor may
    add a file here is the caller's to know.
    """
    stored = put_upload(storage, clean.data, wrapping_keys)
    upload = Upload(
        application_id=application.id,
        requirement=requirement,
        filename=clean_filename(filename, clean.media_type),
        media_type=clean.media_type,
        size=stored.size,
        sha256=stored.sha256,
        object_name=stored.name,
        wrapped_key=stored.wrapped_key,
        uploaded_by=actor.id,
        uploaded_at=now,
    )
    session.add(upload)
    session.flush()
    return upload


def open_upload(storage: Storage, wrapping_keys: Mapping[str, bytes], upload: Upload) -> bytes:
    """Return a file's cleaned bytes. Raises UploadNotFound when it was removed."""
    if not upload.wrapped_key:
        raise UploadNotFound
    return get_upload(storage, upload.object_name, upload.wrapped_key, wrapping_keys)


def uploads_of(session: Session, application_id: uuid.UUID) -> list[Upload]:
    """Return an application's files that were not removed, oldest first, reviewers' included."""
    statement = (
        select(Upload)
        .where(Upload.application_id == application_id, col(Upload.removed_at).is_(None))
        .order_by(col(Upload.uploaded_at), col(Upload.id))
    )
    return list(session.exec(statement))


def remove_upload(session: Session, storage: Storage, upload: Upload, now: datetime) -> None:
    """Take a file out of its application.

    A file that was ever submitted stays as evidence of that submission, only out of sight. Any other
    is gone at once: its key with this transaction, its encrypted bytes when that has committed.
    """
    upload.removed_at = now
    if not was_submitted(session, upload):
        upload.wrapped_key = ""
        object_name = upload.object_name
        event.listen(session, "after_commit", lambda _: _discard(storage, object_name), once=True)
    session.add(upload)
    session.flush()


def _discard(storage: Storage, object_name: str) -> None:
    # Without its key the object is noise, so a storage that is down now does no harm.
    with contextlib.suppress(StorageUnavailable):
        delete_upload(storage, object_name)


def was_submitted(session: Session, upload: Upload) -> bool:
    """Tell whether any submission holds this file."""
    submissions = session.exec(select(Submission).where(Submission.application_id == upload.application_id))
    return any(document["upload_id"] == str(upload.id) for row in submissions for document in row.documents)


def upload_response(upload: Upload, data: bytes, *, inline: bool = False) -> Response:
    """Answer with a file: to keep, or (`inline`) to look at in the browser, where it can do nothing."""
    ascii_name = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in upload.filename)
    disposition = "inline" if inline else "attachment"
    return Response(
        data,
        media_type=upload.media_type,
        headers={
            "content-disposition": f'{disposition}; filename="{ascii_name}"; '
            f"filename*=UTF-8''{quote(upload.filename, safe='')}",
            "content-security-policy": FILE_POLICY,
            "x-content-type-options": "nosniff",
            "cache-control": "private, no-store",
        },
    )
