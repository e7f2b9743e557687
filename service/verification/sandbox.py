"""Examining a stranger's file in a process of its own, within a published budget.

One warm examiner is kept; it forks for each file (see `examiner`). The parent only writes the file and
reads one JSON answer, with a deadline. Whatever happens in there, the answer here is a value.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from service.verification.examination import Examination, KnownExaminations
from service.verification.examiner import LENGTH, READY

SECONDS = 3.0
"""The budget in wall time, published to verifiers."""
MEMORY = 256 * 1024 * 1024
"""The budget in bytes beyond the warm examiner's own."""
BUNDLE_SECONDS, BUNDLE_MEMORY = 60.0, 1024 * 1024 * 1024
"""The same for an evidence bundle, which holds every version of a document."""
GRACE = 0.5
START_SECONDS = 60
"""How long a cold examiner may take to become ready, on a machine under load."""
AT_ONCE = 4
"""Files examined side by side; more wait, within their own budget."""
MAX_ANSWER = 1024 * 1024


class Sandbox:
    """The warm examiner and the door to it. Safe to use from many threads.

    `anchors` is the folder of our trust anchors, `root*.pem`, or one file of them; `outside` the folder of
    other houses', `*.pem`.
    """

    def __init__(
        self, anchors: Path, outside: Path | None = None, *, seconds: float = SECONDS, memory: int = MEMORY
    ) -> None:
        self.anchors = anchors.absolute()  # The examiner works in another folder.
        self.outside = outside.absolute() if outside else None
        self.seconds = seconds
        self.memory = memory
        self.known = KnownExaminations()
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def warm(self) -> None:
        """Start the examiner now, so that the first file need not wait for it."""
        with self._lock:
            if self._process is None:
                self._start()

    def examine(
        self,
        pdf: bytes,
        at: datetime,
        crls: Sequence[bytes] = (),
        *,
        by_others: bool = False,
        detailed: bool = False,
    ) -> Examination:
        """Examine a file as of the moment `at`, by revocation lists (DER).

        Other houses' trust anchors count `by_others` alone: for what the register knows to be signed there.
        Each check is told of if `detailed`.
        Never raises for anything the file does.
        """
        outside = str(self.outside) if by_others and self.outside else None
        return self._examine(pdf, at, crls, {"outside": outside, "detailed": detailed})

    def examine_bundle(self, bundle: bytes, at: datetime, crls: Sequence[bytes] = ()) -> Examination:
        """Examine an evidence bundle (`verification.evidence`) in the same way, within its own budget."""
        budget = {"seconds": BUNDLE_SECONDS, "memory": BUNDLE_MEMORY}
        return self._examine(bundle, at, crls, {"bundle": True, **budget})

    def close(self) -> None:
        """Stop the examiner."""
        with self._lock:
            self._stop()

    def _examine(
        self, data: bytes, at: datetime, crls: Sequence[bytes], more: Mapping[str, Any]
    ) -> Examination:
        if not self._places.acquire(timeout=self.seconds):
            return Examination(None, "busy")
        try:
            return self._ask(data, at, crls, more)
        finally:
            self._places.release()

    def _ask(self, data: bytes, at: datetime, crls: Sequence[bytes], more: Mapping[str, Any]) -> Examination:
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs:
                    self._hand_over(theirs)
            except OSError:
                return Examination(None, "stopped")
            begin = time.monotonic()
            head: dict[str, Any] = {
                "seconds": self.seconds,
                "memory": self.memory,
                "anchors": str(self.anchors),
                "at": at.isoformat(),
                "crls": len(crls),
                **more,
            }
            ours.settimeout(head["seconds"] + GRACE)
            parts = b"".join(LENGTH.pack(len(part)) + part for part in (*crls, data))
            try:
                ours.sendall(json.dumps(head).encode() + b"\n" + parts)
                answer = _read_all(ours)
            except TimeoutError:
                return Examination(None, "time_limit")
            except OSError:
                return Examination(None, "stopped")
        if not answer:
            spent = time.monotonic() - begin
            return Examination(None, "time_limit" if spent >= head["seconds"] else "stopped")
        findings = json.loads(answer)
        if "error" in findings:
            return Examination(None, str(findings["error"]))
        return Examination(findings)

    def _hand_over(self, connection: socket.socket) -> None:
        with self._lock:
            for attempt in (1, 2):
                try:
                    if self._process is None or self._process.poll() is not None:
                        self._start()
                    socket.send_fds(self._channel_now(), [b"x"], [connection.fileno()])
                except OSError:
                    self._stop()
                    if attempt == 2:
                        raise
                else:
                    return

    def _channel_now(self) -> socket.socket:
        if self._channel is None:
            raise OSError("the examiner is not running")
        return self._channel

    def _start(self) -> None:
        self._stop()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service.verification.examiner"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
                cwd="/",
            )
        self._channel = ours
        ours.settimeout(START_SECONDS)
        if ours.recv(len(READY)) != READY:
            raise OSError("the examiner did not start")
        ours.settimeout(None)

    def _stop(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._channel = self._process = None


def _read_all(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= MAX_ANSWER:
        part = connection.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    return b""
