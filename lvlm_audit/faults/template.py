"""The chat template of another family."""

from __future__ import annotations

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.faults.change import Change
from lvlm_audit.models.templates import image_mark, template_of, tried


def wrong(change: Change, seed: int) -> None:
    """Vicuna's words (USER: ... ASSISTANT:); for a model that has these, ChatML's."""
    del seed
    hooked = change.hooked
    own = template_of(hooked.processor, hooked.tokenizer)
    mark = None if own is None else image_mark(own)
    if own is None or mark is None:
        raise UnsupportedModel(
            f"{hooked.name} is asked without a chat template that writes an image, so there is none to be "
            f"wrong."
        )
    parts = ("USER: ", " ASSISTANT:")
    if parts[0] in (tried(own).parts or ""):
        parts = ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")
    made = (
        "{% for message in messages %}{{ " + repr(parts[0]) + " }}"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ "
        + repr(mark)
        + " }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ "
        + repr(parts[1])
        + " }}{% endfor %}"
    )
    for asker in (hooked.processor, hooked.tokenizer):
        if getattr(asker, "chat_template", None) is not None:
            change.attribute(asker, "chat_template", made)
