"""Every fused form of a read against the plain torch product, over one table of settings."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Type

import pytest
import torch
from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters
from packaging.version import Version
from torch import Tensor

from aihwkit_dspt.fused import line_cpu, read_cpu, read_gpu
from aihwkit_dspt.fused.column_kernels_cpu import BESIDE
from aihwkit_dspt.fused.read import FusedLine, FusedProduct
from aihwkit_dspt.fused.read_cpu import NumbaConverters
from aihwkit_dspt.fused.table import FUSED_LINES, FUSED_PRODUCTS
from aihwkit_dspt.reads.coverage import Form, covers
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.one_hot import LineLaw
from aihwkit_dspt.reads.product import PlainProduct
from tests.fused.interpreter import device_for
from tests.gpu.device import HAS_GPU

NM, BM = NoiseManagementType, BoundManagementType
SETTINGS: Dict[str, Dict[str, Any]] = {
    "default": {},
    "paper": {"inp_res": 1 / 126, "out_res": 1 / 510, "out_noise": 0.06},
    "quiet": {"out_noise": 0.0},
    "bounds": {"out_noise": 0.0, "out_bound": 1.2},
    "bounds-noise": {"out_noise": 0.2, "out_bound": 1.2},
    "bounds-factor": {"out_noise": 0.0, "out_bound": 1.0, "max_bm_factor": 4},
    "no-bound-management": {"bound_management": BM.NONE, "out_bound": 1.5},
    "no-bound-management-quiet": {"bound_management": BM.NONE, "out_bound": 1.5, "out_noise": 0.0},
    "threshold": {"nm_thres": 0.6, "inp_bound": 0.8},
    "threshold-quiet": {"nm_thres": 0.6, "out_noise": 0.0, "bound_management": BM.NONE},
    "no-converters": {"inp_res": -1.0, "out_res": -1.0, "out_noise": 0.1},
    "no-input-converter": {"inp_res": -1.0, "out_noise": 0.0},
    "no-output-converter": {"out_res": -1.0, "out_noise": 0.0, "out_bound": 1.2},
    "no-bounds": {"inp_bound": -1.0, "out_bound": -1.0},
    "asymmetry": {"out_noise": 0.3, "out_asymmetry": 0.5},
    "scale": {"out_scale": 1.3, "out_noise": 0.0},
    "weight-noise": {"w_noise": 0.1, "w_noise_type": WeightNoiseType.ADDITIVE_CONSTANT},
    "no-noise-management": {"noise_management": NM.NONE, "bound_management": BM.NONE},
    "constant": {
        **{"noise_management": NM.CONSTANT, "nm_thres": 1.7, "out_noise": 0.0},
        "bound_management": BM.NONE,
    },
    "perfect": {"is_perfect": True, "out_scale": 0.7},
    "ideal": {"mv_type": AnalogMVType.IDEAL},
}
"""Read parameters; each form is tried with all that it covers."""

IN_SIZE, OUT_SIZE = 70, 45
N_SETTINGS = {Form.CONVERTERS: 16, Form.ONE_PASS: 14}
"""How many of them a form has to cover at least."""

SAME_BITS = (NumbaConverters, read_gpu.TritonConverters)
"""Forms around the very product of plain torch (on a GPU another library sums)."""


def needs_loops(kind: Type[FusedProduct]) -> bool:
    """Return whether the interpreter of this Triton cannot run a form."""
    if kind.DEVICE == "cpu" or HAS_GPU:
        return False
    triton = pytest.importorskip("triton")
    return Version(triton.__version__) < Version("3.7")  # no loops with a recent NumPy


def equal_noise(kind: Type[Any]) -> bool:
    """Return whether a form takes the random numbers that plain torch takes."""
    return bool(kind.DEVICE == "cpu")


def with_seed(call: Callable[[], Tensor]) -> Tensor:
    """Return what a call returns with a seed of torch."""
    torch.manual_seed(6)
    return call().cpu()


def is_tried(kind: Type[FusedProduct], settings: Dict[str, Any], backward: bool) -> bool:
    """Return whether a form is to be equal to plain torch with these settings."""
    io = IOParameters(**settings)
    law = ReadLaw.of(io, backward)
    if law.ideal or not covers(kind.FORM, io, backward):
        return False
    if law.manages_bounds and kind is read_gpu.TritonConverters:
        return False
    return equal_noise(kind) or law.out_noise == 0.0


CASES = [
    (kind, name, backward)
    for kind in FUSED_PRODUCTS
    for name, settings in SETTINGS.items()
    for backward in (False, True)
    if is_tried(kind, settings, backward)
]
"""Every registered form with all settings and directions that it covers."""


@pytest.mark.parametrize(("kind", "name", "backward"), CASES, ids=lambda value: str(value)[-40:])
def test_product_equals_plain_torch(
    kind: Type[FusedProduct], name: str, backward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same outputs, but for values that rounding errors move over a rounding threshold.

    With the same noise where a form takes torch's, or is made to; the others are tried without it
    (and with it in :func:`test_noise_of_its_own`). Sums in another order differ by 1e-7 of the
    output; one percent of the outputs may differ by a step. Vectors of zeros and what is no number
    come out as such.
    """
    if needs_loops(kind):
        pytest.skip("the interpreter of this Triton cannot loop with a recent NumPy")
    device = device_for(kind, monkeypatch)
    monkeypatch.setattr(read_cpu, "draw_normal", Tensor.normal_)
    torch.manual_seed(5)
    law = ReadLaw.of(IOParameters(**SETTINGS[name]), backward)
    fused, plain = kind(law, backward), PlainProduct(law)
    n_vectors = 60 if kind.DEVICE == "cpu" else 20
    # Weights as arrays have them: [d_size, x_size] in order.
    weights = 0.4 * torch.randn(*((IN_SIZE, OUT_SIZE) if backward else (OUT_SIZE, IN_SIZE)))
    matrix = weights if backward else weights.t()
    vectors = 3.0 * torch.rand(n_vectors, 1) * torch.randn(n_vectors, IN_SIZE)
    vectors[1] = 0.0
    vectors[2, 7] = torch.nan
    vectors[3, 1] = torch.inf
    vectors[4] *= 1e-42  # inputs below the smallest normal number
    before = vectors.clone()
    expected = with_seed(lambda: plain(matrix, vectors))
    there = matrix.to(device), vectors.to(device)
    found = with_seed(lambda: fused(*there))
    assert torch.equal(there[1].cpu().nan_to_num(1e9), before.nan_to_num(1e9))
    close = torch.isclose(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)
    assert close.sum() >= 0.99 * close.numel(), (found - expected).nan_to_num().abs().max()
    if kind in SAME_BITS and device == "cpu":
        assert torch.equal(found.nan_to_num(1e9), expected.nan_to_num(1e9))
    assert expected[5:].std() > 0.1
    strided = torch.cat([there[1], there[1]], 1)[:, :IN_SIZE]
    again = with_seed(lambda: fused(there[0], strided))
    assert torch.equal(again.nan_to_num(1e9), found.nan_to_num(1e9))


@pytest.mark.parametrize(
    ("name", "backward"),
    [(name, backward) for kind, name, backward in CASES if kind is NumbaConverters],
)
def test_columns_equal_plain_torch(
    name: str, backward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors in the second dimension: bit by bit, of more than the loops take side by side."""
    monkeypatch.setattr(read_cpu, "draw_normal", Tensor.normal_)
    torch.manual_seed(8)
    law = ReadLaw.of(IOParameters(**SETTINGS[name]), backward)
    matrix = 0.4 * torch.randn(OUT_SIZE, IN_SIZE)
    vectors = 3.0 * torch.rand(3, 1, BESIDE + 9) * torch.randn(3, IN_SIZE, BESIDE + 9)
    vectors[1, :, 4] = 0.0
    vectors[1, 3, 5], vectors[1, 2, 6] = torch.nan, torch.inf
    vectors[1, :, 7] *= 1e-42
    before = vectors.clone()
    expected = with_seed(lambda: PlainProduct(law)(matrix, vectors, dim=-2))
    found = with_seed(lambda: NumbaConverters(law, backward).of_columns(matrix, vectors))
    assert torch.equal(vectors.nan_to_num(1e9), before.nan_to_num(1e9))
    assert torch.equal(found.nan_to_num(1e9), expected.nan_to_num(1e9))
    assert expected[0].std() > 0.1
    strided = vectors.transpose(1, 2).contiguous().transpose(1, 2)
    again = with_seed(lambda: NumbaConverters(law, backward).of_columns(matrix, strided))
    assert torch.equal(again.nan_to_num(1e9), found.nan_to_num(1e9))


@pytest.mark.parametrize("kind", FUSED_PRODUCTS)
def test_settings_are_many(kind: Type[FusedProduct]) -> None:
    """The comparison above does try each form with what it is for."""
    tried = {name for form, name, _ in CASES if form is kind}
    assert len(tried) >= (N_SETTINGS[kind.FORM] if equal_noise(kind) else 4)


def read_lines() -> Iterator[Any]:
    """Yield all forms with all settings that they cover, by columns and by rows.

    Triton's interpreter takes two seconds for one: the usual run has one direction in turn.
    """
    for kind in FUSED_LINES:
        is_slow = kind.DEVICE == "cuda" and not HAS_GPU
        for number, (name, settings) in enumerate(SETTINGS.items()):
            if covers(Form.LINE_ONE_PASS, IOParameters(**settings), True):
                for columns in (True, False):
                    is_other = is_slow and columns is (number % 2 == 0)
                    marks = [pytest.mark.slow] if is_other else []
                    yield pytest.param(kind, name, columns, marks=marks)


@pytest.mark.parametrize(
    ("kind", "name", "columns"), read_lines(), ids=lambda value: str(value)[-40:]
)
def test_lines_equal_plain_torch(
    kind: Type[FusedLine], name: str, columns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are the plain product of one-hot vectors, rounded in another order.

    With torch's noise where a form takes it for few numbers and is made to for many.
    """
    device = device_for(kind, monkeypatch)
    monkeypatch.setattr(line_cpu, "draw_noise", Tensor.normal_)
    torch.manual_seed(5)
    settings = dict(SETTINGS[name])
    if not equal_noise(kind):
        settings.update(out_noise=0.0, w_noise=0.0)
    law = ReadLaw.of(IOParameters(**settings), backward=True)
    fused, plain = kind(LineLaw.of(law)), PlainProduct(law)
    matrix = torch.randn(OUT_SIZE, IN_SIZE).t() if columns else torch.randn(IN_SIZE, OUT_SIZE)
    matrix[3, 2] = torch.nan
    n_close = n_cells = 0
    for lines in (slice(3, 4), slice(0, 3), slice(4, IN_SIZE), slice(IN_SIZE - 1, IN_SIZE)):
        # Alone in the array: what is no number would come through from another line.
        held = torch.zeros_like(matrix)
        held[lines] = matrix[lines]
        one_hot = torch.eye(IN_SIZE)[lines]
        expected = with_seed(lambda h=held, o=one_hot: plain(h, o))
        found = with_seed(lambda lines=lines: fused(matrix.to(device), lines))
        n_close += torch.isclose(found, expected, rtol=1e-5, atol=1e-5, equal_nan=True).sum()
        n_cells += found.numel()
    assert n_close >= 0.99 * n_cells


def noise_of_its_own() -> List[Any]:
    """Return the forms with other random numbers than torch's, with and without bounds.

    Repeated reads are for the slow run: Triton's interpreter takes half a minute.
    """
    bounds = {
        "triton-product": (2.0, 12.0),
        "triton-converters": (12.0,),
        "numba-converters": (2.0, 12.0),
    }
    return [
        pytest.param(
            kind, bound, marks=[pytest.mark.slow] if bound == 2.0 and not equal_noise(kind) else []
        )
        for kind in FUSED_PRODUCTS
        for bound in bounds.get(kind.NAME, ())
    ]


@pytest.mark.parametrize(("kind", "bound"), noise_of_its_own(), ids=lambda value: str(value)[-20:])
def test_noise_of_its_own(
    kind: Type[FusedProduct], bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's seed fixes it, every read has its own, and its size is that of plain torch.

    512 reads of one vector, whose means differ by 6 % of their spread (standard error; tolerance
    five and a half) and whose spread, in which with bound management that of the number of
    repetitions is most, by 2 % (seen over six seeds; tolerance six times).
    """
    if needs_loops(kind):
        pytest.skip("the interpreter of this Triton cannot loop with a recent NumPy")
    device = device_for(kind, monkeypatch)
    torch.manual_seed(6)
    management = BM.ITERATIVE if bound == 2.0 else BM.NONE
    law = ReadLaw.of(IOParameters(out_noise=0.3, out_bound=bound, bound_management=management))
    matrix, vectors = torch.randn(70, 40) * 0.4, torch.randn(70).repeat(64, 1)
    fused, plain = kind(law, False), PlainProduct(law)
    there = matrix.to(device), vectors.to(device)
    reads = []
    for n_reads in (1, 8):
        torch.manual_seed(7)
        reads.append(torch.cat([fused(*there).cpu() for _ in range(n_reads)]))
    found, expected = reads[1], torch.cat([plain(matrix, vectors) for _ in range(8)])
    assert torch.equal(reads[0], found[:64])
    if bound == 2.0:  # most reads are repetitions
        assert found.abs().max() > 1.5 * vectors.abs().max() * bound
    spread = expected.std(0)
    assert abs(found.std(0).mean() / spread.mean() - 1.0) < 0.12
    assert ((found.mean(0) - expected.mean(0)) / spread).abs().max() < 0.35
