"""Refusals as values: a status, a stable code, and a sentence for the reader in two languages.

`problem()` writes them as RFC 9457 problem details. Errors of `keys` and `signing` know nothing of
HTTP; the one table that maps their codes is `FOREIGN_ERRORS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field's refusal: its form name, its JSON pointer (RFC 6901) and the sentence."""

    field: str
    code: str
    message_id: str
    message_en: str
    pointer: str = ""

    def message(self, language: str) -> str:
        return self.message_en if language == "en" else self.message_id

    def as_json(self, language: str) -> dict[str, str]:
        pointer = self.pointer or "/" + self.field.replace("~", "~0").replace("/", "~1")
        return {"pointer": pointer, "code": self.code, "detail": self.message(language)}


class ServiceError(Exception):
    """A refusal a reader can act on. Subclasses state the fact (`AlreadyDecided`)."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    message_id: str = "Permintaan tidak dapat diproses. Periksa isian Anda lalu coba lagi."
    message_en: str = "The request could not be processed. Check what you entered and try again."

    def __init__(
        self,
        message_id: str | None = None,
        message_en: str | None = None,
        *,
        problems: Sequence[FieldProblem] = (),
        retry_after: int | None = None,
    ) -> None:
        if message_id is not None:
            self.message_id = message_id
            self.message_en = message_en or message_id
        self.problems = tuple(problems)
        self.retry_after = retry_after
        super().__init__(self.code)

    def message(self, language: str) -> str:
        return self.message_en if language == "en" else self.message_id


class InvalidInput(ServiceError):
    status = 422
    code = "invalid_input"
    message_id = "Ada isian yang perlu diperbaiki."
    message_en = "Some of what you entered needs to be corrected."


class NotFound(ServiceError):
    status = 404
    code = "not_found"
    message_id = "Halaman atau data ini tidak ditemukan. Periksa alamatnya."
    message_en = "This page or record was not found. Check the address."


class SignInRequired(ServiceError):
    status = 401
    code = "sign_in_required"
    message_id = "Masuk dahulu untuk membuka halaman ini."
    message_en = "Sign in first to open this page."


class AccessDenied(ServiceError):
    status = 403
    code = "access_denied"
    message_id = "Akun Anda tidak berwenang membuka halaman atau melakukan tindakan ini."
    message_en = "Your account is not allowed to open this page or do this."


class Conflict(ServiceError):
    """Somebody else was first, or the record has moved on since the reader opened it."""

    status = 409
    code = "conflict"
    message_id = "Data ini telah berubah sejak Anda membukanya. Muat ulang halaman lalu periksa kembali."
    message_en = "This record has changed since you opened it. Reload the page and check again."


class TooLarge(ServiceError):
    status = 413
    code = "too_large"
    message_id = "Berkas terlalu besar."
    message_en = "The file is too large."


class UnsupportedFile(ServiceError):
    status = 415
    code = "unsupported_file"
    message_id = "Jenis berkas ini tidak dapat diterima."
    message_en = "This kind of file cannot be accepted."


class TooManyRequests(ServiceError):
    status = 429
    code = "too_many_requests"
    message_id = "Terlalu banyak percobaan. Tunggu sebentar lalu coba lagi."
    message_en = "Too many attempts. Wait a little and try again."


class Unavailable(ServiceError):
    status = 503
    code = "unavailable"
    message_id = "Layanan sedang terganggu. Data Anda tidak berubah; coba lagi beberapa menit lagi."
    message_en = "The service is disturbed. Nothing was changed; try again in a few minutes."


@dataclass(frozen=True, slots=True)
class Refusal:
    """How an error from outside the service is told to the reader."""

    status: int
    message_id: str
    message_en: str
    field: str | None = field(default=None)


FOREIGN_ERRORS: dict[str, Refusal] = {
    "wrong_passphrase": Refusal(
        422,
        "Frasa sandi salah. Tidak ada yang berubah; ketik ulang frasa sandi Anda.",
        "The passphrase is wrong. Nothing was changed; type your passphrase again.",
        "passphrase",
    ),
    "key_locked": Refusal(
        409,
        "Frasa sandi salah berkali-kali, jadi kunci Anda terkunci untuk sementara. "
        "Tunggu, paling lama satu jam, lalu coba lagi.",
        "The passphrase was wrong several times, so your key is locked for a while. "
        "Wait, one hour at most, and try again.",
    ),
    "pin_locked": Refusal(
        409,
        "PIN perangkat kunci Anda terkunci. Hubungi administrator untuk membukanya.",
        "The PIN of your key's device is locked. Ask the administrator to unlock it.",
    ),
    "token_not_found": Refusal(
        503,
        "Perangkat kunci tidak dapat dihubungi. Tidak ada yang berubah; coba lagi nanti.",
        "The key's device cannot be reached. Nothing was changed; try again later.",
    ),
    "signer_not_found": Refusal(
        503,
        "Layanan penanda tangan tidak menjawab. Tidak ada yang berubah; coba lagi beberapa menit lagi.",
        "The signing process does not answer. Nothing was changed; try again in a few minutes.",
    ),
    "purpose_refused": Refusal(
        503,
        "Layanan penanda tangan menolak permintaan ini. Tidak ada yang berubah; hubungi administrator.",
        "The signing process refused this request. Nothing was changed; ask the administrator.",
    ),
    "weak_passphrase": Refusal(
        422,
        "Frasa sandi terlalu pendek. Gunakan sedikitnya 8 karakter.",
        "The passphrase is too short. Use at least 8 characters.",
        "passphrase",
    ),
    "key_not_found": Refusal(
        409,
        "Kunci penanda tangan Anda belum terdaftar. Hubungi administrator.",
        "Your signing key is not enrolled. Ask the administrator.",
    ),
    "signer_certificate_not_valid": Refusal(
        409,
        "Sertifikat penanda tangan belum atau tidak lagi berlaku. Hubungi administrator.",
        "The signer's certificate is not valid at this time. Ask the administrator.",
    ),
    "outside_passphrase_wrong": Refusal(
        422,
        "Frasa sandi TTE salah. Tidak ada yang ditandatangani. Ketik ulang dengan teliti: salah "
        "berkali-kali dapat mengunci TTE Anda.",
        "The passphrase of your electronic signature is wrong. Nothing was signed. Type it again with "
        "care: several wrong ones may lock you out.",
        "passphrase",
    ),
    "outside_key_locked": Refusal(
        409,
        "Layanan tanda tangan mengunci TTE Anda setelah frasa sandi salah berkali-kali. Tidak ada "
        "yang ditandatangani; minta penyedianya membuka kunci.",
        "The signing service locked your signature after wrong passphrases. Nothing was signed; ask "
        "its provider to unlock it.",
    ),
    "outside_unreachable": Refusal(
        503,
        "Layanan tanda tangan tidak dapat dihubungi. Tidak ada yang ditandatangani; coba lagi "
        "beberapa menit lagi.",
        "The signing service cannot be reached. Nothing was signed; try again in a few minutes.",
    ),
    "outside_busy": Refusal(
        503,
        "Layanan tanda tangan sedang sibuk. Tidak ada yang ditandatangani; coba lagi beberapa menit lagi.",
        "The signing service is busy. Nothing was signed; try again in a few minutes.",
    ),
    "outside_access_denied": Refusal(
        503,
        "Layanan tanda tangan menolak aplikasi ini. Tidak ada yang ditandatangani; minta "
        "administrator memeriksa sambungannya.",
        "The signing service does not let this application in. Nothing was signed; ask the "
        "administrator to check the connection.",
    ),
    "outside_refused": Refusal(
        502,
        "Layanan tanda tangan menolak permintaan ini. Tidak ada yang ditandatangani. Coba sekali "
        "lagi; bila tetap ditolak, hubungi administrator.",
        "The signing service refused the request. Nothing was signed. Try once more; if it is refused "
        "again, ask the administrator.",
    ),
    "outcome_unknown": Refusal(
        504,
        "Jawaban layanan tanda tangan tidak sampai, jadi belum pasti apakah dokumennya sudah "
        "ditandatangani. Nomornya tetap tersimpan. Selesaikan dari daftar Penandatanganan; hanya satu "
        "dokumen yang akan didaftarkan.",
        "The signing service's answer did not arrive, so it is not certain whether the document was "
        "signed. Its number is kept. Finish it from the list of documents to sign; only one will be "
        "registered.",
    ),
    "returned_document_refused": Refusal(
        502,
        "Dokumen yang dikembalikan layanan tanda tangan tidak sama dengan yang dikirim atau tanda "
        "tangannya tidak sah. Tidak ada yang didaftarkan; hubungi administrator.",
        "What the signing service returned is not the document that was sent, or its signature does "
        "not pass. Nothing was registered; ask the administrator.",
    ),
    "signer_expired": Refusal(
        409,
        "Sertifikat TTE Anda sudah habis masa berlakunya. Ajukan sertifikat baru kepada verifikator "
        "di Dinas Kominfo.",
        "Your signing certificate has expired. Apply for a new one with the registration officer.",
    ),
    "signer_renewing": Refusal(
        409,
        "Sertifikat TTE Anda sedang diperbarui. Selesaikan pembaruannya lewat surel dari BSrE, lalu "
        "coba lagi.",
        "Your signing certificate is being renewed. Complete the renewal from the authority's e-mail, "
        "then try again.",
    ),
    "signer_waiting": Refusal(
        409,
        "Pendaftaran TTE Anda masih menunggu verifikasi. Hubungi verifikator di Dinas Kominfo.",
        "Your registration waits to be verified. Ask the registration officer.",
    ),
    "signer_new": Refusal(
        409,
        "Akun TTE Anda sudah dibuat tetapi belum diaktifkan. Buka surel aktivasi dari BSrE dan buat "
        "frasa sandi Anda.",
        "Your signing account was made but not activated. Open the authority's e-mail and set your "
        "passphrase.",
    ),
    "signer_no_certificate": Refusal(
        409,
        "Akun TTE Anda belum memiliki sertifikat. Ajukan penerbitannya kepada verifikator di Dinas Kominfo.",
        "Your signing account has no certificate yet. Apply for one with the registration officer.",
    ),
    "signer_not_registered": Refusal(
        409,
        "Anda belum terdaftar pada layanan tanda tangan, atau identitas Anda di sana tercatat keliru. "
        "Hubungi administrator.",
        "You are not registered with the signing service, or your identity there is recorded wrongly. "
        "Ask the administrator.",
    ),
    "signer_suspended": Refusal(
        409,
        "TTE Anda sedang ditangguhkan. Tidak ada yang ditandatangani; hubungi verifikator di Dinas Kominfo.",
        "Your signature is suspended. Nothing was signed; ask the registration officer.",
    ),
    "signer_revoked": Refusal(
        409,
        "Sertifikat TTE Anda sudah dicabut. Ajukan sertifikat baru kepada verifikator di Dinas Kominfo.",
        "Your signing certificate has been revoked. Apply for a new one with the registration officer.",
    ),
}


def translate_foreign(error: Exception) -> ServiceError | None:
    """Turn an error of `keys` or `signing` into a refusal by its stable code, or None if it has none."""
    code = getattr(error, "code", None)
    refusal = FOREIGN_ERRORS.get(code) if isinstance(code, str) else None
    if refusal is None or code is None:
        return None
    problems = []
    if refusal.field:
        problems.append(FieldProblem(refusal.field, code, refusal.message_id, refusal.message_en))
    translated = type("TranslatedError", (ServiceError,), {"status": refusal.status, "code": code})
    result: ServiceError = translated(refusal.message_id, refusal.message_en, problems=problems)
    return result


def problem(error: ServiceError, language: str, instance: str = "") -> dict[str, Any]:
    """Write an error as problem details (RFC 9457 §3), with a stable `code` and `errors[]`."""
    body: dict[str, Any] = {
        "type": f"urn:canting:problem:{error.code}",
        "title": error.message(language),
        "status": error.status,
        "code": error.code,
    }
    if instance:
        body["instance"] = instance
    if error.problems:
        body["errors"] = [item.as_json(language) for item in error.problems]
    return body


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:canting:problem:invalid_input"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "examples": ["invalid_input"]},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


PROBLEM_CONTENT: dict[str, Any] = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document what a route may refuse of its own accord, as problem details (a route's `responses=`).

    What any route may refuse (sign-in, access, unknown ids, invalid input, conflicts of writers) is
    added by `service.openapi`.
    """
    return {
        status: {"description": HTTPStatus(status).phrase, "content": PROBLEM_CONTENT} for status in statuses
    }
