"""Every public function refuses arguments of the wrong kind by name, with an error of aihwkit's."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple

import numpy as np
import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError, TileError
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs.configs import InferenceRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice, SoftBoundsReferenceDevice

import aihwkit_dspt
from aihwkit_dspt import (
    AnalogDataParallel,
    AveragedWeights,
    DeviceDefaults,
    RecordedReads,
    SymmetricPointMonitor,
    WarmStart,
    analog_data_parallel,
    analog_grad_norms,
    analog_optimizer,
    at_slow_weights,
    build_config,
    calibrate,
    conversion_report,
    convert,
    cost_table,
    dw_min_for_states,
    estimate_coincidences,
    export_to_aihwkit,
    filter_response,
    filter_spectra,
    join_next_array,
    n_states,
    operation_counts,
    pulse_budget,
    read_executors,
    record_reads,
    response,
    states_in_tensors,
    symmetric_points,
    to_inference,
    training_pulses,
    with_symmetric_point,
    zero_shift,
)
from tests.helpers import difference, quiet_config, quiet_device, quiet_tile, snapshot, train
from tests.table import METHODS

NAN, INF, HUGE = float("nan"), float("inf"), 10**400
TENSOR, ARRAY = torch.ones(2, 3), np.ones((2, 3))
OBJECTS: List[Any] = [None, "text", [1.0], {}, object(), TENSOR, ARRAY, 1j]

NUMBER: List[Any] = [NAN, INF, -INF, HUGE, True, "1", [1.0], {}, TENSOR, ARRAY, 1j, object()]
"""What is no number."""
WHOLE: List[Any] = [*NUMBER, 1.5, 10**30, np.float32(2.0)]
"""What is no whole number that can be counted to."""
FLAG: List[Any] = [0, 1, None, "True", NAN, TENSOR]
WORD: List[Any] = [None, 3, NAN, "up", ["cyclic"], TENSOR, ARRAY]
CELLS: List[Any] = [NAN, INF, "text", [[1.0], [1.0, 2.0]], object(), 1j, torch.ones(7, 5), {}]
CELLS += [torch.full((4, 6), NAN), np.full((4, 6), np.inf), torch.ones(4, 6, dtype=torch.bool)]
"""What is no number for each of 4 x 6 cells."""
MODEL: List[Any] = [None, 3, "model", torch.nn.Linear(2, 2), torch.nn.Linear, TENSOR, object()]
DEVICE: List[Any] = [None, 3, "device", NAN, TENSOR, object(), torch.nn.Linear(2, 2)]
SEED: List[Any] = [0, 1.5, "seed", TENSOR]

LINEAR = torch.nn.Linear(2, 2)

Call = Callable[[Any, Any], Any]
Row = Tuple[str, Call, List[Any]]


def recorded() -> RecordedReads:
    reads = RecordedReads([0], 0.5)
    for _ in range(64):
        rows = torch.randn(1, 2)
        reads.add(slice(0, 1), fast=rows, estimate=rows, chopper=torch.ones(1, 2))
    return reads


def layer(tile: Any) -> AnalogLinear:
    return AnalogLinear(tile.in_size, tile.out_size, rpu_config=tile.rpu_config)


def chain() -> Any:
    devices = [quiet_device() for _ in range(3)]
    return quiet_tile(**METHODS["E-RIDER"], unit_cell_devices=devices, join_sweeps=None)


def reference_device() -> SoftBoundsReferenceDevice:
    return SoftBoundsReferenceDevice()


ROWS: List[Row] = [
    ("zero_shift array", lambda _, x: zero_shift(x, 10), [*OBJECTS, torch.nn.Linear(2, 2)]),
    ("zero_shift n_pulses", zero_shift, [*WHOLE, 0, -1]),
    ("zero_shift schedule", lambda t, x: zero_shift(t, 10, x), WORD),
    ("zero_shift method", lambda t, x: zero_shift(t, 10, method=x), WORD),
    ("zero_shift device", lambda t, x: zero_shift(t, 10, device=x), DEVICE[1:]),
    ("zero_shift store", lambda t, x: zero_shift(t, 10, store=x), FLAG),
    ("zero_shift generator", lambda t, x: zero_shift(t, 10, generator=x), SEED),
    ("zero_shift progress", lambda t, x: zero_shift(t, 10, progress=x), FLAG),
    ("calibrate model", lambda _, x: calibrate(x, 10), MODEL),
    ("calibrate n_pulses", calibrate, [*WHOLE, 0, -1]),
    ("calibrate schedule", lambda t, x: calibrate(t, 10, x), WORD),
    ("calibrate method", lambda t, x: calibrate(t, 10, "cyclic", x), WORD),
    ("calibrate generator", lambda t, x: calibrate(t, 10, generator=x), SEED),
    ("pulse_budget device", lambda _, x: pulse_budget(x, 0.1), [*OBJECTS, *DEVICE]),
    ("pulse_budget error", pulse_budget, [*NUMBER, None, 0.0, -1.0, 1e-300]),
    ("pulse_budget schedule", lambda t, x: pulse_budget(t, 0.1, x), WORD),
    ("pulse_budget quantile", lambda t, x: pulse_budget(t, 0.1, quantile=x), [*NUMBER, 0.0, 1.1]),
    ("pulse_budget weights", lambda t, x: pulse_budget(t, 0.1, weights=x), CELLS),
    ("training_pulses epochs", lambda _, x: training_pulses(x, 10, 2, 5), [*WHOLE, None, -1]),
    ("training_pulses n_samples", lambda _, x: training_pulses(1, x, 2, 5), [*WHOLE, None, -1]),
    ("training_pulses batch_size", lambda _, x: training_pulses(1, 10, x, 5), [*WHOLE, None, 0]),
    ("training_pulses desired_bl", lambda _, x: training_pulses(1, 10, 2, x), [*WHOLE, None, 0]),
    (
        "training_pulses calibration_pulses",
        lambda _, x: training_pulses(1, 10, 2, 5, x),
        [*WHOLE, None, -1],
    ),
    ("read_executors tile", lambda _, x: read_executors(x, 1), MODEL),
    ("read_executors n_vectors", read_executors, [*WHOLE, None, 0, -1]),
    ("read_executors layout", lambda t, x: read_executors(t, 1, x), WORD),
    ("n_states", lambda _, x: n_states(x), [*DEVICE, SoftBoundsDevice, SoftBoundsDevice(dw_min=0)]),
    ("DeviceDefaults.of", lambda _, x: DeviceDefaults.of(x), [*DEVICE, SoftBoundsDevice]),
    ("dw_min_for_states device", lambda _, x: dw_min_for_states(x, 10), DEVICE),
    (
        "dw_min_for_states n_states",
        lambda _, x: dw_min_for_states(SoftBoundsDevice(), x),
        [*NUMBER, None, 0, -1, 1e39, 1e-300],
    ),
    ("with_symmetric_point device", lambda _, x: with_symmetric_point(x, 0.1), DEVICE),
    (
        "with_symmetric_point mean",
        lambda _, x: with_symmetric_point(reference_device(), x),
        [*NUMBER, None, 1e300],
    ),
    (
        "with_symmetric_point std",
        lambda _, x: with_symmetric_point(reference_device(), 0.1, x),
        [*NUMBER, None, -0.1, 1e300],
    ),
    ("response device", lambda t, x: response(x, t.get_hidden_parameters()), DEVICE),
    ("response hidden", lambda _, x: response(SoftBoundsDevice(), x), OBJECTS),
    (
        "response values",
        lambda _, x: response(SoftBoundsDevice(), {"min_bound": x, "max_bound": x}),
        [None, "text", NAN, 1j, object()],
    ),
    ("symmetric_points", lambda _, x: symmetric_points(x), OBJECTS),
    ("record_reads tile", lambda _, x: record_reads(x).__enter__(), OBJECTS),
    (
        "record_reads lines",
        lambda t, x: record_reads(t, x).__enter__(),
        [3, NAN, "text", [], [6], [-1], [0.5], [True], [None], range(10**15), TENSOR],
    ),
    ("filter_response eta", lambda _, x: filter_response(x, 0.1), [*NUMBER, None, 0.0, 1.5]),
    ("filter_response omega", lambda _, x: filter_response(0.1, x), [None, "x", NAN, INF, 1j, {}]),
    ("filter_spectra reads", lambda _, x: filter_spectra(x), OBJECTS),
    ("filter_spectra segment", lambda _, x: filter_spectra(recorded(), x), [*WHOLE, 0, -1, 7]),
    ("filter_spectra skip", lambda _, x: filter_spectra(recorded(), 8, x), [*WHOLE, None, -1]),
    ("SymmetricPointMonitor model", lambda _, x: SymmetricPointMonitor(x), MODEL),
    ("SymmetricPointMonitor every", SymmetricPointMonitor, [*WHOLE, None, 0]),
    (
        "SymmetricPointMonitor first_step",
        lambda t, x: SymmetricPointMonitor(t, 1, x),
        [*WHOLE, None, -1],
    ),
    ("SymmetricPointMonitor step", lambda t, x: SymmetricPointMonitor(t).record(x), WHOLE),
    ("SymmetricPointMonitor writer", lambda t, x: SymmetricPointMonitor(t).log(x), OBJECTS),
    ("operation_counts", lambda _, x: operation_counts(x), MODEL),
    ("estimate_coincidences model", lambda _, x: estimate_coincidences(x), MODEL),
    ("estimate_coincidences enable", estimate_coincidences, FLAG),
    ("cost_table", lambda _, x: cost_table(x), [*OBJECTS, {"E-RIDER": 3}, {"E-RIDER": None}]),
    ("at_slow_weights", lambda _, x: at_slow_weights(x).__enter__(), MODEL),
    ("to_inference model", lambda _, x: to_inference(x, InferenceRPUConfig()), MODEL),
    ("to_inference config", to_inference, [*OBJECTS, InferenceRPUConfig]),
    ("analog_optimizer params", lambda _, x: analog_optimizer(x), [*MODEL, *OBJECTS, [{}], []]),
    ("analog_optimizer class", analog_optimizer, [*OBJECTS, torch.nn.Linear, "AdamW"]),
    ("analog_optimizer lr", lambda t, x: analog_optimizer(t, analog_lr=x), [*NUMBER, None, -1]),
    ("analog_grad_norms", lambda _, x: analog_grad_norms(x), MODEL),
    ("conversion_report", lambda _, x: conversion_report(x), [*MODEL[:3], *MODEL[4:]]),
    ("convert model", lambda _, x: convert(x, quiet_config()), [*MODEL[:3], *MODEL[4:]]),
    ("convert rpu_config", lambda _, x: convert(LINEAR, x), [*OBJECTS, InferenceRPUConfig]),
    *(
        (
            f"convert {name}",
            lambda _, x, n=name: convert(LINEAR, quiet_config(), **{n: x}),
            values,
        )
        for name, values in {
            "exclude_modules": [None, "fc", 3, ["fc"], [None], TENSOR, object()],
            "tied": WORD,
            "max_groups": [*WHOLE, 0, None],
            "specific_rpu_config_fun": [3, "fc", TENSOR],
            "tile_module_class": [3, "tile", TENSOR],
        }.items()
    ),
    ("states_in_tensors", lambda _, x: states_in_tensors(x), MODEL),
    ("AveragedWeights model", lambda _, x: AveragedWeights(x), MODEL),
    (
        "AveragedWeights decay",
        lambda t, x: AveragedWeights(layer(t), x),
        [*NUMBER, -0.1, 1.1],
    ),
    ("export_to_aihwkit model", lambda t, x: export_to_aihwkit(x, t), MODEL),
    ("export_to_aihwkit other", export_to_aihwkit, MODEL),
    (
        "build_config algorithm",
        lambda _, x: build_config(x, SoftBoundsDevice()),
        [*OBJECTS, "erid"],
    ),
    ("build_config device", lambda _, x: build_config("e-rider", x), DEVICE[:-1]),
    ("build_config device agad", lambda _, x: build_config("agad", x), DEVICE[:-1]),
    *(
        (
            f"build_config {name} {algorithm}",
            lambda _, x, n=name, a=algorithm: build_config(a, SoftBoundsDevice(), **{n: x}),
            values,
        )
        for algorithm in ("e-rider", "agad")
        for name, values in {
            "io_parameters": DEVICE[:-1],
            "up_parameters": DEVICE[:-1],
            "n_devices": [*WHOLE, 0, None],
            "construction_seed": [*WHOLE, -1, None],
            "fast_lrr": [1.0],
        }.items()
    ),
    ("join_next_array model", lambda _, x: join_next_array(x), MODEL),
    ("join_next_array two arrays", lambda t, x: join_next_array(t), [None]),
    ("analog_data_parallel model", lambda _, x: analog_data_parallel(x), MODEL),
    ("AnalogDataParallel module", lambda _, x: AnalogDataParallel(x), MODEL),
    ("WarmStart model", lambda _, x: WarmStart(x), MODEL),
    ("WarmStart patience", lambda _, x: WarmStart(chain(), x), [*WHOLE, None, 0]),
    ("WarmStart threshold", lambda _, x: WarmStart(chain(), 1, x), [*NUMBER, None, -0.1, 1.1]),
    ("WarmStart.step loss", lambda _, x: WarmStart(chain()).step(x), [*NUMBER, None]),
    ("set_reference", lambda t, x: t.set_reference(x), [*CELLS, None]),
    ("set_hidden_parameters", lambda t, x: t.set_hidden_parameters(x), [None, 3, "x", TENSOR]),
]
"""Name of the argument, the call with a tile and the argument, and what is not valid."""


@pytest.fixture(scope="module")
def tile() -> Any:
    trained = quiet_tile(**METHODS["E-RIDER"])
    train(trained, 12)
    return trained


@pytest.mark.parametrize(("name", "call", "values"), ROWS, ids=[name for name, _, _ in ROWS])
def test_wrong_arguments_are_refused(tile: Any, name: str, call: Call, values: List[Any]) -> None:
    """One line that names the argument or its owner; the tile is as it was."""
    before = snapshot(tile)
    for value in values:
        with pytest.raises((ArgumentError, ConfigError, TileError)) as refusal:
            call(tile, value)
        message = str(refusal.value)
        assert 20 < len(message) < 700, (name, value)
        assert "\n" not in message, (name, value)
    assert difference(before, snapshot(tile)) is None


RESULTS = {
    *(
        "ConversionReport",
        "FilterSpectra",
        "ModelCounts",
        "OperationCounts",
        "PulseBudget",
        "RecordedReads",
    ),
    *("ReadExecutors", "TileSymmetricPoints", "ZeroShiftResult"),
}
"""What functions return."""
CHECKED_ELSEWHERE = {
    # Configurations check their fields: tests/configs.
    *("PulseMode", "ReadMode", "ReferenceSync", "ReferenceType", "TransferScope", "TransferStart"),
    "PAPER_SETTINGS",
    # Plans: tests/plan.
    *("training_plan", "TrainingPlan", "TilePlan"),
    *("TrackingRPUConfig", "TrackingTransferCompound", "TrackingTile"),
    # tests/drift.
    "SymmetricPointDrift",
    # An error: tests/parallel.
    "RankError",
    # Files: tests/test_checkpoint.py.
    *("load_checkpoint", "save_checkpoint"),
    # Stages, which a configuration builds: tests/test_extending.py.
    *("ESTIMATORS", "SymmetricPointEstimator"),
    *(kind.__name__ for kind in aihwkit_dspt.ESTIMATORS.values()),
    *("TransferBuffer", "Chopper", "Listener", "TransferEvent"),
}


def test_no_public_function_is_left_out() -> None:
    tried = {name.split(maxsplit=1)[0].split(".")[0] for name, _, _ in ROWS}
    presets = {name for name in aihwkit_dspt.__all__ if name.endswith("Preset")}
    assert set(aihwkit_dspt.__all__) - presets - RESULTS - CHECKED_ELSEWHERE - tried == set()


@pytest.mark.parametrize("make", [torch.Tensor.numpy, torch.Tensor.double, torch.Tensor.tolist])
def test_references_of_any_kind_are_taken(make: Callable[[torch.Tensor], Any]) -> None:
    tile = quiet_tile(**METHODS["two-stage"])
    values = torch.full((4, 6), 0.125)
    tile.set_reference(make(values))
    assert torch.equal(tile.reference, values)


def test_numbers_of_numpy_are_taken() -> None:
    tile = quiet_tile(**METHODS["E-RIDER"])
    assert zero_shift(tile, np.int64(10)).n_pulses == 10
    assert type(zero_shift(tile, np.int64(10)).n_pulses) is int
    device = with_symmetric_point(reference_device(), np.float32(0.5), np.float64(0.25))
    assert (device.reference_mean, device.reference_std) == (-0.5, 0.25)
    assert type(device.reference_mean) is float
    budgets = (pulse_budget(tile, 0.06, weights=start) for start in (np.full((4, 6), -0.4), -0.4))
    assert len({budget.n_pulses for budget in budgets}) == 1


def test_as_many_pulses_as_can_be_counted() -> None:
    tile = quiet_tile(**METHODS["E-RIDER"])
    result = zero_shift(tile, 2**53, method="closed-form")
    points = symmetric_points(tile).fast.values
    assert (result.estimate - points).abs().max() < 0.02
