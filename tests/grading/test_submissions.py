"""Who handed in what: layouts, learning platforms, hostile names and files."""

import os
import stat
import struct
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest

from coursekit.grading import submissions
from coursekit.grading.assignment import InvalidSubmissionError
from coursekit.grading.limits import GradingError
from coursekit.grading.submissions import Submission, find, safe_name

JANE = "Jane Doe_101_assignsubmission_file_"


def lay(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def pack(path: Path, *files: tuple[str | zipfile.ZipInfo, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def search(source: Path) -> dict[str, Submission]:
    found = find(source, "ps1", "problem1")
    by_name = {submission.student: submission for submission in found}
    assert len(by_name) == len(found)
    return by_name


def texts(found: dict[str, Submission]) -> dict[str, str]:
    return {name: submission.read().decode() for name, submission in found.items()}


# ---- Layouts


def test_nbgraders_layout(tmp_path: Path) -> None:
    lay(
        tmp_path,
        **{
            "submitted/bob/ps1/problem1.ipynb": "B",
            "submitted/bob/ps1/problem2.ipynb": "other",
            "submitted/bob/ps2/problem1.ipynb": "other",
            "submitted/alice/ps1/problem1.ipynb": "A",
            "submitted/alice/ps1/timestamp.txt": "2015-02-02 14:58:23.948203 UTC\n",
            "submitted/alice/ps1/.ipynb_checkpoints/problem1.ipynb": "old",
            "submitted/carl/ps1/notes.txt": "none",
            "submitted/dora/ps2/problem1.ipynb": "other",
            "submitted/.DS_Store": "",
            "source/ps1/problem1.ipynb": "S",
        },
    )
    for source in (tmp_path, tmp_path / "submitted"):
        found = search(source)
        assert list(found) == ["alice", "bob", "carl", "dora"]
        assert found["alice"].origin == "alice/ps1/problem1.ipynb"
        assert found["alice"].submitted == "2015-02-02 14:58:23.948203 UTC"
        assert texts({name: found[name] for name in ("alice", "bob")}) == {"alice": "A", "bob": "B"}
        assert found["carl"].problem == "There is no ps1/problem1.ipynb; handed in: notes.txt."
        assert found["dora"].problem  # not dropped: who handed in nothing is in the list
        assert not found["alice"].problem


def test_flat_folder_and_single_file(tmp_path: Path) -> None:
    lay(tmp_path, **{"bob.ipynb": "B", "alice.ipynb": "A", "README.md": "-", ".x.ipynb": "-"})
    assert texts(search(tmp_path)) == {"alice": "A", "bob": "B"}
    assert texts(search(tmp_path / "bob.ipynb")) == {"bob": "B"}


def test_moodle_folders(tmp_path: Path) -> None:
    source = pack(
        tmp_path / "moodle.zip",
        (f"{JANE}/problem1.ipynb", "J"),
        (f"{JANE}/data.csv", "1"),
        ("Åsa Öberg_102_assignsubmission_file/sub/other name.ipynb", "Å"),
        ("Carl Report_103_assignsubmission_file_/report.pdf", "pdf"),
        ("Dora Text_104_assignsubmission_onlinetext_/onlinetext.html", "text"),
        ("__MACOSX/._x.ipynb", "-"),
    )
    found = search(source)
    assert list(found) == ["Carl Report", "Dora Text", "Jane Doe", "Åsa Öberg"]
    assert {name: one.student_id for name, one in found.items()}["Åsa Öberg"] == "102"
    assert found["Jane Doe"].read() == b"J"
    assert found["Åsa Öberg"].read() == "Å".encode()
    assert found["Åsa Öberg"].notes == ("The notebook was handed in as other name.ipynb.",)
    assert found["Carl Report"].problem == "There is no notebook; handed in: report.pdf."
    assert found["Dora Text"].problem == "There is no notebook; nothing is there."


def test_moodle_files_and_unpacked_folder(tmp_path: Path) -> None:
    source = pack(
        tmp_path / "m.zip",
        (f"{JANE}problem1.ipynb", "J"),
        ("X Y_7_assignsubmission_file_a_b.ipynb", "X"),
    )
    assert texts(search(source)) == {"Jane Doe": "J", "X Y": "X"}
    lay(tmp_path / "unpacked", **{f"{JANE}/problem1.ipynb": "J"})
    assert texts(search(tmp_path / "unpacked")) == {"Jane Doe": "J"}


def test_of_several_notebooks_the_last_counts(tmp_path: Path) -> None:
    early = zipfile.ZipInfo(f"{JANE}/problem1 (1).ipynb", (2026, 1, 1, 0, 0, 0))
    late = zipfile.ZipInfo(f"{JANE}/problem1.ipynb", (2026, 2, 1, 0, 0, 0))
    latest_of_another_name = zipfile.ZipInfo(f"{JANE}/scratch.ipynb", (2026, 3, 1, 0, 0, 0))
    source = pack(tmp_path / "m.zip", (late, "new"), (early, "old"), (latest_of_another_name, "-"))
    jane = search(source)["Jane Doe"]
    assert jane.read() == b"new"
    assert jane.notes == (f"2 notebooks were handed in; {JANE}/problem1.ipynb counts, the last.",)


def test_same_names_are_told_apart_by_moodles_numbers(tmp_path: Path) -> None:
    source = pack(
        tmp_path / "m.zip",
        (f"{JANE}/problem1.ipynb", "1"),
        ("Jane Doe_202_assignsubmission_file_/problem1.ipynb", "2"),
    )
    assert texts(search(source)) == {"Jane Doe (101)": "1", "Jane Doe (202)": "2"}


def test_canvas(tmp_path: Path) -> None:
    source = pack(
        tmp_path / "canvas.zip",
        ("doejane_12345_67890_problem1.ipynb", "old"),
        ("doejane_12345_67890_problem1-2.ipynb", "newest"),
        ("doejane_12345_67890_problem1-1.ipynb", "newer"),
        ("öbergåsa_LATE_12346_67891_problem1-10.ipynb", "late"),
        ("lateral_12347_67892_12_34_tricky_99_98_x.ipynb", "L"),
        ("anon_x7Yz2_67893_problem1.ipynb", "hidden"),
        ("noone_12348_67894_report.pdf", "pdf"),
    )
    found = search(source)
    assert found["doejane"].read() == b"newest"
    assert found["doejane"].notes == (
        "3 notebooks were handed in; doejane_12345_67890_problem1-2.ipynb counts, the last.",
    )
    assert found["öbergåsa"].notes == ("Handed in late, says Canvas.",)
    assert found["öbergåsa"].student_id == "12346"
    assert found["lateral"].student_id == "12347"
    assert found["anon_x7Yz2"].read() == b"hidden"
    assert found["noone"].problem


def test_a_later_upload_counts_more_than_its_number(tmp_path: Path) -> None:
    source = pack(
        tmp_path / "canvas.zip",
        ("doejane_12345_67899_problem1.ipynb", "new"),
        ("doejane_12345_67890_problem1-3.ipynb", "old"),
    )
    assert texts(search(source)) == {"doejane": "new"}


def test_one_odd_name_does_not_change_what_the_others_are(tmp_path: Path) -> None:
    """A student who may choose the name of a file can't make the batch look like Moodle's."""
    lay(tmp_path, **{"alice.ipynb": "A", "bob.ipynb": "B", f"{JANE}x.ipynb": "J"})
    assert not any(one.problem for one in search(tmp_path).values())
    source = pack(
        tmp_path / "m.zip",
        (f"{JANE}/a.ipynb", "J"),
        ("X_2_assignsubmission_file_/a.ipynb", "X"),
        ("stray.ipynb", "S"),
    )
    assert search(source)["stray"].problem


def test_zip_of_a_course_folder(tmp_path: Path) -> None:
    source = pack(tmp_path / "c.zip", ("submitted/alice/ps1/problem1.ipynb", "A"))
    assert texts(search(source)) == {"alice": "A"}
    source = pack(tmp_path / "f.zip", ("all/alice.ipynb", "A"), ("all/bob.ipynb", "B"))
    assert texts(search(source)) == {"alice": "A", "bob": "B"}


@pytest.mark.parametrize("make", ["nothing", "empty", "no zip"])
def test_no_submissions_is_one_plain_line(tmp_path: Path, make: str) -> None:
    source = tmp_path / "in"
    if make == "empty":
        source.mkdir()
    elif make == "no zip":
        source.write_text("text")
    with pytest.raises(GradingError, match="in") as caught:
        find(source, "ps1", "problem1")
    assert "\n" not in str(caught.value)


# ---- Hostile files


def test_names_that_lead_out_of_the_zip(tmp_path: Path) -> None:
    """They are rows of their own, and can't take the place of anyone."""
    source = pack(
        tmp_path / "x.zip",
        ("alice.ipynb", "A"),
        ("../alice.ipynb", "evil"),
        ("/abs.ipynb", "evil"),
        ("C:\\windows.ipynb", "evil"),
        ("bob/../../ps1/problem1.ipynb", "evil"),
    )
    found = search(source)
    assert found["alice"].read() == b"A"
    others = [one for name, one in found.items() if name != "alice"]
    assert len(others) == 4
    assert all("leads out" in one.problem for one in others)
    assert not any("/" in one.student or "\\" in one.student for one in others)


def link_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def test_links_in_a_zip(tmp_path: Path) -> None:
    source = pack(tmp_path / "x.zip", (link_info("eve.ipynb"), "/etc/passwd"), ("bob.ipynb", "B"))
    assert "link" in search(source)["eve"].problem


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_in_a_folder(tmp_path: Path) -> None:
    secret = lay(tmp_path / "secret", **{"ps1/problem1.ipynb": "SECRET"})
    root = lay(tmp_path / "in", **{"bob/ps1/problem1.ipynb": "B", "carl/x": "", "eve/ps1/x": ""})
    (root / "eve/ps1/problem1.ipynb").symlink_to(secret / "ps1/problem1.ipynb")
    (root / "carl/ps1").symlink_to(secret / "ps1")
    (root / "dora").symlink_to(secret)
    (root / "fred.ipynb").symlink_to(secret / "ps1/problem1.ipynb")
    found = search(root)
    assert list(found) == ["bob", "carl", "dora", "eve", "fred"]
    for name in ("carl", "dora", "eve", "fred"):
        assert "link" in found[name].problem
        with pytest.raises(InvalidSubmissionError):
            found[name].read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipes_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "eve.ipynb")
    lay(tmp_path, **{"bob.ipynb": "B"})
    eve = search(tmp_path)["eve"]
    assert eve.problem == "It is not a file."
    with pytest.raises(InvalidSubmissionError):
        eve.read()


def test_zip_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MAX_BYTES", 1000)
    source = pack(
        tmp_path / "x.zip",
        ("honest.ipynb", "x" * 1000),
        ("bomb.ipynb", "x" * 1001),
        ("liar.ipynb", "x" * 10**6),
    )
    raw = bytearray(source.read_bytes())
    at = raw.rindex(b"liar.ipynb") - 46  # its entry in the directory
    assert raw[at : at + 4] == b"PK\x01\x02"
    raw[at + 24 : at + 28] = struct.pack("<I", 900)  # claims to be small
    source.write_bytes(raw)
    found = search(source)
    assert len(found["honest"].read()) == 1000
    assert "MiB" in found["bomb"].problem
    with pytest.raises(InvalidSubmissionError):
        found["liar"].read()


def test_overlapping_entries(tmp_path: Path) -> None:
    """Two names for the same bytes: the trick of the bombs that do not nest."""
    source = pack(tmp_path / "x.zip", ("aaa.ipynb", "A"), ("bbb.ipynb", "B"))
    raw = bytearray(source.read_bytes())
    at = raw.rindex(b"bbb.ipynb") - 46
    raw[at + 42 : at + 46] = struct.pack("<I", 0)  # its data begins where the other's does
    source.write_bytes(raw)
    found = search(source)
    assert found["aaa"].read() == b"A"
    with pytest.raises(InvalidSubmissionError):
        found["bbb"].read()


def test_encrypted_nested_and_oddly_compressed(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", ("problem1.ipynb", "N")).read_bytes()
    source = tmp_path / "x.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("alice/ps1/problem1.ipynb", "A")
        archive.writestr("bob/ps1/problem1.ipynb", "B" * 100, zipfile.ZIP_LZMA)
        archive.writestr("nested/ps1/all.zip", inner)
        archive.writestr("locked/ps1/problem1.ipynb", "L")
    raw = bytearray(source.read_bytes())
    at = raw.rindex(b"locked/ps1/problem1.ipynb") - 46
    raw[at + 8] |= 1
    source.write_bytes(raw)
    found = search(source)
    assert found["alice"].read() == b"A"
    assert found["locked"].problem == "It is encrypted."
    assert "unusual" in found["bob"].problem
    assert found["nested"].problem == "There is no ps1/problem1.ipynb; handed in: all.zip."


def test_damaged_entry(tmp_path: Path) -> None:
    source = pack(tmp_path / "x.zip", ("alice.ipynb", "A" * 50), ("bob.ipynb", "B"))
    raw = bytearray(source.read_bytes())
    at = raw.index(b"alice.ipynb") + len("alice.ipynb")
    raw[at : at + 2] = b"\xff\xff"
    source.write_bytes(raw)
    found = search(source)
    with pytest.raises(InvalidSubmissionError, match="ZIP"):
        found["alice"].read()
    assert found["bob"].read() == b"B"


def test_huge_file(tmp_path: Path) -> None:
    lay(tmp_path, **{"bob.ipynb": "B"})
    with (tmp_path / "eve.ipynb").open("wb") as file:
        file.truncate(submissions.MAX_BYTES + 1)
    eve = search(tmp_path)["eve"]
    assert "50 MiB" in eve.problem
    with pytest.raises(InvalidSubmissionError):
        eve.read()


def test_folder_with_endless_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MAX_FILES", 10)
    lay(tmp_path, **{f"eve/x{number}/y/z": "" for number in range(30)})
    lay(tmp_path, **{"bob/ps1/problem1.ipynb": "B"})
    assert len(list(submissions._walk(tmp_path))) < 40
    assert texts({"bob": search(tmp_path)["bob"]}) == {"bob": "B"}


# ---- Names


def test_names_that_hide_or_turn_text(tmp_path: Path) -> None:
    source = pack(
        tmp_path / "x.zip",
        ("alice.ipynb", "1"),
        ("al\u200bice.ipynb", "2"),
        ("\u202eecila.ipynb", "3"),
        ("bob\x07\x1b[2J.ipynb", "4"),
        ("a/../b.ipynb", "5"),
    )
    found = search(source)
    assert found["alice"].read() == b"1"
    assert found["alice (2)"].read() == b"2"
    assert "\\u200b" in found["alice (2)"].notes[0]
    assert found["ecila"].read() == b"3"
    assert found["bob[2J"].read() == b"4"
    assert all(name.isprintable() for name in found)


def test_names_that_differ_by_form_or_case_stay_apart(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Åsa") for form in ("NFC", "NFD"))
    source = pack(
        tmp_path / "x.zip",
        (f"{decomposed}.ipynb", "1"),
        (f"{composed}.ipynb", "2"),
        ("Bob.ipynb", "3"),
        ("bob.ipynb", "4"),
        ("bob (2).ipynb", "5"),
    )
    found = search(source)
    assert texts(found) == {
        "Åsa": "2",
        "Åsa (2)": "1",
        "Bob": "3",
        "bob (3)": "4",
        "bob (2)": "5",
    }
    files = {safe_name(name).casefold() for name in found}
    assert len(files) == len(found)


@pytest.mark.parametrize("name", ["alice", "Jane Doe", "s1234567", "a.b@c.org", "bob (2)"])
def test_plain_names_are_file_names(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "CON", "nul.txt", "com1", "x.", "x ", " x", "-rf",
     "Åsa", "李雷", "x" * 500, "a\x00b", "a:b", "<b>", "x-0123456789ab", "\ud800"],
)  # fmt: skip
def test_other_names_become_safe_ones(name: str) -> None:
    safe = safe_name(name)
    assert safe != name
    assert submissions.SAFE.fullmatch(safe)
    assert len(safe) <= 80
    assert safe == safe_name(name)


def test_no_two_names_share_a_file() -> None:
    names = ["Åsa", "Asa", "Äsa", "asa ", "a/b", "a_b", "a:b", "x" * 300, "x" * 301, "李", "雷"]
    names += [safe_name(name) for name in names]  # who is called like another's file
    distinct = set(names)
    assert len({safe_name(name).casefold() for name in distinct}) == len(distinct)


def test_long_names_are_cut(tmp_path: Path) -> None:
    source = pack(tmp_path / "x.zip", ("x" * 5000 + "a.ipynb", "1"), ("x" * 5000 + "b.ipynb", "2"))
    assert sorted(texts(search(source)).values()) == ["1", "2"]
    assert all(len(name) < 130 for name in search(source))
    source = pack(tmp_path / "y.zip", ("🦊" * 300 + ".ipynb", "1"), ("🦊" * 301 + ".ipynb", "2"))
    for name in search(source):
        (tmp_path / name).mkdir()


def test_names_that_windows_reserves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pack(tmp_path / "x.zip", ("con.ipynb", "1"), ("Aux.y.ipynb", "2"))
    assert list(search(source)) == ["Aux.y", "con"]
    monkeypatch.setattr(submissions.sys, "platform", "win32")
    assert list(search(source)) == ["Aux.y_", "con_"]


def test_a_thousand_notebooks_are_not_held(tmp_path: Path) -> None:
    """Only what is read costs memory."""
    import tracemalloc

    source = pack(tmp_path / "x.zip", *((f"s{n}.ipynb", "x" * 10**5) for n in range(100)))
    tracemalloc.start()
    found = find(source, "ps1", "problem1")
    for one in found:
        assert len(one.read()) == 10**5
    assert tracemalloc.get_traced_memory()[1] < 3 * 10**6
    tracemalloc.stop()
