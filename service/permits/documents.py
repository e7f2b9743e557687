"""Who may read a permit document, and giving it out byte for byte."""

from fastapi.responses import Response
from sqlmodel import Session, col, select

from service.accounts.access import Actor
from service.accounts.models import Kind as AccountKind
from service.errors import NotFound
from service.permits.models import Permit, Status
from service.permits.register import current_version
from service.storage import Storage, get_document


class PermitNotFound(NotFound):
    code = "permit_not_found"
    message_id = "Izin dengan kode ini tidak ditemukan, atau bukan milik akun Anda."
    message_en = "No permit with this code was found, or it is not your account's."


def find_readable(session: Session, code: str, actor: Actor) -> Permit:
    """Find an issued permit that the reader holds, or any for an officer. Raises PermitNotFound."""
    statement = select(Permit).where(Permit.code == code[:32], Permit.status != Status.ISSUING)
    if actor.kind != AccountKind.OFFICER or not actor.roles:
        statement = statement.where(col(Permit.holder_id) == actor.id)
    permit = session.exec(statement).first()
    if permit is None:
        raise PermitNotFound
    return permit


def document_response(session: Session, storage: Storage, permit: Permit) -> Response:
    """Answer with the newest registered version of the document."""
    version = current_version(session, permit)
    filename = permit.number.replace("/", "-").replace(" ", "-")
    return Response(
        get_document(storage, version.sha256),
        media_type="application/pdf",
        headers={
            "content-disposition": f'attachment; filename="{filename}.pdf"',
            "etag": f'"{version.sha256}"',
        },
    )
