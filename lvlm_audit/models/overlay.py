"""Overlay: processor and tokenizer of a base, with the files that an adapter brings of its own put over them.

Training scripts save the tokenizer, often the whole processor, beside an adapter, because tokens or the chat
template were changed. Deployment reads those, so an audit does.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lvlm_audit.models.formats import PICKLES
from lvlm_audit.models.json_files import read_json

VOCABULARY = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "spiece.model",
        "sentencepiece.bpe.model",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "added_tokens.json",
        "special_tokens_map.json",
        "tekken.json",
    }
)
"""Files of which a tokenizer has one at least."""
_TEMPLATES = frozenset({"chat_template.json", "chat_template.jinja"})
_SETTINGS = frozenset(
    {
        "tokenizer_config.json",
        "processor_config.json",
        "preprocessor_config.json",
        "video_preprocessor_config.json",
    }
)


def asker_files(folder: Path) -> list[str]:
    """Names of the files in a folder that make up a processor or a tokenizer."""
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.name in VOCABULARY | _TEMPLATES | _SETTINGS and path.is_file()
    )


@contextmanager
def over_the_base(base: Path, adapter: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder for a while with the base's files, the adapter's over them; and which of these differ.

    Args:
        base: folder of the base.
        adapter: folder of the adapter.
    """
    own = asker_files(adapter)
    changed = [name for name in own if not _same(base / name, adapter / name)]
    replaced = set(own)
    # A vocabulary is several files that belong together; so is a template that stands in one of two places.
    if any(name in VOCABULARY for name in own):
        replaced |= VOCABULARY
    if _brings_template(adapter, own):
        replaced |= _TEMPLATES
    with tempfile.TemporaryDirectory(prefix="lvlm-audit-") as made:
        folder = Path(made)
        for path in base.iterdir():
            weights = path.suffix in (*PICKLES, ".safetensors", ".gguf")
            if path.is_file() and not weights and path.name not in replaced:
                shutil.copyfile(path, folder / path.name)
        for name in own:
            shutil.copyfile(adapter / name, folder / name)
        yield folder, changed


def _brings_template(folder: Path, names: list[str]) -> bool:
    if any(name in _TEMPLATES for name in names):
        return True
    stated = (read_json(folder / name) or {} for name in names if name in _SETTINGS)
    return any(config.get("chat_template") for config in stated)


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()
