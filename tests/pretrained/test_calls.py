import math

import pytest
import torch

from nbtransfer.pretrained.calls import TensorShape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
@pytest.mark.parametrize("images", [0, 1, 300])
def test_a_stand_in_of_zeros_is_a_tensor_of_its_own(dtype, images):
    shape = TensorShape((0, 3, 5), (1, 0, 0), dtype)
    first, second = (shape.stand_in(images, torch.device("cpu"), 0.0) for _ in range(2))
    assert first.shape == (images, 3, 5)
    assert (first.dtype, first.is_contiguous()) == (dtype, True)
    first.fill_(1)
    assert torch.equal(second, torch.zeros(images, 3, 5, dtype=dtype))


def test_whole_numbers_know_no_nan():
    here = torch.device("cpu")
    assert not TensorShape((0, 4), (1, 0), torch.int64).stand_in(2, here, math.nan).any()
    assert TensorShape((0, 4), (1, 0), torch.float32).stand_in(2, here, math.nan).isnan().all()
