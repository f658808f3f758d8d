import pytest
import torch

from client.device import find_device, has_bfloat16, laid_out


def test_auto_is_a_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert find_device("auto").type == expected
    assert find_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["cuda:99", "mps", "gpu", ""])
def test_a_device_that_is_not_here_is_refused(name) -> None:
    with pytest.raises(ValueError, match="device: expected"):
        find_device(name)


def test_whether_a_processor_multiplies_in_bfloat16_is_known() -> None:
    assert has_bfloat16(torch.device("cpu")) in {True, False}


def test_on_a_cpu_batches_are_left_as_they_are() -> None:
    x = torch.zeros(1, 2, 3, 4, 5)
    assert laid_out(torch.device("cpu"), x) is x
