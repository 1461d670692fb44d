"""A folder that many processes share: nothing wrong ever comes out of it, whatever happens to its files."""

import errno
import io
import os
import pickle
import subprocess
import sys
import time
from hashlib import blake2b

import numpy as np
import pytest

from histoclf.networks import _shards
from histoclf.networks._shards import ShardFolder, forget_shards

CHUNK = 8


def key_of(number):
    return number.to_bytes(16, "little")  # ends in zeros: the hard case for NumPy


def row_of(number):
    return np.random.RandomState(number).standard_normal((2, 3)).astype(np.float32)


def add(folder, numbers):
    folder.add([key_of(number) for number in numbers], np.stack([row_of(number) for number in numbers]))


def find(folder, numbers):
    """The numbers found, after checking their rows."""
    found = {}
    for keys, rows in folder.find({key_of(number) for number in numbers}):
        assert rows.dtype == np.float32
        found.update(zip(keys, rows, strict=True))
    for number in numbers:
        if key_of(number) in found:
            assert found[key_of(number)].tobytes() == row_of(number).tobytes()
    return [number for number in numbers if key_of(number) in found]


def _keys_in(shard):
    return np.load(shard)["key"].tolist()


@pytest.fixture(autouse=True)
def new_process():
    forget_shards()
    yield
    forget_shards()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some" / "where"


@pytest.fixture
def folder(path) -> ShardFolder:
    return ShardFolder(str(path), CHUNK)


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The shards read."""
    names = []
    original = ShardFolder._read
    monkeypatch.setattr(ShardFolder, "_read", lambda self, name: names.append(name) or original(self, name))
    return names


# --- shards ------------------------------------------------------------------------------------------------


def test_a_shard_is_a_plain_numpy_file_named_by_its_content(folder, path):
    add(folder, [1, 2])
    (shard,) = path.iterdir()
    assert shard.stem == blake2b(shard.read_bytes(), digest_size=16).hexdigest()
    records = np.load(shard, allow_pickle=False)
    assert records["key"].tolist() == [key_of(1), key_of(2)]
    np.testing.assert_array_equal(records["row"], [row_of(1), row_of(2)])


def test_a_shard_is_as_readable_for_others_as_any_new_file(folder, path, tmp_path):
    add(folder, [1])
    (shard,) = path.iterdir()
    (tmp_path / "any").write_bytes(b"")
    assert shard.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_what_was_added_is_found(folder):
    add(folder, [1, 2, 3])
    add(folder, [4])
    assert find(folder, [4, 2, 9]) == [4, 2]
    forget_shards()
    assert find(ShardFolder(folder.path, CHUNK), [1, 2, 3, 4, 9]) == [1, 2, 3, 4]


def test_a_folder_that_does_not_exist_has_nothing(folder, path):
    assert find(folder, [1]) == []
    assert find(folder, []) == []
    assert not path.exists()


def test_the_same_rows_written_twice_are_one_file(folder, path):
    add(folder, [1, 2])
    add(folder, [1, 2])
    assert len(list(path.iterdir())) == 1


def test_only_shards_with_wanted_rows_are_read(folder, read):
    for start in range(0, 20, 5):
        add(folder, range(start, start + 5))
    assert find(folder, [3, 17]) == [3, 17]
    assert len(read) == 2
    assert find(folder, [99]) == []
    assert len(read) == 2


def test_shards_that_came_later_are_seen(folder):
    add(folder, [1])
    assert find(folder, [1, 2]) == [1]
    forget_shards()  # as another process would, which knows nothing of this one
    add(ShardFolder(folder.path, CHUNK), [2])
    assert find(folder, [1, 2]) == [1, 2]


def test_who_wants_nothing_does_not_list_the_folder(folder, monkeypatch):
    monkeypatch.setattr(ShardFolder, "_names", None)
    assert find(folder, []) == []


def test_what_others_wrote_since_the_last_look_is_news(folder):
    add(folder, [1])
    assert not folder.has_news()
    other = ShardFolder(folder.path, CHUNK)
    assert other.has_news()
    assert find(other, [9]) == []
    assert not other.has_news()
    add(folder, [2])
    assert other.has_news()


def test_shards_that_are_gone_take_no_memory(folder, path):
    add(folder, [1])
    add(folder, [2])
    for shard in path.iterdir():
        shard.unlink()
    assert find(folder, [3]) == []
    assert _shards._known[folder.path] == {}


# --- damage ------------------------------------------------------------------------------------------------


def _flip(position):
    def damage(data):
        data = bytearray(data)
        data[position] ^= 0x10
        return bytes(data)

    return damage


DAMAGES = {
    "a bit of the last row": _flip(-1),
    "a bit of the first key": _flip(128),
    "a bit of the header": _flip(20),
    "cut short": lambda data: data[:-3],
    "cut in the header": lambda data: data[:40],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_shard_is_removed_and_written_again(folder, path, damage, known):
    add(folder, [1, 2])
    add(folder, [3])
    (shard,) = [shard for shard in path.iterdir() if len(np.load(shard)) == 2]
    good = shard.read_bytes()
    shard.write_bytes(damage(good))
    if not known:
        forget_shards()
        folder = ShardFolder(folder.path, CHUNK)
    assert find(folder, [1, 2, 3]) == [3]
    assert not shard.exists()
    add(folder, [1, 2])
    assert shard.read_bytes() == good
    assert find(folder, [1, 2, 3]) == [1, 2, 3]


def _npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


FOREIGN = {
    "text": b"not an array",
    "a pickle": pickle.dumps([1]),
    "pickled objects": _npy(np.array([{}], dtype=object), allow_pickle=True),
    "plain numbers": _npy(np.zeros((3, 4), dtype=np.float32)),
    "other names": _npy(np.zeros(2, dtype=[("name", "V16"), ("row", "<f4", (2, 3))])),
    "short keys": _npy(np.zeros(2, dtype=[("key", "V8"), ("row", "<f4", (2, 3))])),
    "other numbers": _npy(np.zeros(2, dtype=[("key", "V16"), ("row", "<f8", (2, 3))])),
    "a table": _npy(np.zeros((2, 2), dtype=[("key", "V16"), ("row", "<f4", (2, 3))])),
    "a huge shape": _npy(np.zeros(1, "<f4")).replace(b"(1,), }" + b" " * 12, b"(1" + b"0" * 12 + b",), }"),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_shard_is_removed_even_under_its_proper_name(folder, path, data):
    add(folder, [1])
    foreign = path / (blake2b(data, digest_size=16).hexdigest() + ".npy")
    foreign.write_bytes(data)
    assert find(folder, [0, 1]) == [1]
    assert not foreign.exists()


def test_files_with_other_names_are_left_alone(folder, path):
    add(folder, [1])
    others = [path / name for name in ("notes.txt", "a.npy", "0" * 31 + ".npy", "." + "0" * 32 + ".npy.tmp")]
    for other in others:
        other.write_bytes(b"mine")
        os.utime(other, (0, 0))
    (path / ("0" * 32 + ".npy")).mkdir()  # no file at all
    assert find(folder, [1, 2]) == [1]
    assert all(other.read_bytes() == b"mine" for other in others)


def test_drafts_of_killed_processes_are_swept_up(folder, path):
    add(folder, [1])
    old, new = (path / f".{'0' * 32}.npy.{digit * 8}.tmp" for digit in "12")
    for draft in (old, new):
        draft.write_bytes(b"half")
    hours_ago = time.time() - 2 * 3600
    os.utime(old, (hours_ago, hours_ago))
    find(folder, [1])
    assert not old.exists()
    assert new.exists()  # its writer may be alive


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_nothing(folder, path, step, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    add(folder, [1])
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        add(folder, [2])
    monkeypatch.undo()
    assert len(list(path.iterdir())) == 1
    assert find(folder, [1, 2]) == [1]


# --- merging -----------------------------------------------------------------------------------------------


def test_single_rows_are_merged_into_full_shards(folder, path):
    for number in range(200):
        add(folder, [number])
        assert len(list(path.iterdir())) <= _shards._MANY_SMALL + 200 // CHUNK
    sizes = [len(np.load(shard)) for shard in path.iterdir()]
    assert sum(sizes) == 200
    assert max(sizes) < 2 * CHUNK
    assert sum(size < CHUNK for size in sizes) <= _shards._MANY_SMALL
    assert find(folder, range(200)) == list(range(200))
    forget_shards()
    assert find(ShardFolder(folder.path, CHUNK), range(200)) == list(range(200))


def test_full_shards_are_never_merged(folder, path):
    for start in range(0, 80 * CHUNK, CHUNK):
        add(folder, range(start, start + CHUNK))
    assert len(list(path.iterdir())) == 80


def test_a_row_in_several_small_shards_is_merged_into_one(folder, path):
    others = range(1, _shards._MANY_SMALL + 2)
    for number in others:
        add(folder, [0, number])
    (merged,) = [keys for keys in map(_keys_in, path.iterdir()) if len(keys) > 2]
    assert len(merged) == len(set(merged)) == CHUNK
    assert find(folder, [0, *others]) == [0, *others]


def test_a_damaged_shard_is_left_out_of_a_merger(folder, path):
    for number in range(_shards._MANY_SMALL):
        add(folder, [number])
    (first,) = [shard for shard in path.iterdir() if _keys_in(shard) == [key_of(0)]]
    first.write_bytes(b"damaged")
    for number in range(1000, 1030):
        add(folder, [number])
    wanted = [*range(_shards._MANY_SMALL), *range(1000, 1030)]
    assert find(folder, wanted) == wanted[1:]


def test_a_shard_removed_under_a_reader_is_a_miss(folder, path):
    add(folder, [1])
    add(folder, [2])
    reading = folder.find({key_of(1), key_of(2)})
    (first,), _ = next(reading)
    for shard in path.iterdir():
        shard.unlink()
    assert list(reading) == []
    assert find(folder, [1, 2]) == []
    assert first in (key_of(1), key_of(2))


def test_rows_merged_under_a_reader_are_found_in_their_new_shard(folder, path):
    for number in range(4):
        add(folder, [number])
    reading = folder.find({key_of(number) for number in range(4)})
    found = list(next(reading)[0])
    other = ShardFolder(folder.path, CHUNK)
    other._merge(sorted(shard.name for shard in path.iterdir()))
    assert len(list(path.iterdir())) == 1
    found += [key for keys, _ in reading for key in keys]
    assert sorted(found) == [key_of(number) for number in range(4)]


# --- processes ---------------------------------------------------------------------------------------------

PRELUDE = """
import os, signal, sys, time
sys.path[:0] = sys.argv[2:]
from tests.networks.test_shards import *
folder = sys.argv[1]

def in_child(function, *args):
    child = os.fork()
    if child == 0:
        try:
            function(*args)
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    return child
"""

SHARED = """
# Five processes ask for the same 300 rows in different orders, some one by one, and write what is missing.
def work(seed):
    shards, order = ShardFolder(folder, CHUNK), np.random.RandomState(seed).permutation(300).tolist()
    step = (1, 3, 8)[seed % 3]
    for start in range(0, 300, step):
        part = order[start : start + step]
        missing = sorted(set(part) - set(find(shards, part)))
        if missing:
            add(shards, missing)

children = [in_child(work, seed) for seed in range(5)]
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""

KILLED = """
# A child writes without end and is killed, twenty times over.
def work(start):
    shards = ShardFolder(folder, 64)
    for number in range(start, start + 10**6, 64):
        big = np.stack([np.full(2000, n, dtype=np.float32) for n in range(number, number + 64)])
        shards.add([key_of(n) for n in range(number, number + 64)], big)
        shards.add([key_of(n + 10**9) for n in range(number, number + 1)], big[:1])

for kill in range(20):
    child = in_child(work, kill * 10**6)
    time.sleep(0.02 + 0.003 * kill)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

# And once for certain between writing and renaming.
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(in_child(work, 0), 0)
"""

LIMITED = """
# No file may grow beyond 20 kB: a real refusal of the system, in the middle of a write.
import resource

def work():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    shards = ShardFolder(folder, CHUNK)
    add(shards, [1, 2])
    try:
        shards.add([key_of(3)], np.zeros((1, 100_000), dtype=np.float32))
    except OSError as error:
        sys.exit(error.errno != errno.EFBIG)
    sys.exit("no error")

try:
    work()
finally:
    print(*sorted(os.listdir(folder)))
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def _run(code, path, child_env):
    run = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(path), *sys.path],
        env=child_env,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


@needs_fork
def test_processes_write_and_read_one_folder_at_once(folder, path, child_env):
    _run(SHARED, path, child_env)
    assert find(folder, range(300)) == list(range(300))
    assert {shard.suffix for shard in path.iterdir()} == {".npy"}
    for shard in path.iterdir():
        assert shard.stem == blake2b(shard.read_bytes(), digest_size=16).hexdigest()


@needs_fork
def test_a_kill_in_the_middle_of_a_write_leaves_nothing_wrong(path, child_env):
    _run(KILLED, path, child_env)
    drafts = [file for file in path.iterdir() if file.suffix == ".tmp"]
    shards = [file for file in path.iterdir() if file.suffix == ".npy"]
    assert drafts
    assert shards
    numbers = set()
    for shard in shards:
        assert shard.stem == blake2b(shard.read_bytes(), digest_size=16).hexdigest()
        numbers.update(int.from_bytes(key, "little") for key in _keys_in(shard))
    found = set()
    for keys, rows in ShardFolder(str(path), 64).find({key_of(number) for number in numbers}):
        for key, row in zip(keys, rows, strict=True):
            number = int.from_bytes(key, "little")
            assert (row == np.float32(number % 10**9)).all()
            found.add(number)
    assert found == numbers
    hours_ago = time.time() - 2 * 3600
    for draft in drafts:
        os.utime(draft, (hours_ago, hours_ago))
    list(ShardFolder(str(path), 64).find({key_of(0)}))
    assert not any(draft.exists() for draft in drafts)


@needs_fork
def test_a_write_that_the_system_refuses_leaves_what_was_there(folder, path, child_env):
    (name,) = _run(LIMITED, path, child_env).split()
    assert [file.name for file in path.iterdir()] == [name]
    assert find(folder, [1, 2]) == [1, 2]
