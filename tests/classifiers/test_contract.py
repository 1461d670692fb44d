"""Units of pixels: recognised once, held to afterwards."""

import numpy as np
import pytest

from histoclf.classifiers._contract import learn_images, learn_table
from histoclf.exceptions import InputContractError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype("uint8")
PIXELS[:, 0, 0], PIXELS[:, 0, 1] = 0, 255
F = PIXELS.astype("float32")

IN_UNITS = {
    "uint8": (PIXELS, "0-255"),
    "int64": (PIXELS.astype(int), "0-255"),
    "0-255": (F, "0-255"),
    "0-1": (F / 255, "0-1"),
    "0-1 in double": (PIXELS / 255.0, "0-1"),
    "-1-1": (F / 127.5 - 1, "-1-1"),
    "standardized": ((F - F.mean((0, 1, 2))) / F.std((0, 1, 2)), "standardized"),
}


@pytest.mark.parametrize("name", IN_UNITS)
def test_units_are_recognised_and_give_the_same_pixels_back(name):
    images, units = IN_UNITS[name]
    before = images.copy()
    contract = learn_images(images)
    pixels = contract.to_pixels(images)
    assert contract.units == units
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, PIXELS)
    np.testing.assert_array_equal(images, before)


def test_8_bit_pixels_are_not_copied():
    assert learn_images(PIXELS).to_pixels(PIXELS) is PIXELS


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_fractions_of_grey_levels_are_kept(scale):
    images = np.random.default_rng(0).uniform(0.01, 0.99, (4, 8, 8, 3)).astype("float32") * 255 / scale
    contract = learn_images(images)
    assert contract.pixel_dtype == "float32"
    np.testing.assert_allclose(contract.to_pixels(images), images * scale, rtol=1e-5)


@pytest.mark.parametrize(
    "images",
    [F / 255 / 255, F / 255 / 127.5 - 1],
    ids=["divided twice", "divided, then brought to -1-1"],
)
def test_pixels_scaled_twice_are_refused(images):
    with pytest.raises(InputContractError, match=r"scaled twice.*delete one of the two lines"):
        learn_images(images)


def test_divided_and_cast_back_to_integers_is_refused():
    with pytest.raises(InputContractError, match="divided by 255 and cast back to integers"):
        learn_images((PIXELS / 255).astype("uint8"))


def test_16_bit_is_refused_with_the_divisor():
    with pytest.raises(InputContractError, match="divided by 257 first"):
        learn_images(PIXELS.astype("uint16") * 257)


def test_a_mixed_bag_is_refused_with_its_rows():
    mixed = F.copy()
    mixed[[1, 4]] /= 255
    with pytest.raises(InputContractError, match=r"mixed bag: 2 images are in 0-1 \(rows \[1, 4\]\)"):
        learn_images(mixed)


def test_images_without_fractions_are_no_mixed_bag():
    """All but black, but whole: a dark patch, not a scaled one."""
    dark = F.copy()
    dark[1] = np.minimum(dark[1], 1)
    assert learn_images(dark).units == "0-255"


@pytest.mark.parametrize("fitted", ["0-255", "0-1", "-1-1"])
@pytest.mark.parametrize("given", ["0-255", "0-1", "-1-1"])
def test_other_units_than_fit_saw_are_refused(fitted, given):
    contract = learn_images(IN_UNITS[fitted][0])
    if fitted == given:
        contract.check(IN_UNITS[given][0])
        return
    with pytest.raises(InputContractError, match=rf"\({given}\), but fit saw {fitted}\..*delete the line"):
        contract.check(IN_UNITS[given][0])


def test_predicting_on_pixels_divided_twice_says_so():
    with pytest.raises(InputContractError, match="0-255 divided by 255 twice"):
        learn_images(IN_UNITS["0-1"][0]).check(F / 255 / 255)


@pytest.mark.parametrize("fitted", ["uint8", "0-255", "0-1", "-1-1"])
@pytest.mark.parametrize("value", [0, 1, 128, 255], ids=["black", "nearly black", "gray", "white"])
def test_a_single_even_patch_is_accepted_in_the_units_of_fit(fitted, value):
    images, _ = IN_UNITS[fitted]
    patch = np.full((1, 8, 8, 3), value, dtype=PIXELS.dtype)
    in_units = {"0-255": patch * 1.0, "0-1": patch / 255.0, "-1-1": patch / 127.5 - 1}
    contract = learn_images(images)
    given = patch if fitted == "uint8" else in_units[fitted]
    contract.check(given)
    np.testing.assert_array_equal(contract.to_pixels(given), patch)


def test_columns_of_a_table_are_stretched_each_by_itself():
    table = np.array([[0.0, -5.0, 7.0], [1.0, 5.0, 7.0]])[:, None, :, None]
    pixels = learn_table(table).to_pixels(table)
    np.testing.assert_allclose(pixels[:, 0, :, 0], [[0, 0, 0], [255, 255, 0]], atol=1e-3)


def test_a_table_is_not_held_to_a_range():
    table = np.zeros((2, 1, 3, 1))
    learn_table(table).check(table + 1000)
