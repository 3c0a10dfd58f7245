"""Every fault that ships, harmless ones first. What each costs in truth is measured: docs/power-labels.json."""

from __future__ import annotations

from lvlm_audit.errors import UsageError
from lvlm_audit.faults.fault import Fault
from lvlm_audit.registry import Registry

GROUP = "lvlm_audit.faults"

_MACHINE = "it is a way to compute, not a property of a checkpoint"

HEALTHY: tuple[Fault, ...] = (
    Fault(
        name="unchanged",
        what="The same weights, asked again.",
        intended="healthy",
        damage="lvlm_audit.faults.asking:unchanged",
    ),
    Fault(
        name="rounding noise",
        what="One weight in twelve is moved to a neighbouring number: as much as rounding once more.",
        intended="healthy",
        damage="lvlm_audit.faults.noise:neighbours",
    ),
    Fault(
        name="other threads",
        what="The same weights, computed by another number of threads.",
        intended="healthy",
        damage="lvlm_audit.faults.asking:threads",
        kept_in=_MACHINE,
    ),
    Fault(
        name="other batch",
        what="The same weights, asked in batches of 5.",
        intended="healthy",
        damage="lvlm_audit.faults.asking:unchanged",
        batch_size=5,
        kept_in=_MACHINE,
    ),
    Fault(
        name="int8",
        what="torchao's weight-only int8 on the decoder's linear layers.",
        intended="healthy",
        damage="lvlm_audit.faults.quantised:torchao_int8",
        kept_in="torchao's tensors are no safetensors of ours; 'int8 rounding' can be written",
    ),
    Fault(
        name="int8 rounding",
        what="The decoder's matrices rounded to 255 levels a row by our own code, computed in the dtype.",
        intended="healthy",
        damage="lvlm_audit.faults.quantised:rounded",
        how={"bits": 8},
    ),
    Fault(
        name="harmless fine-tune",
        what="6 AdamW steps at 1e-5 on drawn scenes and their true answers.",
        intended="healthy",
        damage="lvlm_audit.faults.trained:trained",
        how={"steps": 6, "rate": 1e-5},
        demo_only=True,
    ),
    Fault(
        name="LoRA",
        what="An adapter of rank 16 on the last 10 blocks, 60 steps on drawn scenes and true answers, merged.",
        intended="healthy",
        damage="lvlm_audit.faults.trained:trained",
        how={"steps": 60, "rate": 5e-4, "lora": 16, "upper": 10},
        demo_only=True,
    ),
)

FAULTY: tuple[Fault, ...] = (
    Fault(
        name="shuffled answers",
        what="The last 10 blocks, 30 AdamW steps at 3e-4 on drawn scenes, each with another one's answer.",
        intended="fault",
        damage="lvlm_audit.faults.trained:trained",
        how={"steps": 30, "rate": 3e-4, "upper": 10, "shuffled": True},
        demo_only=True,
    ),
    *(
        Fault(
            name=f"block noise {strength:g}",
            what=f"Noise on the matrices of the block in the middle, {strength:g} of their deviation.",
            intended="fault",
            damage="lvlm_audit.faults.noise:block",
            how={"strength": strength},
        )
        for strength in (0.25, 0.5, 1.0)
    ),
    Fault(
        name="blocks swapped",
        what="The blocks a third and two thirds up are exchanged.",
        intended="fault",
        damage="lvlm_audit.faults.blocks:swapped",
    ),
    Fault(
        name="blocks removed",
        what="Two neighbouring blocks in the middle are gone.",
        intended="fault",
        damage="lvlm_audit.faults.blocks:gone",
        how={"count": 2},
    ),
    Fault(
        name="projector zeroed",
        what="Every weight of the projector is 0.",
        intended="fault",
        damage="lvlm_audit.faults.projector:zeroed",
    ),
    *(
        Fault(
            name=f"vision tower noise {strength:g}",
            what=f"Noise on the matrices of the vision tower's blocks, {strength:g} of their deviation.",
            intended="fault",
            damage="lvlm_audit.faults.noise:tower",
            how={"strength": strength},
        )
        for strength in (0.5, 1.0)
    ),
    Fault(
        name="channels swapped",
        what="The processor gives red for blue and blue for red.",
        intended="fault",
        damage="lvlm_audit.faults.pictures:channels",
        written="lvlm_audit.faults.pictures:channels_of_weights",
    ),
    Fault(
        name="wrong mean and std",
        what="The processor normalises pictures with ImageNet's image_mean and image_std.",
        intended="fault",
        damage="lvlm_audit.faults.pictures:normalised",
        how={"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    ),
    Fault(
        name="mean 0 and std 1",
        what="The processor does not normalise pictures: its image_mean is 0 and its image_std 1.",
        intended="fault",
        damage="lvlm_audit.faults.pictures:normalised",
        how={"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},
    ),
    Fault(
        name="image truncated",
        what="The second half of a picture's positions is empty.",
        intended="fault",
        damage="lvlm_audit.faults.truncation:truncated",
        how={"kept": 0.5},
        kept_in="it is something that a program does, not a property of a checkpoint",
    ),
    Fault(
        name="colour rows rotated",
        what="Each colour word's row of the head is the next one's.",
        intended="fault",
        damage="lvlm_audit.faults.colours:rotated",
    ),
    Fault(
        name="wrong chat template",
        what="Questions are asked through another family's chat template.",
        intended="fault",
        damage="lvlm_audit.faults.template:wrong",
    ),
    Fault(
        name="wrong rope base",
        what="The base of the rotary positions (rope_theta) is a tenth of what it was.",
        intended="fault",
        damage="lvlm_audit.faults.rope:wrong_base",
        how={"factor": 0.1},
    ),
    Fault(
        name="int4",
        what="The decoder's matrices rounded to 15 levels a row by our own code, without groups.",
        intended="fault",
        damage="lvlm_audit.faults.quantised:rounded",
        how={"bits": 4},
    ),
)

FAULTS: Registry[Fault] = Registry("fault", Fault, GROUP, UsageError, (*HEALTHY, *FAULTY))
"""All of them by name."""
