"""The histology backbone beside ImageNet's, colours and a network from scratch, with few labels and many.

Breast: five folds by patient, scores over the pooled out-of-fold probabilities, as in `idc_transfer.py`. Of
each training part a sample is used that is stratified by patient and class, the smaller ones within the
larger. The backbone was made from patches of the same set, so that each fold needs one that never saw its
patients: ``--unseen A.npz=0,1 B.npz=2,3,4`` names files of weights, and the folds they are for. Without it
our rows are left out there. Fitted to a whole training part, each classifier also answers for test patches
that were stained, compressed, blurred or lit otherwise.

Tissues: three small sets that no backbone saw. Colorectal tiles in 7 classes, by 5 folds; the texture set in
8 classes, by 3 folds, of which each trains on two images a class; and 6 fields of osteosarcoma in 3 classes,
cut into tiles, one field left out at a time. Patients may be on both sides, as they are not known.

Speed: embeddings per second of patches that are in memory, in turns.

Results are written as they come, and a run that is started again goes on where it stopped. With --inner
breast is scored inside the training parts only, so that settings can be chosen without a look at the patients
that are reported: for each fold, the classifier learns from the folds whose patients the backbone saw, and
answers for the others but that one.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from _frozen_peer import forget_embeddings, load_engines
from _report import machine, print_rst, spread, write_json
from _rows import OURS, SCRATCH, Row, make_inputs, make_rows
from _shifts import SHIFTS
from _tissues import TISSUES, read_tissue, score_tissue, tissue_table
from _unseen import add_unseen, digest, digests, read_unseen
from idc_breast import SCORES, Data, Part, mean_and_spread, parts, pooled_scores, read, resume, scores

from histoclf import HistoEmbedder
from histoclf.metrics._paired import accuracy_contributions, sign_flip_test

ALL = "all"
PACKAGED = str(files("histoclf") / "networks" / "weights" / "histology.npz")
# Pixels, and ways to split, of other tissues: a network from scratch would take hours at their own size.
SCRATCH_SIDE, SCRATCH_REPEATS = 96, 3
EVERY_SHIFTED = 3  # of the test patches, those that are shown changed
SPEED = {
    "ImageNet MobileNetV2 1.0, image, last layer": {
        "backbone": "mobilenet_v2",
        "channels": "rgb",
        "layers": None,
    },
    "ImageNet MobileNetV2 1.0": {"backbone": "mobilenet_v2"},
    "ImageNet MobileNet 1.0": {"backbone": "mobilenet"},
    "histology": {"backbone": "histology"},
    "histology, 64 pixels": {"backbone": "histology", "image_size": 64},
    "histology, image": {"backbone": "histology", "channels": "rgb"},
}


class Results:
    """What was found, in a file that is replaced whenever much has been added."""

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.found = {"machine": machine(), "tissues": {}, "speed": {}} | resume(path, identity) | identity
        self._written = time.monotonic()

    def save(self, *, at_once: bool = False) -> None:
        """Write, unless that was done a moment ago."""
        if at_once or time.monotonic() - self._written > 30:
            write_json(self.path, self.found)
            self._written = time.monotonic()


def pack(probability: np.ndarray) -> str:
    """Write probabilities as one short line."""
    return " ".join(f"{value:.6g}" for value in np.ravel(probability))


def unpack(text: str) -> np.ndarray:
    """Undo `pack`."""
    return np.array(text.split(), dtype=float)


# -- breast --------------------------------------------------------------------------------------------------


def inner_parts(outer: list[Part], unseen: dict[int, str]) -> list[Part]:
    """Split without each fold in turn: learn where the backbone did, and answer where it did not."""
    found = []
    for fold in range(len(outer)):
        held_out = [other for other, file in unseen.items() if file == unseen[fold]]
        test = [outer[other].test for other in held_out if other != fold]
        train = [outer[other].test for other in range(len(outer)) if other not in held_out]
        rows = np.sort(np.concatenate(train)), np.sort(np.concatenate(test))
        found.append(Part(f"inner/fold{fold}", f"inner{fold}", *rows))
    return found


def draw(data: Data, rows: np.ndarray, sizes: list[int], seed: int) -> Iterator[tuple[int | str, np.ndarray]]:
    """Draw samples with about the share of each patient and class that `rows` have, each within the next."""
    generator = np.random.default_rng(seed)
    strata = np.unique(
        np.stack([data.patients[rows], data.positive[rows].astype(str)]), axis=1, return_inverse=True
    )
    rank = np.empty(len(rows))
    for stratum in np.unique(strata[1]):
        members = generator.permutation(np.flatnonzero(strata[1] == stratum))
        rank[members] = (np.arange(len(members)) + generator.random()) / len(members)
    order = np.argsort(rank, kind="stable")
    for size in sizes:
        if size < len(rows):
            yield size, np.sort(rows[order[:size]])
    yield ALL, rows


def run_breast(
    data: Data, all_parts: list[Part], rows: list[Row], arguments: argparse.Namespace, results: Results
) -> None:
    """Fit what is missing."""
    X, fits = make_inputs(data.images), results.found["fits"]
    for row in rows:
        for seed in arguments.seeds:
            for fold, part in enumerate(all_parts):
                weights = {"weights": arguments.unseen[fold]} if row.is_ours else {}
                for size, chosen in draw(data, part.train, arguments.sizes, seed):
                    key = f"{row.name}/{size}/seed{seed}/{part.name}"
                    if key in fits or (size == ALL and seed != arguments.seeds[0] and not row.random):
                        continue
                    start = time.perf_counter()
                    model = row.fit(X, data.positive, data.patients, chosen, random_state=seed, **weights)
                    probability = model.predict_proba(X[row.inputs][part.test])[:, 1]
                    fits[key] = {"probability": pack(probability), "seconds": time.perf_counter() - start}
                    if size == ALL and seed == arguments.seeds[0] and not arguments.inner:
                        fits[key]["shifted"] = shifted_answers(data, part, row, model)
                    results.save()
            show_breast(data, all_parts, row.name, seed, fits)
        results.save(at_once=True)


def shifted_answers(data: Data, part: Part, row: Row, model: Any) -> dict[str, str]:
    """Let a fitted classifier answer for some of the test patches, changed."""
    images = data.images[part.test[::EVERY_SHIFTED]]
    found = {name: make_inputs(shift(images))[row.inputs] for name, shift in SHIFTS.items()}
    return {name: pack(model.predict_proba(X)[:, 1]) for name, X in found.items()}


def breast_scores(
    data: Data, all_parts: list[Part], name: str, size: Any, seed: int, fits: dict[str, Any]
) -> Any:
    """Score one row at one size, if all its parts are there: array of shape (3,)."""
    keys = {part.name: f"{name}/{size}/seed{seed}/{part.name}" for part in all_parts}
    if not all(key in fits for key in keys.values()):
        return None
    return np.nanmean(
        pooled_scores(data, all_parts, lambda part: unpack(fits[keys[part.name]]["probability"])), axis=0
    )


def show_breast(data: Data, all_parts: list[Part], name: str, seed: int, fits: dict[str, Any]) -> None:
    """Print the rows of one seed at once: long runs are watched."""
    for size in dict.fromkeys(key.split("/")[1] for key in fits):
        found = breast_scores(data, all_parts, name, size, seed, fits)
        if found is not None:
            print(f"{name}, {size}, seed {seed}: " + "  ".join(f"{v:.3f}" for v in found), flush=True)


def breast_table(
    data: Data, all_parts: list[Part], fits: dict[str, Any], seeds: list[int]
) -> list[list[str]]:
    """Make the table: mean and standard deviation over seeds, size by size."""
    names = list(dict.fromkeys(key.split("/")[0] for key in fits))
    sizes = sorted({key.split("/")[1] for key in fits}, key=lambda size: (size == ALL, size.zfill(9)))
    table = []
    for size in sizes:
        for name in names:
            found = [breast_scores(data, all_parts, name, size, seed, fits) for seed in seeds]
            found = [values for values in found if values is not None]
            if found:
                table.append([size, name, *mean_and_spread(found)])
    return table


def differences(data: Data, all_parts: list[Part], fits: dict[str, Any], seed: int) -> list[list[str]]:
    """Compare our network with every other row, fitted to all patches: over patients, not patches."""

    def answers(name: str) -> np.ndarray | None:
        keys = [f"{name}/{ALL}/seed{seed}/{part.name}" for part in all_parts]
        if not all(key in fits for key in keys):
            return None
        return np.concatenate([unpack(fits[key]["probability"]) for key in keys]) > 0.5

    test = np.concatenate([part.test for part in all_parts])
    y, patients, table = data.positive[test], data.patients[test], []
    ours = answers(OURS)
    for name in dict.fromkeys(key.split("/")[0] for key in fits):
        theirs = answers(name)
        if ours is None or theirs is None or name == OURS:
            continue
        by_patient = accuracy_contributions(y, ours.astype(int), theirs.astype(int), 2, patients)
        better = f"{(by_patient > 0).sum()} of {len(by_patient)}"
        table.append([name, f"{by_patient.sum():+.3f}", better, f"{sign_flip_test(by_patient):.3f}"])
    return table


def shift_table(data: Data, all_parts: list[Part], fits: dict[str, Any], seed: int) -> list[list[str]]:
    """Make the table of balanced accuracies under each change; after the first column, as differences."""
    table = []
    test = np.concatenate([part.test[::EVERY_SHIFTED] for part in all_parts])
    for name in dict.fromkeys(key.split("/")[0] for key in fits):
        keys = [f"{name}/{ALL}/seed{seed}/{part.name}" for part in all_parts]
        if not all("shifted" in fits.get(key, ()) for key in keys):
            continue
        found = [
            scores(data, test, np.concatenate([unpack(fits[key]["shifted"][shift]) for key in keys]))[0]
            for shift in SHIFTS
        ]
        drops = [value - found[0] for value in found[1:]]
        table.append([name, f"{found[0]:.3f}", *(f"{drop:+.3f}" for drop in [*drops, np.mean(drops)])])
    return table


# -- other tissues -------------------------------------------------------------------------------------------


def run_tissues(root: Path, rows: list[Row], arguments: argparse.Namespace, results: Results) -> None:
    """Score every row on each set, once for each way to split it."""
    for name, n_folds in TISSUES.items():
        images, y, fields = read_tissue(root / name)
        X = make_inputs(images)
        for row in rows:
            repeats, params = plan(row, n_folds, arguments)
            for repeat in range(repeats):
                key = f"{name}/{row.name}/{repeat}"
                if key not in results.found["tissues"]:
                    found = score_tissue(row, X, y, fields, n_folds, repeat, params)
                    results.found["tissues"][key] = found
                    results.save()
        print("\n".join(map(" ".join, tissue_table(results.found["tissues"], name))), flush=True)
    results.save(at_once=True)


def plan(row: Row, n_folds: int, arguments: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    """Say how often a row is scored on a set of other tissue, and with which parameters."""
    if row.name == SCRATCH:
        return SCRATCH_REPEATS, {"image_size": SCRATCH_SIDE}
    repeats = arguments.repeats if n_folds or row.random else 1  # nothing differs if one field is left out
    return repeats, {"weights": arguments.elsewhere} if row.is_ours else {}


# -- speed ---------------------------------------------------------------------------------------------------


def run_speed(data: Data, arguments: argparse.Namespace, results: Results) -> None:
    """Embed the same patches with each network in turns; the first pass, which compiles, does not count."""
    images = data.images[:: max(1, len(data.images) // 2000)]
    load_engines()
    embedders = {}
    for name, params in SPEED.items():
        ours = {"weights": arguments.elsewhere} if params["backbone"] == "histology" else {}
        embedders[name] = HistoEmbedder(**({"image_size": 96} | params | ours)).fit(images)
        embedders[name].transform(images)
    rates: dict[str, list[float]] = {name: [] for name in embedders}
    for _ in range(arguments.rounds):
        for name, embedder in embedders.items():
            forget_embeddings()
            start = time.perf_counter()
            embedder.transform(images)
            rates[name].append(len(images) / (time.perf_counter() - start))
    results.found["speed"] = {"rates": rates, "engines": {n: e.engine_ for n, e in embedders.items()}}
    results.save(at_once=True)


def speed_table(found: dict[str, Any]) -> list[list[str]]:
    """Make the table: rates, and their ratio to the first row, round by round."""
    if not found:
        return []
    first = next(iter(found["rates"].values()))
    return [
        [
            name,
            found["engines"][name],
            spread(rates, 0),
            spread([r / f for r, f in zip(rates, first, strict=True)]),
        ]
        for name, rates in found["rates"].items()
    ]


# -- all -----------------------------------------------------------------------------------------------------


def print_all(
    data: Data, all_parts: list[Part], arguments: argparse.Namespace, found: dict[str, Any]
) -> None:
    """Print every table that there is something for."""
    fits, seeds = found["fits"], arguments.seeds
    print_rst("Breast", ["patches", "row", *SCORES], breast_table(data, all_parts, fits, seeds))
    if not arguments.inner:
        header = ["row", "histology is better by", "patients", "p"]
        print_rst("Over patients, all patches", header, differences(data, all_parts, fits, seeds[0]))
        header = ["row", *SHIFTS, "mean"]
        print_rst("Changed test patches", header, shift_table(data, all_parts, fits, seeds[0]))
    for name in TISSUES:
        print_rst(name, ["row", "splits", SCORES[0], "AUC"], tissue_table(found["tissues"], name))
    print_rst("Speed", ["row", "engine", "patches per second", "ratio"], speed_table(found["speed"]))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help=f"folder with idc_breast and {', '.join(TISSUES)}")
    parser.add_argument(
        "--parts", nargs="+", choices=("breast", "tissues", "speed"), default=["breast", "tissues"]
    )
    add_unseen(parser)
    parser.add_argument(
        "--elsewhere", default=PACKAGED, metavar="FILE", help="weights for all else (default: ours)"
    )
    parser.add_argument("--rows", default=".*", metavar="REGEX", help="which rows to run (default: all)")
    parser.add_argument("--variants", action="store_true", help="other ways to use our network as well")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 300, 1000], help="training patches")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of samples and random rows")
    parser.add_argument("--repeats", type=int, default=10, help="ways to split the other tissues")
    parser.add_argument("--rounds", type=int, default=5, help="passes of each network, for the speed")
    parser.add_argument("--inner", action="store_true", help="score inside the training parts only")
    parser.add_argument("--every", type=int, default=1, help="use every n-th breast patch, for a quick try")
    parser.add_argument("--memory", help="folder that keeps embeddings from run to run")
    parser.add_argument(
        "--out", type=Path, default=Path("histology_backbone.json"), help="written and resumed"
    )
    parser.add_argument("--table", action="store_true", help="print what there is, and run nothing")
    arguments = parser.parse_args()
    arguments.unseen = read_unseen(arguments.unseen)
    return arguments


def main() -> None:
    """Run what is missing, and print the tables."""
    arguments = parse()
    data = read(arguments.data / "idc_breast", arguments.every)
    identity = {
        "inner": arguments.inner,
        "data": hashlib.sha256("\n".join(data.names).encode()).hexdigest(),
        **digests(arguments.unseen),
    }
    # Of weights that are there: the rows of others may be run before.
    if Path(arguments.elsewhere).exists():
        identity["elsewhere"] = digest(arguments.elsewhere)
    results = Results(arguments.out, identity)
    all_parts = parts(data, repeats=1, inner=0)
    if arguments.inner:
        all_parts = inner_parts(all_parts, arguments.unseen)
    rows = make_rows(arguments.rows, arguments.memory, arguments.variants)
    if not arguments.table:
        run(data, all_parts, rows, arguments, results)
    print_all(data, all_parts, arguments, results.found)


def run(
    data: Data, all_parts: list[Part], rows: list[Row], arguments: argparse.Namespace, results: Results
) -> None:
    """Run the parts that are asked for."""
    if "breast" in arguments.parts:
        fair = [row for row in rows if arguments.unseen or not row.is_ours]
        run_breast(data, all_parts, fair, arguments, results)
    if "tissues" in arguments.parts:
        run_tissues(arguments.data, rows, arguments, results)
    if "speed" in arguments.parts:
        run_speed(data, arguments, results)


if __name__ == "__main__":
    main()
