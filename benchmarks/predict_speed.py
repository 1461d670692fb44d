"""What a prediction costs: of one patch, of many, and the first one after a model was loaded.

The peer is `keras.Model.predict` as a script calls it, on the same network with the same weights: `model_` of
the fitted classifier, from pixels to probabilities. Rounds alternate; every single patch is one that nobody
has seen before, since embeddings are remembered. Loading is timed in fresh processes, in turns with processes
that only import TensorFlow, and with processes that load the same network from Keras' own file.

A patch's probabilities do not depend on its company, to the last bit: under Keras one patch is computed in a
pass of 16, filled up with black ones; of a frozen network in the shortest pass that gives the numbers of a
full one, which is found out at the first prediction. OpenVINO computes patches one by one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _comparison import Comparison, report
from _report import in_fresh_process, print_machine

LATENCY, THROUGHPUT, LOADING = "at most 0.3", "at least 1", "at most 1.5"
SIDE = 50  # pixels, as of the IDC breast set

# Model: class, parameters, share of --patches. Weights are random: they do not change the time.
MODELS: dict[str, tuple[str, dict[str, Any], float]] = {
    "CNN": ("HistoCNNClassifier", {"epochs": 1}, 1.0),
    "histology": ("HistoTransferClassifier", {"backbone": "histology", "engine": "keras"}, 1.0),
    "histology, OpenVINO": (
        "HistoTransferClassifier",
        {"backbone": "histology", "engine": "openvino"},
        1.0,
    ),
    "MobileNet": (
        "HistoTransferClassifier",
        {"backbone": "mobilenet", "weights": None, "engine": "keras"},
        0.1,
    ),
    "MobileNet, OpenVINO": (
        "HistoTransferClassifier",
        {"backbone": "mobilenet", "weights": None, "engine": "openvino"},
        0.1,
    ),
}
# What a fresh process is told to do, with the folder of the files.
LOAD = {
    "import tensorflow": "import tensorflow",
    "load_model": "from histoclf import load_model; clf = load_model(folder + '/model.histoclf'); "
    "clf.predict_proba(images)",
    "joblib.load": "import joblib; clf = joblib.load(folder + '/model.joblib'); clf.predict_proba(images)",
    # The file names layers of ours, which Keras has to know of.
    ".keras file": "import keras, histoclf.networks._tuning, histoclf.networks._architectures; "
    "model = keras.saving.load_model(folder + '/model.keras', compile=False); "
    "model.predict(images, verbose=0)",
}
# Which models are loaded in which ways; each way is a fresh process of three to four seconds in every round.
LOADED = {
    "CNN": ("load_model", "joblib.load", ".keras file"),
    "histology": ("load_model",),
    "histology, OpenVINO": ("load_model",),
    "MobileNet": ("load_model",),
    "MobileNet, OpenVINO": ("load_model",),
}
CODE = """
import sys, time
import numpy as np
folder = sys.argv[1]
images = np.load(folder + "/patch.npy")
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def training_data() -> tuple[np.ndarray, np.ndarray]:
    """Make a few patches to learn from; what is learned does not change the time."""
    from histoclf import make_patches

    made = make_patches(n_patients=4, patches_per_patient=20, image_size=SIDE, random_state=0)
    return made.images, made.labels


def fitted(name: str) -> Any:
    """Fit a model of `MODELS`."""
    import histoclf

    cls, params, _ = MODELS[name]
    return getattr(histoclf, cls)(random_state=0, **params).fit(*training_data())


def seconds(work: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Patches:
    """Patches that nobody has seen before, since what was embedded once is remembered."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)

    def draw(self, n: int) -> np.ndarray:
        """Draw so many patches of noise; their content does not change the time."""
        return self._generator.integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)


def resized(clf: Any, images: np.ndarray) -> np.ndarray:
    """Resize to what the network is fed, which `predict_proba` does by itself."""
    from histoclf.classifiers._reading import open_again

    return open_again(clf, images, clf.input_format_).read().pixels


def latency(name: str, clf: Any, peer: Any, rounds: int, calls: int) -> Comparison:
    """One patch at a time: the median of some calls in each round."""
    patches, ours, theirs = Patches(), [], []
    for round_ in range(rounds + 1):
        images = [patches.draw(1) for _ in range(calls)]
        fed = [resized(clf, image) for image in images]
        times = median(seconds(lambda i=i: clf.predict_proba(i)) for i in images)
        peer_times = median(seconds(lambda i=i: peer.predict(i, verbose=0)) for i in fed)
        if round_:  # the first one traces
            ours.append(1000 * times)
            theirs.append(1000 * peer_times)
    return Comparison(f"predict one patch, {name}", "keras.Model.predict", "ms", ours, theirs, LATENCY)


def throughput(name: str, clf: Any, peer: Any, rounds: int, n: int) -> Comparison:
    """Many patches at once; resizing them is part of ours only, the peer is given what the network is fed."""
    patches, ours, theirs, apart = Patches(), [], [], 0.0
    for round_ in range(rounds + 1):
        images = patches.draw(n)
        fed = resized(clf, images)
        times = seconds(lambda i=images: clf.predict_proba(i))
        peer_times = seconds(lambda i=fed: peer.predict(i, verbose=0))
        if round_:
            ours.append(n / times)
            theirs.append(n / peer_times)
        else:
            found, expected = clf.predict_proba(images[:64]), peer.predict(fed[:64], verbose=0)
            apart = float(np.abs(found - expected).max())
    return Comparison(
        f"predict {n:,} patches, {name}",
        "keras.Model.predict",
        "patches/s",
        ours,
        theirs,
        THROUGHPUT,
        f"largest difference of a probability {apart:.1e}",
    )


def loading(name: str, clf: Any, rounds: int) -> list[Comparison]:
    """Load and predict in fresh processes."""
    import joblib

    from histoclf import save_model

    ways = ("import tensorflow", *LOADED[name])
    found: dict[str, list[float]] = {what: [] for what in ways}
    with TemporaryDirectory() as folder:
        save_model(clf, f"{folder}/model.histoclf")
        joblib.dump(clf, f"{folder}/model.joblib")
        clf.model_.save(f"{folder}/model.keras")
        images = Patches().draw(1)
        for round_ in range(rounds + 1):
            for what in ways:
                np.save(f"{folder}/patch.npy", resized(clf, images) if what == ".keras file" else images)
                took = in_fresh_process("-c", CODE.format(statement=LOAD[what]), folder)
                if round_:  # the first one fills the disk's cache
                    found[what].append(took)
    peers = {"import tensorflow": LOADING, ".keras file": ""}
    return [
        Comparison(f"{what} + first predict, {name}", peer, "s", found[what], found[peer], bar)
        for what in ("load_model", "joblib.load")
        for peer, bar in peers.items()
        if what in ways and peer in ways
    ]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument(
        "--parts", nargs="+", choices=("one", "many", "load"), default=["one", "many", "load"]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20, help="single patches in a round")
    parser.add_argument("--patches", type=int, default=10_000, help="a tenth of it for MobileNet")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser.parse_args()


def measure(name: str, arguments: argparse.Namespace) -> list[Comparison]:
    """Take all measurements of one model."""
    clf = fitted(name)
    found = []
    if "one" in arguments.parts:
        found.append(latency(name, clf, clf.model_, arguments.rounds, arguments.calls))
    if "many" in arguments.parts:
        n = max(1, round(arguments.patches * MODELS[name][2]))
        found.append(throughput(name, clf, clf.model_, arguments.rounds, n))
    if "load" in arguments.parts and name in LOADED:
        found += loading(name, clf, arguments.rounds)
    return found


def main() -> None:
    """Measure and print."""
    arguments = parse()
    print_machine()
    found = []
    for name in arguments.only:
        if "OpenVINO" in name and not find_spec("openvino"):
            print(f"{name}: left out, OpenVINO is not installed: pip install histoclf[openvino]")
            continue
        found += measure(name, arguments)
    report(arguments.json, found)


if __name__ == "__main__":
    main()
