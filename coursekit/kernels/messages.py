"""Messages between a fork server and its clients: JSON, with open files attached. Linux only."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any


def send(
    connection: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()
) -> None:
    """Send one JSON message with open files attached."""
    payload = json.dumps(message).encode()
    data = struct.pack("!I", len(payload)) + payload
    sent = socket.send_fds(connection, [data], list(descriptors)) if descriptors else 0
    connection.sendall(data[sent:])


def receive(connection: socket.socket, descriptors: int = 0) -> tuple[dict[str, Any], list[int]]:
    """Receive one JSON message and up to so many open files.

    Raises
    ------
    ConnectionError
        If the other side closed the connection before.
    """
    header, files, _, _ = socket.recv_fds(connection, 4, descriptors)
    try:
        for descriptor in files:
            os.set_inheritable(descriptor, False)
        while len(header) < 4:
            header += _some(connection, 4 - len(header))
        (length,) = struct.unpack("!I", header)
        payload = b""
        while len(payload) < length:
            payload += _some(connection, min(length - len(payload), 1 << 16))
        return json.loads(payload), files
    except BaseException:
        close_all(files)
        raise


def _some(connection: socket.socket, length: int) -> bytes:
    data = connection.recv(length)
    if not data:
        raise ConnectionResetError("the connection was closed")
    return data


def close_all(descriptors: Sequence[int]) -> None:
    """Close open files."""
    for descriptor in descriptors:
        os.close(descriptor)
