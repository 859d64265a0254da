"""The fork server: imports everything once, then hands out kernels by forking itself.

Started by `client.spawn` as ``python -m coursekit.kernels.server SOCKET LOCK IDLE MODULES``. It
has one thread and one loop. It never computes anything: see `forking`.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from coursekit.kernels import MODULES, client, forking, messages

CHECK_SECONDS = 5.0  # between looks at the clock and at the files of the course
REQUEST_SECONDS = 5.0
READY_SECONDS = 10.0


class Kernel(NamedTuple):
    """A running kernel."""

    pid: int
    connection: socket.socket


class Forked(NamedTuple):
    """Returned in the child: what `kernelapp.run` needs."""

    request: dict[str, Any]
    watched: int | None
    ready: int


class Server:
    """Accepts requests, forks, and reports how kernels ended.

    Parameters
    ----------
    listener : socket.socket
        Bound and listening.
    files : client.Place
        Deleted at the end.
    idle_seconds : float
        It ends after so long without a kernel.
    fingerprint : str
        It takes no new requests once `client.fingerprint` gives another one.
    """

    def __init__(
        self, listener: socket.socket, files: client.Place, idle_seconds: float, fingerprint: str
    ) -> None:
        self.listener = listener
        self.files = files
        self.idle_seconds = idle_seconds
        self.fingerprint = fingerprint
        self.started = self.last_used = time.monotonic()
        self.open = True
        self.kernels: dict[int, Kernel] = {}  # by descriptor of the process
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ, self.accept)

    def serve(self) -> Forked | None:
        """Run until closed and the last kernel has ended.

        Returns
        -------
        Forked or None
            In a child what it has to become; None in the server at its end.
        """
        while self.open or self.kernels:
            if forked := forking.handle_events(
                self.selector, min(CHECK_SECONDS, self.idle_seconds)
            ):
                return forked
            if self.open and self.is_done():
                self.close()
        return None

    def is_done(self) -> bool:
        """Say whether it is time to end: idle, out of date, or out of reach."""
        if self.kernels:
            self.last_used = time.monotonic()
        return (
            time.monotonic() - self.last_used > self.idle_seconds
            or not self.files.socket.exists()
            or client.fingerprint() != self.fingerprint
        )

    def close(self) -> None:
        """Take no more requests; the next client starts another server."""
        if not self.open:
            return
        self.open = False
        self.selector.unregister(self.listener)
        # In this order: who can't connect any more finds no socket, and starts another server.
        client.remove(self.files)
        self.listener.close()

    def accept(self, listener: socket.socket) -> Forked | None:
        """Take one request and answer it."""
        connection, _ = listener.accept()
        descriptors: list[int] = []
        keep = False
        try:
            connection.settimeout(REQUEST_SECONDS)
            if client.peer_uid(connection) != os.getuid():
                return None
            request, descriptors = messages.receive(connection, 3)
            self.last_used = time.monotonic()
            if request["do"] == "kernel":
                keep = True  # until the kernel ends
                return self.start_kernel(connection, request, descriptors)
            if request["do"] == "stop":
                self.close()
            messages.send(connection, self.status())
        except ConnectionError:
            pass  # somebody looked whether the server is there
        except Exception:  # one bad request must not end the server
            traceback.print_exc()
        finally:
            messages.close_all(descriptors)
            if not keep:
                connection.close()
        return None

    def status(self) -> dict[str, Any]:
        """Describe the server and its kernels."""
        return {
            "pid": os.getpid(),
            "prefix": sys.prefix,
            "seconds": time.monotonic() - self.started,
            "idle_seconds": self.idle_seconds,
            "kernels": [kernel.pid for kernel in self.kernels.values()],
        }

    def start_kernel(
        self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]
    ) -> Forked | None:
        """Fork a kernel and tell the client its process number."""
        if client.fingerprint() != self.fingerprint:
            self.close()  # the client finds the connection closed and starts another server
        if not self.open or has_hung_up(connection):
            connection.close()
            return None
        receiver, sender = os.pipe()
        try:
            pid = forking.fork()
        except (OSError, forking.NotForkableError) as error:
            messages.close_all([receiver, sender])
            self.refuse(connection, str(error))
            if isinstance(error, forking.NotForkableError):
                self.close()  # it will not get better
            return None
        if pid == 0:
            try:
                return self.become_child(connection, request, descriptors, sender)
            except BaseException:  # a child must never go on as a second server
                os._exit(1)
        os.close(sender)
        self.introduce(pid, receiver, connection)
        return None

    def refuse(self, connection: socket.socket, reason: str) -> None:
        """Tell the client why there is no kernel."""
        with contextlib.suppress(OSError), connection:
            messages.send(connection, {"error": reason})

    def become_child(
        self,
        connection: socket.socket,
        request: dict[str, Any],
        descriptors: list[int],
        ready: int,
    ) -> Forked:
        """Drop everything that belongs to the server. Runs in the child."""
        for kernel in self.kernels.values():
            kernel.connection.close()
        for each in (connection, self.listener, self.selector):
            each.close()
        stdout, stderr, requester = descriptors
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (stdout, 1), (stderr, 2)):
            os.dup2(source, target)
        watched = os.dup(requester) if request["watch"] else None
        keep = [ready] if watched is None else [ready, watched]
        # `accept` closes the received ones on the way out.
        forking.become_independent(keep=[*keep, *descriptors])
        return Forked(request, watched, ready)

    def introduce(self, pid: int, receiver: int, connection: socket.socket) -> None:
        """Wait until the child is ready, then hand it over to the client."""
        pidfd = os.pidfd_open(pid)
        answer = b""
        if select.select([receiver], [], [], READY_SECONDS)[0]:
            answer = os.read(receiver, 1000)
        os.close(receiver)
        try:
            if answer != b"ready":
                self.refuse(connection, answer.decode() or "the new process did not get ready")
                raise ConnectionError("no kernel to hand over")
            messages.send(connection, {"pid": pid}, [pidfd])
        except OSError:  # the client is gone, or there is nothing to give
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            forking.collect(pid, pidfd)
            connection.close()
            return
        self.kernels[pidfd] = Kernel(pid, connection)
        self.selector.register(pidfd, selectors.EVENT_READ, self.reap)

    def reap(self, pidfd: int) -> None:
        """Collect a kernel that has ended and report its exit code."""
        self.selector.unregister(pidfd)
        kernel = self.kernels.pop(pidfd)
        returncode = forking.collect(kernel.pid, pidfd)
        self.last_used = time.monotonic()
        with contextlib.suppress(OSError), kernel.connection:
            messages.send(kernel.connection, {"returncode": returncode})


def has_hung_up(connection: socket.socket) -> bool:
    """Say whether a client gave up while it waited, as it does after some seconds.

    It sends nothing after its request, so that the only thing to read is the end.
    """
    return bool(select.select([connection], [], [], 0)[0])


def listen(path: Path) -> socket.socket:
    """Open the private socket."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(128)
    return listener


def warm_up(modules: list[str]) -> None:
    """Import everything, with progress in the log."""
    began = time.monotonic()

    def progress(name: str) -> None:
        step = f"{MODULES.get(name, name)} ({modules.index(name) + 1} of {len(modules)})"
        print(f"Warming up, once: {step} …", flush=True)

    # The kernels' own module is part of what children need.
    late = [*client.LATE_MODULES, "coursekit.kernels.kernelapp"]
    forking.import_all(modules, late, progress)
    forking.freeze()
    print(f"Warm kernels are ready after {time.monotonic() - began:.1f} s.", flush=True)


def main(arguments: list[str]) -> Forked | None:
    """Run the server; returns `Forked` in each kernel's process."""
    path, lock, idle_seconds, modules = arguments
    if os.fork():  # the starter waits for this process only
        os._exit(0)
    if sys.path[0] in ("", str(Path.cwd())):  # as ipykernel's launcher does
        del sys.path[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    before = client.fingerprint()
    # Where figures go is chosen in each kernel; a value here keeps matplotlib from choosing.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    warm_up(modules.split(","))
    files = client.place_of(Path(path))
    server = Server(listen(files.socket), files, float(idle_seconds), before)
    os.close(int(lock))
    try:
        return server.serve()
    except SystemExit:  # SIGTERM: running kernels go on
        server.close()
        raise


if __name__ == "__main__":
    child = main(sys.argv[1:])
    if child is not None:
        from coursekit.kernels import kernelapp

        kernelapp.run(*child)
