"""A frozen backbone that turns images into embeddings: HistoEmbedder and classifier share it."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from histoclf._seeding import draw_seed, make_generator
from histoclf._validation import HasMethods, StrOptions
from histoclf.classifiers._reading import InputFormat, open_training
from histoclf.classifiers._sources import ArraySource, ImageSource, ReadImages, Size
from histoclf.exceptions import InputContractError
from histoclf.io._fingerprint import sortable, unpack_keys
from histoclf.networks._cache import cached_rows
from histoclf.networks._catalogue import (
    CHANNELS,
    ENGINES,
    POOLINGS,
    SMALLEST_SIDE,
    Backbone,
    choose_channels,
    smallest_side,
)
from histoclf.preprocessing._symmetry import flips_and_turns

_FORMAT = 1  # raise it when the same settings come to mean other embeddings: old ones are then left alone
_TWINS = "_weights_in_backbone"  # marks a state whose weights are those of the parameter
_SMALLEST_FLATTENED = 16  # pixels a side; fewer whole numbers may be anything
_LARGEST_AUTO_SIDE = 224  # pixels, of the longer side

CONSTRAINTS: dict[str, list[Any]] = {
    "backbone_params": [dict, None],
    "layers": [None, str, list, tuple],
    "channels": [StrOptions({"auto", *CHANNELS})],
    "pooling": [StrOptions(set(POOLINGS))],
    "memory": [None, str, os.PathLike, HasMethods(["cache"])],
    "engine": [StrOptions(set(ENGINES))],
}

Vary = Callable[[np.ndarray, list[bytes]], np.ndarray]


@dataclass(frozen=True)
class Extractor:
    """A backbone with its weights, and how it is used.

    Attributes
    ----------
    backbone : Backbone
        All but the weights.
    weights : list of ndarray
        Shared by all extractors of this backbone in a process.
    image_format : InputFormat
        Of the images.
    engine : str
        What computes: "keras", "openvino", "openvino-bf16" or "onnxruntime".
    batch_size : int
        Images per forward pass of Keras.
    """

    backbone: Backbone
    weights: list[np.ndarray]
    image_format: InputFormat
    engine: str
    batch_size: int

    def records(
        self,
        source: ImageSource,
        *,
        rows: np.ndarray | None = None,
        flips: bool = False,
        variation: tuple[str, Vary] | None = None,
        memory: Any = None,
        on_error: str = "raise",
        verbose: int = 0,
    ) -> ReadImages:
        """Compute, or look up, what every pooling is made from.

        Parameters
        ----------
        source : ImageSource
            Images.
        rows : ndarray of int, default=None
            Which of them; None is all.
        flips : bool, default=False
            Average over the eight flips and turns.
        variation : (str, callable), default=None
            Name of a change, and what changes images in 0-255 given them and their keys.
        memory : str, path-like, joblib.Memory or None
            Folder of the cache, beside the one in memory.
        on_error : {"raise", "skip"}
            With "raise" the network rests once a file could not be read; the others are only looked through,
            so that the error can name all that are unreadable.
        verbose : int
            1 shows progress.

        Returns
        -------
        records : ReadImages
            `pixels` are of shape (n_kept, 1 or 2, depth), float32; `kept` counts within `rows`.
        """
        keys = source.keys(rows)
        rows = np.arange(len(source)) if rows is None else rows
        unreadable: list[np.ndarray] = []

        def compute(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            read = source.read(rows[positions])
            mask = np.zeros(len(positions), dtype=bool)
            if len(read.kept) < len(positions):
                unreadable.append(keys[np.delete(positions, read.kept)])
            if unreadable and on_error == "raise":
                return np.empty((0, 0, 0), dtype="float32"), mask
            mask[read.kept] = True
            pixels = read.pixels
            if variation is not None:
                pixels = variation[1](pixels, [key or b"" for key in unpack_keys(keys[positions[mask]])])
            return self._run(pixels, flips), mask

        namespace = self._namespace(flips, "" if variation is None else variation[0])
        found, mask = cached_rows(keys, compute, namespace=namespace, memory=memory, verbose=verbose)
        # Of files with the same content one was looked at; each has a name that the user wants to know.
        failures = {}
        if unreadable:
            failures = source.read(rows[_among(keys, np.concatenate(unreadable))]).failures
        return ReadImages(found, np.flatnonzero(mask), failures, keys)

    def depth(self, pooling: str) -> int:
        """Count the numbers of an embedding: of a blank image, which is embedded once like any other."""
        height, width, channels = self.image_format.image_shape
        blank = np.zeros((1, height, width, channels))
        source = ArraySource(blank, self.image_format.contract, (height, width))
        return pool(self.records(source).pixels, pooling).shape[1]

    def spec(self) -> Any:
        """Describe the network from pixels to records."""
        from histoclf.networks._embedding import EmbeddingSpec

        return EmbeddingSpec(self.backbone, self.image_format.image_shape, self._dtype)

    @property
    def _dtype(self) -> str:
        return self.image_format.contract.pixel_dtype

    def _run(self, pixels: np.ndarray, flips: bool) -> np.ndarray:
        from histoclf.networks._embedding import make_runner

        run = make_runner(self.spec(), self.weights, self.engine, self.batch_size)
        if not len(pixels):
            return np.empty((0, 0, 0), dtype="float32")
        if not flips:
            return run(pixels)
        views = flips_and_turns(pixels)
        return np.mean([run(view) for view in views], axis=0)

    def _namespace(self, flips: bool, variation: str) -> str:
        """Name everything that decides an embedding, except for the image itself."""
        from histoclf.networks._embedding import engine_version

        contract = self.image_format.contract
        settings = (
            _FORMAT,
            self.backbone.digest,
            self.backbone.channels,
            self.image_format.image_shape,
            (contract.units, contract.scale.tolist(), contract.offset.tolist(), contract.whole),
            engine_version(self.engine),
            self.batch_size if self.engine == "keras" else 0,
            flips,
            variation,
        )
        return hashlib.blake2b(repr(settings).encode(), digest_size=16).hexdigest()


def _among(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.isin(sortable(keys), sortable(wanted))


def pool(records: np.ndarray, pooling: str) -> np.ndarray:
    """Make embeddings (n, n_features) of records (n, 1 or 2, depth), as `records` computes them."""
    if records.shape[1] == 1 or pooling == "avg":
        return records[:, 0]
    return records[:, 1] if pooling == "max" else records.reshape(len(records), -1)


def open_with_backbone(
    estimator: Any, X: Any, batch_size: int | str
) -> tuple[InputFormat, ImageSource, Extractor | None]:
    """Learn the format of X and find the backbone; a table of numbers needs none.

    Parameters
    ----------
    estimator : HistoEmbedder or HistoTransferClassifier
        Its parameters count.
    X : array-like
        As in `fit`.
    batch_size : int or "auto"
        Images per forward pass of Keras.

    Raises
    ------
    InputContractError
        If X is not images, paths, or a table of embeddings.
    """

    @cache
    def resolved() -> tuple[Backbone, list[np.ndarray]]:
        from histoclf.networks._backbones import resolve_backbone

        seed = draw_seed(make_generator(estimator.random_state)) if estimator.weights is None else 0
        return resolve_backbone(
            estimator.backbone, estimator.backbone_params, estimator.weights, seed, estimator.layers
        )

    image_format, source = open_training(estimator, X, lambda size: _auto_size(size, resolved()[0]))
    if image_format.kind == "table":
        _refuse_flattened(source)
        return image_format, source, None
    from histoclf.networks._embedding import choose_batch_size, choose_engine

    backbone, weights = resolved()
    _check_size(image_format.image_shape[:2], backbone)
    channels = choose_channels(estimator.channels, backbone, image_format.image_shape[2])
    backbone = replace(backbone, channels=channels)
    engine = choose_engine(estimator.engine, backbone)
    n_at_a_time = choose_batch_size(batch_size, backbone)
    return image_format, source, Extractor(backbone, weights, image_format, engine, n_at_a_time)


class BackboneHolder:
    """What `HistoEmbedder` and `HistoTransferClassifier` tell of their backbone, and how they are pickled."""

    backbone: Any
    _extractor: Extractor | None

    @property
    def backbone_(self) -> Backbone | None:
        """What `backbone` was understood to be; None if X held embeddings."""
        check_is_fitted(self)
        return None if self._extractor is None else self._extractor.backbone

    @property
    def engine_(self) -> str | None:
        """What computes embeddings; None if X held them."""
        check_is_fitted(self)
        return None if self._extractor is None else self._extractor.engine

    def __getstate__(self) -> dict[str, Any]:
        return leave_out_twins(super().__getstate__())  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(put_back_twins(state))  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not hasattr(self.backbone, "get_weights"):
            return super().__reduce_ex__(protocol)
        return new_beside_keras, (type(self),), self.__getstate__()


def new_beside_keras(cls: type[Any]) -> Any:
    """Make an object whose state, yet to be unpickled, holds a Keras network.

    That one starts TensorFlow, which by then has to know how many threads a worker of joblib may use.
    """
    import histoclf.networks._runtime  # noqa: F401

    return object.__new__(cls)


def leave_out_twins(state: dict[str, Any]) -> dict[str, Any]:
    """Drop, before pickling, the weights that the parameter `backbone` holds too, if it is a network."""
    extractor, network = state.get("_extractor"), state["backbone"]
    if extractor is None or not hasattr(network, "get_weights"):
        return state
    weights = network.get_weights()
    if len(weights) != len(extractor.weights) or not all(map(np.array_equal, weights, extractor.weights)):
        return state
    return {**state, "_extractor": replace(extractor, weights=[]), _TWINS: True}


def put_back_twins(state: dict[str, Any]) -> dict[str, Any]:
    """Undo `leave_out_twins`."""
    if _TWINS not in state:
        return state
    state = {name: value for name, value in state.items() if name != _TWINS}
    return {**state, "_extractor": replace(state["_extractor"], weights=state["backbone"].get_weights())}


def _refuse_flattened(source: Any) -> None:
    """Refuse rows of pixels without their shape; embeddings are never whole numbers."""
    table = source.images[:, 0, :, 0]
    side = math.isqrt(table.shape[1] // 3)
    if side < _SMALLEST_FLATTENED or 3 * side**2 != table.shape[1]:
        return
    if table.min() >= 0 and 1 < table.max() <= 255 and np.array_equal(table, np.rint(table)):
        raise InputContractError(
            f"X has {table.shape[1]} columns of whole numbers in 0-255, as flattened {side} x {side} RGB "
            f"images have and embeddings have not. Expected image_shape=({side}, {side}, 3) beside such an X."
        )


def _auto_size(size: Size, backbone: Backbone) -> Size:
    """Take the size of the images as it is, within what the backbone is good for."""
    if backbone.side is not None:
        return backbone.side
    factor = min(max(1.0, smallest_side(backbone) / min(size)), _LARGEST_AUTO_SIDE / max(size))
    return round(size[0] * factor), round(size[1] * factor)


def _check_size(size: Size, backbone: Backbone) -> None:
    if backbone.side is not None and tuple(size) != tuple(backbone.side):
        raise ValueError(
            f"image_size={tuple(size)}, but backbone {backbone.describe()} takes images of {backbone.side} "
            "only. Expected that size, or image_size=None."
        )
    if backbone.kind == "application" and min(size) < SMALLEST_SIDE:
        raise ValueError(
            f"image_size={tuple(size)} is too small for backbone {backbone.describe()}. Expected at least "
            f"{SMALLEST_SIDE} pixels; smaller images are enlarged to what image_size says."
        )
