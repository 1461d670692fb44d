"""Whether the memory of a fit grows with the number of files: its peak from 50,000 and 250,000 paths.

Files are PNGs of 50 pixels with contents of their own, in a temporary folder (1.2 GB for 250,000). Each fit
is a fresh process. What counts is what the process cannot give back (RssAnon and RssShmem): beyond a budget
our images and embeddings lie in temporary files that are mapped, and what the system keeps of these in memory
is the disk's cache, which it drops when memory is wanted. The highest resident set with such pages (VmHWM) is
in the notes. One round is enough, as memory does not depend on what else the machine does. Linux only.

The network trained from scratch has one convolution and is trained for one epoch: how many layers there are
changes the memory of a step, and not how it grows. It is tried with scikit-learn's budget for images
(``working_memory``, 1 GiB), in which 50,000 patches have room and 250,000 have not, and with 64 MiB, in which
neither has. The frozen backbone is "histology" at its smallest size, of which embeddings take 672 MB for
250,000 patches.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _comparison import Comparison, report
from _many_files import list_files, write_files
from _report import in_fresh_process, print_machine
from _resident import Peak, highest_resident_mb

BAR = "at most 1.1"
CNN = ("HistoCNNClassifier", {"filters": [8], "epochs": 1, "augmentation": None, "batch_size": 256})
FROZEN = (
    "HistoTransferClassifier",
    {"backbone": "histology", "image_size": 32, "channels": "rgb", "engine": "keras"},
)
# Class, parameters, working_memory in MiB.
FITS: dict[str, tuple[str, dict[str, Any], int]] = {
    "CNN": (*CNN, 1024),
    "CNN, working_memory=64": (*CNN, 64),
    "frozen": (*FROZEN, 1024),
}


def fit_and_print(name: str, folder: str, n_paths: int) -> None:
    """Run in the fresh process: print the highest points and the time."""
    import sklearn

    import histoclf

    cls, params, budget = FITS[name]
    paths, labels = list_files(folder, n_paths)
    estimator = getattr(histoclf, cls)(random_state=0, **params)
    start = time.perf_counter()
    with sklearn.config_context(working_memory=budget), warnings.catch_warnings(), Peak() as peak:
        warnings.simplefilter("ignore")  # one epoch may teach nothing
        estimator.fit(paths, labels)
    seconds = time.perf_counter() - start
    found = {"peak": peak.mb, "start": peak.start_mb, "VmHWM": highest_resident_mb(), "seconds": seconds}
    print(json.dumps(found))


def compare(name: str, found: dict[int, list[dict[str, float]]]) -> Comparison:
    """Set the larger number of files against the smaller one."""
    few, many = sorted(found)
    with_files = " and ".join(f"{each[0]['VmHWM']:,.0f}" for each in (found[many], found[few]))
    return Comparison(
        f"peak of a fit, {name}, {many:,} paths",
        f"{few:,} paths",
        "MB",
        [each["peak"] for each in found[many]],
        [each["peak"] for each in found[few]],
        BAR,
        f"with pages of files {with_files} MB; {found[many][0]['seconds']:.0f} s and "
        f"{found[few][0]['seconds']:.0f} s",
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--paths", type=int, nargs=2, default=[50_000, 250_000], metavar=("FEW", "MANY"))
    parser.add_argument("--only", nargs="+", choices=FITS, default=list(FITS), metavar="FIT")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--in-child", nargs=3, metavar=("FIT", "FOLDER", "N_PATHS"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure in fresh processes, and print."""
    arguments = parse()
    if arguments.in_child:
        name, folder, n_paths = arguments.in_child
        fit_and_print(name, folder, int(n_paths))
        return
    print_machine()
    results: dict[str, dict[int, list[dict[str, float]]]] = {}
    with TemporaryDirectory() as folder:
        write_files(folder, max(arguments.paths))
        for name in arguments.only:
            results[name] = {n: [] for n in arguments.paths}
            for _ in range(arguments.rounds):
                for n in arguments.paths:
                    found = in_fresh_process(__file__, "--in-child", name, folder, str(n))
                    results[name][n].append(found)
    report(arguments.json, [compare(name, found) for name, found in results.items()], fits=results)


if __name__ == "__main__":
    main()
