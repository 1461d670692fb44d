"""The decoder: every kind of file to RGB, and a reason for every file it cannot read."""

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from histoclf.exceptions import ImageReadError
from histoclf.io import _decode
from histoclf.io._decode import decode_image, encode_png, encode_webp, probe_size, resize_image


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tiff", "a.bmp", "A.PNG"])
def test_lossless_formats_are_read_exactly(tmp_path, picture, name):
    Image.fromarray(picture).save(tmp_path / name)
    image = decode_image(tmp_path / name)
    np.testing.assert_array_equal(image, picture)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    assert probe_size(tmp_path / name) == (4, 6)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_formats_are_read_closely(tmp_path, name):
    flat = np.full((16, 24, 3), (200, 120, 160), dtype=np.uint8)
    Image.fromarray(flat).save(tmp_path / name)
    image = decode_image(str(tmp_path / name))
    assert image.shape == (16, 24, 3)
    assert np.abs(image.astype(int) - flat).max() <= 4


def test_content_counts_not_the_extension(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(decode_image(tmp_path / "a.jpg"), picture)


def test_grayscale_and_bilevel_get_three_equal_channels(tmp_path, picture):
    gray = picture[..., 0]
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray > 127).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(decode_image(tmp_path / "gray.png"), np.repeat(gray[..., None], 3, axis=2))
    np.testing.assert_array_equal(decode_image(tmp_path / "bits.png")[..., 1], np.where(gray > 127, 255, 0))


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, name):
    deep = np.array([[0, 257, 300, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / name)
    np.testing.assert_array_equal(decode_image(tmp_path / name)[..., 0], [[0, 1, 1, 128, 255]])


def test_pixels_without_an_agreed_white_are_refused(tmp_path):
    Image.fromarray(np.array([[0.5, 2.5]], dtype=np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.array([[-1, 70000]], dtype=np.int32)).save(tmp_path / "int.tif")
    for name in ("float.tif", "int.tif"):
        with pytest.raises(ImageReadError, match="no agreed white; save it as 8-bit RGB"):
            decode_image(tmp_path / name)


def test_alpha_is_laid_over_white(tmp_path):
    rgba = np.array([[[200, 0, 100, 255], [200, 0, 100, 0], [0, 0, 0, 128]]], dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    image = decode_image(tmp_path / "alpha.png")
    np.testing.assert_array_equal(image[0, :2], [[200, 0, 100], [255, 255, 255]])
    assert abs(int(image[0, 2, 0]) - 127) <= 1


def test_gray_with_alpha_is_laid_over_white(tmp_path):
    Image.fromarray(np.array([[[10, 255], [10, 0]]], dtype=np.uint8), mode=None).save(tmp_path / "la.png")
    np.testing.assert_array_equal(decode_image(tmp_path / "la.png")[..., 0], [[10, 255]])


def test_palettes_with_and_without_transparency(tmp_path, picture):
    indexed = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("P")
    indexed.putpalette([255, 0, 0, 0, 255, 0])
    indexed.save(tmp_path / "palette.png")
    indexed.save(tmp_path / "clear.png", transparency=1)
    indexed.save(tmp_path / "partly.png", transparency=bytes([255, 0]))
    np.testing.assert_array_equal(decode_image(tmp_path / "palette.png")[0], [[255, 0, 0], [0, 255, 0]])
    for name in ("clear.png", "partly.png"):
        np.testing.assert_array_equal(decode_image(tmp_path / name)[0], [[255, 0, 0], [255, 255, 255]])


@pytest.mark.parametrize("name", ["cmyk.tif", "cmyk.jpg"])
def test_cmyk_becomes_rgb(tmp_path, name):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / name)
    assert np.abs(decode_image(tmp_path / name).astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("name", ["turned.jpg", "turned.png", "turned.webp", "turned.tif"])
@pytest.mark.parametrize(("orientation", "upright"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_rotation_is_applied(tmp_path, name, orientation, upright):
    image = np.zeros((16, 32, 3), dtype=np.uint8)
    image[:8, :8] = 255  # a white corner shows what went where
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(tmp_path / name, exif=exif)
    expected = np.rot90(image, upright)
    decoded = decode_image(tmp_path / name)
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).mean() < 10
    assert probe_size(tmp_path / name) == expected.shape[:2]


def test_the_first_page_of_a_tiff_is_read(tmp_path, picture):
    Image.fromarray(picture).save(
        tmp_path / "pages.tif", save_all=True, append_images=[Image.new("RGB", (9, 9))]
    )
    np.testing.assert_array_equal(decode_image(tmp_path / "pages.tif"), picture)


def test_each_bad_file_is_given_its_reason(bad_files):
    for path, reason in bad_files.items():
        with pytest.raises(ImageReadError) as caught:
            decode_image(path)
        assert path in str(caught.value)
        assert reason in str(caught.value)
        assert list(caught.value.failures) == [path]
        assert reason in caught.value.failures[path]


def test_an_image_error_is_what_callers_already_catch(bad_files):
    path = next(iter(bad_files))
    with pytest.raises(ValueError, match="damaged"):
        decode_image(path)
    with pytest.raises(OSError, match="damaged"):
        decode_image(path)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_600, 50_000])  # where Pillow warns only, and where it raises
@pytest.mark.parametrize("action", ["error", "ignore"])
@pytest.mark.parametrize("read", [decode_image, probe_size])
def test_decompression_bombs_are_refused_unread(tmp_path, side, action, read):
    (tmp_path / "bomb.png").write_bytes(bomb(side, side))
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(ImageReadError, match=r"a whole slide .* or a decompression bomb"):
            read(tmp_path / "bomb.png")


def test_the_bomb_limit_is_ours_when_pillows_is_off(tmp_path, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(bomb(10_000, 10_000))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageReadError, match="more than 89,478,485 pixels"):
        decode_image(tmp_path / "bomb.png")


def test_decoding_in_threads_gives_the_same(tmp_path, picture):
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for number, path in enumerate(paths):
        encode_png(np.roll(picture, number, axis=0), path)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(decode_image, paths * 5))
    for number, image in enumerate(images):
        np.testing.assert_array_equal(image, np.roll(picture, number % 8, axis=0))


def test_the_header_is_read_without_the_pixels(bad_files):
    cut = next(path for path in bad_files if path.endswith("truncated.png"))
    assert probe_size(cut) == (64, 64)


# --- resizing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_resizing_keeps_dtype_and_channels(dtype, channels):
    image = (np.random.RandomState(0).random_sample((10, 8, channels)) * 200).astype(dtype)
    before = image.copy()
    resized = resize_image(image, (5, 6))
    assert resized.shape == (5, 6, channels)
    assert resized.dtype == dtype
    np.testing.assert_array_equal(image, before)
    one_by_one = [resize_image(image[..., c : c + 1], (5, 6))[..., 0] for c in range(channels)]
    np.testing.assert_array_equal(resized, np.stack(one_by_one, axis=-1))


def test_the_same_size_is_no_work():
    image = np.zeros((5, 5, 3), dtype=np.uint8)
    assert resize_image(image, (5, 5)) is image


def test_shrinking_averages():
    stripes = np.zeros((64, 64, 1), dtype=np.float32)
    stripes[:, ::2] = 1  # without antialiasing, shrinking would pick black or white stripes
    np.testing.assert_allclose(resize_image(stripes, (8, 8))[2:-2, 2:-2], 0.5, atol=0.02)


def test_resizing_float_keeps_the_range():
    image = np.linspace(-3, 1000, 16, dtype=np.float32).reshape(4, 4, 1)
    resized = resize_image(image, (8, 8))
    assert resized.min() >= -3
    assert resized.max() <= 1000
    assert np.ptp(resized) > 900


def test_resizing_refuses_other_dtypes():
    with pytest.raises(TypeError, match="takes uint8 or float32 images, got float64"):
        resize_image(np.zeros((4, 4, 3)), (2, 2))


# --- writing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 6, 3), (4, 6)])
def test_what_is_written_is_read_back(tmp_path, shape):
    image = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    encode_png(image[:, ::-1], tmp_path / "a.png")
    expected = image[:, ::-1] if image.ndim == 3 else np.repeat(image[:, ::-1, None], 3, axis=2)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png"), expected)


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, picture, monkeypatch):
    encode_png(picture, tmp_path / "a.png")

    def full_disk(self, file, **kwargs):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(_decode.Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        encode_png(picture, tmp_path / "a.png")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png"), picture)


def test_only_uint8_is_written(tmp_path):
    with pytest.raises(TypeError, match=r"takes uint8 images \(0-255\), got float64"):
        encode_png(np.zeros((4, 4, 3)), tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "P", "I;16", "CMYK"])
def test_a_size_gives_what_resizing_afterwards_gives(mode, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    gray = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    image = gray if mode == gray.mode else Image.fromarray(noise).convert(mode)
    image.save(tmp_path / "a.tif")
    for size in [(20, 15), (40, 30), (50, 60)]:
        expected = resize_image(decode_image(tmp_path / "a.tif"), size)
        np.testing.assert_array_equal(decode_image(tmp_path / "a.tif", size), expected)


@pytest.mark.real_data
def test_real_files_of_every_format_are_read(real_data):
    expected = {
        "idc_breast": (50, 50),
        "oral_originals": (224, 224),
        "kather_texture_sample24": (150, 150),
        "crc_val_he_sample70": (224, 224),
        "osteosarcoma_sample": (1024, 1024),
    }
    for folder, size in expected.items():
        path = sorted((real_data / folder).rglob("*.*"))[0]
        image = decode_image(path)
        assert image.shape == (*size, 3)
        assert probe_size(path) == size
        assert image.std() > 0


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30)])
def test_webp_in_memory_is_small_and_looks_the_same(shape, tmp_path):
    image = np.full(shape, 120, dtype=np.uint8)
    data = encode_webp(image)
    assert len(data) < 200
    (tmp_path / "a.webp").write_bytes(data)
    np.testing.assert_allclose(decode_image(tmp_path / "a.webp"), np.full((20, 30, 3), 120), atol=3)


def test_webp_of_floats_is_refused():
    with pytest.raises(TypeError, match="encode_webp takes uint8 images"):
        encode_webp(np.zeros((2, 2, 3)))
