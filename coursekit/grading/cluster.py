"""Grade on the workers of a Dask cluster; needs the extra ``coursekit[dask]``.

Beside each worker runs a fork server of its own, as long as the worker: a worker has threads, so
that it must never be forked itself. Only the client writes results; a submission whose worker
dies is sent to another one.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import distributed

from coursekit.grading.limits import GradingError
from coursekit.grading.results import Result
from coursekit.grading.runner import Grader, Settings, Submission, read

PLUGIN = "coursekit-grader"
RETRIES = 3  # with other workers, when one dies
CONNECT_SECONDS = 20


class Sent(NamedTuple):
    """A submission on its way to a worker; like `submissions.Submission`."""

    student: str
    origin: str
    notes: tuple[str, ...]
    problem: str
    student_id: str
    content: bytes

    def read(self) -> bytes:
        """Give the notebook's bytes."""
        return self.content


class GraderPlugin(distributed.WorkerPlugin):
    """Keeps a grader beside a worker."""

    name = PLUGIN

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.grader: Grader | None = None

    def setup(self, worker: Any) -> None:
        """Start the fork server. Called by Dask, also for workers that come later."""
        self.grader = Grader(self.settings)

    def teardown(self, worker: Any) -> None:
        """End it with the worker."""
        if self.grader:
            self.grader.close()


@contextlib.contextmanager
def connected(address: str, settings: Settings) -> Iterator[Any]:
    """Connect to a cluster and put a grader beside each of its workers.

    Parameters
    ----------
    address : str
        Of the scheduler, for example ``tcp://10.0.0.1:8786``.
    settings : Settings
        What decides about the grades.

    Raises
    ------
    GradingError
        If there is no such cluster, or one of its workers can't grade.
    """
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise GradingError(f"No Dask scheduler answers at {address}: {reason}") from None
    with client:
        if not threads(client):
            raise GradingError(f"The Dask cluster at {address} has no workers; start some.")
        try:
            try:
                client.register_plugin(GraderPlugin(settings), name=PLUGIN)
            except Exception as error:  # of the worker, whatever it is
                reason = str(error).splitlines()[0]
                raise GradingError(f"A worker of the Dask cluster can't grade: {reason}") from error
            yield client
        finally:
            client.unregister_worker_plugin(PLUGIN)


def threads(client: Any) -> int:
    """Count the submissions that the workers can grade at the same time."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(worker["nthreads"] for worker in workers)


def grade_all(client: Any, work: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
    """Grade submissions on the cluster and give results as they come, each once.

    Parameters
    ----------
    client : distributed.Client
        From `connected`.
    work : iterable of tuple
        Arguments of `runner.Grader.grade`; read only as fast as the workers take them.

    Raises
    ------
    GradingError
        If a submission can't be graded because its workers died.
    """
    waiting = iter(work)
    running = distributed.as_completed(loop=client.loop)
    students: dict[str, str] = {}

    def send(count: int) -> None:
        for submission, *about in itertools.islice(waiting, count):
            sent = _packed(submission)
            future = client.submit(_grade, sent, about, pure=False, retries=RETRIES)
            students[future.key] = sent.student
            running.add(future)

    send(2 * threads(client))  # one that runs and one that waits
    for future in running:
        student = students.pop(future.key)
        try:
            result = future.result()
        except Exception as error:
            raise GradingError(f"No worker could grade {student}: {error}") from error
        send(1)
        yield result


def _packed(submission: Submission) -> Sent:
    content, problem = read(submission)
    about = (submission.student, submission.origin, submission.notes, problem)
    return Sent(*about, submission.student_id, content)


def _grade(sent: Sent, about: list[Any]) -> Result:
    """Run on a worker, in one of its threads."""
    plugin = distributed.get_worker().plugins[PLUGIN]
    return plugin.grader.grade(sent, *about)
