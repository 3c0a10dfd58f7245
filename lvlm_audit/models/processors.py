"""Processors: the part of a checkpoint that turns image and text into tensors.

transformers reads images with Pillow, but a processor that could also take videos insists on torchvision.
Where that is not installed, such a processor is opened without its video part, which no probe needs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.explaining import first_line
from lvlm_audit.models.json_files import damaged_json, read_json
from lvlm_audit.models.overlay import VOCABULARY, asker_files, over_the_base
from lvlm_audit.notes import Note

_NAMED_IN = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer_config.json",
    "config.json",
)
"""Files in which checkpoints of different age name their processor's class, as transformers asks them."""

_SAVE_TOKENIZER = "Save it into the same folder (tokenizer.save_pretrained)."


def read_asker(
    checkpoint: Checkpoint, config: Any, *, sees: bool, trust_remote_code: bool
) -> tuple[Any, tuple[Note, ...]]:
    """What turns a question into tensors: the processor, or a decoder's tokenizer; an adapter's own first.

    Args:
        checkpoint: that is opened.
        config: its configuration.
        sees: whether it takes images.
        trust_remote_code: run code that comes with it.

    Raises:
        UnsupportedModel: it cannot be opened, or takes no images.
    """

    def read(where: Checkpoint) -> Any:
        if sees:
            return read_processor(where, config, trust_remote_code=trust_remote_code)
        return read_tokenizer(where, trust_remote_code=trust_remote_code)

    if checkpoint.adapter is None or not asker_files(checkpoint.adapter):
        return read(checkpoint), ()
    if checkpoint.kind == "hub":
        # Fetches the files of the base.
        read(checkpoint)
    base = checkpoint.located().folder
    assert base is not None
    with over_the_base(base, checkpoint.adapter) as (folder, changed):
        if not changed:
            return read(checkpoint), ()
        named = f"{checkpoint.adapter} over {checkpoint.source}"
        made = read(replace(checkpoint, name=named, kind="folder", path=folder, revision=None))
    text = f"the adapter's own files are used instead of the base's: {', '.join(changed)}"
    return made, (Note("processor", text),)


def read_processor(checkpoint: Checkpoint, config: Any, *, trust_remote_code: bool) -> Any:
    """The checkpoint's processor, without its video part where that cannot be had.

    Raises:
        UnsupportedModel: it cannot be opened, or takes no images.
    """
    from transformers import AutoProcessor

    how: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if checkpoint.revision is not None:
        how["revision"] = checkpoint.revision
    try:
        processor = AutoProcessor.from_pretrained(checkpoint.source, **how)
    except Exception as error:
        processor = _images_only(checkpoint, config, how)
        if processor is None:
            raise UnsupportedModel(
                f"the processor of {checkpoint.name!r} cannot be opened: "
                f"{_missing(checkpoint) or f'{first_line(error)} {_hint(error)}'}"
            ) from error
    if getattr(processor, "tokenizer", None) is None or (
        getattr(processor, "image_processor", None) is None
    ):
        raise UnsupportedModel(
            f"{checkpoint.name!r} brings {type(processor).__name__}, which does not take image and text "
            f"together. Save the model's processor into the same folder (processor.save_pretrained)."
        )
    return processor


def read_tokenizer(checkpoint: Checkpoint, *, trust_remote_code: bool) -> Any:
    """The tokenizer of a decoder without eyes.

    Raises:
        UnsupportedModel: it cannot be opened.
    """
    from transformers import AutoTokenizer

    named = {} if checkpoint.revision is None else {"revision": checkpoint.revision}
    try:
        return AutoTokenizer.from_pretrained(
            checkpoint.source, trust_remote_code=trust_remote_code, **named
        )
    except Exception as error:
        raise UnsupportedModel(
            f"the tokenizer of {checkpoint.name!r} cannot be opened: "
            f"{_missing(checkpoint) or f'{first_line(error)} {_SAVE_TOKENIZER}'}"
        ) from error


def _images_only(checkpoint: Checkpoint, config: Any, how: dict[str, Any]) -> Any:
    """The processor without its video part; None where that is not what stands in the way."""
    from transformers.utils.import_utils import is_torchvision_available

    kind = _class_of(checkpoint.located(), config)
    if is_torchvision_available() or kind is None:
        return None
    if "video_processor" not in kind.get_attributes():
        return None
    try:
        return without_video(kind).from_pretrained(checkpoint.source, **how)
    except Exception:
        # What stood in the way at first is what has to be told.
        return None


def without_video(kind: Any) -> Any:
    """A processor class that is `kind`, opened with nothing where its video processor belongs."""

    def parts(cls: Any) -> list[str]:
        return [name for name in kind.get_attributes() if name != "video_processor"]

    reader: Any = type(kind.__name__, (kind,), {"get_attributes": classmethod(parts)})

    def arguments(cls: Any, *args: Any, **kwargs: Any) -> list[Any]:
        made = iter(reader._get_arguments_from_pretrained(*args, **kwargs))
        return [None if name == "video_processor" else next(made) for name in cls.get_attributes()]

    def checked(self: Any, name: str, argument: Any) -> Any:
        if name == "video_processor" and argument is None:
            return None
        return kind.check_argument_for_proper_class(self, name, argument)

    def save(self: Any, *args: Any, **kwargs: Any) -> Any:
        # What is not there cannot be saved: its folder opens as this one did.
        self.get_attributes = lambda: parts(kind)
        try:
            return kind.save_pretrained(self, *args, **kwargs)
        finally:
            del self.get_attributes

    return type(
        kind.__name__,
        (kind,),
        {
            "save_pretrained": save,
            "__doc__": kind.__doc__,
            "__module__": kind.__module__,
            "_get_arguments_from_pretrained": classmethod(arguments),
            "check_argument_for_proper_class": checked,
        },
    )


def _class_of(checkpoint: Checkpoint, config: Any) -> Any:
    """The class that transformers would take; None where it is none of transformers' own."""
    import transformers

    folder = checkpoint.folder
    for name in _NAMED_IN if folder is not None else ():
        stated = (read_json(folder / name) or {}).get("processor_class") if folder else None
        if isinstance(stated, str):
            found = getattr(transformers, stated, None)
            return found if isinstance(found, type) else None
    mapping = transformers.models.auto.processing_auto.PROCESSOR_MAPPING
    return mapping.get(type(config), None)


def _missing(checkpoint: Checkpoint) -> str | None:
    """What is wrong with the files themselves, where that is plain to see."""
    folder = checkpoint.located().folder
    if folder is None:
        return None
    if any((folder / name).is_file() for name in VOCABULARY):
        return damaged_json(folder)
    return f"there is no tokenizer (tokenizer.json, tokenizer.model, vocab.json, ...). {_SAVE_TOKENIZER}"


def _hint(error: Exception) -> str:
    from transformers.utils.import_utils import is_torchvision_available

    # transformers says so in words that help nobody ("VIDEO_PROCESSOR_MAPPING has no attribute ...").
    said = str(error).lower()
    if not is_torchvision_available() and ("video" in said or "torchvision" in said):
        return (
            "This family's processor also handles videos, cannot be opened without that part, and needs "
            "torchvision for it: install it."
        )
    return "Save the model's processor into the same folder (processor.save_pretrained)."
