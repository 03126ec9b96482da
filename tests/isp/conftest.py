"""Settings for the tests of the ISP."""

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Pictures this small are done before a second thread has woken up."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
