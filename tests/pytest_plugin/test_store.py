"""The store as a person meets it: damage, caches that cannot be written, and locks that others hold."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.auditing import gather
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.traces import locking, store
from tests.synthetic import rising, trace

KINDS = ["answers", "answer pairs", "rounding", "features", "common step", "feature maps"]
"""What every run records, in this order."""


def made(lab) -> list[str]:
    """Kinds that the model was asked for since it was last asked here."""
    kinds = [need.kind for need in (*lab.recorded, *lab.states)]
    lab.recorded.clear()
    lab.states.clear()
    return kinds


@pytest.fixture
def recorded(lab):
    """A project that was audited once."""
    lab.checks("check_a.py", "passes", "warns")
    _, audit = lab.audit()
    assert made(lab) == KINDS
    assert audit["notes"] == []
    lab.first = audit
    return lab


def recordings(lab) -> list[Path]:
    return sorted(p.parent for p in (lab.path / "cache" / "traces").glob("*/recording.json"))


def answers(lab) -> Path:
    (found,) = (
        f for f in recordings(lab) if json.loads((f / "recording.json").read_text())["items"]
    )
    return found


def without_times(audit: dict[str, Any]) -> dict[str, Any]:
    rest = {k: v for k, v in audit.items() if k not in ("created", "notes", "provenance")}
    return json.loads(json.dumps(rest))


def flipped(path: Path) -> None:
    """A bit of a probability: no trace's law refuses it."""
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "an array's bit": lambda f: flipped(f / "arrays.safetensors"),
    "a text's letter": lambda f: (f / "recording.json").write_text(
        (f / "recording.json").read_text().replace("photo", "phoho", 1)
    ),
    "no checksums": lambda f: (f / "SHA256SUMS").unlink(),
    "a checksum": lambda f: flipped(f / "SHA256SUMS"),
    "no record": lambda f: (f / "recording.json").unlink(),
    "no arrays": lambda f: (f / "arrays.safetensors").unlink(),
    "cut short": lambda f: (f / "recording.json").write_text("{"),
    "sealed, of no model": lambda f: resealed(f, {"subject": 5}),
    "sealed, without time": lambda f: resealed(f, {"seconds": "long"}),
    "sealed, with odd notes": lambda f: resealed(f, {"notes": [["a"]]}),
}


def resealed(folder: Path, facts: dict[str, Any]) -> None:
    document = json.loads((folder / "recording.json").read_text())
    document["facts"].update(facts)
    (folder / "recording.json").write_text(json.dumps(document))
    store.seal(folder)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_recording_is_said_set_aside_and_recorded_again(recorded, damage):
    folder = answers(recorded)
    DAMAGES[damage](folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    result, audit = recorded.audit()
    assert result.ret == 0
    assert made(recorded) == ["answers"]
    assert without_times(audit) == without_times(recorded.first)
    (note,) = audit["notes"]
    assert note["about"] == "store"
    assert note["text"].startswith("recorded anew: 1 recording set aside as traces/set-aside/")
    result.stdout.fnmatch_lines(["note: store: recorded anew: 1 recording set aside as*"])
    assert str(recorded.path) not in note["text"], "documents are handed on"
    (aside,) = (recorded.path / "cache" / "traces" / "set-aside").iterdir()
    assert aside.name in note["text"]
    assert {p.name: p.read_bytes() for p in aside.iterdir()} == before
    result, audit = recorded.audit()
    assert (made(recorded), audit["notes"]) == ([], [])


def test_an_old_store_without_checksums_is_recorded_anew_as_a_whole(recorded):
    for folder in recordings(recorded):
        (folder / "SHA256SUMS").unlink()
    _, audit = recorded.audit()
    assert made(recorded) == KINDS
    (note,) = audit["notes"]
    assert "recorded anew: 6 recordings, the first set aside as" in note["text"]
    assert "an earlier lvlm_audit wrote them, without checksums" in note["text"]


def test_what_is_made_of_answers_follows_them(recorded):
    """A model need not answer the same again: replays of other answers do not belong to them."""
    plain = recorded.answer
    recorded.answer = lambda p: dataclasses.replace(plain(p), token_ids=plain(p).token_ids + 1)
    DAMAGES["an array's bit"](answers(recorded))
    _, audit = recorded.audit()
    assert made(recorded) == KINDS
    assert "recorded anew: 6 recordings, the first set aside" in audit["notes"][0]["text"]
    recorded.run()
    assert made(recorded) == []


def test_a_recording_set_aside_twice_keeps_both(recorded):
    for count in (1, 2):
        DAMAGES["an array's bit"](answers(recorded))
        recorded.run()
        aside = recorded.path / "cache" / "traces" / "set-aside"
        assert len(list(aside.iterdir())) == count


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """Makes a folder one that cannot be written, for root as well, by what writes there."""

    def freeze(folder: Path, number: int) -> None:
        def guarded(name: str, where: Any, place: int = 0) -> None:
            real = getattr(where, name)

            def refuse(*args: Any, **kwargs: Any) -> Any:
                path = Path(str(kwargs.get("dir") or args[place]))
                writes = name != "open" or bool(args[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR))
                if writes and (folder == path or folder in path.parents):
                    raise OSError(number, os.strerror(number), str(path))
                return real(*args, **kwargs)

            monkeypatch.setattr(where, name, refuse)

        for name in ("open", "mkdir", "rename", "replace", "unlink", "rmdir"):
            guarded(name, os)

    return freeze


def test_a_read_only_cache_that_holds_everything_is_enough(recorded, read_only):
    read_only(recorded.path / "cache", errno.EROFS)
    result, audit = recorded.audit("--lvlm-seed", "3")
    assert result.ret == 0
    assert made(recorded) == []
    assert audit["provenance"]["traces_reused"] is True
    assert audit["notes"] == []


def one_message(lab, *arguments: str, wanted: str) -> None:
    result = lab.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.strip()]
    assert len(errors) == 1, errors
    assert errors[0].startswith("ERROR: ")
    assert wanted in errors[0]
    assert "LVLM_AUDIT_CACHE" in errors[0]
    said = "\n".join(result.outlines + result.errlines)
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said
    assert made(lab) == [], "the model is not asked before it is known that the answer can be kept"


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EDQUOT])
def test_a_cache_that_cannot_be_written_is_one_message(lab, read_only, number):
    lab.checks("check_a.py", "passes")
    read_only(lab.path / "cache", number)
    one_message(lab, wanted=os.strerror(number))


def test_so_is_a_read_only_one_that_lacks_something(recorded, read_only):
    shutil.rmtree(answers(recorded))
    read_only(recorded.path / "cache", errno.EROFS)
    one_message(recorded, wanted="'answers' has to be recorded, and cannot be kept")


def test_so_is_a_read_only_one_with_a_damaged_recording(recorded, read_only):
    DAMAGES["an array's bit"](answers(recorded))
    read_only(recorded.path / "cache", errno.EROFS)
    one_message(recorded, wanted="Read-only file system")


@pytest.mark.parametrize("place", ["cache", "cache/traces", "."])
def test_so_is_a_cache_that_is_a_file(lab, monkeypatch, place):
    lab.checks("check_a.py", "passes")
    file = lab.path / "cache-file" if place == "." else lab.path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    if place == ".":
        monkeypatch.setenv("LVLM_AUDIT_CACHE", str(file / "below" / "it"))
    one_message(lab, wanted=f"{str(file)!r} is a file")


def test_so_is_a_link_to_nowhere_and_a_home_of_nobody(lab, monkeypatch):
    lab.checks("check_a.py", "passes")
    (lab.path / "cache").symlink_to(lab.path / "gone" / "away")
    (lab.path / "gone").write_text("")
    one_message(lab, wanted="cannot be kept in the cache folder")
    monkeypatch.setenv("LVLM_AUDIT_CACHE", "~no-such-user-of-this-machine/x")
    one_message(lab, wanted="names a home folder that is not known")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_is_full_at_the_end_is_one_message(lab, monkeypatch, number):
    lab.checks("check_a.py", "passes")

    def full(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store, "save_file", full)
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in result.errlines if line.strip())
    assert "cannot store traces" in line
    assert os.strerror(number) in line
    assert "LVLM_AUDIT_CACHE" in line
    assert not any(p.name.startswith(".") for p in (lab.path / "cache" / "traces").iterdir())


def holding(path: Path) -> subprocess.Popen[str]:
    """Another process that holds a lock."""
    code = (
        "import sys, time; from pathlib import Path; from lvlm_audit.traces.locking import locked\n"
        "with locked(Path(sys.argv[1]), print):\n    print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_of_another_process_is_waited_for_and_said(recorded, monkeypatch):
    monkeypatch.setattr(locking, "PATIENCE", 0.2)
    (lock,) = (recorded.path / "cache" / "traces").glob("*.lock")
    shutil.rmtree(answers(recorded))
    other = holding(lock)
    try:
        threading.Timer(1.5, lambda: other.communicate("")).start()
        result = recorded.run()
    finally:
        other.wait(20)
    assert result.ret == 0
    assert made(recorded) == ["answers"]
    result.stdout.fnmatch_lines([f"lvlm: waiting for process {other.pid}, which records the same*"])
    assert not list((recorded.path / "cache" / "traces").glob("*.holder"))


def test_what_is_stored_needs_no_lock(recorded):
    (lock,) = (recorded.path / "cache" / "traces").glob("*.lock")
    other = holding(lock)
    late = threading.Timer(20, lambda: other.communicate(""))
    late.start()
    try:
        result = recorded.run()
        assert other.poll() is None, "the lock was waited for"
    finally:
        late.cancel()
        other.communicate("")
    assert result.ret == 0
    assert "waiting" not in result.stdout.str()


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (None, "waiting for another process, which"),
        ("[]", "waiting for another process, which"),
        ('{"pid": 7, "host": "far.example"}', "waiting for process 7 on far.example, which"),
        ('{"pid": 7, "host": "\\u001b[31m"}', "waiting for process 7, which"),
    ],
)
def test_who_holds_a_lock_is_said_where_it_is_known(tmp_path, monkeypatch, content, wanted):
    from filelock import FileLock

    monkeypatch.setattr(locking, "PATIENCE", 0.05)
    told: list[str] = []
    lock = FileLock(tmp_path / "x.lock")
    lock.acquire()
    if content is not None:
        (tmp_path / "x.holder").write_text(content)

    def hear(what: str) -> None:
        told.append(what)
        lock.release()

    with locking.locked(tmp_path / "x.lock", hear):
        pass
    assert len(told) == 1
    assert told[0].startswith(wanted)


def test_a_file_system_without_locks_is_no_obstacle(recorded, monkeypatch):
    from filelock import FileLock

    def missing(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", missing)
    shutil.rmtree(answers(recorded))
    assert recorded.run().ret == 0
    assert made(recorded) == ["answers"]


@pytest.mark.parametrize("changed", ["model", "probes"])
def test_what_is_exchanged_while_it_is_recorded_is_not_kept(lab, monkeypatch, changed):
    """A training run that saves over the checkpoint, or a picture that is replaced."""
    lab.checks("check_a.py", "passes")
    files = {"model": "model/model.safetensors", "probes": "photos/photo0.png"}
    path = lab.path / files[changed]
    before = path.read_bytes()
    other = b"weightz" if changed == "model" else (lab.path / "photos/photo1.png").read_bytes()
    real = gather._Session._record

    def meanwhile(*args: Any) -> store.Recording:
        path.write_bytes(other)
        return real(*args)

    monkeypatch.setattr(gather._Session, "_record", meanwhile)
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in result.errlines if line.strip())
    assert "changed while" in line
    assert recordings(lab) == []
    path.write_bytes(before)
    monkeypatch.setattr(gather._Session, "_record", real)
    made(lab)
    assert lab.run().ret == 0
    assert made(lab) == KINDS


def test_a_part_that_was_damaged_is_said(tmp_path):
    from lvlm_audit.traces.parts import Parts
    from lvlm_audit.traces.shelf import Shelf
    from tests.tiny_models import probes

    asked = probes(3)

    def make(missing: list[int]) -> Any:
        for i in missing:
            yield trace(rising(), name=asked[i].id)

    Parts(tmp_path / "parts" / "k").completed(asked, make)
    for folder in sorted((tmp_path / "parts" / "k").iterdir())[:2]:
        flipped(folder / "arrays.safetensors")
    shelf = Shelf(tmp_path)
    Parts(tmp_path / "parts" / "k", shelf).completed(asked, make)
    (note,) = shelf.notes
    assert "2 recordings, the first set aside as" in note.text
    assert len(list((tmp_path / "set-aside").iterdir())) == 2
    with pytest.raises(LvlmAuditError):
        store.load(next((tmp_path / "set-aside").iterdir()))
