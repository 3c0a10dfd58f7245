"""Digests of files: remembered only while nothing about a file has changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from lvlm_audit import digests
from lvlm_audit.digests import Digests


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A safetensors file that counts as large, on a file system whose clock is fine."""
    monkeypatch.setattr(digests, "SMALL", 0)
    monkeypatch.setattr(digests, "_COARSE_NS", 0)
    path = tmp_path / "w.safetensors"
    generator = np.random.default_rng(0)
    save_file({f"layer.{i}": generator.normal(size=20_000) for i in range(8)}, path)
    return path


def looked(path: Path) -> str:
    """A look as a process of its own takes it."""
    looking = Digests(path.with_name("digests.json"))
    found = looking.sha256(path)
    looking.remember()
    return found


def true(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_digest_is_the_one_that_sha256sum_gives(file: Path) -> None:
    assert looked(file) == true(file)
    assert looked(file) == true(file)


@pytest.fixture
def timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no inode time, as some of networks: all but the content is as it was."""
    real = os.fstat

    def fstat(number: int) -> Any:
        status = list(real(number))
        status[7:] = [0, 0, 0]
        return os.stat_result(status, {"st_mtime_ns": 0, "st_ctime_ns": 0, "st_ino": 1})

    monkeypatch.setattr(os, "fstat", fstat)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    with path.open("r+b") as opened:
        opened.write(content)


def middle_of(path: Path, tensor: int) -> int:
    """Of a tensor, where a fine-tuned model differs from its base: everywhere."""
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    first, last = header[f"layer.{tensor}"]["data_offsets"]
    return 8 + length + (first + last) // 2


@pytest.mark.usefixtures("timeless")
@pytest.mark.parametrize("tensor", range(8))
def test_a_changed_tensor_is_seen_by_its_content_alone(file: Path, tensor: int) -> None:
    looked(file)
    flip(file, middle_of(file, tensor))
    assert looked(file) == true(file)


@pytest.mark.usefixtures("timeless")
@pytest.mark.parametrize("at", [0, 9, 40, -1, -4000])
def test_so_is_a_changed_header_or_end(file: Path, at: int) -> None:
    looked(file)
    flip(file, at)
    assert looked(file) == true(file)


@pytest.mark.usefixtures("timeless")
def test_what_the_sample_cannot_see_is_what_the_documentation_says(file: Path) -> None:
    """Without inode times, a change between the sampled blocks. This is the law's limit, not its aim."""
    before = looked(file)
    flip(file, middle_of(file, 3) - 20_000)
    assert looked(file) == before != true(file)
    assert "a change between the sampled blocks" in " ".join((digests.__doc__ or "").split())


def test_the_inode_time_sees_what_the_sample_does_not(file: Path) -> None:
    looked(file)
    before = file.stat()
    flip(file, middle_of(file, 3) - 20_000)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert looked(file) == true(file)


def test_a_file_that_was_just_written_is_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_COARSE_NS", 2_000_000_000)
    looked(file)
    read = counted(monkeypatch)
    looked(file)
    assert read == [file.name], "a coarse clock may show the same time for two versions"
    os.utime(file, (0, 0))
    monkeypatch.setattr(digests, "_COARSE_NS", 0)
    looked(file)
    looked(file)
    assert read == [file.name] * 2


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    real: Callable[..., Any] = hashlib.file_digest
    read: list[str] = []

    def noted(opened: Any, algorithm: str) -> Any:
        read.append(Path(opened.name).name)
        return real(opened, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    return read


@pytest.mark.parametrize("name", ["plain.bin", "short.bin", "pretends.safetensors"])
def test_files_of_other_formats_are_sampled_too(file: Path, name: str) -> None:
    other = file.with_name(name)
    start = (10**6).to_bytes(8, "little") if "pretends" in name else b""
    other.write_bytes(start + os.urandom(30 if "short" in name else 400_000))
    assert looked(other) == true(other)
    flip(other, 0)
    assert looked(other) == true(other)
    assert looked(other) == true(other)


@pytest.mark.parametrize(
    "entry",
    [None, 5, {}, {"sha256": "0" * 64}, {"size": "x", "written": 0, "changed": 0, "inode": 0, "began": 0,
     "sample": "", "sha256": "0" * 64}],
)  # fmt: skip
def test_a_memory_that_was_tampered_with_costs_time_only(file: Path, entry: Any) -> None:
    file.with_name("digests.json").write_text(json.dumps({str(file.resolve()): entry}))
    assert looked(file) == true(file)
