"""Reading probes: what is accepted, what is filled in, and each refusal by what it says."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.formats.folder import DEFAULT_PROMPT
from lvlm_audit.probes.probe import Probe
from lvlm_audit.probes.readers import read_probes

Lines = Callable[..., Path]


def picture(path: Path, color: str = "red", **options: Any) -> Path:
    """Writes a small image in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path, **options)
    return path


def image_of(probe: Probe) -> tuple[int, int, int]:
    """The colour of the image's first pixel."""
    assert probe.image is not None
    pixel = probe.image.open().getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel  # type: ignore[return-value]


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    """Writes a probe file beside a readable a.png and b.png; a line is a dict or raw text."""
    picture(tmp_path / "a.png", "red")
    picture(tmp_path / "b.png", "blue")

    def write(*rows: Mapping[str, Any] | str) -> Path:
        path = tmp_path / "probes.jsonl"
        path.write_text("".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows))
        return path

    return write


def refusal(path: Path | str, **options: Any) -> str:
    """The message with which reading is refused: one line, so that it can be printed alone."""
    with pytest.raises(ProbeError) as caught:
        read_probes(path, **options)
    message = str(caught.value)
    assert message.isprintable(), message
    return message


def message_if_refused(path: Path) -> str:
    """Reads; any other error than a `ProbeError` is the test's failure."""
    try:
        read_probes(path)
    except ProbeError as error:
        return str(error)
    return ""


class TestFolder:
    def test_asks_every_image_the_same(self, tmp_path: Path) -> None:
        picture(tmp_path / "x.png")
        picture(tmp_path / "y.JPG")
        assert [p.prompt for p in read_probes(tmp_path)] == [DEFAULT_PROMPT] * 2
        assert [p.prompt for p in read_probes(str(tmp_path), prompt="Why?")] == ["Why?"] * 2

    @pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tiff"])
    def test_formats(self, tmp_path: Path, suffix: str) -> None:
        picture(tmp_path / f"x.{suffix}")
        (probe,) = read_probes(tmp_path)
        assert probe.id == "x"
        red, green, blue = image_of(probe)
        assert red > 200
        assert max(green, blue) < 50

    def test_animation_shows_its_first_frame(self, tmp_path: Path) -> None:
        later = [Image.new("RGB", (8, 6), "blue")]
        picture(tmp_path / "x.gif", "red", save_all=True, append_images=later)
        assert image_of(read_probes(tmp_path)[0]) == (255, 0, 0)

    def test_phone_photographs_of_several_frames(self, tmp_path: Path) -> None:
        later = [Image.new("RGB", (8, 6), "blue")]
        picture(tmp_path / "x.jpg", "red", format="MPO", save_all=True, append_images=later)
        assert image_of(read_probes(tmp_path)[0])[0] > 200

    def test_natural_order_with_subfolders(self, tmp_path: Path) -> None:
        for name in ("10.png", "2.png", "b/1.png", "B/10.png", "b/9.png", "a2/x.png", "a10/x.png"):
            picture(tmp_path / name)
        ids = [p.id for p in read_probes(tmp_path)]
        assert ids == ["2", "10", "a2/x", "a10/x", "b/1", "b/9", "B/10"]

    def test_passes_over_what_is_hidden_or_no_image(self, tmp_path: Path) -> None:
        picture(tmp_path / "x.png")
        (tmp_path / "._x.png").write_bytes(b"a resource fork")
        (tmp_path / "README.md").write_text("notes")
        picture(tmp_path / ".cache" / "y.png")
        assert [p.id for p in read_probes(tmp_path)] == ["x"]

    def test_ids_are_unique_and_clusters_are_pictures(self, tmp_path: Path) -> None:
        picture(tmp_path / "x.bmp", "red")
        picture(tmp_path / "x.png", "red")
        (tmp_path / "y.png").write_bytes((tmp_path / "x.png").read_bytes())
        first, second, copy = read_probes(tmp_path)
        assert [first.id, second.id, copy.id] == ["x", "x-2", "y"]
        assert second.cluster == copy.cluster != first.cluster
        assert copy.image is not None
        assert copy.cluster == copy.image.digest()

    def test_survives_a_change_of_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        picture(tmp_path / "in" / "x.png")
        monkeypatch.chdir(tmp_path)
        (probe,) = read_probes("in")
        monkeypatch.chdir("/")
        assert image_of(probe) == (255, 0, 0)

    def test_hostile_file_names_become_printable_ids(self, tmp_path: Path) -> None:
        picture(tmp_path / "a\nb\x1b[31m\u202e.png")
        raw = os.path.join(os.fsencode(tmp_path), b"\xff.png")
        Path(os.fsdecode(raw)).write_bytes((picture(tmp_path / "ok.png")).read_bytes())
        ids = [p.id for p in read_probes(tmp_path)]
        assert ids == ["a\\nb\\x1b[31m\\u202e", "ok", "\\udcff"]

    def test_missing(self, tmp_path: Path) -> None:
        message = refusal(tmp_path / "nowhere\n")
        assert "nowhere\\n'" in message
        assert "no such file or folder" in message
        assert "Check the path" in message

    def test_empty(self, tmp_path: Path) -> None:
        message = refusal(tmp_path)
        assert repr(str(tmp_path)) in message
        assert "the folder is empty" in message

    def test_without_images(self, tmp_path: Path) -> None:
        (tmp_path / "clip.mp4").touch()
        (tmp_path / "Makefile").touch()
        message = refusal(tmp_path)
        assert ".jpeg, .jpg, .png" in message
        assert "'.mp4', 'no suffix'" in message

    def test_points_to_the_list_in_a_folder_without_images(self, tmp_path: Path) -> None:
        (tmp_path / "probes.jsonl").touch()
        assert f"Did you mean the list in it, '{tmp_path}/probes.jsonl'?" in refusal(tmp_path)

    def test_broken_image(self, tmp_path: Path) -> None:
        whole = picture(tmp_path / "sub" / "x.jpg").read_bytes()
        (tmp_path / "sub" / "x.jpg").write_bytes(whole[: len(whole) // 2])
        message = refusal(tmp_path)
        assert "image 'sub/x.jpg' cannot be decoded" in message
        assert "Replace the file or drop the probe" in message

    def test_not_an_image_under_an_image_name(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_text("<html>")
        message = refusal(tmp_path)
        assert "'x.png'" in message
        assert "it is not one of JPEG, PNG, WEBP, BMP, GIF, TIFF" in message

    def test_programs_are_not_started_for_an_image(self, tmp_path: Path) -> None:
        Image.new("RGB", (4, 4)).save(tmp_path / "x.eps")
        (tmp_path / "x.eps").rename(tmp_path / "x.png")
        assert "it is not one of" in refusal(tmp_path)

    def test_pixels_of_16_bits_are_refused_not_clipped_to_white(self, tmp_path: Path) -> None:
        Image.new("I;16", (4, 4), 40_000).save(tmp_path / "depth.png")
        assert "its pixels are not 8-bit (Pillow mode I;16)" in refusal(tmp_path)

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    def test_decompression_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        picture(tmp_path / "x.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
        assert "image 'x.png' cannot be decoded: Image size (48 pixels)" in refusal(tmp_path)

    def test_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "x.png")
        assert "'x.png' is not a regular file" in refusal(tmp_path)

    def test_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").symlink_to(tmp_path / "gone.png")
        assert "x.png': No such file or directory" in refusal(tmp_path)

    @pytest.mark.parametrize("prompt", ["", " \n\t"])
    def test_blank_prompt(self, tmp_path: Path, prompt: str) -> None:
        picture(tmp_path / "x.png")
        assert f"the prompt {prompt!r} is blank" in refusal(tmp_path, prompt=prompt)


class TestJsonl:
    def test_everything_given(self, lines: Lines) -> None:
        row = {
            "id": "one",
            "image": "a.png",
            "prompt": "Which\ncolour?",
            "answer": "Red.",
            "labels": {"kind": "color", "objects": [1, {"x": None}]},
            "cluster": "c",
        }
        (probe,) = read_probes(lines(row))
        assert (probe.id, probe.prompt, probe.answer) == ("one", "Which\ncolour?", "Red.")
        assert (probe.labels, probe.cluster) == (row["labels"], "c")
        assert image_of(probe) == (255, 0, 0)

    def test_defaults(self, lines: Lines) -> None:
        row = {"image": "a.png", "prompt": "?"}
        first, taken, second, third = read_probes(
            lines(row, {"image": "b.png", "prompt": "?", "id": "a-2"}, row, row)
        )
        # The given id keeps its name although a default one would have come to it, too.
        assert [p.id for p in (first, taken, second, third)] == ["a", "a-2", "a-3", "a-4"]
        assert first.image is not None
        assert first.cluster == second.cluster == first.image.digest() != taken.cluster
        assert first.answer is None
        assert first.labels == {}

    def test_null_is_as_good_as_absent(self, lines: Lines) -> None:
        row = {"image": "a.png", "prompt": "?"}
        bare = read_probes(lines(row))
        assert bare == read_probes(
            lines(row | dict.fromkeys(("answer", "labels", "cluster", "id")))
        )

    def test_prompt_for_lines_that_have_none(self, lines: Lines) -> None:
        path = lines({"image": "a.png"}, {"image": "b.png", "prompt": "Own?"})
        assert [p.prompt for p in read_probes(path, prompt="All?")] == ["All?", "Own?"]

    def test_byte_order_mark_blank_lines_and_line_ends(self, lines: Lines) -> None:
        path = lines({"image": "a.png", "prompt": "é\u2028?"})
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n  \r\n"))
        assert [p.prompt for p in read_probes(path)] == ["é\u2028?"]

    def test_image_paths(self, lines: Lines, tmp_path: Path) -> None:
        outside = picture(tmp_path.parent / f"{tmp_path.name}-outside.png", "lime")
        path = lines(
            {"image": f"../{outside.name}", "prompt": "?"}, {"image": str(outside), "prompt": "?"}
        )
        assert [image_of(p) for p in read_probes(path)] == [(0, 255, 0)] * 2

    def test_several_images_in_their_order(self, lines: Lines) -> None:
        both, turned, one = read_probes(
            lines(
                {"image": ["b.png", "a.png"], "prompt": "?"},
                {"image": ["a.png", "b.png"], "prompt": "?"},
                {"image": ["a.png"], "prompt": "?"},
            )
        )
        assert [i.name for i in both.images] == ["b.png", "a.png"]
        assert both.image == both.images[0]
        assert [p.id for p in (both, turned, one)] == ["b", "a", "a-2"]
        assert len({both.cluster, turned.cluster, one.cluster}) == 3
        assert one.images == (one.image,)
        assert one.cluster == one.images[0].digest(), "a list of one is no other probe"

    def test_images_are_not_kept(self, lines: Lines) -> None:
        for probe in read_probes(lines({"image": "a.png", "prompt": "?"})):
            assert probe.image is not None
            assert probe.image.data is None

    @pytest.mark.parametrize("content", ["", "\n \n\t\n", "\ufeff", "\ufeff\n"])
    def test_empty(self, lines: Lines, content: str) -> None:
        path = lines()
        path.write_text(content)
        message = refusal(path)
        assert repr(str(path)) in message
        assert "holds no probes: the file is empty" in message
        assert '{"image": "photo.jpg"' in message

    @pytest.mark.parametrize("name", ["probes.json", "photo.png", "probes"])
    def test_another_kind_of_file(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("{}")
        message = refusal(tmp_path / name)
        assert f"{name}': it is neither a folder of images nor a probe file" in message

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ('{"image": "a.png", }', "column 20: not valid JSON: "),
            ("{'image': 1}", "column 2: not valid JSON: "),
            ('{"image":', "not valid JSON: Expecting value. Each line must be one whole JSON"),
            ('{"prompt": "a\x1b"}', "column 14: not valid JSON: Invalid control character"),
            ('["a.png"]', "must be a JSON object, not a list (['a.png'])"),
            ('"a.png"', "must be a JSON object, not text ('a.png')"),
            ("null", "must be a JSON object, not null (None)"),
            ('{"image": "a.png", "image": "b.png"}', "the key 'image' occurs twice"),
            ('{"labels": {"x": NaN}}', "NaN is not JSON"),
            ('{"prompt": "\\ud83d"}', "'\\ud83d' is half a surrogate pair"),
            ('{"labels": ' + "[" * 100_000, "cannot be read as JSON"),
            ('{"labels": {"n": ' + "1" * 5000 + "}}", "cannot be read as JSON"),
        ],
    )
    def test_not_json(self, lines: Lines, text: str, says: str) -> None:
        message = refusal(lines({"image": "a.png", "prompt": "?"}, text))
        assert "probes.jsonl', line 2" in message
        assert says in message
        assert len(message) < 600

    @pytest.mark.parametrize(
        ("row", "says"),
        [
            ({"prompt": "?"}, "the key 'image' is missing"),
            ({"image": "a.png"}, "the key 'prompt' is missing"),
            ({"image": None, "prompt": "?"}, "'image' must be text, not null"),
            ({"image": 3, "prompt": "?"}, "'image' must be text, not a number (3)"),
            ({"image": " ", "prompt": "?"}, "'image' is blank (' ')"),
            ({"image": [], "prompt": "?"}, "'image' is an empty list"),
            ({"image": ["a.png", 3], "prompt": "?"}, "'image' must be text, not a number (3)"),
            ({"image": ["a.png", ""], "prompt": "?"}, "'image' is blank ('')"),
            ({"image": ["a.png", "gone.png"], "prompt": "?"}, "there is no image 'gone.png'"),
            ({"image": "a.png", "prompt": ["?"]}, "'prompt' must be text, not a list (['?'])"),
            ({"image": "a.png", "prompt": None}, "'prompt' must be text, not null (None). Fill it"),
            ({"image": "a.png", "prompt": "\n"}, "'prompt' is blank ('\\n'). Fill it in"),
            ({"answer": 2}, "'answer' must be text, not a number (2). Write it as \"2\"."),
            ({"answer": True}, "'answer' must be text, not true or false (True)"),
            ({"answer": ""}, "'answer' is blank (''). Leave the key out."),
            ({"id": 7}, "'id' must be text, not a number (7). Write it as \"7\"."),
            ({"id": "a\nb"}, "'id' holds the control character '\\n' ('a\\nb')"),
            ({"id": "a\u202eb"}, "'id' holds the control character '\\u202e'"),
            ({"cluster": "\x1b[1m"}, "'cluster' holds the control character '\\x1b'"),
            ({"cluster": 1.5}, "'cluster' must be text, not a number (1.5)"),
            ({"labels": "color"}, "'labels' must be an object, not text ('color')"),
            ({"labels": []}, "'labels' must be an object, not a list ([])"),
            ({"labels": {"expected": 1}}, "'expected' of 'labels' must be text that is not blank"),
            ({"labels": {"grounded": "dog"}}, "'grounded' of 'labels' must be a list of words"),
            ({"labels": {"hallucinated": [1]}}, "'hallucinated[0]' of 'labels' must be text"),
            (
                {"labels": {"grounded": ["dog"], "hallucinated": ["Dogs"]}},
                "'dog' is under 'grounded' and 'Dogs' under 'hallucinated'",
            ),
            (
                {"labels": {"undecided_is_right": "false"}},
                "'undecided_is_right' of 'labels' must be true or false, not text",
            ),
            ({"labels": {"spans": [3]}}, "'spans' of 'labels' must be a list of objects"),
            ({"promt": "?"}, "unknown key 'promt'. Did you mean 'prompt'?"),
            ({"Answer": "?"}, "unknown key 'Answer'. Did you mean 'answer'?"),
            ({"question": "?"}, "unknown key 'question'. Did you mean 'prompt'?"),
            ({"xyzzy\n": 1}, "unknown key 'xyzzy\\n'. Put facts of your own under 'labels'."),
            (
                {"x" * 9000: 1},
                "Known keys: image, prompt, answer, labels, cluster, id, turns, background.",
            ),
        ],
    )
    def test_wrong_lines(self, lines: Lines, row: dict[str, Any], says: str) -> None:
        good = {"image": "a.png", "prompt": "?"}
        whole = row if {"image", "prompt"} & set(row) else good | row
        message = refusal(lines(good, "", whole))
        assert "probes.jsonl', line 3: " in message
        assert says in message
        assert len(message) < 600

    @pytest.mark.parametrize(
        ("image", "says"),
        [
            ("gone.png", "there is no image 'gone.png' (looked for '"),
            ("gone\n\x1b[31m.png", "there is no image 'gone\\n\\x1b[31m.png'"),
            ("a\0.png", "there is no image 'a\\x00.png'"),
            ("x" * 5000, "there is no image 'xxx"),
            (".", "the image '.' is a folder. Name one file in it"),
            ("https://example.org/a.png", "'https://example.org/a.png' is a URL"),
            ("file:///a.png", "Nothing is fetched from the network"),
            ("data:image/png;base64,AAAA", "it holds nothing but zero bytes"),
            ("data:image/png,%89PNG", "is not base64"),
            ("probes.jsonl", "image 'probes.jsonl' cannot be decoded: it is not one of JPEG"),
        ],
    )
    def test_images_that_cannot_be_shown(self, lines: Lines, image: str, says: str) -> None:
        message = refusal(lines({"image": "a.png", "prompt": "?"}, {"image": image, "prompt": "?"}))
        assert "probes.jsonl', line 2: " in message
        assert says in message

    def test_broken_jpeg(self, lines: Lines, tmp_path: Path) -> None:
        Image.effect_noise((64, 64), 50).save(tmp_path / "c.jpg")
        whole = (tmp_path / "c.jpg").read_bytes()
        (tmp_path / "c.jpg").write_bytes(whole[: len(whole) // 2])
        message = refusal(lines({"image": "c.jpg", "prompt": "?"}))
        assert "line 1: image 'c.jpg' cannot be decoded: image file is truncated" in message

    def test_duplicate_ids(self, lines: Lines) -> None:
        row = {"image": "a.png", "prompt": "?", "id": "x"}
        message = refusal(lines(row, row | {"id": "y"}, row))
        assert re.search(r"line 3: the id 'x' is taken already, by '.*', line 1\.", message)

    def test_not_utf8(self, lines: Lines) -> None:
        path = lines({"image": "a.png", "prompt": "?"})
        path.write_bytes(path.read_bytes() + '{"prompt": "é"}'.encode("latin-1"))
        message = refusal(path)
        assert (
            "line 2: not UTF-8 (byte 0xe9 at byte 13 of the line). Save the file as UTF-8"
            in message
        )

    def test_utf16(self, lines: Lines) -> None:
        path = lines()
        path.write_text('{"image": "a.png", "prompt": "?"}', encoding="utf-16")
        assert "line 1: not UTF-8 (byte 0xff at byte 1" in refusal(path)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_no_permission(self, lines: Lines) -> None:
        path = lines({"image": "a.png", "prompt": "?"})
        path.chmod(0)
        assert "Permission denied" in refusal(path)


TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
NAME = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
# Labels of these names say what is true, and are held to a form (tests/hallucination).
HELD = ("expected", "grounded", "hallucinated", "spans", "undecided_is_right")
FREE = TEXT.filter(lambda key: key not in HELD)
ROW = st.fixed_dictionaries(
    {"image": st.sampled_from(["a.png", "b.png"]), "prompt": TEXT},
    optional={"answer": TEXT, "cluster": NAME, "labels": st.dictionaries(FREE, JSON, max_size=3)},
)
ONE_FOLDER = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@ONE_FOLDER
@given(rows=st.lists(ROW, min_size=1, max_size=4), ascii=st.booleans())
def test_round_trip(lines: Lines, rows: list[dict[str, Any]], ascii: bool) -> None:
    """What was written as JSON is read as it was, in its order, whatever the text holds."""
    path = lines()
    written = "\n".join(json.dumps(row, ensure_ascii=ascii) for row in rows)
    path.write_bytes(written.encode("utf-8"))
    probes = read_probes(path)
    assert len({p.id for p in probes}) == len(probes)
    for row, probe in zip(rows, probes, strict=True):
        assert probe.image is not None
        assert probe.image.name == row["image"]
        assert probe.prompt == row["prompt"]
        assert probe.answer == row.get("answer")
        assert probe.labels == row.get("labels", {})
        assert probe.cluster == row.get("cluster", probe.image.digest())


@ONE_FOLDER
@given(data=st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()))
def test_any_file_is_read_or_refused_in_words(lines: Lines, data: bytes) -> None:
    path = lines()
    path.write_bytes(data)
    assert message_if_refused(path).isprintable()


@ONE_FOLDER
@given(data=st.data())
def test_any_damage_to_an_image_is_survived_or_refused_in_words(
    tmp_path: Path, data: st.DataObject
) -> None:
    suffix = data.draw(st.sampled_from(["png", "jpg", "gif", "bmp", "webp", "tiff"]))
    path = picture(tmp_path / suffix / f"x.{suffix}")
    damaged = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=6)):
        damaged[position] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    assert message_if_refused(path.parent).isprintable()
