"""The working copy never loses a student's work, and README's syllabus is the notebooks' own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coursekit import course
from coursekit.course import Course, CourseError, lay_out

ROOT = Path(__file__).parents[1]
LECTURE = "notebooks/04_learning_rate.ipynb"


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.fixture
def clone(tmp_path: Path) -> Course:
    root = tmp_path / "clone"
    put(root, "pyproject.toml", "")
    put(root, LECTURE, "version 1")
    put(root, "notebooks/.gitkeep", "")
    put(root, "notebooks/.ipynb_checkpoints/04_learning_rate-checkpoint.ipynb", "old")
    put(root, "exercises/04_learning_rate/learning_rate.ipynb", "exercise 1")
    put(root, "solutions/04_learning_rate/learning_rate.ipynb", "secret")
    return Course(root, is_clone=True)


@pytest.fixture
def mine(clone: Course, tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    lay_out(clone, folder)
    return folder


def files(folder: Path) -> set[str]:
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return found - {".coursekit/manifest.json"}


def test_lays_down_notebooks_and_exercises_only(mine: Path) -> None:
    assert files(mine) == {LECTURE, "exercises/04_learning_rate/learning_rate.ipynb"}
    assert (mine / LECTURE).read_text() == "version 1"


def test_second_time_nothing_happens(clone: Course, mine: Path) -> None:
    assert lay_out(clone, mine) == ([], [], [])


def test_unchanged_file_is_updated(clone: Course, mine: Path) -> None:
    put(clone.root, LECTURE, "version 2")
    assert lay_out(clone, mine).updated == [LECTURE]
    assert (mine / LECTURE).read_text() == "version 2"


def test_changed_file_stays_in_silence_while_the_course_is_the_same(
    clone: Course, mine: Path
) -> None:
    put(mine, LECTURE, "my notes")
    assert lay_out(clone, mine) == ([], [], [])
    assert (mine / LECTURE).read_text() == "my notes"


def test_newer_version_is_laid_beside_a_changed_file_once(clone: Course, mine: Path) -> None:
    newer = "notebooks/04_learning_rate.new.ipynb"
    put(mine, LECTURE, "my notes")
    put(clone.root, LECTURE, "version 2")
    assert lay_out(clone, mine).beside == [(LECTURE, newer)]
    assert (mine / LECTURE).read_text() == "my notes"
    assert (mine / newer).read_text() == "version 2"
    (mine / newer).unlink()  # the student has seen it and removed it
    assert lay_out(clone, mine) == ([], [], [])


def test_the_file_beside_is_no_less_safe(clone: Course, mine: Path) -> None:
    put(mine, LECTURE, "my notes")
    put(clone.root, LECTURE, "version 2")
    lay_out(clone, mine)
    put(clone.root, LECTURE, "version 3")  # the one beside is unchanged: it may be renewed
    assert lay_out(clone, mine).beside == [(LECTURE, "notebooks/04_learning_rate.new.ipynb")]
    put(mine, "notebooks/04_learning_rate.new.ipynb", "more notes")
    put(clone.root, LECTURE, "version 4")
    assert lay_out(clone, mine).beside == [(LECTURE, "notebooks/04_learning_rate.new2.ipynb")]
    assert (mine / LECTURE).read_text() == "my notes"
    assert (mine / "notebooks/04_learning_rate.new.ipynb").read_text() == "more notes"
    assert (mine / "notebooks/04_learning_rate.new2.ipynb").read_text() == "version 4"


def test_taking_over_the_newer_version_makes_a_file_ordinary_again(
    clone: Course, mine: Path
) -> None:
    put(mine, LECTURE, "my notes")
    put(clone.root, LECTURE, "version 2")
    lay_out(clone, mine)
    (mine / "notebooks/04_learning_rate.new.ipynb").replace(mine / LECTURE)
    put(clone.root, LECTURE, "version 3")
    assert lay_out(clone, mine).updated == [LECTURE]


def test_removed_file_comes_back_fresh(clone: Course, mine: Path) -> None:
    (mine / LECTURE).unlink()
    assert lay_out(clone, mine).new == [LECTURE]


@pytest.mark.parametrize("manifest", [None, "{ cut off", "[]", "\xff"])
def test_without_a_manifest_what_differs_counts_as_changed(
    clone: Course, mine: Path, manifest: str | None
) -> None:
    file = mine / ".coursekit/manifest.json"
    file.unlink() if manifest is None else file.write_text(manifest, encoding="latin-1")
    put(clone.root, LECTURE, "version 2")
    assert [yours for yours, _ in lay_out(clone, mine).beside] == [LECTURE]
    assert (mine / LECTURE).read_text() == "version 1"


def test_interrupted_before_the_manifest_was_written(clone: Course, mine: Path) -> None:
    manifest = mine / ".coursekit/manifest.json"
    put(mine, LECTURE, "my notes")
    put(clone.root, LECTURE, "version 2")
    put(clone.root, "notebooks/05_lr_decay.ipynb", "version 1")
    before = manifest.read_text()
    lay_out(clone, mine)
    manifest.write_text(before)
    lay_out(clone, mine)  # the same again: no second copy, nothing lost
    assert "notebooks/04_learning_rate.new2.ipynb" not in files(mine)
    assert (mine / LECTURE).read_text() == "my notes"


def test_never_half_written(clone: Course, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(clone.root, LECTURE, "version 2")

    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(mine / LECTURE))

    monkeypatch.setattr(Path, "replace", disk_full)
    before = files(mine)
    with pytest.raises(CourseError, match="No space left on device"):
        lay_out(clone, mine)
    assert (mine / LECTURE).read_text() == "version 1"
    assert files(mine) == before  # and no temporary file is left


def test_a_foreign_file_of_the_same_name_stays(clone: Course, tmp_path: Path) -> None:
    put(tmp_path / "own", LECTURE, "made by hand")
    assert lay_out(clone, tmp_path / "own").beside
    assert (tmp_path / "own" / LECTURE).read_text() == "made by hand"


def test_the_course_itself_is_no_working_copy(clone: Course) -> None:
    with pytest.raises(CourseError, match="--source"):
        lay_out(clone, clone.root / "notebooks" / "..")


def test_a_file_in_the_place_of_the_folder(clone: Course, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(CourseError, match="--folder") as caught:
        lay_out(clone, tmp_path / "taken")
    assert "\n" not in str(caught.value)


def test_finds_clone_and_installed_course(clone: Course, tmp_path: Path) -> None:
    (clone.root / "coursekit").mkdir()
    assert course.find_course(clone.root / "coursekit") == clone
    installed = tmp_path / "site-packages" / "coursekit"
    with pytest.raises(CourseError, match="reinstall"):
        course.find_course(installed)
    put(installed, "_course/" + LECTURE, "")
    assert course.find_course(installed) == (installed / "_course", False)


def test_the_first_lecture_has_the_lowest_number(clone: Course) -> None:
    for name in ("00_start_here", "11_sequential_mnist", "00_start_here.new", "draft"):
        put(clone.root, f"notebooks/{name}.ipynb", "")
    names = [path.stem for path in course.lectures(clone.root)]
    assert names == ["00_start_here", "04_learning_rate", "11_sequential_mnist"]


def test_syllabus_table(clone: Course) -> None:
    about = {"slug": "learning_rate", "title": "Learning rate", "minutes": 60, "needs": []}
    write_lecture(clone.root, "04_learning_rate", {**about, "promise": "See a|b."})
    about |= {
        "slug": "lr_decay",
        "title": "Decay",
        "needs": ["gradients", "learning_rate", "calculus"],
    }
    write_lecture(clone.root, "05_lr_decay", {**about, "promise": "Slow down."})
    rows = course.syllabus_table(clone.root).splitlines()[2:]
    assert rows == [
        "| 04 | [Learning rate](notebooks/04_learning_rate.ipynb) | See a\\|b. | 60 min | – |",
        "| 05 | [Decay](notebooks/05_lr_decay.ipynb) | Slow down. | 60 min | 03, 04, calculus |",
    ]


def test_syllabus_says_which_notebook_lacks_what(clone: Course) -> None:
    write_lecture(clone.root, "04_learning_rate", {"slug": "learning_rate"})
    with pytest.raises(CourseError, match=r"04_learning_rate\.ipynb.*'title'"):
        course.syllabus_table(clone.root)


def test_update_syllabus_changes_only_what_lies_between_the_markers(clone: Course) -> None:
    (clone.root / LECTURE).unlink()
    put(clone.root, "README.md", "no markers")
    with pytest.raises(CourseError, match=r"README\.md lacks"):
        course.update_syllabus(clone.root)
    put(clone.root, "README.md", f"a\n{course.SYLLABUS_BEGIN}\nold\n{course.SYLLABUS_END}\nb\n")
    assert course.update_syllabus(clone.root)
    text = (clone.root / "README.md").read_text()
    assert text.startswith("a\n<!--")
    assert text.endswith("-->\nb\n")
    assert "old" not in text
    assert not course.update_syllabus(clone.root)


def test_readme_has_the_syllabus_of_the_notebooks() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == course.with_syllabus(readme, course.syllabus_table(ROOT)), (
        "README's syllabus is out of date: run 'uv run coursekit refresh'."
    )


def write_lecture(root: Path, name: str, about: dict[str, object]) -> None:
    put(root, f"notebooks/{name}.ipynb", json.dumps({"metadata": {"coursekit": about}}))
