"""The memory of a process: now, at its highest, and what of it cannot be given back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path

_EVERY = 0.005  # seconds between two looks


def held_mb(processes: Iterable[str | int] = ("self",)) -> float:
    """Read what processes hold in memory for themselves (Linux: RssAnon and RssShmem), in MB.

    Pages of files are left out: they are the disk's cache, which the system takes back whenever memory is
    wanted elsewhere, and the more is free, the more of it there is. Shared memory counts, for it lies nowhere
    else.
    """
    return sum(sum(_read(process, ("RssAnon", "RssShmem"))) for process in processes)


def resident_mb() -> float:
    """Read the resident set of this process, pages of files included, in MB."""
    return sum(_read("self", ("VmRSS",)))


def highest_resident_mb() -> float:
    """Read the highest resident set that this process has had so far, in MB."""
    return sum(_read("self", ("VmHWM",)))


def _read(process: str | int, names: tuple[str, ...]) -> list[float]:
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):  # it has ended
        return []
    return [
        float(line.split()[1]) * 1024 / 1e6
        for line in lines
        if line.startswith(tuple(f"{n}:" for n in names))
    ]


def children(process: str | int) -> list[int]:
    """List a process's children, and theirs."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            direct = [int(text) for text in task.read_text(encoding="ascii").split()]
        except OSError:
            continue
        found += [*direct, *(each for child in direct for each in children(child))]
    return found


class Peak:
    """The highest point of `held_mb` inside the ``with`` block, of this process or of others.

    Parameters
    ----------
    process : str or int, default="self"
        A process.
    family : bool, default=False
        Whether its children count too.

    Attributes
    ----------
    mb : float
        The highest point so far.
    start_mb : float
        What was held at the start.
    """

    def __init__(self, process: str | int = "self", family: bool = False) -> None:
        self._process, self._family = process, family
        self.mb = self.start_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self.start_mb = self.mb = self._now()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.is_set():
            self.mb = max(self.mb, self._now())
            time.sleep(_EVERY)

    def _now(self) -> float:
        family = children(self._process) if self._family else []
        return held_mb([self._process, *family])
