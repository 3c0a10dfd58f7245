"""What becomes of image files: which are read, what is shown of them, and what is said about the rest."""

from __future__ import annotations

import base64
import io
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.decoding import readable_formats
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.readers import read_probes
from tests.probes.files import as_lines, pictures, refusal


def png(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image's encoded bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def notes(probes: Any) -> list[str]:
    """What reading said, with what it is about."""
    return [f"{note.about}: {note.text}" for note in probes.notes]


def logo() -> Image.Image:
    """A black disc-like square in the middle of nothing, whose hidden colour is black too."""
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (2, 2, 6, 6))
    return image


class TestFolder:
    @pytest.mark.parametrize("suffix", ["jfif", "jpe", "JFIF", "jp2", "ppm", "mpo", "apng"])
    def test_what_pillow_registers_is_read(self, tmp_path: Path, suffix: str) -> None:
        kinds = {"jfif": "JPEG", "jpe": "JPEG", "mpo": "JPEG", "apng": "PNG"}
        path = tmp_path / f"x.{suffix}"
        Image.new("RGB", (8, 6), "red").save(path, kinds.get(suffix.lower()))
        (probe,) = read_probes(tmp_path)
        assert probe.image is not None
        red, green, blue = np.asarray(probe.image.open())[0, 0]
        assert red > 200
        assert max(green, blue) < 60

    @pytest.mark.parametrize("suffix", ["dib", "psd", "eps", "svg"])
    def test_formats_that_are_not_ours_are_left_out_by_name(
        self, tmp_path: Path, suffix: str
    ) -> None:
        (tmp_path / f"x.{suffix}").write_bytes(b"x")
        assert "it holds 1 images that cannot be read here" in refusal(tmp_path)
        pictures(tmp_path, "a.png")
        assert f"(.{suffix}): 1 file: 'x.{suffix}'" in notes(read_probes(tmp_path))[0]

    @pytest.mark.skipif("AVIF" not in readable_formats(), reason="this Pillow reads no AVIF")
    def test_avif_is_read(self, tmp_path: Path) -> None:
        Image.new("RGB", (16, 16), "red").save(tmp_path / "x.avif")
        assert [p.id for p in read_probes(tmp_path)] == ["x"]

    def test_heic_is_read_with_the_extra(self, tmp_path: Path) -> None:
        heif = pytest.importorskip("pillow_heif")
        heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(tmp_path / "x.heic", quality=95)
        probes = read_probes(tmp_path)
        assert probes[0].image is not None
        assert probes[0].image.open().getpixel((9, 9))[0] > 200  # type: ignore[index]
        assert notes(probes) == []

    def test_heic_without_the_extra_is_counted_named_and_the_remedy_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _forget_heif(monkeypatch)
        pictures(tmp_path, "a.png", "b.jfif")
        for name in ("z.heic", "y.HEIC", "x.heif", "w.heic"):
            (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
        probes = read_probes(tmp_path)
        assert [p.id for p in probes] == ["a", "b"]
        assert notes(probes) == [
            "images: left out: images that cannot be read here (.heic, .heif; "
            'pip install "lvlm-audit[heif]" reads HEIC files): 4 files, first: '
            "'w.heic', 'x.heif', 'y.HEIC'"
        ]
        for name in ("a.png", "b.jfif"):
            (tmp_path / name).unlink()
        message = refusal(tmp_path)
        assert "it holds 4 images that cannot be read here" in message
        assert "lvlm-audit[heif]" in message

    def test_a_line_that_names_heic_is_told_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _forget_heif(monkeypatch)
        (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
        message = refusal(as_lines(tmp_path / "p.jsonl", [{"image": "a.heic", "prompt": "?"}]))
        assert "it is a HEIC file" in message
        assert "lvlm-audit[heif]" in message

    def test_other_files_subfolders_and_links_are_said(self, tmp_path: Path) -> None:
        pictures(tmp_path, "a.png", "cats/b.png", "cats/c.png")
        for name in ("notes.txt", "list.json", "clip.mp4", "raw.dng", "\x1b[31m.txt"):
            (tmp_path / name).write_text("x")
        (tmp_path / "more").symlink_to(tmp_path / "cats")
        probes = read_probes(tmp_path)
        assert [p.id for p in probes] == ["a", "cats/b", "cats/c"]
        assert notes(probes) == [
            "probes: left out: links are not followed: 1 folder: 'more'",
            "probes: subfolders are read as well: 1 folder: 'cats'",
            "images: left out: images that cannot be read here (.dng): 1 file: 'raw.dng'",
            "probes: left out: not named like an image: 4 files, first: "
            "'\\x1b[31m.txt', 'clip.mp4', 'list.json'",
        ]


def _forget_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without pillow-heif."""
    Image.init()
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "OPEN", {k: v for k, v in Image.OPEN.items() if k != "HEIF"})
    kept = {end: kind for end, kind in Image.EXTENSION.items() if kind != "HEIF"}
    monkeypatch.setattr(Image, "EXTENSION", kept)


class TestTransparency:
    def test_it_is_dropped_as_transformers_drops_it_and_noted(self, tmp_path: Path) -> None:
        from transformers.image_utils import load_image

        logo().save(tmp_path / "logo.png")
        Image.new("RGBA", (4, 4), (1, 2, 3, 255)).save(tmp_path / "opaque.png")
        probes = read_probes(tmp_path)
        for probe in probes:
            assert probe.image is not None
            loaded = load_image(str(probe.image.path))
            assert np.array_equal(np.asarray(probe.image.open()), np.asarray(loaded))
        (note,) = notes(probes)
        assert note.startswith("images: transparency dropped")
        assert note.endswith(": 1 image: 'logo.png'")

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_white_on_request(self, tmp_path: Path, mode: str) -> None:
        if mode == "P":
            image = Image.new("P", (8, 8), 0)
            image.putpalette([0, 0, 0, 0, 0, 0])
            image.paste(1, (2, 2, 6, 6))
            image.save(tmp_path / "logo.png", transparency=0)
        else:
            logo().convert(mode).save(tmp_path / "logo.png")
        rows = [
            {"image": "logo.png", "prompt": "?"},
            {"image": "logo.png", "prompt": "?", "background": "white"},
        ]
        probes = read_probes(as_lines(tmp_path / "p.jsonl", rows))
        plain, white = (np.asarray(p.image.open()) for p in probes if p.image is not None)
        assert plain.max() == 0
        assert white[0, 0].tolist() == [255, 255, 255]
        assert white[4, 4].tolist() == [0, 0, 0]
        assert probes[0].cluster == probes[1].cluster
        assert len(notes(probes)) == 1
        assert notes(read_probes(as_lines(tmp_path / "p.jsonl", rows[1:]))) == []

    def test_the_thumbnail_shows_what_is_fed(self) -> None:
        from lvlm_audit.audit.readings import _thumbnail

        for background, corner in ((None, 0), ("white", 255)):
            source = ImageSource("l", data=png(logo().resize((64, 64))), background=background)  # type: ignore[arg-type]
            uri = _thumbnail(source)
            shown = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
            assert abs(shown.getpixel((0, 0))[0] - corner) < 12  # type: ignore[index]

    def test_another_background_is_refused(self, tmp_path: Path) -> None:
        row = {"image": "a.png", "prompt": "?", "background": "pink"}
        pictures(tmp_path, "a.png")
        message = refusal(as_lines(tmp_path / "p.jsonl", [row]))
        assert "'background' must be \"white\", not text ('pink')" in message


class TestShown:
    """What is fed equals what transformers' own loader makes of the same file."""

    @pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "RGB", "RGBA", "LA"])
    def test_modes(self, tmp_path: Path, mode: str) -> None:
        from transformers.image_utils import load_image

        noise = Image.effect_noise((16, 12), 90).convert("RGB")
        kind = "jpg" if mode in ("CMYK", "YCbCr") else "png"
        noise.convert(mode).save(tmp_path / f"x.{kind}")
        (probe,) = read_probes(tmp_path)
        assert probe.image is not None
        loaded = np.asarray(load_image(str(probe.image.path)))
        assert np.array_equal(np.asarray(probe.image.open()), loaded)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation_is_applied(self, tmp_path: Path, orientation: int) -> None:
        from transformers.image_utils import load_image

        image = Image.new("RGB", (32, 16), "red")
        image.paste("blue", (0, 0, 8, 8))
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / "x.jpg", exif=exif, quality=95)
        (probe,) = read_probes(tmp_path)
        assert probe.image is not None
        shown = probe.image.open()
        assert shown.size == ((16, 32) if orientation > 4 else (32, 16))
        assert np.array_equal(np.asarray(shown), np.asarray(load_image(str(probe.image.path))))

    @pytest.mark.parametrize("kind", ["gif", "tiff", "png", "webp"])
    def test_the_first_of_several_frames_and_it_is_said(self, tmp_path: Path, kind: str) -> None:
        later = [Image.new("RGB", (8, 6), "blue")]
        Image.new("RGB", (8, 6), "red").save(
            tmp_path / f"x.{kind}", save_all=True, append_images=later
        )
        probes = read_probes(tmp_path)
        assert probes[0].image is not None
        assert np.asarray(probes[0].image.open())[0, 0, 0] > 200
        assert notes(probes) == [f"images: only the first frame is shown: 1 image: 'x.{kind}'"]


class TestCauses:
    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"", "the file is empty (0 bytes)"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
            (b"\0" * 100, "nothing but zero bytes"),
            (b"<!DOCTYPE html><html>", "it is a web page"),
            (b"<?xml version='1.0'?><svg/>", "it is an SVG drawing"),
            (b"%PDF-1.7", "it is a PDF document"),
            (b"\0\0\0\x18ftypmp42", "it is a video"),
        ],
    )
    def test_what_the_file_is(self, tmp_path: Path, data: bytes, says: str) -> None:
        (tmp_path / "x.png").write_bytes(data)
        message = refusal(tmp_path)
        assert "'x.png'" in message
        assert says in message

    def test_all_broken_images_are_named_at_once(self, tmp_path: Path) -> None:
        pictures(tmp_path, "a.png")
        (tmp_path / "b.png").write_bytes(b"")
        (tmp_path / "c.png").write_text("version https://git-lfs.github.com/spec/v1\n")
        rows = [{"image": f"{n}.png", "prompt": "?"} for n in "abcb"]
        message = refusal(as_lines(tmp_path / "p.jsonl", rows))
        assert "has 2 problems: (1) line 2: image 'b.png'" in message
        assert "(2) line 3: image 'c.png'" in message

    def test_backslashes_are_read_or_named(self, tmp_path: Path) -> None:
        pictures(tmp_path, "in/a.png")
        path = as_lines(tmp_path / "p.jsonl", [{"image": "in\\a.png", "prompt": "?"}])
        probes = read_probes(path)
        assert probes[0].id == "a"
        assert notes(probes) == [
            "images: backslashes in paths were read as /: 1 path: 'in\\\\a.png'"
        ]
        (tmp_path / "in" / "a.png").unlink()
        assert "folders are parted by /, not by backslashes" in refusal(path)

    def test_data_uris_and_bare_base64_are_decoded(self, tmp_path: Path) -> None:
        data = [png(Image.new("RGB", (9, 9), color)) for color in ("red", "blue")]
        texts = [base64.b64encode(one).decode() for one in data]
        rows = [
            {"image": f"data:image/png;base64,{texts[0]}", "prompt": "?"},
            {"image": [texts[1], f"DATA:image/png;BASE64,{texts[0]}"], "prompt": "?"},
        ]
        first, second = read_probes(as_lines(tmp_path / "p.jsonl", rows))
        assert [i.read() for p in (first, second) for i in p.images] == [data[0], data[1], data[0]]
        assert first.cluster != second.cluster
        assert (first.id, second.id) == ("image", "image-2")

    def test_a_data_uri_that_was_cut_is_refused(self, tmp_path: Path) -> None:
        uri = "data:image/png;base64,iVBORw0KGgoAAA"
        message = refusal(as_lines(tmp_path / "p.jsonl", [{"image": uri, "prompt": "?"}]))
        assert "is not valid base64" in message
        assert "Was it cut off?" in message


class TestBounds:
    def test_a_sparse_image_of_200_gib(self, tmp_path: Path) -> None:
        with (tmp_path / "x.png").open("wb") as file:
            file.truncate(200 << 30)
        message = refusal(tmp_path)
        assert "it has 200 GiB, and at most 512 MiB are read" in message

    @pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
    def test_what_is_no_file_is_never_waited_for(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "x.png"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path = Path("/dev/zero")
        else:
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        # As a probe made by hand has it: nobody looked at the path before.
        with pytest.raises(ProbeError, match="not a regular file|No such device"):
            ImageSource("x", path=path).open()
        row = {"image": str(path), "prompt": "?"}
        assert "is not a regular file" in refusal(as_lines(tmp_path / "p.jsonl", [row]))

    @pytest.mark.parametrize("kind", ["png", "gif", "tiff"])
    def test_a_picture_that_unpacks_to_gigabytes(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / f"bomb.{kind}"
        Image.new("1", (9_500, 9_500)).save(path)
        assert path.stat().st_size < 12 << 20
        assert "decompression bomb" in refusal(tmp_path)
