"""One thread for the nets, as the studio's workers have it: on a machine that does other work too, two wait for each other."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)
