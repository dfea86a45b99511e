"""What is compiled here and what is loaded from disk is the same code."""

from __future__ import annotations

from pathlib import Path

from tests.support import python

STEP = """
import hashlib, torch
from harness.models import elementary
from harness.models.activations import Sine
from harness.models.finer import Finer
from harness.models.gauss import Gaussian
from harness.models.kan import KAN
from harness.models.perceptron import Perceptron
from harness.models.wire import Gabor
torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)
x = torch.randn(301, 2, generator=generator, dtype=torch.float64)
network = KAN([2, 19, 1], 5, 5, 0.5, generator)  # long loops, which a compiler would rather call than repeat
value = network(x)
value.square().sum().backward()
found = [value, *(p.grad for p in network.parameters()), *elementary.silu_and_slope(x), elementary.tanh(x)]
activations = [torch.nn.Tanh(), torch.nn.ReLU(), torch.nn.SiLU(), Sine(9.0), Gabor(5.0, 1.5), Finer(7.0), Gaussian(0.4)]
between = [layer for each in activations for layer in (torch.nn.Linear(6, 6).double(), each)]
layers = Perceptron(torch.nn.Linear(2, 6).double(), *between[1:], torch.nn.Linear(6, 1).double())
value = layers.at(x)()
value.square().sum().backward()
found += [value, *(p.grad for p in layers.parameters())]
print(hashlib.sha256(b"".join(each.detach().numpy().tobytes() for each in found)).hexdigest())
"""


def test_the_process_that_compiles_a_loop_has_the_bits_of_those_that_load_it(tmp_path: Path) -> None:
    printed = []
    for _ in range(2):
        done = python(["-c", STEP], NUMBA_CACHE_DIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert list(tmp_path.rglob("*.nbc"))
        printed.append(done.stdout)
    assert printed[0] == printed[1]
