import math

import numpy as np
import pytest
from PIL import Image

from histoclf.exceptions import ImageReadError
from histoclf.io import read_file_facts

PICTURE = Image.fromarray(np.random.default_rng(0).integers(256, size=(40, 50, 3), dtype=np.uint8))


@pytest.mark.parametrize("quality", [10, 50, 75, 95, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality, tmp_path):
    PICTURE.save(tmp_path / "a.jpg", quality=quality)
    assert read_file_facts([tmp_path / "a.jpg"]).jpeg_quality.tolist() == [quality]


def test_format_size_and_bytes_are_those_of_the_file(tmp_path):
    PICTURE.save(tmp_path / "a.png")
    PICTURE.convert("L").save(tmp_path / "b.tif", compression="tiff_lzw")
    PICTURE.save(tmp_path / "c.png", format="JPEG")  # the content counts, not the name
    paths = [tmp_path / name for name in ("a.png", "b.tif", "c.png", "a.png")]
    facts = read_file_facts(paths)
    assert facts.format.tolist() == ["PNG", "TIFF", "JPEG", "PNG"]
    assert (facts.height.tolist(), facts.width.tolist()) == ([40] * 4, [50] * 4)
    assert facts.n_bytes.tolist() == [path.stat().st_size for path in paths]
    assert math.isnan(facts.jpeg_quality[0])
    assert facts.encoder[1] == "L, compression=tiff_lzw, dpi"


def test_encoders_differ_where_their_settings_do(tmp_path):
    settings = {"a": {}, "b": {"progressive": True}, "c": {"subsampling": 0}, "d": {"quality": 60}, "e": {}}
    for name, options in settings.items():
        PICTURE.save(tmp_path / f"{name}.jpg", **options)
    encoders = read_file_facts([tmp_path / f"{name}.jpg" for name in settings]).encoder.tolist()
    assert len({*encoders}) == 4
    assert encoders[0] == encoders[4]


def test_all_unreadable_files_are_named(tmp_path):
    PICTURE.save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(ImageReadError, match="Cannot read 2 of 3 image files") as caught:
        read_file_facts([tmp_path / name for name in ("bad.png", "good.png", "missing.png")])
    assert {*caught.value.failures} == {str(tmp_path / "bad.png"), str(tmp_path / "missing.png")}
