"""The pictures: what they show, that they are labelled, and that they need no display."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError, TileError
from aihwkit.simulator.configs.devices import IdealDevice, SoftBoundsDevice
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import nn

from aihwkit_dspt import (
    ERIDERPCMPreset,
    OperationCounts,
    SymmetricPointMonitor,
    TrackingTile,
    filter_spectra,
    operation_counts,
    plots,
)
from aihwkit_dspt.plots.costs import QUANTITIES, short
from aihwkit_dspt.plots.style import COLOURS, GREY
from tests.device_table import ALL_VARIED, WITHOUT_POINTS
from tests.helpers import quiet_config, quiet_tile, train
from tests.monitor.by_hand import known_device
from tests.monitor.drive import CHOPPED, play
from tests.table import METHODS


def known_tile(out_size: int = 6, in_size: int = 5) -> TrackingTile:
    """Return a trained tile with known symmetric points."""
    devices = [known_device(), known_device()]
    config = quiet_config(unit_cell_devices=devices, **METHODS["E-RIDER"])
    tile = TrackingTile(out_size, in_size, config)
    tile.set_learning_rate(0.1)
    train(tile, 60)
    return tile


def monitored() -> SymmetricPointMonitor:
    """Return a monitor of two tiles with four records."""
    model = nn.ModuleDict({"first": known_tile(), "second": known_tile(3, 3)})
    monitor = SymmetricPointMonitor(model)
    for epoch in range(4):
        monitor.record(10 * epoch)
        for tile in model.values():
            train(tile, 10)
    return monitor


def counts() -> Any:
    """Return the operations of a small tile."""
    return operation_counts(known_tile()).total


PLOTS: Dict[str, Callable[..., Axes]] = {
    "sp_error_over_time": lambda ax=None: plots.sp_error_over_time(monitored(), ax),
    "sp_scatter": lambda ax=None: plots.sp_scatter(known_tile(), ax),
    "response_curves": lambda ax=None: plots.response_curves(known_device(), ax),
    "filter_spectrum": lambda ax=None: plots.filter_spectrum(
        filter_spectra(play(0.1 * torch.randn(64, 2, 2), **CHOPPED)), ax
    ),
    "cost_bars": lambda ax=None: plots.cost_bars({"one": counts(), "two": counts()}, ax),
}
"""Name -> function that draws something small."""


def drawn(ax: Axes) -> FigureCanvasAgg:
    """Return the canvas of a picture that was drawn."""
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return canvas


def test_all_are_tested() -> None:
    assert sorted(PLOTS) == sorted(plots.__all__)


@pytest.mark.parametrize("name", PLOTS)
def test_labels_and_rendering(name: str) -> None:
    """Title, labels, legend; and a picture of some size, of which not all is white."""
    ax = PLOTS[name]()
    assert isinstance(ax, Axes)
    assert ax.get_title()
    assert ax.get_ylabel()
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert ax.get_xlabel() or any("[" in label for label in labels)
    legend = ax.get_legend()
    assert legend is not None
    assert all(text.get_text() for text in legend.get_texts())
    file = io.BytesIO()
    ax.figure.savefig(file, format="png", dpi=80)
    assert file.getvalue().startswith(b"\x89PNG")
    pixels = np.asarray(drawn(ax).buffer_rgba())[..., :3]
    assert 0.02 < (pixels < 250).any(2).mean() < 0.7


@pytest.mark.parametrize("name", PLOTS)
def test_texts_are_within_the_picture(name: str) -> None:
    """Nothing is cut off, and no text is tiny."""
    ax = PLOTS[name]()
    whole = drawn(ax).figure.bbox
    box = ax.get_tightbbox()
    assert whole.x0 - 1 <= box.x0 < box.x1 <= whole.x1 + 1
    assert whole.y0 - 1 <= box.y0 < box.y1 <= whole.y1 + 1
    texts = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts, *ax.get_legend().get_texts()]
    texts += [*ax.get_xticklabels(), *ax.get_yticklabels()]
    assert min(text.get_fontsize() for text in texts) > 5.5


@pytest.mark.parametrize("name", PLOTS)
def test_given_axes_are_used(name: str) -> None:
    first, second = Figure().subplots(1, 2)
    assert PLOTS[name](second) is second
    assert second.has_data()
    assert not first.has_data()


@pytest.mark.parametrize("name", PLOTS)
def test_colours_can_be_told_apart(name: str) -> None:
    """Colours of Okabe and Ito, black, white and grey only."""
    ax = PLOTS[name]()
    used = {to_hex(line.get_color()) for line in ax.get_lines()}
    used |= {to_hex(patch.get_facecolor()) for patch in ax.patches}
    for collection in ax.collections:
        used |= {to_hex(colour) for colour in collection.get_edgecolor()}
        used |= {to_hex(colour) for colour in collection.get_facecolor()}
    assert used <= {colour.lower() for colour in (*COLOURS, GREY, "#000000")}


def test_no_display_and_no_pyplot() -> None:
    """A process without a display draws all of them, and pyplot is never imported."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    code = (
        "import sys, io, aihwkit_dspt.plots\n"
        "assert 'matplotlib' not in sys.modules, 'imported where it is not used'\n"
        "from tests.plots.test_plots import PLOTS\n"
        "for draw in PLOTS.values(): draw().figure.savefig(io.BytesIO())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment, cwd=Path(__file__).parents[2]
    )


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match=r"aihwkit-dspt\[plots\]"):
        plots.response_curves(SoftBoundsDevice())


# -- what is drawn ------------------------------------------------------------------------------


def lines_of(ax: Axes) -> Dict[str, Any]:
    """Return the lines that the legend names, by their label."""
    return {line.get_label(): line for line in ax.get_lines() if line.get_label()[0] != "_"}


def test_sp_error_over_time() -> None:
    monitor = monitored()
    ax = plots.sp_error_over_time(monitor, labels={"first": "layer 1"})
    lines = lines_of(ax)
    assert list(lines) == ["layer 1", "second", "mean", "root-mean-square"]
    for tile, label in (("first", "layer 1"), ("second", "second")):
        rows = [row for row, name in enumerate(monitor.history["tile"]) if name == tile]
        assert lines[label].get_xdata().tolist() == [0, 10, 20, 30]
        mean = [monitor.history["sp_error_mean"][row] for row in rows]
        assert lines[label].get_ydata().tolist() == mean
        rms = [monitor.history["sp_error_rms"][row] for row in rows]
        assert rms in [line.get_ydata().tolist() for line in ax.get_lines()[:4]]


def test_sp_error_from_json(tmp_path: Path) -> None:
    """A history that was written draws the same; nan is a gap."""
    monitor = monitored()
    monitor.history["sp_error_mean"][0] = float("nan")
    monitor.to_json(tmp_path / "h.json")
    read = json.loads((tmp_path / "h.json").read_text())
    first, second = (plots.sp_error_over_time(x).get_lines() for x in (monitor, read))
    for mine, other in zip(first, second):
        np.testing.assert_array_equal(mine.get_ydata(), np.asarray(other.get_ydata(), float))


def test_sp_scatter() -> None:
    tile = known_tile()
    reference = tile.get_hidden_parameters()["reference_0"].double().flatten()
    ax = plots.sp_scatter(tile)
    bounds, cells = ax.collections
    expected = torch.stack([-reference, tile.sp_estimate.double().flatten()], dim=1)
    np.testing.assert_allclose(cells.get_offsets(), expected.numpy(), atol=1e-6)
    ends = [torch.stack([-reference, limit - reference], dim=1) for limit in (-1, 1)]
    np.testing.assert_allclose(bounds.get_offsets(), torch.cat(ends).numpy(), atol=1e-6)
    assert len(plots.sp_scatter(tile, max_cells=7).collections[1].get_offsets()) == 7


def test_response_curves() -> None:
    """The nominal cell: straight lines between the bounds, which meet at the symmetric point."""
    ax = plots.response_curves(known_device(-0.3, 0.2))
    lines = lines_of(ax)
    curves = [label for _, label, _ in plots.response_curves.__globals__["CURVES"]]
    assert list(lines) == ["8 drawn cells, up and down", *curves, "SP at -0.3"]
    weights = lines["$q_+$ (up)"].get_xdata()
    np.testing.assert_allclose([weights[0], weights[-1]], [-1.3, 0.7], atol=1e-6)
    for label, expected in {
        "$q_+$ (up)": 0.7 - weights,
        "$q_-$ (down)": 1.3 + weights,
        "$F = (q_- + q_+)/2$": np.ones_like(weights),
        "$G = (q_- - q_+)/2$": 0.3 + weights,
    }.items():
        np.testing.assert_allclose(lines[label].get_ydata(), expected, atol=1e-6, err_msg=label)
    # Two thin lines per cell and their sample, four thick ones, the axis, the point and its line.
    assert len(ax.get_lines()) == 2 * 8 + 1 + 4 + 3
    assert len(plots.response_curves(known_device(), n_cells=0).get_lines()) == 4 + 3


@pytest.mark.parametrize("name", ALL_VARIED)
def test_every_device_has_a_picture(name: str) -> None:
    ax = plots.response_curves(ALL_VARIED[name], n_cells=2)
    has_point = any(label.startswith("SP at") for label in lines_of(ax))
    # The mean cell is not a corrupt one.
    without = set(WITHOUT_POINTS) - {"SoftBounds-corrupt"}
    assert has_point == (name not in without)
    for line in ax.get_lines():
        assert np.isfinite(np.asarray(line.get_ydata(), dtype=float)).all()


def test_same_picture_every_time() -> None:
    """Cells are drawn with a fixed seed, and the device is left alone."""
    device = known_device()
    first, second = (plots.response_curves(device).get_lines() for _ in range(2))
    for mine, other in zip(first, second):
        np.testing.assert_array_equal(mine.get_xydata(), other.get_xydata())
    assert device.construction_seed == 0


def test_filter_spectrum() -> None:
    spectra = filter_spectra(play(0.1 * torch.randn(256, 3, 2), **CHOPPED))
    ax = plots.filter_spectrum(spectra)
    assert ax.get_yscale() == "log"
    lines = lines_of(ax)
    peak = spectra.fast.max()
    for label, power in {
        "P, as it is read (chopped)": spectra.fast,
        "Q, the estimate": spectra.estimate,
    }.items():
        np.testing.assert_allclose(lines[label].get_xdata(), spectra.omega.numpy())
        np.testing.assert_allclose(lines[label].get_ydata(), (power / peak).numpy())
    assert lines["chopper"].get_xdata()[0] == pytest.approx(np.pi / 4)
    (markers,) = ax.containers
    omega, attenuation = (np.asarray(x, float) for x in markers.lines[0].get_data())
    index = [int((spectra.omega - float(w)).abs().argmin()) for w in omega]
    np.testing.assert_allclose(attenuation, spectra.attenuation[index].numpy())
    # Bars are two standard errors to either side.
    (bars,) = markers.lines[2]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    expected = 4.0 * spectra.attenuation_error[index].numpy()
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], expected, rtol=1e-6)
    unchopped = plots.filter_spectrum(
        filter_spectra(play(0.1 * torch.randn(64, 2, 2), **METHODS["RIDER"]))
    )
    assert "chopper" not in lines_of(unchopped)


def test_cost_bars() -> None:
    """Heights are the counts; zero and what was not counted are written out."""
    names = list(QUANTITIES)
    first = OperationCounts(**{name: 10**number for number, name in enumerate(names)})
    few = {**dict.fromkeys(names, 3), "forward_mvms": None, "calibration_pulses": 0}
    second = OperationCounts(**few)
    ax = plots.cost_bars({"first": first, "second": second})
    bars = [[patch.get_height() for patch in group] for group in ax.containers]
    assert bars[0] == [10**number for number in range(len(names))]
    assert bars[1] == [0 if name in ("forward_mvms", "calibration_pulses") else 3 for name in names]
    written = [(text.get_text(), *text.xy) for text in ax.texts]
    tens = ["1", "10", "100", "1k", "10k", "100k", "1M", "10M", "100M"]
    assert written[: len(names)] == [
        (number, pytest.approx(row - 0.21), 10**row) for row, number in enumerate(tens)
    ]
    for name, text, height in (
        ("calibration_pulses", "0", 0.8),
        ("forward_mvms", "not counted", 0.8),
        ("slow_pulses", "3", 3),
    ):
        row = names.index(name)
        assert written[len(names) + row] == (text, pytest.approx(row + 0.21), height)
    assert ax.get_ylim()[1] > 10 * 10 ** (len(names) - 1)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["first", "second"]


def test_short_numbers() -> None:
    numbers = {0: "0", 999: "999", 999.7: "1k", 12_849: "12.8k", 2_600_000: "2.6M", 3e12: "3T"}
    assert {number: short(number) for number in numbers} == numbers


# -- what is refused -----------------------------------------------------------------------------


def test_wrong_input() -> None:
    empty = SymmetricPointMonitor(quiet_tile())
    unit_cells = TrackingTile(3, 3, ERIDERPCMPreset())
    flat = quiet_tile(
        unit_cell_devices=[WITHOUT_POINTS["ConstantStep-symmetric"]] * 2, **METHODS["E-RIDER"]
    )
    cases = [
        (ArgumentError, "Axes", lambda: plots.sp_scatter(known_tile(), ax="axes")),
        (ArgumentError, "has recorded", lambda: plots.sp_error_over_time(empty)),
        (ArgumentError, "has recorded", lambda: plots.sp_error_over_time([1, 2])),
        (TileError, "TrackingTile", lambda: plots.sp_scatter(nn.Linear(2, 2))),
        (TileError, "several devices", lambda: plots.sp_scatter(unit_cells)),
        (TileError, "no cell", lambda: plots.sp_scatter(flat)),
        (ConfigError, "SoftBoundsDevice", lambda: plots.response_curves(IdealDevice())),
        (ConfigError, "SoftBoundsDevice", lambda: plots.response_curves(SoftBoundsDevice)),
        (ArgumentError, "n_cells=-1", lambda: plots.response_curves(known_device(), n_cells=-1)),
        (
            ArgumentError,
            "n_cells=True",
            lambda: plots.response_curves(known_device(), n_cells=True),
        ),
        (ArgumentError, "max_cells=0", lambda: plots.sp_scatter(known_tile(), max_cells=0)),
        (ArgumentError, "max_cells=2.5", lambda: plots.sp_scatter(known_tile(), max_cells=2.5)),
        (ArgumentError, "labels='a'", lambda: plots.sp_error_over_time(monitored(), labels="a")),
        (ArgumentError, "filter_spectra", lambda: plots.filter_spectrum(None)),
        (ArgumentError, "operation_counts", lambda: plots.cost_bars({})),
        (ArgumentError, r"counts\['x'\].*operation_counts", lambda: plots.cost_bars({"x": 3})),
    ]
    for error, message, call in cases:
        with pytest.raises(error, match=message):
            call()
