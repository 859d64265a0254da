"""nbgrader's own checks of what `coursekit release` makes."""

import logging
from pathlib import Path

import pytest

from coursekit import notebooks
from coursekit.grading.assignment import read_assignment

pytest.importorskip("nbgrader")
ROOT = Path(__file__).parents[2]
CHAPTERS = [notebooks.chapter(path.stem, ROOT) for path in notebooks.solutions(ROOT)]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_metadata_are_what_nbgrader_wants(chapter: notebooks.Chapter) -> None:
    from nbgrader.nbgraderformat import MetadataValidator

    for path in (chapter.exercise, chapter.solution):
        MetadataValidator().validate_nb(notebooks.read(path))


def validate(path: Path) -> dict[str, list[dict[str, str]]]:
    """Run what ``nbgrader validate`` runs; give what it complains about."""
    from nbgrader.validator import Validator

    validator = Validator()
    validator.log = logging.getLogger("silent")
    return validator.validate(str(path))


def test_nbgrader_validate() -> None:
    """All visible tests fail on the exercise, none on the solution, and nothing looks changed."""
    chapter = notebooks.chapter("learning_rate", ROOT)
    tests = [c.released for c in read_assignment(chapter.solution).cells if c.kind == "tests"]
    complaints = validate(chapter.exercise)
    assert set(complaints) == {"failed"}
    failed = {cell["source"] for cell in complaints["failed"]}
    assert {test.strip() for test in tests} <= failed
    assert validate(chapter.solution) == {}
