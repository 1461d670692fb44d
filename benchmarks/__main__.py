"""Run the suite: every benchmark of time, memory and scale, each in a process of its own, in turn.

Each script compares us with peers on the same work and writes JSON with its comparisons; this module gathers
them into one table and one JSON file. `python -m benchmarks --list` names them; arguments after the
names choose some. Accuracy has scripts of its own, which take hours: see README.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the scripts run from anywhere, and import each other by their bare names

from _comparison import Comparison, report  # noqa: E402
from _plot import plot  # noqa: E402
from _report import print_machine  # noqa: E402


@dataclass(frozen=True)
class Benchmark:
    """A script of the suite.

    Attributes
    ----------
    name : str
        Of the file, without its ending.
    question : str
        What it answers.
    quick : tuple of str
        Arguments that make it short; the numbers are rough then.
    needs_data : bool
        Whether its first argument is a folder of real patches.
    """

    name: str
    question: str
    quick: tuple[str, ...] = ()
    needs_data: bool = False


SUITE: tuple[Benchmark, ...] = (
    Benchmark(
        "cnn_speed", "How fast does a network train?", ("--patches", "512", "--epochs", "2", "--rounds", "2")
    ),
    Benchmark("time_to_auc", "How long to the same AUC?", ("--every", "4", "--rounds", "1"), True),
    Benchmark(
        "cnn_grid",
        "What does a search over networks cost beside its steps?",
        ("--epochs", "2", "--rounds", "1"),
    ),
    Benchmark("decode", "How fast are image files read?", ("--images", "600", "--rounds", "2")),
    Benchmark("import_time", "How long does the import take?", ("--repeats", "2")),
    Benchmark(
        "predict_speed",
        "What does a prediction cost, of one patch, of many, and after loading?",
        ("--rounds", "2", "--calls", "5", "--patches", "2000"),
    ),
    Benchmark("memory", "What does a fit leave in memory?", ("--fits", "20", "--rounds", "1")),
    Benchmark(
        "peak_memory",
        "Does the memory of a fit grow with the number of files?",
        ("--paths", "10000", "50000", "--only", "CNN, working_memory=64", "frozen"),
    ),
    Benchmark(
        "embedding_speed",
        "How fast are embeddings, computed and remembered, and how exact?",
        ("--patches", "200", "--rounds", "2", "--networks", "mobilenet"),
        True,
    ),
    Benchmark(
        "transfer_grid",
        "What does a search over frozen features cost?",
        ("--patches", "400", "--rounds", "1", "--pipeline-rounds", "0", "--naive-patches", "0"),
        True,
    ),
    Benchmark(
        "evaluate_cost",
        "What does an evaluation cost beside one embedding pass?",
        ("--patches", "400", "--rounds", "1", "--sizes", "200", "400"),
        True,
    ),
    Benchmark(
        "stain_speed",
        "How fast are stains normalised, beside torchstain?",
        ("--patches", "60", "--rounds", "2"),
        True,
    ),
    Benchmark(
        "duplicate_peers",
        "Which tools find copies of patches, and how fast?",
        ("--every", "20", "--copies", "8", "--rounds", "1"),
        True,
    ),
    Benchmark("audit_scale", "How do the audit's time and memory grow?", ("--most", "2000"), True),
    Benchmark("scale", "How does time grow with the number of patches?", ("--sizes", "250", "1000")),
)


def run(benchmark: Benchmark, data: Path | None, out: Path, quick: bool) -> list[Comparison] | None:
    """Run one script, and read what it wrote; None if it failed, after saying so."""
    if benchmark.needs_data and data is None:
        print(f"{benchmark.name}: left out, it needs --data FOLDER with real patches.")
        return None
    file = out / f"{benchmark.name}.json"
    command = [sys.executable, str(HERE / f"{benchmark.name}.py")]
    command += [str(data)] if benchmark.needs_data else []
    command += [*(benchmark.quick if quick else ()), "--json", str(file)]
    print(f"\n== {benchmark.name}: {benchmark.question}", flush=True)
    if subprocess.run(command).returncode:
        print(f"{benchmark.name} failed; the others go on.")
        return None
    return read(file)


def read(file: Path) -> list[Comparison]:
    """Read the comparisons of one script's JSON."""
    found = json.loads(file.read_text(encoding="utf-8"))
    comparisons = found.get("comparisons", [])
    for each in comparisons:
        each.pop("verdict", None)  # it follows from the rest
    return [Comparison(**each) for each in comparisons]


def known(name: str) -> str:
    """Refuse a name that the suite does not have."""
    names = [benchmark.name for benchmark in SUITE]
    if name not in names:
        raise argparse.ArgumentTypeError(f"{name!r} is not in the suite. Expected any of {', '.join(names)}.")
    return name


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", type=known, help="run these only", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the benchmarks, and run nothing")
    parser.add_argument("--data", type=Path, help="folder of real patches, as of the IDC breast set")
    parser.add_argument("--out", type=Path, default=Path("benchmarks-out"), help="folder for JSON and plot")
    parser.add_argument("--quick", action="store_true", help="rough numbers in minutes")
    return parser.parse_args()


def save(out: Path, comparisons: list[Comparison], failed: list[str]) -> None:
    """Print all, and write suite.json and, where matplotlib is installed, suite.svg."""
    report(out / "suite.json", comparisons, failed=failed)
    if not comparisons:
        return
    try:
        plot(comparisons, out / "suite.svg")
    except ImportError as error:
        print(f"No plot ({error}). Install histoclf[benchmarks].")


def main() -> None:
    """Run, gather, print."""
    arguments = parse()
    chosen = [each for each in SUITE if not arguments.names or each.name in arguments.names]
    if arguments.list:
        for each in chosen:
            print(f"{each.name:20} {each.question}")
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = {each.name: run(each, arguments.data, arguments.out, arguments.quick) for each in chosen}
    print("\n== All together")
    print_machine()
    comparisons = [each for several in found.values() for each in several or []]
    failed = [name for name, several in found.items() if several is None]
    save(arguments.out, comparisons, failed)
    if failed:
        raise SystemExit(f"Failed or left out: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
