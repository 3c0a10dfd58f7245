"""Names of models: a folder, an alias, or a Hugging Face hub id. No torch: names are resolved first."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from lvlm_audit.errors import LvlmAuditError, ModelNotFound, UsageError
from lvlm_audit.models.formats import (
    ADAPTER_CONFIG,
    check_adapter,
    has_weights,
    not_a_checkpoint,
    not_a_folder,
)
from lvlm_audit.settings.spelling import spelled

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "llava-1.5-7b": "llava-hf/llava-1.5-7b-hf",
        "llava-1.5-13b": "llava-hf/llava-1.5-13b-hf",
        "bakllava": "llava-hf/bakLlava-v1-hf",
        "vip-llava-7b": "llava-hf/vip-llava-7b-hf",
        "llava-1.6-mistral-7b": "llava-hf/llava-v1.6-mistral-7b-hf",
        "llava-1.6-vicuna-7b": "llava-hf/llava-v1.6-vicuna-7b-hf",
        "llava-1.6-vicuna-13b": "llava-hf/llava-v1.6-vicuna-13b-hf",
        "llava-onevision-0.5b": "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        "llava-onevision-7b": "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        "llava-interleave-0.5b": "llava-hf/llava-interleave-qwen-0.5b-hf",
        "qwen2-vl-2b": "Qwen/Qwen2-VL-2B-Instruct",
        "qwen2-vl-7b": "Qwen/Qwen2-VL-7B-Instruct",
        "qwen2.5-vl-3b": "Qwen/Qwen2.5-VL-3B-Instruct",
        "qwen2.5-vl-7b": "Qwen/Qwen2.5-VL-7B-Instruct",
        "qwen2.5-vl-32b": "Qwen/Qwen2.5-VL-32B-Instruct",
        "qwen3-vl-2b": "Qwen/Qwen3-VL-2B-Instruct",
        "qwen3-vl-4b": "Qwen/Qwen3-VL-4B-Instruct",
        "qwen3-vl-8b": "Qwen/Qwen3-VL-8B-Instruct",
        "internvl2.5-4b": "OpenGVLab/InternVL2_5-4B-hf",
        "internvl3-1b": "OpenGVLab/InternVL3-1B-hf",
        "internvl3-2b": "OpenGVLab/InternVL3-2B-hf",
        "internvl3-8b": "OpenGVLab/InternVL3-8B-hf",
        "internvl3.5-1b": "OpenGVLab/InternVL3_5-1B-HF",
        "internvl3.5-8b": "OpenGVLab/InternVL3_5-8B-HF",
        "smolvlm-256m": "HuggingFaceTB/SmolVLM-256M-Instruct",
        "smolvlm-500m": "HuggingFaceTB/SmolVLM-500M-Instruct",
        "smolvlm-2b": "HuggingFaceTB/SmolVLM-Instruct",
        "smolvlm2-256m": "HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
        "smolvlm2-500m": "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        "smolvlm2-2.2b": "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        "idefics2-8b": "HuggingFaceM4/idefics2-8b",
        "idefics3-8b": "HuggingFaceM4/Idefics3-8B-Llama3",
        "paligemma-3b": "google/paligemma-3b-mix-224",
        "paligemma2-3b": "google/paligemma2-3b-mix-224",
        "paligemma2-10b": "google/paligemma2-10b-mix-448",
        "gemma-3-4b-it": "google/gemma-3-4b-it",
        "gemma-3-12b-it": "google/gemma-3-12b-it",
        "pixtral-12b": "mistral-community/pixtral-12b",
        "mistral-small-3.1-24b": "mistralai/Mistral-Small-3.1-24B-Instruct-2503",
        "llama-3.2-11b-vision": "meta-llama/Llama-3.2-11B-Vision-Instruct",
        "aya-vision-8b": "CohereLabs/aya-vision-8b",
        "granite-vision-2b": "ibm-granite/granite-vision-3.2-2b",
    }
)
"""Short names of common vision-language models that transformers runs without remote code."""

# owner/name as the hub spells it; a path with more parts, dots or backslashes is not one.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A name that has been understood; nothing has been loaded yet.

    Attributes:
        name: as the user gave it.
        kind: where it points.
        path: the folder, for kind "folder".
        hub_id: "owner/name", for kind "hub".
        snapshot: the folder of a hub checkpoint in the local cache, or None if it is not there.
        revision: branch, tag or commit that was asked for; None: the hub's main branch.
        adapter: folder of a PEFT adapter that goes over the weights, or None.
    """

    name: str
    kind: Literal["folder", "hub"]
    path: Path | None = None
    hub_id: str | None = None
    snapshot: Path | None = None
    revision: str | None = None
    adapter: Path | None = None

    @property
    def source(self) -> str:
        """What transformers is given."""
        return str(self.path) if self.path is not None else str(self.hub_id)

    @property
    def folder(self) -> Path | None:
        """Where the files lie on this machine, if they do."""
        return self.path or self.snapshot

    @property
    def commit(self) -> str | None:
        """The commit of a hub checkpoint that lies here."""
        return None if self.snapshot is None else self.snapshot.name

    def described(self) -> str:
        """Hub id or folder name, with revision and adapter, as a document names it."""
        name = self.hub_id or Path(self.source).name
        version = f"@{self.revision}" if self.revision is not None else ""
        over = f" + {self.adapter.name}" if self.adapter is not None else ""
        return f"{name}{version}{over}"

    def located(self) -> Checkpoint:
        """The same, looked for anew: a hub checkpoint may have been fetched meanwhile."""
        snapshot = self.snapshot
        if self.hub_id is not None and snapshot is None:
            snapshot = _cached_snapshot(self.hub_id, self.revision)
        return replace(self, snapshot=snapshot)


def resolve(
    name: str, *, revision: str | None = None, adapter: str | Path | None = None
) -> Checkpoint:
    """Understands a model's name: a folder if there is one, then an alias, then a hub id.

    A folder that holds a PEFT adapter alone stands for its base with the adapter over it, if the base
    that it names lies on this machine.

    Args:
        name: of the model.
        revision: branch, tag or commit of a hub model.
        adapter: folder of a PEFT adapter that goes over it.

    Raises:
        ModelNotFound: none of these, or a folder that is no checkpoint. The message says what is
            missing, or which aliases come near.
        UnsupportedModel: a checkpoint in a format that is not read, with what to do about it.
        UsageError: a revision of something that is not on the hub.
    """
    if not name.strip():
        raise ModelNotFound(
            "the model's name is empty. Give a checkpoint folder, a hub id or an alias."
        )
    over = None if adapter is None else Path(adapter).expanduser()
    if over is not None:
        check_adapter(str(adapter), over)
        over = over.resolve()
    path = Path(name).expanduser()
    if path.is_dir():
        return _folder(name, path, revision, over)
    hub_id = ALIASES.get(name.lower())
    if hub_id is None and _HUB_ID.fullmatch(name) and not name.startswith((".", "~")):
        hub_id = name
    if hub_id is None:
        raise _unknown(name, path)
    snapshot = _cached_snapshot(hub_id, revision)
    return Checkpoint(
        name, "hub", hub_id=hub_id, snapshot=snapshot, revision=revision, adapter=over
    )


def _folder(name: str, path: Path, revision: str | None, adapter: Path | None) -> Checkpoint:
    is_model = (path / "config.json").is_file()
    if (path / ADAPTER_CONFIG).is_file():
        if is_model and not has_weights(path):
            raise ModelNotFound(
                f"folder {name!r} holds an adapter ({ADAPTER_CONFIG}) and a config.json, but no weights of a "
                f"model. Give the base that it was trained on, and the adapter over it: "
                f"{spelled('model', 'BASE')} and {spelled('adapter', name)}."
            )
        if is_model:
            # transformers would follow the adapter's base instead of the model that lies here.
            raise UsageError(
                f"folder {name!r} holds a model (config.json) and an adapter ({ADAPTER_CONFIG}). Move the "
                f"adapter's files to a folder of their own, and give both: {spelled('model')} and "
                f"{spelled('adapter')}."
            )
        return _adapted_base(name, path, revision, adapter)
    if not is_model:
        raise not_a_checkpoint(name, path)
    if revision is not None:
        raise UsageError(
            f"{spelled('revision')} {revision!r} is for models on the hub; {name!r} is a folder, which holds "
            f"one version. Drop the option, or give the hub id."
        )
    return Checkpoint(name, "folder", path=path.resolve(), adapter=adapter)


def _adapted_base(name: str, path: Path, revision: str | None, adapter: Path | None) -> Checkpoint:
    if adapter is not None:
        raise UsageError(
            f"{spelled('model')} {name!r} is itself an adapter, and {spelled('adapter')} names another. Give "
            f"the base model as {spelled('model')}."
        )
    config = check_adapter(name, path)
    base, trained_on = config.get("base_model_name_or_path"), config.get("revision")
    what = f"{name!r} is an adapter, not a whole model"
    if not isinstance(base, str) or not base.strip():
        raise ModelNotFound(
            f"{what}, and does not name its base. Give both: {spelled('model')} BASE "
            f"{spelled('adapter')} {name!r}."
        )
    named = revision or (trained_on if isinstance(trained_on, str) else None)
    try:
        found = resolve(base, revision=named)
    except LvlmAuditError as error:
        raise ModelNotFound(
            f"{what}, and its base {base!r} cannot be used from here ({error}) Give both: {spelled('model')} "
            f"BASE {spelled('adapter')} {name!r}."
        ) from error
    if found.folder is None:
        # Only a model that was named on the command line is fetched.
        raise ModelNotFound(
            f"{what}, and its base {base!r} is not on this machine. To fetch it, give both: {spelled('model')} "
            f"{base} {spelled('adapter')} {name!r}."
        )
    return replace(found, name=name, adapter=path.resolve())


def _unknown(name: str, path: Path) -> LvlmAuditError:
    if path.is_file():
        return not_a_folder(name, path)
    if os.sep in name or name.startswith((".", "~")):
        return ModelNotFound(f"there is no folder {name!r}. Check the path.")
    near = difflib.get_close_matches(name.lower(), ALIASES, n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return ModelNotFound(
        f"no model {name!r}: it is neither a folder, nor an alias, nor of the form owner/name.{hint} "
        f"`lvlm-audit models` lists the aliases."
    )


def _cached_snapshot(hub_id: str, revision: str | None) -> Path | None:
    """The newest snapshot in the local hub cache, or a revision's, without asking the network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None
