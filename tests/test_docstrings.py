"""The examples in docstrings show what really comes out."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module", ["averages", "grading.words", "landscapes", "network", "optimizers", "schedules"]
)
def test_examples(module):
    failed, attempted = doctest.testmod(importlib.import_module(f"coursekit.{module}"))
    assert attempted > 0
    assert failed == 0
