"""How a signer and those who ask it speak over a socket: one question, one answer, each a frame.

A frame is its length (four octets, network order) and a JSON object; binary values are base 64.
"""

import json
import socket
import struct
from typing import Any

LONGEST_FRAME = 8 * 1024 * 1024
"""Bytes: a revocation list of 100,000 entries fits."""
_LENGTH = struct.Struct("!I")


class FrameRefused(Exception):
    """What came is no frame: too long, cut off, or not a JSON object."""


def send_frame(connection: socket.socket, content: dict[str, Any]) -> None:
    """Send one frame. Raises OSError."""
    body = json.dumps(content, separators=(",", ":")).encode()
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive_frame(connection: socket.socket) -> dict[str, Any]:
    """Receive one frame. Raises FrameRefused, or OSError."""
    (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
    if length > LONGEST_FRAME:
        raise FrameRefused("The frame is too long.")
    try:
        content = json.loads(_receive(connection, length))
    except (ValueError, RecursionError):
        raise FrameRefused("The frame is not JSON.") from None
    if not isinstance(content, dict):
        raise FrameRefused("The frame is not an object.")
    return content


def _receive(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = connection.recv(min(length - len(received), 65536))
        if not part:
            raise FrameRefused("The frame was cut off.")
        received += part
    return bytes(received)
