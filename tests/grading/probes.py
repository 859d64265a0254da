"""What the tests run as checker and as student. The checker passes lines on, both ways."""

import json
import select
from typing import Any, BinaryIO

from coursekit.grading.limits import Limits


def relay(job: BinaryIO, events: BinaryIO, reader: BinaryIO, writer: BinaryIO) -> None:
    """Be a checker that passes lines between the runner and the student."""
    pairs = {job.fileno(): (job, writer), reader.fileno(): (reader, events)}
    while True:
        for descriptor in select.select(list(pairs), [], [])[0]:
            source, target = pairs[descriptor]
            line = source.readline()
            if not line:
                return
            target.write(line)
            target.flush()


def obey(reader: BinaryIO, writer: BinaryIO, limits: Limits) -> None:
    """Be a student that runs code and sends back what it calls `result`."""
    names: dict[str, Any] = {"limits": limits}
    for line in reader:
        try:
            exec(json.loads(line), names)
            answer = names.pop("result", None)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.flush()


if __name__ == "__main__":  # the spawned checker, and the student that it starts
    import subprocess
    import sys

    if sys.argv[1:] == ["student"]:
        obey(sys.stdin.buffer, sys.stdout.buffer, Limits())
    else:
        command = [sys.executable, "-m", "tests.grading.probes", "student"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            relay(sys.stdin.buffer, sys.stdout.buffer, child.stdout, child.stdin)  # type: ignore[arg-type]
            child.kill()
