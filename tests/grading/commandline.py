"""Run the real command in a process forked from one that has imported everything.

Importing nbgrader takes longer than grading a few small notebooks.
"""

import multiprocessing
import os
import sys

IMPORTS = ["tests.grading.commandline", "nbgrader.preprocessors", "rich.progress", "psutil"]
IMPORTS += ["coursekit.grading.runner", "coursekit.grading.gradebook", "coursekit.grading.feedback"]


def start(arguments, stderr, environment):
    """Start ``coursekit`` with arguments, and its messages in a file; give the process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    process = context.Process(target=run, args=(arguments, str(stderr), environment))
    process.start()
    return process


def run(arguments, stderr, environment):
    """Be the command."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.environ.update(environment)
    sys.argv = ["coursekit", *arguments]
    from coursekit.cli import app

    app()
