"""Patches, and what augmentation and oversampling make of them."""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from histoclf import make_patches

RNG = np.random.default_rng(0)


def patches(n_patients=6, patches_per_patient=10, image_size=64, seed=0):
    return make_patches(
        n_patients=n_patients,
        patches_per_patient=patches_per_patient,
        image_size=image_size,
        random_state=seed,
    )


def warp(image, degrees=0.0, zoom=1.0, shift=(0.0, 0.0), shear=0.0):
    """Turn, enlarge, shift (as a share of the side) and shear an image, mirrored beyond its border."""
    turn, centre = np.deg2rad(degrees), (np.array(image.shape[:2]) - 1) / 2
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = matrix @ np.array([[1, shear], [0, 1]]) / zoom
    offset = centre + np.array(shift) * image.shape[:2] - matrix @ centre
    planes = [
        ndimage.affine_transform(plane.astype(float), matrix, offset, order=1, mode="mirror")
        for plane in np.moveaxis(image, 2, 0)
    ]
    return np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)


def resize(image, size):
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def jpeg(image, quality=50):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def crop(image, share=0.1):
    height, width = image.shape[:2]
    inner = image[int(height * share) :, int(width * share) :]
    return resize(inner, width)


def light(image):
    return (image * 0.8 + 20).clip(0, 255).astype(np.uint8)


def stain(image):
    """More haematoxylin and less eosin, in optical density."""
    stains = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    amounts = -np.log((image.astype(float) + 1) / 256) @ np.linalg.inv(stains)
    return (256 * np.exp(-(amounts * [1.2, 0.85, 1]) @ stains) - 1).clip(0, 255).astype(np.uint8)


CHANGES = {
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned": lambda image: np.rot90(image),
    "turned and mirrored": lambda image: np.rot90(image)[::-1],
    "rotated": lambda image: warp(image, degrees=7),
    "rotated a lot": lambda image: warp(image, degrees=-25),
    "shifted": lambda image: warp(image, shift=(0.15, -0.1)),
    "enlarged": lambda image: warp(image, zoom=1.15),
    "sheared": lambda image: warp(image, shear=0.1),
    "cropped": crop,
    "compressed": jpeg,
    "resized": lambda image: resize(resize(image, 40), len(image)),
    "lit": light,
    "stained": stain,
    "all at once": lambda image: jpeg(
        stain(light(warp(np.rot90(image)[::-1], 6, 1.05, (0.05, 0.05), 0.04))), 75
    ),
}
