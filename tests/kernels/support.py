"""Kernels of three kinds: warm, normal, and light (warm, from a server without TensorFlow)."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from coursekit import kernels

LIGHT = ["numpy", "ipykernel.kernelapp", "matplotlib.pyplot"]
KINDS = {
    "warm": {"provisioner_name": kernels.PROVISIONER},
    "normal": {"provisioner_name": "local-provisioner"},
    "light": {
        "provisioner_name": kernels.PROVISIONER,
        "config": {"modules": LIGHT, "idle_seconds": 60},
    },
}
SECONDS = 60


@contextlib.contextmanager
def private_folders() -> Iterator[Path]:
    """Give folders of their own to Jupyter and to the fork servers, and end those at the end."""
    from coursekit.kernels import client

    # A short path: that of a socket may have 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="ck-"))
    for name, stanza in KINDS.items():
        folder = root / "share" / "kernels" / name
        folder.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": name, "language": "python"}
        spec["metadata"] = {"kernel_provisioner": stanza, "debugger": True}
        (folder / "kernel.json").write_text(json.dumps(spec))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_RUNTIME_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            (root / name.lower()).mkdir()
            patch.setenv(name, str(root / name.lower()))
        patch.setenv("JUPYTER_PATH", str(root / "share"))
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        patch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        patch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        try:
            yield root
        finally:
            for place in client.servers():
                with contextlib.suppress(OSError):
                    os.kill(client.ask(place.socket, "status")["pid"], signal.SIGTERM)
            wait_until(lambda: not client.servers())
            shutil.rmtree(root)


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"not within {seconds} s: {condition}")
        time.sleep(0.02)


class Notebook:
    """A kernel and the client that talks to it."""

    def __init__(self, kind: str, **options: object) -> None:
        self.manager = KernelManager(kernel_name=kind)
        self.manager.start_kernel(**options)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=SECONDS)
        except RuntimeError:
            self.close()
            raise

    @property
    def process(self):
        return self.manager.provisioner.process

    @property
    def pid(self) -> int:
        return self.manager.provisioner.pid

    def run(self, code: str, seconds: float = SECONDS) -> str:
        """Run a cell and give what it printed; an error raises with its traceback."""
        return "".join(self.outputs(code, seconds))

    def outputs(self, code: str, seconds: float = SECONDS) -> list[str]:
        found: list[str] = []
        self.displayed: list[dict] = []

        def hook(message: dict) -> None:
            content = message["content"]
            found.append(content.get("text", ""))
            if message["msg_type"] in ("display_data", "execute_result"):
                self.displayed.append(content["data"])

        reply = self.client.execute_interactive(code, output_hook=hook, timeout=seconds)
        if reply["content"]["status"] == "error":
            raise RuntimeError("\n".join(reply["content"]["traceback"]))
        return found

    def close(self, **options: object) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(**options)
        self.manager.context.destroy()


def run_async(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run in a thread: Playwright keeps an event loop running in the tests' own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(function())).result()


def warm_server() -> int:
    """Give the process number of the server for the kind "warm", started if need be."""
    from coursekit.kernels import client

    wanted = client.Wanted({**client.TENSORFLOW_DEFAULTS, **os.environ})
    client.ensure_server(wanted).close()
    return client.ask(client.place(wanted).socket, "status")["pid"]
