"""A fresh service as an operator would set it up: by the command line, beside a real mail server."""

import base64
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
from aiosmtpd.controller import Controller

ROOT = Path(__file__).resolve().parents[2]


class Mailbox:
    """The mails that arrived, in order; each is read once by who waits for it."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"

    def wait_for(self, to: str, subject: str, *, seconds: float = 20) -> str:
        """Return the text of the next mail to an address whose subject holds the words, and take it out."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for mail in self.mails:
                if mail["To"] == to and subject in mail["Subject"]:
                    self.mails.remove(mail)
                    return str(mail.get_content())
            time.sleep(0.02)
        raise AssertionError(f"no mail {subject!r} to {to}; there are {[m['Subject'] for m in self.mails]}")


def link_in(text: str, purpose: str) -> str:
    """Return the path of the one-time link in a mail."""
    found = re.search(rf"https?://[^/\s]+(/{purpose}\S*)", text)
    assert found is not None, text
    return found[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def mail_server() -> Iterator[tuple[int, Mailbox]]:
    """Run an SMTP server on loopback that keeps what it gets."""
    mailbox, port = Mailbox(), free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port, mailbox
    finally:
        controller.stop()


class House:
    """The service's settings, and the operator's command line over them."""

    def __init__(self, data: Path, smtp_port: int) -> None:
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log = data / "service.log"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CANTING_")
        } | {
            "CANTING_ENVIRONMENT": "test",
            "CANTING_BASE_URL": self.base_url,
            "CANTING_DATA_FOLDER": str(data),
            "CANTING_SECRET_KEY": secrets.token_urlsafe(32),
            "CANTING_WRAPPING_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "CANTING_OPERATIONS_PASSPHRASE": secrets.token_urlsafe(16),
            "CANTING_SMTP_HOST": "127.0.0.1",
            "CANTING_SMTP_PORT": str(smtp_port),
            "CANTING_SMTP_SECURITY": "none",
            "PYTHONUNBUFFERED": "1",
        }

    def command(self, *arguments: str, secret: str | None = None) -> str:
        """Run a `canting` command; a secret goes in by standard input."""
        reading = ["--secret-fd", "0"] if secret is not None else []
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments, *reading],
            cwd=ROOT,
            env=self.environment,
            input=f"{secret}\n" if secret is not None else "",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"canting {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def hold_ceremony(self, passphrases: Mapping[str, str]) -> None:
        """Make the keys from the example's plan, with this house's address; the root's key lies apart."""
        data = Path(self.environment["CANTING_DATA_FOLDER"])
        plan, medium = data / "plan.yaml", data / "medium"
        example = self.command("keys", "ceremony", "--example")
        plan.write_text(example.replace("https://izin.example.org", self.base_url) + "\n")
        operations = self.environment["CANTING_OPERATIONS_PASSPHRASE"]
        secret = "\n".join([passphrases["root"], operations, *list(passphrases.values())[1:]])
        self.command("keys", "ceremony", str(plan), "--root", str(medium), secret=secret)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        with self.log.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", "serve", "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_ready(process)
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx2.get(f"{self.base_url}/readyz", timeout=5).status_code == 200:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the service did not start:\n{self.log.read_text()}")
