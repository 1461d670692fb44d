"""What transformers of pixels share; what each of them refuses is in its own tests."""

import numpy as np
import pytest

from histoclf.exceptions import InputContractError
from histoclf.preprocessing._pixels import check_not_cast, row_blocks


@pytest.mark.parametrize("shape", [(0, 3), (1, 10**6), (7, 2**17), (5, 2)])
def test_blocks_cover_every_row_once(shape):
    rows = np.broadcast_to(np.uint8(0), shape)
    seen = [row for block in row_blocks(rows) for row in range(len(rows))[block]]
    assert seen == list(range(len(rows)))


def test_blocks_are_small():
    assert [block.stop - block.start for block in row_blocks(np.broadcast_to(0, (8, 2**16)))] == [4, 4]


def test_a_cast_to_whole_numbers_is_called_by_name():
    check_not_cast(np.array([[0, 2]]))
    check_not_cast(np.array([[0.0, 1.0]]))
    with pytest.raises(InputContractError, match="were cast to integers, which left only black and white"):
        check_not_cast(np.array([[0, 1]]))
