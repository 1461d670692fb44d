"""The bytes of a model file, and writing them."""

import io
import zipfile

import numpy as np
import pytest

from histoclf.exceptions import ModelFileError
from histoclf.persistence._archive import _digest, pack, unpack

DOCUMENT = {"format": 1, "name": "μ"}
ARRAYS = [np.arange(3, dtype=np.float32), np.array(["benign"])]


def sealed(write, compression=zipfile.ZIP_STORED):
    """A zip of somebody who knows how to seal one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        write(archive)
        archive.comment = b"histoclf sha256 " + b"0" * 64
    body = buffer.getvalue()[:-64]
    return body + _digest(body)


def npy(array, **kwargs):
    buffer = io.BytesIO()
    np.save(buffer, array, **kwargs)
    return buffer.getvalue()


def test_what_is_packed_is_unpacked():
    document, arrays = unpack(pack(DOCUMENT, ARRAYS))
    assert document == DOCUMENT
    assert [array.tolist() for array in arrays] == [[0.0, 1.0, 2.0], ["benign"]]


def test_the_same_content_gives_the_same_bytes():
    assert pack(DOCUMENT, ARRAYS) == pack(DOCUMENT, ARRAYS)


def test_any_zip_tool_opens_it_and_numpy_reads_its_arrays():
    with zipfile.ZipFile(io.BytesIO(pack(DOCUMENT, ARRAYS))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["model.json", "arrays/000.npy", "arrays/001.npy"]
        assert np.load(io.BytesIO(archive.read("arrays/000.npy"))).tolist() == [0.0, 1.0, 2.0]


def test_every_altered_byte_is_noticed():
    data = pack(DOCUMENT, ARRAYS)
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1
        with pytest.raises(ModelFileError):
            unpack(bytes(altered))


def test_every_truncation_is_noticed():
    data = pack(DOCUMENT, ARRAYS)
    for length in range(len(data)):
        with pytest.raises(ModelFileError):
            unpack(data[:length])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no model file of histoclf: check the path"),
        (b"PK\x03\x04 of another kind", "cut short, or a zip file of another kind"),
        (b"\x80\x04\x95 a pickle", r"load it with joblib\.load"),
    ],
)
def test_other_files_are_told_apart(data, message):
    with pytest.raises(ModelFileError, match=message):
        unpack(data)


def test_an_altered_file_is_called_that():
    data = bytearray(pack(DOCUMENT, ARRAYS))
    data[100] ^= 1
    with pytest.raises(ModelFileError, match="altered after saving"):
        unpack(bytes(data))


def test_a_pickle_inside_is_not_loaded():
    def write(archive):
        archive.writestr("model.json", "{}")
        archive.writestr("arrays/000.npy", npy(np.array([{}]), allow_pickle=True))

    with pytest.raises(ModelFileError, match="allow_pickle=False"):
        unpack(sealed(write))


def test_a_compressed_bomb_is_refused():
    def write(archive):
        archive.writestr("model.json", " " * 10_000_000)

    with pytest.raises(ModelFileError, match="compressed"):
        unpack(sealed(write, zipfile.ZIP_DEFLATED))


def test_members_that_share_their_bytes_are_refused():
    def write(archive):
        archive.writestr("model.json", " " * 10_000)
        for _ in range(100):  # one more entry for the same bytes each
            archive.filelist.append(archive.filelist[0])

    with pytest.raises(ModelFileError, match="larger than the file"):
        unpack(sealed(write))


@pytest.mark.parametrize(
    "text", ["not JSON", "[" * 100_000], ids=["no JSON", "nested deeper than the interpreter's stack"]
)
def test_a_document_that_cannot_be_read_is_refused(text):
    with pytest.raises(ModelFileError, match="not built like a model file"):
        unpack(sealed(lambda archive: archive.writestr("model.json", text)))


def test_an_array_that_claims_to_be_huge_is_refused():
    header = npy(np.zeros(1)).replace(b"(1,)", b"(9999999999999,)")

    def write(archive):
        archive.writestr("model.json", "{}")
        archive.writestr("arrays/000.npy", header)

    with pytest.raises(ModelFileError, match="not built like a model file"):
        unpack(sealed(write))
