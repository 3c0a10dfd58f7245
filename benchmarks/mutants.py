"""Put a known mistake into a copy of the code and see the named test turn red; `nox -s mutants`.

The list is docs/testing.md in executable form. A mistake whose place is no longer found fails the run: it
has to be planted anew where the code has moved to.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
NEEDED = ("lvlm_audit", "tests", "checks", "pyproject.toml", "README.md")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake.

    Attributes:
        mistake: in words.
        file: where it is planted.
        old: what stands there.
        new: what is put there instead.
        test: pytest id of the test that must turn red.
    """

    mistake: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        "states off by one",
        "lvlm_audit/traces/generation.py",
        "on_step(torch.stack(states, dim=1), ids[:, -1])",
        "on_step(torch.stack([states[0], *states[:-2], states[-1]], dim=1), ids[:, -1])",
        "tests/traces/test_recorder.py::test_states_are_numbered_from_the_embedding",
    ),
    Mutant(
        "final norm applied twice",
        "lvlm_audit/models/readout.py",
        "        for norm in self._norms:\n",
        "        for norm in (*self._norms, *self._norms):\n",
        "tests/traces/test_lens.py::test_every_number_agrees_with_scipy",
    ),
    Mutant(
        "KL reversed",
        "lvlm_audit/traces/reduction.py",
        "        kl[j] = torch.dot(last, y[-1] - y[j]).div_(LN2)\n    to_final[-1]",
        "        kl[j] = torch.dot(last, y[-1] - y[j]).div_(LN2)\n"
        "    kl = torch.stack([torch.dot(p[j], y[j] - y[-1]) / LN2 for j in range(len(y))])\n"
        "    to_final[-1]",
        "tests/traces/test_lens.py::test_kl_to_final_is_forward_and_zero_at_the_end",
    ),
    Mutant(
        "the published divergence summed over the vocabulary, not averaged",
        "lvlm_audit/traces/paper_index.py",
        "found.div_(2 * logits.shape[-1])",
        "found.div_(2)",
        "tests/traces/test_paper_index.py::test_the_check_value_of_the_method",
    ),
    Mutant(
        "the wrong batch row",
        "lvlm_audit/traces/assembly.py",
        "self._add(states[rows.to(states.device)],",
        "self._add(states[rows.flip(0).to(states.device)],",
        "tests/traces/test_recorder.py::test_each_probe_reads_its_own_row",
    ),
    Mutant(
        "bfloat16 logits",
        "lvlm_audit/models/readout.py",
        "self._product(states, out)",
        "out.copy_(states.bfloat16() @ self._product.weight.bfloat16().t())",
        "tests/traces/test_recorder.py::test_a_bfloat16_model_is_read_in_float32",
    ),
    Mutant(
        "half of Jeffreys for JSD",
        "lvlm_audit/traces/reduction.py",
        "    divergence = (own[:-1] + own[1:] - with_next).div_(2 * LN2).add_(1.0)\n",
        "    divergence = (((p[1:] - p[:-1]) * (y[1:] - y[:-1])).sum(-1) / (2 * LN2)).clamp(max=1)\n",
        "tests/traces/test_lens.py::test_every_number_agrees_with_scipy",
    ),
    Mutant(
        "tokens resampled in place of images",
        "lvlm_audit/spec/judge.py",
        "values.setdefault(item.asked.cluster, []).extend(",
        "values.setdefault(item.asked.id, []).extend(",
        "tests/spec/test_judge.py",
    ),
    Mutant(
        "inconclusive taken for a pass",
        "lvlm_audit/comparing/decision.py",
        "    return (open_bound or open_loss) and not allowed\n",
        "    return False\n",
        "tests/comparing/test_decision.py",
    ),
    Mutant(
        "AMBER's positive class taken for yes",
        "lvlm_audit/hallucination/verdicts.py",
        '        positive="no",\n',
        '        positive="yes",\n',
        "tests/hallucination/test_scores.py::test_amber_by_hand",
    ),
    Mutant(
        "a label on the token after its word",
        "lvlm_audit/hallucination/places.py",
        "return slice(first, int(at[-1]) + 1)",
        "return slice(first, int(at[-1]) + 2)",
        "tests/hallucination/test_labels.py::test_a_label_lies_on_its_word_and_nowhere_else",
    ),
    Mutant(
        "right words called prior-driven",
        "lvlm_audit/hallucination/labels/labelling.py",
        "if word.truth == HALLUCINATED and blind is not None:",
        "if blind is not None:",
        "tests/hallucination/test_labels.py::"
        "test_a_right_word_is_not_prior_driven_even_if_the_prior_says_it",
    ),
    Mutant(
        "nomination and certification share an image",
        "lvlm_audit/compression/split.py",
        'for key in (f"cluster {probe.cluster}", *_pictures(probe)):',
        'for key in (f"cluster {probe.cluster}",):',
        "tests/compression/test_certification.py::test_no_image_is_in_both_halves",
    ),
    Mutant(
        "a size certified after a smaller one failed",
        "lvlm_audit/compression/certification.py",
        "            break\n        passed += 1",
        "            continue\n        passed += 1",
        "tests/compression/test_certification.py::test_the_sequence_ends_with_the_first_size_that_fails",
    ),
    Mutant(
        "a block removed, its successors not numbered anew",
        "lvlm_audit/compression/removal.py",
        "                        _set(stack, module, name, new)",
        "                        _set(stack, module, name, old)",
        "tests/compression/test_removal.py::test_without_the_blocks_it_answers_as_with_them_skipped",
    ),
    Mutant(
        "DoLa against the state most like the output",
        "lvlm_audit/interventions/dola.py",
        "early.exp()).argmax(-1)",
        "early.exp()).argmin(-1)",
        "tests/interventions/test_decoding.py::test_dola_scores_are_the_papers",
    ),
    Mutant(
        "DeCo sure of a word that is no candidate",
        "lvlm_audit/interventions/deco.py",
        ".masked_fill(~candidate[:, None], 0.0).amax(-1)",
        ".amax(-1)",
        "tests/interventions/test_decoding.py::test_deco_scores_are_the_papers",
    ),
    Mutant(
        "a wrong word that became another wrong word counted as corrected",
        "lvlm_audit/hallucination/corrections.py",
        'return "corrected" if not is_wrong else "kept" if same else "changed"',
        'return "kept" if same else "corrected"',
        "tests/hallucination/test_corrections.py::"
        "test_a_scenes_words_are_compared_by_role_and_place",
    ),
)


def main() -> int:
    """Plant each mistake in turn; returns how many tests stayed green."""
    survived = 0
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for part in NEEDED:
            source = ROOT / part
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__", "adapter.safetensors")
                shutil.copytree(source, copy / part, ignore=ignore)
            else:
                shutil.copy(source, copy / part)
        for mutant in MUTANTS:
            path = copy / mutant.file
            healthy = path.read_text("utf-8")
            if healthy.count(mutant.old) != 1:
                raise SystemExit(f"{mutant.mistake}: its place in {mutant.file} is not found once.")
            path.write_text(healthy.replace(mutant.old, mutant.new), "utf-8")
            red = run(copy, mutant.test) == 1
            path.write_text(healthy, "utf-8")
            survived += not red
            print(f"{'red ' if red else 'GREEN'} {mutant.mistake}: {mutant.test}", flush=True)
    return survived


def run(folder: Path, test: str) -> int:
    """pytest's exit code on the copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run {test}:\n{done.stdout[-2000:]}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
