"""What a frame of 12 megapixels takes."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
import denoisers
from denoisers.inference.raws import Frame, Noise, RawRestorer
from denoisers.models.dualdn import Shot

torch.set_num_threads(1)
net = denoisers.create("dualdn").eval()
tiles = []

def once(run, place):
    # A tile of the published size is computed, the others come back as they are.
    def first(given, *others):
        tiles.append(place)
        return run(given, *others) if tiles.count(place) == 1 else given
    return first

net.first, net.second = once(net.first, "mosaic"), once(net.second, "picture")
matrix = torch.tensor([[0.72, 0.25, 0.03], [0.28, 0.98, -0.26], [0.03, -0.25, 1.22]])[None]
light = torch.tensor([[2.0, 1.0, 1.6]]), matrix, torch.zeros(1)
shot = Shot(torch.tensor([2e-3]), torch.tensor([1e-5]), *light)
mosaic = torch.rand(3000, 4000, generator=torch.Generator().manual_seed(0)).numpy()
mosaic, picture = RawRestorer(net)(Frame.at_red(mosaic, "GRBG", shot))
assert picture.shape[2] >= 3000 and picture.shape[3] >= 4000 and picture.isfinite().all()
assert min(tiles.count("mosaic"), tiles.count("picture")) > 30
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


@pytest.mark.slow
def test_12_megapixels_by_the_published_network_take_less_than_6_gb():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 1 < float(done.stdout) < 6
