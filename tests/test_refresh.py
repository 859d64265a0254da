"""Canonical form, execution and the `refresh` command."""

import copy
import json
import struct
import zlib
from base64 import b64encode

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from coursekit import notebooks
from coursekit.cli import app
from coursekit.notebooks import NotebookError, canonical

VIEW = "application/vnd.jupyter.widget-view+json"


def code(source="1", *outputs, count=None, **fields):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=count, **fields)


def notebook(*cells, **metadata):
    return nbformat.v4.new_notebook(cells=list(cells), metadata=metadata)


def display(count=None, metadata=None, **data):
    data = {key.replace("_", "/"): value for key, value in data.items()}
    kind = "display_data" if count is None else "execute_result"
    extra = {} if count is None else {"execution_count": count}
    return nbformat.v4.new_output(kind, data, metadata=metadata or {}, **extra)


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def png(width, height, grey):
    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows = zlib.compress((b"\0" + bytes([grey]) * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def test_only_the_course_s_metadata_stays():
    nb = notebook(
        code(metadata={"tags": [], "execution": {"iopub": "12:00"}, "nbgrader": {"points": 2}}),
        coursekit={"slug": "ema"},
        widgets={"state": {}},
        language_info={"name": "python", "version": "3.11.7"},
        kernelspec={"name": "my-env", "display_name": "Mine"},
    )
    form = canonical(nb)
    assert form.metadata.coursekit == {"slug": "ema"}
    assert set(form.metadata) == {"coursekit", "kernelspec", "language_info"}
    assert form.metadata.kernelspec.name == "python3"
    assert "version" not in form.metadata.language_info
    assert form.cells[0].metadata == {"nbgrader": {"points": 2}}


def test_input_is_not_modified():
    nb = notebook(code("1\n", stream("a"), stream("b"), count=9))
    before = copy.deepcopy(nb)
    canonical(nb)
    assert nb == before


def test_cells_keep_their_ids_and_get_missing_ones_from_their_content():
    nb = notebook(code("1", id="mine"), code("2"), code("2"), code("3"))
    nb.cells[3].id = "mine"
    del nb.cells[1]["id"], nb.cells[2]["id"]
    ids = [cell.id for cell in canonical(nb).cells]
    assert ids[0] == "mine"
    assert len(set(ids)) == 4
    assert ids == [cell.id for cell in canonical(nb).cells]


def test_executed_cells_are_counted_from_one():
    nb = notebook(code(count=7), code(""), code("2", display(9, text_plain="2"), count=9))
    cells = canonical(nb).cells
    assert [cell.execution_count for cell in cells] == [1, None, 2]
    assert cells[2].outputs[0].execution_count == 2


def test_consecutive_streams_are_merged():
    outputs = [stream("a\n"), stream("b\n"), stream("!", "stderr"), stream("c")]
    merged = canonical(notebook(code("x", *outputs, count=1))).cells[0].outputs
    assert [(part.name, part.text) for part in merged] == [
        ("stdout", "a\nb\n"),
        ("stderr", "!"),
        ("stdout", "c"),
    ]


def test_widget_views_go_but_picture_and_sentence_stay():
    lab = display(text_plain="η = 0.2", image_png="iVBO\nRw0K\n")
    lab.data[VIEW] = {"model_id": "4711"}
    lab.metadata = {"image/png": {"alt": "path"}, VIEW: {}}
    bare = display()
    bare.data[VIEW] = {"model_id": "4712"}
    outputs = canonical(notebook(code("x", lab, bare, count=1))).cells[0].outputs
    assert len(outputs) == 1
    assert outputs[0].data == {"text/plain": "η = 0.2", "image/png": "iVBORw0K"}
    assert outputs[0].metadata == {"image/png": {"alt": "path"}}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
any_output = st.one_of(
    st.builds(stream, texts, st.sampled_from(["stdout", "stderr"])),
    st.builds(lambda text: display(text_plain=text), texts),
    st.builds(lambda text: display(3, text_plain=text), texts),
)
any_cell = st.one_of(
    st.builds(nbformat.v4.new_markdown_cell, texts),
    st.builds(
        lambda source, outputs, count: code(source, *outputs, count=count),
        texts,
        st.lists(any_output, max_size=3),
        st.none() | st.integers(1, 50),
    ),
)


@given(st.lists(any_cell, max_size=5))
def test_canonical_form_is_a_fixed_point_and_survives_the_file(cells):
    form = canonical(notebook(*cells))
    assert canonical(form) == form
    again = nbformat.v4.reads(notebooks.dumps(form))
    assert notebooks.dumps(canonical(again)) == notebooks.dumps(form)


def pictures(grey=0, source="draw()", text="a line", width=3, count=1):
    out = display(text_plain=text, image_png=png(width, 2, grey))
    return canonical(notebook(code(source, out, count=count, id="one")))


def test_picture_is_kept_if_only_its_bytes_differ():
    old, new = pictures(grey=0), pictures(grey=200)
    assert old != new
    assert notebooks.keep_pictures(new, old) == old


@pytest.mark.parametrize("change", [{"source": "draw(2)"}, {"text": "a curve"}, {"width": 4}])
def test_picture_is_renewed_if_anything_else_differs(change):
    old, new = pictures(grey=0), pictures(grey=200, **change)
    assert notebooks.keep_pictures(copy.deepcopy(new), old) == new


def test_png_size():
    assert notebooks.png_size(png(640, 480, 0)) == (640, 480)


# ---- Execution, in real kernels (a second or two each).


@pytest.fixture
def course(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "solutions" / "04_learning_rate").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["refresh", *map(str, arguments)])


def save(path, nb):
    path.write_text(nbformat.writes(nb), encoding="utf-8")
    return path


def test_refresh_executes_and_writes_canonical_form(course):
    source = (
        "import os, pathlib\n"
        "print(os.environ['CUDA_VISIBLE_DEVICES'], pathlib.Path.cwd().name)\n"
        "print('η')"
    )
    path = save(
        course / "notebooks" / "04_learning_rate.ipynb", notebook(code(source), code("6 * 7"))
    )
    (course / "solutions" / "04_learning_rate" / "learning_rate.ipynb").write_text(
        path.read_text(encoding="utf-8").replace("6 * 7", "6 * 8"), encoding="utf-8"
    )
    result = run(path, course / "solutions" / "04_learning_rate" / "learning_rate.ipynb")
    assert result.exit_code == 0, result.output
    assert "04_learning_rate.ipynb: refreshed" in result.output
    assert "\nlearning_rate.ipynb: refreshed" in result.output
    first, second = notebooks.read(path).cells
    assert first.outputs[0].text == "-1 notebooks\nη\n"
    assert second.outputs[0].data["text/plain"] == "42"
    assert notebooks.is_canonical(path)
    assert path.read_bytes().endswith(b"}\n")
    assert b"\r" not in path.read_bytes()
    assert [found.name for found in path.parent.iterdir()] == [path.name]  # nothing left over

    written = path.read_bytes()
    assert "unchanged" in run(path).output
    assert path.read_bytes() == written


def test_failing_cell_is_named_in_one_line_and_nothing_is_written(course):
    nb = notebook(
        nbformat.v4.new_markdown_cell("# Title"),
        code(""),
        code("print(1)"),
        code("\nlosses = [1]\nlosses[3]  # too far"),
        code("print(2)"),
    )
    path = save(course / "notebooks" / "06_ema.ipynb", nb)
    before = path.read_bytes()
    result = run(path)
    assert result.exit_code == 1
    expected = '06_ema.ipynb, In [2] "losses = [1]": IndexError: list index out of range'
    assert result.output.strip() == expected
    assert path.read_bytes() == before


def test_endless_cell_is_stopped(tmp_path):
    nb = notebook(code("while True: pass"))
    with pytest.raises(NotebookError, match=r'x, In \[1\] "while True: pass": it took longer'):
        notebooks.execute(nb, tmp_path, "x", timeout=2)


def test_dead_kernel_is_reported(tmp_path):
    nb = notebook(code("import os; os._exit(1)"))
    with pytest.raises(NotebookError, match="the kernel died"):
        notebooks.execute(nb, tmp_path, "x")


def test_check_compares_the_form_only(course):
    path = save(course / "notebooks" / "06_ema.ipynb", notebook(code("1 / 0", count=5)))
    result = run("--check")
    assert result.exit_code == 1
    assert "06_ema.ipynb: not in canonical form; run coursekit refresh" in result.output
    notebooks.write(path, canonical(notebooks.read(path)))
    assert run("--check").exit_code == 0
    path.write_bytes(path.read_bytes().rstrip())
    assert run("--check").exit_code == 1


def test_mistakes_get_one_plain_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.ipynb").write_text("hello", encoding="utf-8")
    (tmp_path / "old.ipynb").write_text(
        json.dumps({"nbformat": 3, "worksheets": []}), encoding="utf-8"
    )
    for arguments, message in [
        ([], "not in a clone of the course"),
        (["missing.ipynb"], "missing.ipynb: there is no such file."),
        (["text.ipynb"], "text.ipynb: not a notebook"),
        (["old.ipynb"], "old.ipynb: not in notebook format 4"),
    ]:
        result = run(*arguments)
        assert result.exit_code
        assert message in result.output
        assert len(result.output.strip().splitlines()) == 1


def test_invalid_notebook_is_not_written(tmp_path):
    broken = canonical(notebook(code()))
    broken.cells[0].execution_count = "one"
    with pytest.raises(NotebookError, match="not a valid notebook"):
        notebooks.write(tmp_path / "x.ipynb", broken)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["learning_rate", "04", "04_learning_rate"])
def test_chapter_by_slug_or_number(tmp_path, name):
    chapter = notebooks.chapter(name, tmp_path)
    assert chapter.lecture == tmp_path / "notebooks" / "04_learning_rate.ipynb"
    assert chapter.next_name == "05_lr_decay"
    assert notebooks.chapter("13", tmp_path).next_name is None


def test_unknown_chapter(tmp_path):
    with pytest.raises(NotebookError, match="no chapter '44'"):
        notebooks.chapter("44", tmp_path)
