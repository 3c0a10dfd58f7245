"""Files appear whole or not at all, and what is no file is never replaced by one."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import lvlm_audit
from lvlm_audit.errors import UsageError
from lvlm_audit.writing import check_new_folder, check_writable, same_place, write_whole
from tests.synthetic import rising, trace


def test_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_whole(path, "old")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(UsageError, match=r"cannot write .*report.html.*No space left on device"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, error):
    def interrupted(*_):
        raise error

    monkeypatch.setattr(os, "chmod", interrupted)
    with pytest.raises(error):
        write_whole(tmp_path / "a", "text")
    assert list(tmp_path.iterdir()) == []


def test_text_that_utf8_cannot_hold_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a", "half a pair: \ud800")
    assert list(tmp_path.iterdir()) == []


def test_a_report_may_be_read_by_whom_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", "text")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "it is a folder. Name a file in it"),
        ("missing/a.html", "there is no folder .*missing'. Create it first"),
        ("socket", "it is a socket"),
        ("loop", "too many levels of symbolic links"),
        ("nowhere", "it leads to .*there is no folder .*gone'. Create it first"),
        ("to-folder", "it is a folder"),
        ("file/a.html", "there is no folder"),
        ("x" * 300, "name too long"),
    ],
)
def test_paths_that_are_refused_before_any_work(tmp_path, monkeypatch, name, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("gone/a.html")
    (tmp_path / "to-folder").symlink_to("folder")
    listening = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)  # a socket's path may have 107 characters
    listening.bind("socket")
    before = listing(tmp_path)
    with (
        contextlib.closing(listening),
        pytest.raises(UsageError, match=rf"(?i)cannot write .*{message}"),
    ):
        check_writable(tmp_path / name)
    with pytest.raises(UsageError):
        write_whole(tmp_path / name, "text")
    assert listing(tmp_path) == before


def listing(folder: Path) -> dict[str, int]:
    """What kind of thing each name in a folder is, links not followed."""
    return {p.name: stat.S_IFMT(p.lstat().st_mode) for p in folder.iterdir()}


def read_pipe(path: Path) -> tuple[threading.Thread, list[str]]:
    """A reader at the other end of a pipe."""
    got: list[str] = []
    thread = threading.Thread(target=lambda: got.append(path.read_text()), daemon=True)
    thread.start()
    return thread, got


class TestLinks:
    def test_the_file_behind_a_link_is_written_and_the_link_stays(self, tmp_path):
        (tmp_path / "far").mkdir()
        file = tmp_path / "far" / "report.html"
        file.write_text("old")
        (tmp_path / "one").symlink_to("two")
        (tmp_path / "two").symlink_to(file)
        write_whole(tmp_path / "one", "new")
        assert file.read_text() == "new"
        assert (tmp_path / "one").is_symlink()
        assert (tmp_path / "two").is_symlink()
        assert [p.name for p in (tmp_path / "far").iterdir()] == ["report.html"]

    def test_a_link_to_nothing_yet_is_written_where_it_leads(self, tmp_path):
        (tmp_path / "latest").symlink_to("run-7.json")
        write_whole(tmp_path / "latest", "text")
        assert (tmp_path / "latest").is_symlink()
        assert (tmp_path / "run-7.json").read_text() == "text"

    def test_a_folder_reached_through_a_link(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "out").symlink_to("real")
        write_whole(tmp_path / "out" / "a", "text")
        assert listing(tmp_path) == {"real": stat.S_IFDIR, "out": stat.S_IFLNK}

    def test_two_names_of_one_file_are_told(self, tmp_path):
        for name in ("a", "b"):
            (tmp_path / name).symlink_to("later.json")
        assert same_place(tmp_path / "a", tmp_path / "b")
        (tmp_path / "later.json").write_text("")
        os.link(tmp_path / "later.json", tmp_path / "hard.json")
        assert same_place(tmp_path / "a", tmp_path / "hard.json")
        assert not same_place(tmp_path / "a", tmp_path / "other.json")

    def test_a_link_to_nothing_is_no_new_folder(self, tmp_path):
        (tmp_path / "new").symlink_to("gone")
        with pytest.raises(UsageError, match="exists and is not an empty folder"):
            check_new_folder(tmp_path / "new")


class TestStreams:
    @pytest.mark.parametrize("linked", [False, True])
    def test_a_pipe_is_written_to(self, tmp_path, linked):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to("pipe")
        before = listing(tmp_path)
        thread, got = read_pipe(tmp_path / "pipe")
        write_whole(tmp_path / ("link" if linked else "pipe"), "text " * 100_000)
        thread.join(timeout=10)
        assert got == ["text " * 100_000]
        assert listing(tmp_path) == before

    def test_who_waits_for_a_reader_says_so(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr("lvlm_audit.waiting.PATIENCE", 0.1)
        os.mkfifo(tmp_path / "pipe")
        written = threading.Thread(target=write_whole, args=(tmp_path / "pipe", "text"))
        written.start()
        written.join(timeout=1.0)
        assert written.is_alive()
        assert (tmp_path / "pipe").read_text() == "text"
        written.join(timeout=10)
        assert capsys.readouterr().err.startswith("waiting until somebody reads the pipe ")

    def test_a_device_is_written_to_and_never_replaced(self, tmp_path):
        (tmp_path / "hole").symlink_to("/dev/null")
        for path in (Path("/dev/null"), tmp_path / "hole"):
            write_whole(path, "text")
        assert stat.S_ISCHR(os.lstat("/dev/null").st_mode)
        assert (tmp_path / "hole").is_symlink()

    def test_a_full_device_is_one_message(self):
        with pytest.raises(UsageError, match="cannot write '/dev/full': No space left on device"):
            write_whole(Path("/dev/full"), "text")
        assert stat.S_ISCHR(os.lstat("/dev/full").st_mode)

    def test_a_descriptor_that_is_not_open_or_only_read(self, tmp_path):
        with pytest.raises(UsageError, match="Bad file descriptor"):
            check_writable(Path("/proc/self/fd/987"))
        (tmp_path / "a").write_text("kept")
        with (tmp_path / "a").open() as file, pytest.raises(UsageError, match="permission denied"):
            check_writable(Path(f"/proc/self/fd/{file.fileno()}"))
        assert (tmp_path / "a").read_text() == "kept"

    @pytest.mark.parametrize("fd", ["/proc/self/fd/1", "/proc/thread-self/fd/1", "/dev/fd/1"])
    @pytest.mark.parametrize("appended", [False, True])
    def test_a_page_to_standard_output(self, tmp_path, fd, appended):
        """As `lvlm-audit render audit.json /dev/stdout > page.html`, by a link of our own."""
        (tmp_path / "stdout").symlink_to(fd)
        traces = [trace(rising(), name=f"p{i}") for i in range(6)]
        lvlm_audit.run(lvlm_audit.suite(), traces).save(tmp_path / "audit.json")
        page = tmp_path / "page.html"
        page.write_text("before\n" if appended else "")
        with page.open("ab" if appended else "wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", "lvlm_audit.cli", "render", "audit.json", "stdout"],
                cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "stdout\n")
        assert (tmp_path / "stdout").is_symlink()
        text = page.read_text()
        assert text.startswith("before\n" if appended else "<!DOCTYPE html>")
        assert text.rstrip().endswith("</html>")


class TestModes:
    def test_an_older_file_keeps_its_mode(self, tmp_path):
        path = tmp_path / "a"
        path.write_text("old")
        for mode in (0o600, 0o664):
            path.chmod(mode)
            write_whole(path, "new")
            assert path.stat().st_mode & 0o777 == mode

    def test_a_name_as_long_as_a_folder_takes(self, tmp_path):
        write_whole(tmp_path / ("x" * 255), "text")
        assert (tmp_path / ("x" * 255)).read_text() == "text"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="permission denied"):
        check_writable(tmp_path / "a")
