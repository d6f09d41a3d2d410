"""What the tests of elasticity share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Many tiny layers: threads would only wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
