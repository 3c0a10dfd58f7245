"""Formats: what a folder holds, and what to do where it is nothing that is opened here. No torch.

Only the beginnings of files are looked at, so that a checkpoint of any size is judged at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lvlm_audit.errors import LvlmAuditError, ModelBroken, ModelNotFound, UnsupportedModel
from lvlm_audit.models.json_files import read_json
from lvlm_audit.models.named_files import check_tokenizer_files, weight_files

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TRAINING_STATE = re.compile(
    r"(training_args|optimizer\w*|scheduler\w*|scaler|random_states_\w+|rng_state\w*)\.\w+"
)
"""Files of a training run that hold no weights of the model."""

_GGUF = (
    "is GGUF, the format of llama.cpp, which keeps a vision model's image tower in a file of its own "
    "(mmproj). transformers cannot read the two together. Give the checkpoint that it was made from "
    "(safetensors); a hub page of a GGUF names it as its base model."
)
_ONNX = (
    "is ONNX: a compiled graph, whose states cannot be read between its layers. Give the checkpoint that "
    "it was exported from (config.json and *.safetensors)."
)
_PICKLED = "Opening them would run code that they contain."
_NOT_ASKED_ABOUT_IMAGES = {
    "evolla": "a protein model: it reads amino-acid sequences and takes no images",
    "pi0": "a robot policy: it gives movements, not words",
}
_ORIGINAL_LLAVA = re.compile(
    r"Llava\w*(Llama|Mistral|Mixtral|Mpt|Qwen\w*|Gemma\w*|Phi\w*)ForCausalLM"
)
_LONGEST_HEADER = 100_000_000
"""Bytes; as the safetensors library has it."""


def not_a_checkpoint(name: str, folder: Path) -> LvlmAuditError:
    """The error for a folder without config.json: it says what the folder is instead."""
    files = _files(folder)
    gguf, pickles = _ending(files, ".gguf"), _ending(files, *PICKLES)
    if gguf:
        return UnsupportedModel(f"{name!r} ({_some(gguf)}) {_GGUF}")
    if _ending(files, ".onnx"):
        return UnsupportedModel(f"{name!r} {_ONNX}")
    if pickles:
        return UnsupportedModel(
            f"{name!r} holds pickled weights ({_some(pickles)}) and no config.json. {_PICKLED} Convert "
            f"them to a transformers checkpoint (its model's convert_*_to_hf script) with *.safetensors."
        )
    return ModelNotFound(
        f"folder {name!r} is not a checkpoint: it has no config.json. Give the folder that "
        f"save_pretrained() wrote, with config.json, *.safetensors and the processor's files."
    )


def not_a_folder(name: str, file: Path) -> LvlmAuditError:
    """The error for a file where a folder is wanted."""
    if file.suffix == ".gguf":
        return UnsupportedModel(f"{name!r} {_GGUF}")
    if file.suffix == ".onnx":
        return UnsupportedModel(f"{name!r} {_ONNX}")
    if file.suffix in PICKLES:
        return UnsupportedModel(
            f"{name!r} is a file of pickled weights. {_PICKLED} Convert them: "
            f"model.save_pretrained(folder) writes safetensors; then give that folder."
        )
    return ModelNotFound(f"{name!r} is a file. Give the checkpoint's folder, {str(file.parent)!r}.")


def check_config(name: str, config: Mapping[str, Any]) -> None:
    """Refuses, by its configuration, what is known to be something else.

    Raises:
        UnsupportedModel: the original code's LLaVA; a model that is not asked about images.
    """
    kind = str(config.get("model_type", ""))
    stated = config.get("architectures")
    architectures = [str(a) for a in stated] if isinstance(stated, list) else []
    by_name = any(_ORIGINAL_LLAVA.fullmatch(a) for a in architectures)
    if by_name or ("mm_vision_tower" in config and "vision_config" not in config):
        raise UnsupportedModel(
            f"{name!r} is in the original LLaVA code's format (model_type {kind!r}, architectures "
            f"{', '.join(architectures) or 'none stated'}), which transformers does not read. Give its "
            f"converted twin (for liuhaotian/llava-v1.5-7b it is llava-hf/llava-1.5-7b-hf), or convert a "
            f"fine-tuned one with transformers' script src/transformers/models/llava/"
            f"convert_llava_weights_to_hf.py (llava_next and llava_onevision have their own)."
        )
    if kind in _NOT_ASKED_ABOUT_IMAGES:
        raise UnsupportedModel(
            f"{name!r} is {_NOT_ASKED_ABOUT_IMAGES[kind]} (model_type {kind!r}). Give a checkpoint whose "
            f"model answers questions about images."
        )


def check_weights(name: str, folder: Path, *, complete: bool) -> None:
    """Refuses weights that are not whole safetensors files.

    Args:
        name: as the user gave it.
        folder: of the checkpoint.
        complete: whether everything must be there; a hub snapshot may still be fetched.

    Raises:
        UnsupportedModel: pickles, GGUF, ONNX or MLX weights alone; an index that names a file outside the
            folder, or another format.
        ModelNotFound: no weights.
        ModelBroken: a shard is missing, cut short or no safetensors file.
    """
    files = _files(folder)
    opened = weight_files(name, folder)
    check_tokenizer_files(name, folder)
    beside = [path for path in _ending(files, ".safetensors") if path.name != ADAPTER_WEIGHTS]
    if not opened and not beside:
        pickled = _ending(files, *PICKLES)
        if _ending(files, ".gguf"):
            raise not_a_checkpoint(name, folder)
        if pickled:
            raise UnsupportedModel(
                f"{name!r} holds pickled weights only ({_some(pickled)}). {_PICKLED} Convert them: "
                f"model.save_pretrained(folder) writes safetensors."
            )
        if _ending(files, ".onnx") or any((folder / "onnx").glob("*.onnx")):
            raise UnsupportedModel(f"{name!r} {_ONNX}")
        if complete:
            raise ModelNotFound(
                f"folder {name!r} has a config.json but no *.safetensors weights. Give the folder that "
                f"save_pretrained() wrote."
            )
        return
    if complete:
        _check_shards(name, folder, opened)
    for path in dict.fromkeys([*beside, *(path for path in opened if path.is_file())]):
        if _metadata(name, path).get("format") == "mlx":
            raise UnsupportedModel(
                f"{name!r} is in MLX's format ({path.name!r}), whose tensors are named and laid out for "
                f"another library. Give the checkpoint that it was converted from."
            )


def check_adapter(name: str, folder: Path) -> Mapping[str, Any]:
    """Refuses what is no PEFT adapter in safetensors; returns its configuration.

    Raises:
        ModelNotFound: no such folder, or not an adapter's.
        UnsupportedModel: its weights are pickled.
        ModelBroken: its configuration or weights cannot be read.
    """
    if not folder.is_dir():
        raise ModelNotFound(f"there is no adapter folder {name!r}. Check the path.")
    config = read_json(folder / ADAPTER_CONFIG)
    if config is None:
        raise ModelNotFound(
            f"{name!r} is not an adapter: it has no readable {ADAPTER_CONFIG}. Give the folder that "
            f"peft's save_pretrained() wrote."
        )
    if config.get("adapters"):
        # X-LoRA: peft would fetch them, and nothing of them would be in the store's key.
        raise UnsupportedModel(
            f"adapter {name!r} names other adapters ({ADAPTER_CONFIG}: adapters), which lie elsewhere. Merge "
            f"them into the base, and give that."
        )
    weights = folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        pickled = _ending(_files(folder), *PICKLES)
        if pickled:
            raise UnsupportedModel(
                f"adapter {name!r} holds pickled weights ({_some(pickled)}). {_PICKLED} Where you trust "
                f"them, convert: safetensors.torch.save_file(torch.load({pickled[0].name!r}, "
                f"weights_only=True), {ADAPTER_WEIGHTS!r})."
            )
        raise ModelNotFound(f"adapter {name!r} has no {ADAPTER_WEIGHTS}. Save it again.")
    _metadata(name, weights)
    beside = _trained_beside(folder)
    if beside:
        raise UnsupportedModel(
            f"adapter {name!r} holds trained weights that no adapter can take ({_some(beside)}): the layers "
            f"that were trained whole, beside the adapter. Without them another model would be audited. Merge "
            f"both into the base with the training code's own script (LLaVA's: "
            f"scripts/merge_lora_weights.py), save it as safetensors, and give that folder as the model."
        )
    return config


def has_weights(folder: Path) -> bool:
    """Whether a folder holds weights of a whole model, in whatever form."""
    own = _ending(_files(folder), *PICKLES, ".safetensors", ".gguf")
    beside = re.compile(r"adapter_model|non_lora|mm_projector")
    return any(not beside.match(path.name) for path in own)


def takes_images(folder: Path) -> bool:
    """Whether a checkpoint is to be opened as a vision-language model.

    Not, if it calls itself a causal language model and brings neither an image processor nor, in its
    configuration, an image tower: then it is opened as a decoder with a tokenizer. What says nothing of
    itself is no language model: images would silently be left out.
    """
    if any((folder / n).is_file() for n in ("processor_config.json", "preprocessor_config.json")):
        return True
    config = read_json(folder / "config.json") or {}
    if any(key.endswith("vision_config") for key in config):
        return True
    named = config.get("architectures")
    architectures = named if isinstance(named, list) else []
    return not any(str(one).endswith(("ForCausalLM", "LMHeadModel")) for one in architectures)


def _check_shards(name: str, folder: Path, opened: list[Path]) -> None:
    missing = [str(path.relative_to(folder)) for path in opened if not path.is_file()]
    if missing:
        raise ModelBroken(
            f"{name!r} lacks {len(missing)} of the {len(opened)} shards of its weights: "
            f"{', '.join(map(repr, missing[:3]))}. Copy or fetch them."
        )


def _metadata(name: str, path: Path) -> Mapping[str, Any]:
    """What a safetensors file says about itself, once it is known to be whole."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if start.startswith(b"version "):
                raise ModelBroken(
                    f"{name!r}: {path.name!r} is a Git LFS pointer, not the weights. Run `git lfs pull`."
                )
            known = 0 < length <= min(_LONGEST_HEADER, size)
            header: Any = json.loads(file.read(length)) if known else None
        ends = [t["data_offsets"][1] for key, t in header.items() if key != "__metadata__"]
        wanted = 8 + length + max(ends, default=0)
    except OSError as error:
        raise ModelBroken(
            f"{name!r}: cannot read {path.name!r}: {error.strerror or error}."
        ) from error
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise ModelBroken(
            f"{name!r}: {path.name!r} ({size} bytes) is no whole safetensors file: its header cannot be "
            f"read. Copy or fetch it again."
        ) from error
    if size != wanted:
        raise ModelBroken(
            f"{name!r}: {path.name!r} has {size} bytes where its header announces {wanted}: it was cut "
            f"short or damaged. Copy or fetch it again."
        )
    about = header.get("__metadata__")
    return about if isinstance(about, dict) else {}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _ending(files: list[Path], *suffixes: str) -> list[Path]:
    return [
        path
        for path in files
        if path.suffix in suffixes and not TRAINING_STATE.fullmatch(path.name)
    ]


def _trained_beside(folder: Path) -> list[Path]:
    """Weights in an adapter's folder that peft does not read, its own in an older form left aside."""
    return [
        path
        for path in _ending(_files(folder), *PICKLES, ".safetensors")
        if path.stem != Path(ADAPTER_WEIGHTS).stem
    ]


def _some(files: list[Path]) -> str:
    return ", ".join(repr(path.name) for path in files[:3])
