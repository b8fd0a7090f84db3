"""Base classes of aihwkit's tests."""

from __future__ import annotations

import os
from typing import Any
from unittest import SkipTest, TestCase

import pytest
from aihwkit.simulator.rpu_base import cuda
from numpy.testing import assert_array_almost_equal
from torch import Tensor

SKIP_CUDA_TESTS = bool(os.getenv("SKIP_CUDA_TESTS")) or not cuda.is_compiled()


class AihwkitTestCase(TestCase):
    """Comparison of tensors."""

    def assertTensorAlmostEqual(self, first: Tensor, second: Tensor, decimal: int = 4) -> None:
        """Fail unless all elements agree to ``decimal`` digits."""
        arrays = [tensor.detach().cpu().numpy() for tensor in (first, second)]
        assert_array_almost_equal(*arrays, decimal=decimal)

    def assertNotAlmostEqualTensor(self, first: Tensor, second: Tensor, decimal: int = 4) -> None:
        """Fail if all elements agree to ``decimal`` digits."""
        with pytest.raises(AssertionError):
            self.assertTensorAlmostEqual(first, second, decimal)


class ParametrizedTestCase(AihwkitTestCase):
    """Gets these attributes from a decorator."""

    use_cuda = False
    simulator_tile_class: Any = None
    first_hidden_field: Any = ""
    bias: Any = False
    digital_bias = False
    analog_bias = False
    parameter = ""

    def setUp(self) -> None:
        """Skip what needs a GPU."""
        if self.use_cuda and SKIP_CUDA_TESTS:
            raise SkipTest("not compiled with CUDA support")

    def get_cuda_decimal(self, base_atol: float, training_steps: int = 0) -> int:
        """Return the digits of agreement; on CPUs those of ``assert_array_almost_equal``."""
        del base_atol, training_steps
        return 3 if self.use_cuda else 6


def _probe_cuda_conv3d_tolerance(*_: Any, **__: Any) -> float:
    return 0.0


def _probe_cuda_rnn_tolerance(*_: Any, **__: Any) -> float:
    return 0.0
