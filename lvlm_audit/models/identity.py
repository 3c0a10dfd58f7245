"""Identity: a content key of a checkpoint's files, so that no cache serves one model as another.

Names, paths and dates are not identity: a fine-tuned model is often saved over its base. Bytes are, also of
what the hub's cache keeps under a name that once was its digest. No torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lvlm_audit.cache import cache_dir
from lvlm_audit.digests import Digests
from lvlm_audit.errors import ModelNotFound
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.formats import takes_images
from lvlm_audit.models.json_files import read_json
from lvlm_audit.models.named_files import check_tokenizer_files, weight_files

_READ = frozenset(
    {".json", ".jinja", ".model", ".txt", ".py", ".tiktoken", ".spm", ".vocab", ".bpe", ".codes"}
)
"""What configurations, templates, tokenizers and code of a checkpoint are kept in. It may lie a folder deeper:
processors with several tokenizers, and templates, have folders of their own."""
_WEIGHTS = frozenset({".safetensors", ".bin"})
"""Every one at the top is in the key, opened or not: a key that is too narrow serves the wrong recording."""
_NAME_CODE = (
    "config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer_config.json",
    "generation_config.json",
)
"""Files whose `auto_map` can name Python code, also code that lies in another repository."""


def fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 over the names and contents of a checkpoint's files, its adapter's included; hexadecimal.

    In it is everything that opening the checkpoint reads, wherever its index or its configuration says that it
    lies. What the checkpoint's own code opens beside that, when it is allowed to run, nobody can know.

    A hub checkpoint that is not in the local cache has no content yet: its name is the key, marked as
    such, and the key changes once it is downloaded.

    Raises:
        ModelNotFound: a file cannot be read.
        ModelBroken, UnsupportedModel: its weights' index is none, or names files that are not opened.
    """
    folder, adapter = checkpoint.folder, checkpoint.adapter
    if folder is None:
        named = f"{checkpoint.hub_id}\0{checkpoint.revision or ''}\0{adapter or ''}"
        return "hub:" + hashlib.sha256(named.encode()).hexdigest()
    digests = Digests(cache_dir() / "digests.json")
    total = hashlib.sha256()
    for label, path in _files(checkpoint, folder):
        try:
            digest = digests.sha256(path)
        except OSError as error:
            raise ModelNotFound(
                f"cannot read {str(path)!r} of model {checkpoint.name!r}: {error.strerror or error}."
            ) from error
        total.update(f"{label}\0{digest}\n".encode("utf-8", "surrogateescape"))
    digests.remember()
    return total.hexdigest()


def is_here(checkpoint: Checkpoint, *, trust_remote_code: bool) -> bool:
    """Whether everything that opening reads lies on this machine, so that the key can be trusted.

    A folder is what it is. A hub snapshot may be fetched in part: two revisions of which only an equal
    config.json was fetched would have one key. So would checkpoints whose code lies elsewhere on the hub.

    Args:
        checkpoint: to be opened.
        trust_remote_code: whether code of others takes part.
    """
    folder = checkpoint.folder
    if folder is None:
        return False
    if trust_remote_code and any(place is None for _, place in _code_elsewhere(folder)):
        return False
    if checkpoint.kind == "folder":
        return True
    weights = weight_files(checkpoint.name, folder)
    words = any(
        (folder / name).is_file()
        for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")
    )
    eyes = not takes_images(folder) or any(
        (folder / name).is_file() for name in ("processor_config.json", "preprocessor_config.json")
    )
    return bool(weights) and all(path.is_file() for path in weights) and words and eyes


def packages_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Packages beside torch and transformers that take part in what such a checkpoint computes."""
    config = read_json(checkpoint.folder / "config.json") if checkpoint.folder is not None else None
    quantised = (config or {}).get("quantization_config")
    method = quantised.get("quant_method") if isinstance(quantised, dict) else None
    found = ["peft"] if checkpoint.adapter is not None else []
    return (*found, method) if isinstance(method, str) else tuple(found)


def _files(checkpoint: Checkpoint, folder: Path) -> Iterator[tuple[str, Path]]:
    """Each file under a name that does not depend on where the checkpoint lies."""
    named = set(weight_files(checkpoint.name, folder))
    check_tokenizer_files(checkpoint.name, folder)
    yield from _labelled("", folder, named)
    if checkpoint.adapter is not None:
        yield from _labelled("adapter/", checkpoint.adapter, set())
    for repository, place in _code_elsewhere(folder):
        for path in sorted(place.glob("*.py")) if place is not None else ():
            yield f"code of {repository}/{path.name}", path


def _labelled(part: str, folder: Path, named: set[Path]) -> Iterator[tuple[str, Path]]:
    found = {path for path in folder.glob("*") if path.suffix in _READ | _WEIGHTS}
    found |= {path for path in folder.glob("[!.]*/*") if path.suffix in _READ}
    for path in sorted(found | named):
        if path.is_file():
            yield f"{part}{path.relative_to(folder).as_posix()}", path


def _code_elsewhere(folder: Path) -> list[tuple[str, Path | None]]:
    """Repositories and folders whose code a checkpoint's `auto_map` names, and where each lies here."""
    named: dict[str, str] = {}
    for file in _NAME_CODE:
        for reference in _texts((read_json(folder / file) or {}).get("auto_map")):
            repository, mark, rest = reference.partition("--")
            if mark:
                named.setdefault(repository, f"{rest.rpartition('.')[0]}.py")
    return [
        (repository, _code_folder(repository, named[repository])) for repository in sorted(named)
    ]


def _code_folder(repository: str, module: str) -> Path | None:
    if Path(repository).is_dir():
        return Path(repository)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repository, module)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _texts(value: Any) -> Iterator[str]:
    """The texts in a mapping, or in the lists that it holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
