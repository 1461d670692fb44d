"""Every row is computed once, and what comes back is that row to the last bit, from whichever level."""

import errno
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import sklearn

from histoclf.io import _room
from histoclf.networks import _cache, _shards
from histoclf.networks._cache import cached_rows, clear_memory
from histoclf.networks._shards import ShardFolder

SHAPE = (2, 3)


class Counted:
    """Computes a row from its key, and counts."""

    def __init__(self, keys, scale=1.0, without=()):
        self.keys, self.scale, self.without = keys, scale, without
        self.calls = []

    def __call__(self, positions):
        assert positions.dtype.kind == "i"
        self.calls.append(positions.tolist())
        kept = np.array([self.keys[position] not in self.without for position in positions])
        return rows_of([self.keys[position] for position in positions[kept]], self.scale), kept

    @property
    def computed(self):
        return [position for call in self.calls for position in call]


def keys_of(*numbers):
    return [number.to_bytes(15, "big") + b"\0" for number in numbers]  # ends in zero: the hard case for NumPy


def rows_of(keys, scale=1.0):
    rows = [np.random.RandomState(list(key)).standard_normal(SHAPE) for key in keys if key is not None]
    return (scale * np.array(rows).reshape(-1, *SHAPE)).astype(np.float32)


def bits(rows):
    assert rows.dtype == np.float32
    return rows.view(np.uint32).tolist()


def budget_for(n_rows):
    """A setting under which so many rows are kept in memory."""
    row_bytes = np.prod(SHAPE) * 4 + _cache._OVERHEAD
    return sklearn.config_context(working_memory=2 * (n_rows + 0.5) * row_bytes / 2**20)


def new_process():
    """What a new process would know: nothing but the folders."""
    clear_memory()


@pytest.fixture(autouse=True)
def empty_memory():
    clear_memory()
    yield
    clear_memory()


@pytest.fixture(params=["memory", "folder", "folder, new process each time"])
def level(request, tmp_path, monkeypatch):
    """Arguments for each level, the last one with nothing in the process."""
    if request.param == "memory":
        return {"namespace": "ab"}
    if request.param != "folder":
        kept = _cache._memory.keep
        monkeypatch.setattr(_cache._memory, "keep", lambda *args: kept(*args) or clear_memory())
    return {"namespace": "ab", "memory": str(tmp_path / "cache")}


# --- each row once -----------------------------------------------------------------------------------------


def test_each_row_is_computed_once(level):
    keys = keys_of(*range(20))
    compute = Counted(keys)
    rows, kept = cached_rows(keys, compute, chunk=8, **level)
    assert compute.calls == [[*range(8)], [*range(8, 16)], [*range(16, 20)]]
    assert bits(rows) == bits(rows_of(keys))
    assert kept.all()
    assert kept.dtype == bool
    for seed in range(3):
        asked = [keys[number] for number in np.random.RandomState(seed).randint(0, 20, 50)]
        rows, kept = cached_rows(asked, compute, chunk=8, **level)
        assert bits(rows) == bits(rows_of(asked))
        assert kept.tolist() == [True] * 50
    assert len(compute.computed) == 20


def test_repeated_keys_are_computed_once_where_they_are_first(level):
    keys = keys_of(5, 6, 5, 5, 7, 6)
    compute = Counted(keys)
    rows, _ = cached_rows(keys, compute, **level)
    assert compute.calls == [[0, 1, 4]]
    assert bits(rows) == bits(rows_of(keys))


def test_only_the_new_rows_of_a_mixed_request_are_computed(level):
    cached_rows(keys_of(1, 3), Counted(keys_of(1, 3)), **level)
    keys = keys_of(0, 1, 2, 3, 4)
    compute = Counted(keys)
    rows, _ = cached_rows(keys, compute, **level)
    assert compute.calls == [[0, 2, 4]]
    assert bits(rows) == bits(rows_of(keys))


def test_what_has_no_key_is_computed_each_time(level):
    keys = [None, *keys_of(1), None]
    row = np.ones(SHAPE, dtype=np.float32)
    calls = []

    def compute(positions):
        calls.append(positions.tolist())
        return np.stack([row * position for position in positions]), np.ones(len(positions), dtype=bool)

    for _ in range(2):
        rows, kept = cached_rows(keys, compute, **level)
        assert rows[:, 0, 0].tolist() == [0, 1, 2]
        assert kept.all()
    assert calls == [[0, 1, 2], [0, 2]]
    assert cached_rows([None], compute, **level)[0].tolist() == [(0 * row).tolist()]


def test_rows_that_do_not_exist_are_left_out_and_asked_for_again(level):
    keys = keys_of(0, 1, 2, 1, 3)
    compute = Counted(keys, without=keys_of(1, 3))
    for _ in range(2):
        rows, kept = cached_rows(keys, compute, **level)
        assert kept.tolist() == [True, False, True, False, False]
        assert bits(rows) == bits(rows_of(keys_of(0, 2)))
    assert compute.calls == [[0, 1, 2, 4], [1, 4]]
    repaired = Counted(keys)
    assert bits(cached_rows(keys, repaired, **level)[0]) == bits(rows_of(keys))
    assert repaired.calls == [[1, 4]]


def test_nothing_asked_and_nothing_kept_give_no_rows(level):
    rows, kept = cached_rows([], None, **level)
    assert rows.shape == (0, 0)
    assert kept.shape == (0,)
    rows, kept = cached_rows(keys_of(1), Counted(keys_of(1), without=keys_of(1)), **level)
    assert rows.shape == (0, 0)
    assert kept.tolist() == [False]


# --- the rows themselves -----------------------------------------------------------------------------------


def test_rows_are_the_same_to_the_last_bit(level):
    odd = np.array([0x80000000, 0x7FC00001, 0x7F800000, 0x00000001, 0x3F800001, 0xFFC12345], np.uint32)
    row = odd.view(np.float32).reshape(SHAPE)  # -0, NaNs with a payload, infinity, the smallest number

    def compute(positions):
        return row[None], np.ones(1, dtype=bool)

    for function in (compute, None):
        rows, _ = cached_rows(keys_of(1), function, **level)
        assert rows.view(np.uint32).ravel().tolist() == odd.tolist()


def test_the_result_belongs_to_the_caller(level):
    keys = keys_of(1, 2)
    for function in (Counted(keys), None, None):
        rows, kept = cached_rows(keys, function, **level)
        assert bits(rows) == bits(rows_of(keys))
        rows[:] = -1
        kept[:] = False


def test_the_function_may_use_its_array_again(level):
    keys = keys_of(*range(6))
    shared = np.empty((2, *SHAPE), dtype=np.float32)

    def compute(positions):
        shared[:] = rows_of([keys[position] for position in positions])
        return shared, np.ones(2, dtype=bool)

    for function in (compute, None):
        assert bits(cached_rows(keys, function, chunk=2, **level)[0]) == bits(rows_of(keys))


@pytest.mark.parametrize("shape", [(), (4,), (2, 1, 3)])
def test_a_row_has_any_shape(level, shape):
    def compute(positions):
        return np.full((len(positions), *shape), 7, dtype=np.float32), np.ones(len(positions), dtype=bool)

    for function in (compute, None):
        rows, _ = cached_rows(keys_of(1, 2, 3), function, **level)
        assert rows.shape == (3, *shape)
        assert (rows == 7).all()


def test_settings_never_mix(level):
    keys = keys_of(*range(10))
    level.pop("namespace")
    for _ in range(2):
        for number, scale in enumerate((1.0, 2.0, 3.0)):
            rows, _ = cached_rows(keys, Counted(keys, scale), namespace=f"{number:032x}", **level)
            assert bits(rows) == bits(rows_of(keys, scale))


def test_rows_of_two_shapes_in_one_namespace_are_an_error(level):
    cached_rows(keys_of(1), Counted(keys_of(1)), **level)

    def flat(positions):
        return np.zeros((len(positions), 4), dtype=np.float32), np.ones(len(positions), dtype=bool)

    with pytest.raises(ValueError, match=r"Rows of shape \(2, 3\) and \(4,\) in one namespace"):
        cached_rows(keys_of(1, 2), flat, **level)


def test_a_wrong_number_of_rows_is_an_error_and_not_kept(level):
    keys = keys_of(1, 2, 3)
    with pytest.raises(ValueError, match="shorter"):
        cached_rows(keys, lambda positions: (rows_of(keys[:1]), np.ones(3, dtype=bool)), **level)
    compute = Counted(keys)
    assert bits(cached_rows(keys, compute, **level)[0]) == bits(rows_of(keys))
    assert len(compute.computed) == 3


def test_an_interrupted_run_goes_on_where_it_stopped(level):
    keys = keys_of(*range(6))
    counted = Counted(keys)

    def interrupted(positions):
        if positions[0] == 4:
            raise KeyboardInterrupt
        return counted(positions)

    with pytest.raises(KeyboardInterrupt):
        cached_rows(keys, interrupted, chunk=2, **level)
    cached_rows(keys, counted, chunk=2, **level)
    assert counted.calls == [[0, 1], [2, 3], [4, 5]]


def test_a_progress_bar_counts_the_rows_to_compute(level, capsys):
    cached_rows(keys_of(1), Counted(keys_of(1)), **level)
    assert capsys.readouterr().err == ""
    keys = keys_of(*range(5))
    cached_rows(keys, Counted(keys), chunk=2, verbose=1, **level)
    shown = capsys.readouterr().err
    assert "Embedding: 100%" in shown
    assert "4/4" in shown
    assert "patch/s" in shown
    cached_rows(keys, None, verbose=1, **level)
    assert capsys.readouterr().err == ""


# --- the level in memory -----------------------------------------------------------------------------------


def test_other_namespaces_make_room_the_one_used_longest_ago_first():
    keys = {name: keys_of(*range(4)) for name in "abc"}
    with budget_for(12):
        for name in "abc":
            cached_rows(keys[name], Counted(keys[name]), namespace=name)
        cached_rows(keys["a"][:1], None, namespace="a")  # reading counts as use: "b" is the oldest now
        cached_rows(keys_of(9), Counted(keys_of(9)), namespace="d")
        for name in "ac":
            cached_rows(keys[name], None, namespace=name)
        compute = Counted(keys["b"])
        cached_rows(keys["b"], compute, namespace="b")
        assert compute.calls == [[0, 1, 2, 3]]


def test_a_namespace_that_fills_the_budget_keeps_its_first_rows():
    keys = keys_of(*range(10))
    with budget_for(6):
        cached_rows(keys_of(1), Counted(keys_of(1)), namespace="other")
        for expected in (10, 4, 4):  # no thrashing, however often all rows are gone through
            compute = Counted(keys)
            assert bits(cached_rows(keys, compute, chunk=4, namespace="ab")[0]) == bits(rows_of(keys))
            assert len(compute.computed) == expected
    assert list(_cache._memory._namespaces) == ["ab"]
    assert len(_cache._memory._namespaces["ab"].places) == 6


@pytest.fixture
def few_in_memory(monkeypatch):
    """As if rows were many: hardly any has room in memory, and most are kept."""
    monkeypatch.setattr(_cache, "_SHARE_HELD", 0.0)
    monkeypatch.setattr(_cache, "_SMALLEST_SPILLED", 1)
    monkeypatch.setattr(_cache, "_TAKEN", 7)


def test_what_has_no_room_in_memory_lies_in_files_and_is_the_same(few_in_memory):
    keys = keys_of(*range(40), 3, 5, 39)
    for name in "abab":
        rows, kept = cached_rows(keys, Counted(keys), chunk=6, namespace=name)
        assert isinstance(rows, np.memmap)
        assert kept.all()
        assert bits(rows) == bits(rows_of(keys))
        rows[:] = 0  # they are the caller's
    assert _cache._memory._n_held() == 2 * 40 * _cache._OVERHEAD
    compute = Counted(keys)
    cached_rows(keys[:40], compute, namespace="a")
    assert compute.calls == []


def test_a_full_disk_leaves_rows_in_memory(few_in_memory, monkeypatch):
    def refuse(**settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_cache.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(_room.shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    keys = keys_of(1, 2, 3)
    for _ in range(2):
        assert bits(cached_rows(keys, Counted(keys), namespace="ab")[0]) == bits(rows_of(keys))
    assert _cache._memory._namespaces["ab"].n_spilled == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_files_of_its_own(few_in_memory):
    keys = keys_of(*range(8))
    cached_rows(keys[:4], Counted(keys[:4]), namespace="ab")
    file = _cache._memory._namespaces["ab"].file
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        child = os.fork()
    if child == 0:
        try:
            compute = Counted(keys)
            right = bits(cached_rows(keys, compute, namespace="ab")[0]) == bits(rows_of(keys))
            own = _cache._memory._namespaces["ab"].file is not file
            os._exit(0 if right and own and compute.calls == [[4, 5, 6, 7]] else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert os.fstat(file.fileno()).st_size == 4 * np.prod(SHAPE) * 4


def test_the_budget_is_read_at_each_call():
    keys = keys_of(*range(10))
    with sklearn.config_context(working_memory=0):
        cached_rows(keys, Counted(keys), namespace="ab")
        compute = Counted(keys)
        cached_rows(keys, compute, namespace="ab")
        assert len(compute.computed) == 10
    cached_rows(keys, compute, namespace="ab")
    cached_rows(keys, compute, namespace="ab")
    assert len(compute.computed) == 20


def test_threads_may_ask_for_the_same_rows():
    numbers = [np.random.RandomState(seed).permutation(60) for seed in range(8)]
    wrong = []

    def ask(order):
        keys = keys_of(*order.tolist())
        for namespace in "abab":
            rows, kept = cached_rows(
                keys, Counted(keys, 2.0 if namespace == "b" else 1.0), namespace=namespace, chunk=7
            )
            expected = rows_of(keys, 2.0 if namespace == "b" else 1.0)
            if not kept.all() or not np.array_equal(rows, expected):
                wrong.append(order)

    threads = [threading.Thread(target=ask, args=(order,)) for order in numbers]
    with budget_for(80):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    memory = _cache._memory
    per_row = np.prod(SHAPE) * 4 + _cache._OVERHEAD
    for namespace in memory._namespaces.values():
        assert namespace.n_bytes == len(namespace.places) * per_row


# --- the level in a folder ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path, lambda folder: joblib.Memory(folder, verbose=0)])
def test_a_folder_is_named_as_in_scikit_learn(tmp_path, kind):
    keys = keys_of(1, 2)
    cached_rows(keys, Counted(keys), namespace="ab", memory=kind(str(tmp_path)))
    (shard,) = (tmp_path / "histoclf-embeddings" / "1" / "ab").iterdir()
    assert shard.suffix == ".npy"
    new_process()
    assert bits(cached_rows(keys, None, namespace="ab", memory=kind(str(tmp_path)))[0]) == bits(rows_of(keys))


def test_a_memory_without_a_folder_is_none():
    keys = keys_of(1)
    cached_rows(keys, Counted(keys), namespace="ab", memory=joblib.Memory(None))
    cached_rows(keys, None, namespace="ab")


@pytest.mark.parametrize("memory", [3, True, ["cache"]])
def test_what_is_no_folder_is_refused(memory):
    with pytest.raises(TypeError, match=r"memory must be a folder, a joblib\.Memory or None, got"):
        cached_rows(keys_of(1), None, namespace="ab", memory=memory)


def test_rows_from_a_folder_are_kept_in_memory_too(tmp_path):
    keys = keys_of(*range(4))
    cached_rows(keys, Counted(keys), namespace="ab", memory=tmp_path)
    new_process()
    cached_rows(keys, None, namespace="ab", memory=tmp_path)
    assert bits(cached_rows(keys, None, namespace="ab")[0]) == bits(rows_of(keys))


def test_what_another_process_wrote_meanwhile_is_not_computed(tmp_path):
    keys = keys_of(*range(6))
    counted = Counted(keys)

    def compute(positions):
        if positions[0] == 0:
            folder = tmp_path / "histoclf-embeddings" / "1" / "ab"
            ShardFolder(str(folder), 512).add(keys[3:5], rows_of(keys[3:5]))
        return counted(positions)

    rows, _ = cached_rows(keys, compute, namespace="ab", memory=tmp_path, chunk=2)
    assert counted.calls == [[0, 1], [2, 5]]
    assert bits(rows) == bits(rows_of(keys))


def test_a_folder_to_itself_is_looked_through_once(tmp_path, monkeypatch):
    keys, looks = keys_of(*range(6)), []
    find = ShardFolder.find
    monkeypatch.setattr(ShardFolder, "find", lambda self, keys: looks.append(keys) or find(self, keys))
    cached_rows(keys, Counted(keys), namespace="ab", memory=tmp_path, chunk=2)
    assert looks == [set(keys)]


def _files(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def test_a_full_disk_costs_no_rows(tmp_path, monkeypatch):
    written = []

    def full(path, data):
        written.append(path)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(_shards, "write_atomically", full)
    keys = keys_of(*range(6))
    with pytest.warns(UserWarning, match="No space left on device") as caught:
        rows, kept = cached_rows(keys, Counted(keys), namespace="ab", memory=tmp_path, chunk=2)
    assert bits(rows) == bits(rows_of(keys))
    assert kept.all()
    (warning,) = caught  # once, and no further attempt
    assert len(written) == 1
    assert warning.filename == __file__
    message = str(warning.message)
    assert str(tmp_path) in message
    assert "Free some room, make the folder writable, or give another folder as memory." in message
    assert _files(tmp_path) == []
    cached_rows(keys, None, namespace="ab", memory=tmp_path)  # memory still has them


def test_a_file_in_the_folder_s_place_costs_no_rows(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    keys = keys_of(1, 2)
    with pytest.warns(UserWarning, match="Embeddings cannot be kept in .*cache"):
        rows, _ = cached_rows(keys, Counted(keys), namespace="ab", memory=tmp_path / "cache")
    assert bits(rows) == bits(rows_of(keys))


def test_a_folder_that_cannot_be_written_is_still_read(tmp_path):
    keys = keys_of(1, 2, 3)
    cached_rows(keys[:2], Counted(keys), namespace="ab", memory=tmp_path)
    folder = tmp_path / "histoclf-embeddings" / "1" / "ab"
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        new_process()
        compute = Counted(keys)
        with pytest.warns(UserWarning, match="Permission denied"):
            rows, _ = cached_rows(keys, compute, namespace="ab", memory=tmp_path)
    finally:
        folder.chmod(0o700)
    assert compute.calls == [[2]]
    assert bits(rows) == bits(rows_of(keys))


def test_all_found_nothing_is_written_or_warned_of(tmp_path, monkeypatch):
    keys = keys_of(1, 2)
    cached_rows(keys, Counted(keys), namespace="ab", memory=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in _files(tmp_path)}
    monkeypatch.setattr(_shards, "write_atomically", None)
    new_process()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached_rows(keys, None, namespace="ab", memory=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in _files(tmp_path)} == before


# --- processes ---------------------------------------------------------------------------------------------


def test_importing_loads_no_network(child_env):
    code = "import sys, histoclf.networks._cache; print({'tensorflow', 'keras'} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=child_env, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"


FORK = """
import os, sys, threading
import numpy as np
from histoclf.networks._cache import cached_rows

keys = [bytes([number]) * 16 for number in range(20)]
row = lambda positions: (np.float32(positions)[:, None], np.ones(len(positions), dtype=bool))
stop = threading.Event()

def busy():
    while not stop.is_set():
        cached_rows(keys, row, namespace="busy")

cached_rows(keys, row, namespace="ab")
thread = threading.Thread(target=busy)
thread.start()
codes = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        rows, _ = cached_rows(keys, None, namespace="ab")  # a lock held by the other thread would hang here
        os._exit(0 if rows[:, 0].tolist() == list(range(20)) else 1)
    codes.append(os.waitpid(child, 0)[1])
stop.set()
thread.join()
print(codes == [0] * 20)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on_with_what_is_there(child_env):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        env=child_env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stderr == ""
    assert run.stdout.strip() == "True"
