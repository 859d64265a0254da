"""Small nbgrader notebooks for the tests."""

import copy
import json

import nbformat

KINDS = {
    "answer": {"grade": False, "locked": False, "solution": True},
    "tests": {"grade": True, "locked": True, "solution": False},
    "locked": {"grade": False, "locked": True, "solution": False},
    "manual": {"grade": True, "locked": False, "solution": True},
    "task": {"grade": False, "locked": True, "solution": False, "task": True},
}


def code(source, kind=None, grade_id=None, points=None, cell_type="code", **metadata):
    """Make a cell; without `kind` it is one that nbgrader knows nothing of."""
    if kind:
        about = {"schema_version": 3, "task": False, "grade_id": grade_id, **KINDS[kind]}
        if points is not None:
            about["points"] = points
        metadata["nbgrader"] = about
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    return make[cell_type](source, metadata=metadata)


def text(source, *about, **more):
    return code(source, *about, cell_type="markdown", **more)


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def dump(nb):
    return nbformat.writes(nb).encode()


def write(nb, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump(nb))
    return path


def find(nb, grade_id):
    return next(c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def answered(nb, **answers):
    """Copy a notebook with other sources in the cells named by their grade_id."""
    nb = copy.deepcopy(nb)
    for grade_id, source in answers.items():
        find(nb, grade_id).source = source
    return nb


def as_json(nb):
    return json.loads(nbformat.writes(nb))
