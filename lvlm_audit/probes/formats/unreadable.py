"""Files that are known and are no probe files: what they are, and what to do with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lvlm_audit.probes.decoding import is_lfs_pointer
from lvlm_audit.probes.source import Source

_AS_JSONL = "Write its rows as a probe file: one JSON object a line (docs/probes.md)."

_STARTS = (
    (b"PAR1", f"a Parquet file. {_AS_JSONL}"),
    (b"ARROW1", f"an Arrow file. {_AS_JSONL}"),
    (b"SQLite format 3\x00", f"an SQLite database. {_AS_JSONL}"),
    (b"PK\x03\x04", "a ZIP archive, or an office document. Unpack it, and name the file in it."),
    (b"\x1f\x8b", "a gzip archive. Unpack it, and name the file in it."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive. Unpack it, and name the file in it."),
    (b"\x93NUMPY", f"a NumPy array. {_AS_JSONL}"),
    (b"\x80\x04\x95", f"a pickle, which could run code. {_AS_JSONL}"),
    (b"\x89PNG", "an image. For one image, name its folder."),
    (b"\xff\xd8\xff", "an image. For one image, name its folder."),
)
_SUFFIXES = {
    ".csv": f"a table of comma-separated values. {_AS_JSONL}",
    ".tsv": f"a table of tab-separated values, as MMBench's. {_AS_JSONL}",
    ".yaml": f"YAML. {_AS_JSONL}",
    ".yml": f"YAML. {_AS_JSONL}",
}
# What the first object holds that tells a file that has no questions in it.
_KEYS: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset({"custom_id", "response"}),
        "the output of an OpenAI batch, which has answers and no questions. Give the batch's input file.",
    ),
    (
        frozenset({"question_id", "answer_id", "text"}),
        "a file of LLaVA's answers, which names no images. Give the question file.",
    ),
    (
        frozenset({"images", "annotations"}),
        "COCO annotations, which have no questions. Name the folder of images, or write a probe file.",
    ),
    (
        frozenset({"results", "configs"}),
        "results of lmms-eval, which have no questions. Write them with their images as a probe file.",
    ),
    (
        frozenset({"questions", "task_type"}),
        f"VQA's questions, which name images by number. {_AS_JSONL}",
    ),
)


def what_it_is(source: Source, first: Mapping[str, Any] | None) -> str | None:
    """What a file is, and what to do, if it is known not to be a probe file; None: it is not known."""
    try:
        with source.path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return None
    if is_lfs_pointer(start):
        return "a Git LFS pointer, not the file itself. Run `git lfs pull` in its repository."
    for mark, text in _STARTS:
        if start.startswith(mark):
            return text
    if first is not None:
        return next((text for keys, text in _KEYS if keys <= first.keys()), None)
    return _SUFFIXES.get(source.path.suffix.lower())
