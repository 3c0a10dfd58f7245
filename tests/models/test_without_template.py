"""Processors without a chat template: who places the image's token, and whether there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lvlm_audit import Probe, record
from lvlm_audit.errors import ProbeError, UnsupportedModel
from lvlm_audit.models.hooked import HookedModel
from tests import tiny_models
from tests.families import zoo


def untemplated_llava() -> tiny_models.Pair:
    model, processor = tiny_models.llava()
    processor.chat_template = None
    return model, processor


def of_zoo(name: str, **more: Any) -> Any:
    configuration = zoo._merged(zoo.configuration(name).to_dict(), more)
    return zoo.enlivened(zoo.made(name, configuration).eval())


def blip2() -> tiny_models.Pair:
    from transformers import Blip2Processor, BlipImageProcessorPil

    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    model = of_zoo("blip-2", image_token_index=3, image_token_id=3)
    return model, Blip2Processor(images, tiny_models.tokenizer(500), num_query_tokens=4)


def kosmos2() -> tiny_models.Pair:
    from transformers import CLIPImageProcessorPil, Kosmos2Processor

    images = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    words = tiny_models.tokenizer(500, ("<image>", "</image>", "<grounding>"))
    words.unk_token = "<pad>"
    return of_zoo("kosmos-2", latent_query_num=64), Kosmos2Processor(
        images, words, num_patch_index_tokens=4
    )


def git() -> tiny_models.Pair:
    from transformers import CLIPImageProcessorPil, GitProcessor

    images = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    return of_zoo("git"), GitProcessor(images, tiny_models.tokenizer(500, ()))


def blip() -> tiny_models.Pair:
    from transformers import BlipImageProcessorPil, BlipProcessor

    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    return of_zoo("blip"), BlipProcessor(images, tiny_models.tokenizer(500, ()))


QUESTION = "What is shown?"
CASES: dict[str, tuple[Callable[[], tiny_models.Pair], str]] = {
    "llava": (untemplated_llava, "<image>" * 4 + "\n" + QUESTION),
    "paligemma": (tiny_models.paligemma, "<image>" * 4 + "<s>" + QUESTION + "\n"),
    "blip-2": (blip2, "<image>" * 4 + QUESTION),
    "git": (git, QUESTION),
    "blip": (blip, QUESTION),
}


@pytest.mark.parametrize("name", CASES)
def test_the_image_token_is_in_the_prompt_as_often_as_the_model_wants_it(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make, prompt = CASES[name]
    hooked = HookedModel(*make())
    shown = [tiny_models.picture(k) for k in range(2)]
    short = Probe("a", QUESTION, shown[0], cluster="a")
    longer = Probe("b", f"{QUESTION} Say it in a sentence.", shown[1], cluster="b")
    capfd.readouterr()
    assert hooked.tokenizer.decode(hooked.inputs([short])["input_ids"][0]) == prompt
    both = hooked.inputs([short, longer])["input_ids"]
    assert hooked.tokenizer.decode(both[0]).replace("<pad>", "") == prompt
    assert capfd.readouterr() == ("", "")
    assert [trace.tokens for trace in record(hooked, [short, longer], max_new_tokens=2)] == [2, 2]


def test_a_processor_that_frames_the_image_itself_gets_the_bare_question() -> None:
    hooked = HookedModel(*kosmos2())
    probe = Probe("a", QUESTION, tiny_models.picture(), cluster="a")
    text = hooked.tokenizer.decode(hooked.inputs([probe])["input_ids"][0])
    assert text.endswith(f"</image> {QUESTION}")


@pytest.mark.parametrize("name", ["llava", "paligemma"])
def test_several_images_have_a_token_each(name: str) -> None:
    hooked = HookedModel(*CASES[name][0]())
    images = [tiny_models.picture(k) for k in range(2)]
    probe = Probe("a", QUESTION, images[0], cluster="a", more_images=(images[1],))
    text = hooked.tokenizer.decode(hooked.inputs([probe])["input_ids"][0])
    assert text.count("<image>") == 8
    assert text.count("\n") == (2 if name == "llava" else 1)


def test_images_that_a_processor_has_no_place_for_are_not_lost() -> None:
    hooked = HookedModel(*blip2())
    images = [tiny_models.picture(k) for k in range(2)]
    probe = Probe("a", QUESTION, images[0], cluster="a", more_images=(images[1],))
    with pytest.raises(ProbeError, match=r"no place .* more than one image, but probe 'a' has 2"):
        hooked.inputs([probe])


@pytest.mark.parametrize("name", CASES)
def test_a_question_without_image_is_asked_as_it_is(name: str) -> None:
    hooked = HookedModel(*CASES[name][0]())
    if name == "paligemma":
        with pytest.raises(ProbeError, match="refused probe 'a'"):
            hooked.inputs([Probe("a", QUESTION, None, cluster="a")])
        return
    ids = hooked.inputs([Probe("a", QUESTION, None, cluster="a")])["input_ids"]
    assert hooked.tokenizer.decode(ids[0]) == QUESTION


def test_a_refusal_with_and_without_the_token_tells_both() -> None:
    model, processor = untemplated_llava()
    hooked = HookedModel(model, processor)

    class Refuses:
        tokenizer = processor.tokenizer
        image_processor = processor.image_processor
        image_token = "<image>"

        def __call__(self, text: list[str], **_: Any) -> Any:
            raise ValueError("two tokens." if "<image>" in text[0] else "no patches.")

    hooked.processor = Refuses()
    with pytest.raises(ProbeError, match=r"'a': two tokens\. Without an image token.*no patches"):
        hooked.inputs([Probe("a", QUESTION, tiny_models.picture(), cluster="a")])


def test_an_encoder_of_pictures_alone_is_not_asked_a_question() -> None:
    from transformers import TrOCRProcessor, ViTImageProcessorPil

    images = ViTImageProcessorPil(size={"height": 32, "width": 32})
    model = of_zoo("vision-encoder-decoder")
    processor = TrOCRProcessor(images, tiny_models.tokenizer(500))
    with pytest.raises(UnsupportedModel, match=r"no tokens of the question.*pixel_values alone"):
        HookedModel(model, processor)
    # What the message offers works.
    pixels = images(tiny_models.picture().open(), return_tensors="pt")["pixel_values"]
    started = torch.tensor([[0, 7]])
    probe = Probe.prepared({"pixel_values": pixels, "decoder_input_ids": started})
    hooked = HookedModel(model, processor, sample=probe)
    assert record(hooked, [probe], max_new_tokens=2)[0].tokens == 2
