"""The letters an account's owner gets. Their texts are templates/mail/<name>.<language>.txt.

A letter greets by name only once the name is known to be the mailbox owner's: anybody may register
anybody's address under any words.
"""

from datetime import datetime

from sqlmodel import Session

from service.accounts.models import Kind, OneTimeLink, User
from service.jobs import enqueue
from service.mail import queue_mail

STRANGER = {"id": "Bapak/Ibu", "en": "customer"}


def send_letter(
    session: Session, user: User, name: str, now: datetime, link: OneTimeLink | None = None
) -> None:
    """Queue a letter to the account's address, in its language; a link goes along as a reference."""
    named = user.email_confirmed_at is not None or user.kind == Kind.OFFICER
    context = {"full_name": user.full_name if named else STRANGER[user.language]}
    if link is not None:
        context["reference"] = str(link.id)
    message = queue_mail(
        session, to=user.email, language=user.language, template=name, context=context, now=now
    )
    enqueue(session, "send_mail", str(message.id))
