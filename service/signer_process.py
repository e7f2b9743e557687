"""`canting signer`: the process that holds the service's own keys, so that the web process need not."""

import os
import pwd
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType

import structlog

from keys.errors import KeysError
from keys.signer import AnotherSigner, Signer, listen, serve
from service.clock import now
from service.config import KeySettings
from service.console import Refused, say
from service.logs import configure_logging
from service.pki.store import own_vault
from service.transparency.log import log_origin

RENEWAL_SECONDS = 3600
"""How often the signer looks whether its OCSP responders need new certificates."""
log = structlog.get_logger()


def run_signer(settings: KeySettings) -> None:
    """Open the keys, listen, and answer until told to stop. Raises Refused, and what opening keys raises."""
    configure_logging()
    path = settings.signer_socket
    if path is None:
        raise Refused("CANTING_SIGNER_SOCKET belum diisi.", "CANTING_SIGNER_SOCKET is not set.")
    signer = Signer(
        own_vault(settings),
        settings.operations_passphrase.get_secret_value(),
        allowed_users(settings),
        log_origin(settings.base_url),
        now,
        lambda event, told: log.info(event, **told),
    )
    signer.open_keys()
    try:
        listening = listen(path)
    except (AnotherSigner, OSError) as error:
        raise Refused(
            f"Soket {path} tidak dapat dipakai; mungkin proses penanda tangan lain sudah berjalan.",
            f"The socket {path} cannot be used; perhaps another signer's process is running.",
        ) from error
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_stop, listening, stopped.set))
    threading.Thread(target=_renew, args=(signer, stopped), daemon=True).start()
    say(f"Proses penanda tangan siap di {path}.", f"The signer's process is ready at {path}.")
    try:
        serve(signer, listening)
    finally:
        path.unlink(missing_ok=True)
        log.info("signer_stopped", signed=dict(signer.signed))


def allowed_users(settings: KeySettings) -> frozenset[int]:
    """Return the ids of the users whom the signer answers. Raises Refused for a user unknown here."""
    name = settings.signer_user
    if not name:
        return frozenset({os.geteuid()})
    if name.isdecimal():
        return frozenset({os.geteuid(), int(name)})
    try:
        return frozenset({os.geteuid(), pwd.getpwnam(name).pw_uid})
    except KeyError:
        raise Refused(
            f"CANTING_SIGNER_USER: tidak ada pengguna bernama {name}.",
            f"CANTING_SIGNER_USER: there is no user named {name}.",
        ) from None


def _stop(listening: socket.socket, tell: Callable[[], None], _number: int, _frame: FrameType | None) -> None:
    tell()
    listening.shutdown(socket.SHUT_RDWR)


def _renew(signer: Signer, stopped: threading.Event) -> None:
    while not stopped.wait(RENEWAL_SECONDS):
        try:
            signer.renew_responders()
        except KeysError as error:
            log.error("responders_not_renewed", code=error.code)
