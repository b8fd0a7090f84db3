r"""Figure 1 of the paper: what zero-shifting costs, on an array of soft-bounds devices.

(a) At ``dw_min=1e-3`` (2000 states), the offset (truth minus estimate) that the mean and the
standard deviation of the symmetric points (SPs) over the array have after N pulses. (b) The
smallest N after which the mean is within 1 % of the truth, for ``dw_min`` over 3.5 decades, with
the exponent of N against ``dw_min``, and the squared errors against the bound of Theorem C.2
(stochastic) or C.4 (cyclic).

The cells are SoftBoundsReferenceDevice with bounds of +-1 and aihwkit's variation from device to
device (30 % in step size and bounds) and from cycle to cycle (30 %). All weights start at 0; the
effective SPs have mean 0.4 and standard deviation 0.1. (The paper does not print where it starts;
the error of the mean is relative to the distance of the start from the SPs, here 0.4.) The true
SPs are those of the simulator's hidden parameters.

    python examples/paper/figure1.py                            # both parts in closed form
    python examples/paper/figure1.py --methods closed-form pulses   # (a) also by C++ pulses
    python examples/paper/figure1.py --size 128                 # a smaller array, faster

Writes ``figure1.png`` and ``figure1.json``. A run that was stopped continues where it was.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from functools import cached_property
from math import sqrt
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.fits import exponent
from common.results import Results

from aihwkit_dspt import pulse_budget, symmetric_points, with_symmetric_point, zero_shift

SCHEDULES = ("cyclic", "stochastic")
DW_MIN = 1e-3
"""Part (a): 2000 states on [-1, 1]."""

N_PULSES = (500, 1000, 2000, 4000, 8000)
"""Part (a)."""

DW_MINS = tuple(float(f"{5e-3 * (1.6e-6 / 5e-3) ** (step / 12):.3g}") for step in range(13))
"""Part (b): from 5e-3 to 1.6e-6, about halved from point to point."""

GRID = (200, 500, *(1000 * 2**step for step in range(14)))
"""Part (b): the paper's N, up to 8.192 million."""

TOLERANCE = 0.01
"""Part (b): relative error of the mean."""

N_BISECTIONS = 4
"""Steps between the neighbours of the grid; each is a factor of 2, which leaves 4 to 5 %."""

N_GROUPS = 16
SP_MEAN, SP_STD = 0.4, 0.1
SEED = 1


@dataclass(frozen=True)
class Point:
    """What the array is like after some pulses from weight 0."""

    n_pulses: int
    """Number of pulses of each cell."""

    mean_error: float
    """Error of the mean over the cells, relative to the mean of the true SPs."""

    squared_error: float
    """Squared distance to the true SP, mean over the cells, in squared weight units."""

    bound: float
    """The theorem's bound on it."""

    worst_ratio: float
    """Largest ratio of squared error and bound over groups of cells with similar bounds."""


class Array:
    """A square array of soft-bounds devices with weights at 0, and the truth about its cells.

    Args:
        dw_min: mean step of the devices, in weight units.
        size: number of rows and columns.
    """

    def __init__(self, dw_min: float, size: int = 512) -> None:
        plain = SoftBoundsReferenceDevice(
            dw_min=dw_min, w_min=-1.0, w_max=1.0, construction_seed=SEED
        )
        device = with_symmetric_point(plain, SP_MEAN, SP_STD)
        self.dw_min = dw_min
        self.tile = AnalogTile(size, size, SingleRPUConfig(device=device))
        self.tile.tile.set_weights(torch.zeros(size, size))
        self.points = symmetric_points(self.tile).fast.values
        self.known = ~self.points.isnan()

    def estimate(self, n_pulses: int, schedule: str, method: str = "closed-form") -> Tensor:
        """Return the estimated SPs ``[out_size, in_size]``; the weights stay at 0."""
        generator = torch.Generator().manual_seed(SEED + n_pulses)
        result = zero_shift(self.tile, n_pulses, schedule, method, store=False, generator=generator)
        return result.estimate.double()

    @cached_property
    def constants(self) -> Tuple[Tensor, Tensor]:
        r"""The theorem's :math:`\mu_q` and :math:`q_{max}` of each cell."""
        # They are the same for any error and quantile whose budget exists.
        budget = pulse_budget(self.tile, error=1.0, quantile=0.5)
        return budget.mu_q, budget.q_max

    def bound(self, n_pulses: int) -> Tensor:
        r"""Return the theorem's bound on the mean squared error of each cell after N pulses.

        Theorem C.2 promises :math:`E (W_N - W_{sp})^2 \le \delta` if

        .. math::

            N \ge \frac{1}{2 \mu_q \Delta w_{min}} \log \frac{2 (W_0 - W_{sp})^2}{\delta}
            \quad\text{and}\quad \delta \ge \frac{2 q_{max}^2 \Delta w_{min}}{\mu_q},

        and Theorem C.4 the same for the cyclic schedule, with N/2 pairs. The smallest such error is

        .. math::

            \delta(N) = \max\left(2 (W_0 - W_{sp})^2 e^{-2 \mu_q \Delta w_{min} N},\;
            2 q_{max}^2 \Delta w_{min} / \mu_q\right).
        """
        mu_q, q_max = self.constants
        start = 2.0 * self.points**2 * torch.exp(-2.0 * mu_q * self.dw_min * n_pulses)
        return torch.maximum(start, 2.0 * q_max**2 * self.dw_min / mu_q)

    def measure(self, n_pulses: int, schedule: str) -> Point:
        """Return the errors after some pulses, and the bound.

        The theorem is about expected values. These are compared in :data:`N_GROUPS` groups of
        cells, sorted by their bounds, so that no cell with a large bound hides the others.
        """
        points = self.points[self.known]
        offset = points - self.estimate(n_pulses, schedule)[self.known]
        squared, bound = offset.square(), self.bound(n_pulses)[self.known]
        groups = bound.argsort().tensor_split(N_GROUPS)
        return Point(
            n_pulses,
            float(offset.mean().abs() / points.mean().abs()),
            float(squared.mean()),
            float(bound.mean()),
            max(float(squared[group].mean() / bound[group].mean()) for group in groups),
        )

    def smallest(self, schedule: str, grid: Sequence[int] = GRID) -> Dict[str, Any]:
        """Return the smallest N whose mean is right within :data:`TOLERANCE`.

        The error of the mean falls with N, so that bisection finds the first point of the grid
        where it is small enough, and then an even number in between.

        Raises:
            ValueError: if it is not small enough at the end of the grid, or is at its start.
        """
        measured: Dict[int, Point] = {}

        def enough(n_pulses: int) -> bool:
            measured[n_pulses] = self.measure(n_pulses, schedule)
            return measured[n_pulses].mean_error <= TOLERANCE

        low, high = -1, len(grid)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(grid[middle]) else (middle, high)
        if low < 0 or high == len(grid):
            raise ValueError(f"dw_min={self.dw_min}: the smallest N is not within grid={grid}")
        few, many = grid[low], grid[high]
        for _ in range(N_BISECTIONS):
            half = 2 * round(sqrt(few * many) / 2)
            few, many = (few, half) if enough(half) else (half, many)
        return {
            "dw_min": self.dw_min,
            "schedule": schedule,
            "n_pulses_on_grid": grid[high],
            "n_pulses": many,
            "points": [asdict(measured[number]) for number in sorted(measured)],
        }


def offsets(array: Array, n_pulses: int, schedule: str, method: str) -> Dict[str, Any]:
    """Return the offsets (truth minus estimate) of mean and standard deviation over the cells.

    The standard errors are those of the difference, over the cells.
    """
    truth = array.points[array.known]
    estimate = array.estimate(n_pulses, schedule, method)[array.known]

    def influence(values: Tensor) -> Tensor:
        """How much each cell contributes to the standard deviation (delta method)."""
        return (values - values.mean()).square() / (2.0 * values.std())

    root = sqrt(len(truth))
    return {
        "schedule": schedule,
        "method": method,
        "n_pulses": n_pulses,
        "true_mean": float(truth.mean()),
        "true_std": float(truth.std()),
        "mean_offset": float((truth - estimate).mean()),
        "mean_offset_error": float((truth - estimate).std()) / root,
        "std_offset": float(truth.std() - estimate.std()),
        "std_offset_error": float((influence(truth) - influence(estimate)).std()) / root,
    }


def summary(rows: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """Return exponent and worst ratio to the bound for the points of one schedule."""
    dw_mins = [row["dw_min"] for row in rows]
    slope, error, factor = exponent(dw_mins, [row["n_pulses"] for row in rows])
    on_grid = exponent(dw_mins, [row["n_pulses_on_grid"] for row in rows])
    points = [point for row in rows for point in row["points"]]
    return {
        "exponent": slope,
        "exponent_error": error,
        "factor": factor,
        "exponent_on_grid": on_grid[0],
        "exponent_on_grid_error": on_grid[1],
        "decades": float(torch.tensor(max(dw_mins) / min(dw_mins)).log10()),
        "n_points": len(points),
        "worst_ratio_to_bound": max(point["worst_ratio"] for point in points),
    }


def part_a(results: Results, size: int, methods: Sequence[str]) -> List[Dict[str, Any]]:
    """Compute the offsets that are not there yet and return all."""
    array: Optional[Array] = None
    keys = []
    for method in methods:
        for schedule in SCHEDULES:
            for n_pulses in N_PULSES:
                keys.append(f"a, {schedule}, {method}, N={n_pulses}")
                if keys[-1] not in results.numbers:
                    array = array or Array(DW_MIN, size)
                    results.add(keys[-1], offsets(array, n_pulses, schedule, method))
    return [results.numbers[key] for key in keys]


def part_b(results: Results, size: int) -> Dict[str, List[Dict[str, Any]]]:
    """Find the smallest N that are not there yet and return all, by schedule."""
    bar = tqdm(total=len(DW_MINS) * len(SCHEDULES), desc="smallest N", ncols=90)
    rows: Dict[str, List[Dict[str, Any]]] = {schedule: [] for schedule in SCHEDULES}
    for dw_min in DW_MINS:
        array: Optional[Array] = None
        for schedule in SCHEDULES:
            key = f"b, {schedule}, dw_min={dw_min:g}"
            if key not in results.numbers:
                array = array or Array(dw_min, size)
                results.add(key, array.smallest(schedule))
            rows[schedule].append(results.numbers[key])
            bar.update()
    bar.close()
    return rows


def table(
    offset_rows: Sequence[Dict[str, Any]],
    rows: Dict[str, List[Dict[str, Any]]],
    fits: Dict[str, Any],
) -> str:
    """Return the numbers as text."""
    lines = ["(a) truth minus estimate, +- standard error"]
    for item in offset_rows:
        lines.append(
            f"{item['schedule']:<11}{item['method']:<12}N={item['n_pulses']:<6}"
            f"mean {item['mean_offset']:+.5f} +- {item['mean_offset_error']:.5f} "
            f"({item['mean_offset'] / item['true_mean']:+.2%})   "
            f"std {item['std_offset']:+.5f} +- {item['std_offset_error']:.5f}"
        )
    lines.append(f"(b) smallest N for {TOLERANCE:.0%}: bisected (on the paper's grid)")
    for number, dw_min in enumerate(DW_MINS):
        found = (rows[schedule][number] for schedule in SCHEDULES)
        text = "   ".join(f"{row['n_pulses']:>9,} ({row['n_pulses_on_grid']:>9,})" for row in found)
        lines.append(f"dw_min={dw_min:<10.3g}{text}")
    for schedule, fit in fits.items():
        lines.append(
            f"{schedule:<11}exponent {fit['exponent']:+.3f} +- {fit['exponent_error']:.3f} over "
            f"{fit['decades']:.1f} decades (on the grid {fit['exponent_on_grid']:+.3f}), "
            f"error / bound <= {fit['worst_ratio_to_bound']:.3f} at {fit['n_points']} points"
        )
    return "\n".join(lines)


def draw(
    offset_rows: Sequence[Dict[str, Any]],
    rows: Dict[str, List[Dict[str, Any]]],
    fits: Dict[str, Any],
    path: Path,
) -> None:
    """Write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    colours = dict(zip(SCHEDULES, ("#0072B2", "#D55E00")))  # colour-blind safe
    markers = dict(zip(SCHEDULES, ("o", "s")))
    figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    for panel, name in zip(axes[0], ("mean", "std")):
        for schedule in SCHEDULES:
            for method in dict.fromkeys(item["method"] for item in offset_rows):
                mine = [
                    item
                    for item in offset_rows
                    if (item["schedule"], item["method"]) == (schedule, method)
                ]
                pulsed, dashed = method == "pulses", schedule == "stochastic"
                panel.errorbar(
                    [item["n_pulses"] for item in mine],
                    [item[f"{name}_offset"] for item in mine],
                    [item[f"{name}_offset_error"] for item in mine],
                    color=colours[schedule],
                    marker="x" if pulsed else markers[schedule],
                    markerfacecolor="none" if dashed else None,
                    markersize=9 if dashed else 5,
                    linestyle="none" if pulsed else "--" if dashed else "-",
                    label=f"{schedule}, {method}",
                )
        if all(item[f"{name}_offset"] > 0.0 for item in offset_rows):
            panel.set_yscale("log")
        else:
            panel.axhline(0.0, color="black", linewidth=1)
        panel.set_xscale("log", base=2)
        panel.set_xticks(N_PULSES, [str(number) for number in N_PULSES])
        panel.set(xlabel="pulses N per cell", ylabel="truth - estimate [weight units]")
    if offset_rows:
        limit = TOLERANCE * offset_rows[0]["true_mean"]
        axes[0, 0].axhline(limit, color="black", linestyle=":", label="1 % of the mean")
    axes[0, 0].set_title(f"(a) Offset of the mean SP, dw_min = {DW_MIN:g} (2000 states)")
    axes[0, 1].set_title("(a) Offset of the standard deviation of the SPs")

    for schedule in SCHEDULES:
        dw_mins = [row["dw_min"] for row in rows[schedule]]
        style = {"color": colours[schedule], "marker": markers[schedule], "linestyle": "none"}
        fit = fits[schedule]
        axes[1, 0].plot(
            dw_mins,
            [row["n_pulses"] for row in rows[schedule]],
            **style,
            markerfacecolor="none" if schedule == "stochastic" else None,
            markersize=9 if schedule == "stochastic" else 5,
            label=f"{schedule}: exponent {fit['exponent']:.3f} ± {fit['exponent_error']:.3f}",
        )
        axes[1, 0].plot(
            dw_mins,
            [fit["factor"] * dw_min ** fit["exponent"] for dw_min in dw_mins],
            color=colours[schedule],
            linestyle="-" if schedule == "cyclic" else "--",
        )
        points = [(row["dw_min"], point) for row in rows[schedule] for point in row["points"]]
        axes[1, 1].plot(
            [dw_min * point["n_pulses"] for dw_min, point in points],
            [point["worst_ratio"] for _, point in points],
            **style,
            markersize=4,
            alpha=0.6,
            label=schedule,
        )
    axes[1, 0].set(
        title=f"(b) Smallest N with the mean SP within {TOLERANCE:.0%}",
        xlabel="dw_min [weight units]",
        ylabel="pulses N per cell",
        xscale="log",
        yscale="log",
    )
    axes[1, 1].axhline(1.0, color="black", linewidth=1, label="Theorems C.2 and C.4")
    axes[1, 1].set(
        title=f"(b) Squared error over the bound, worst of {N_GROUPS} groups of cells",
        xlabel="N · dw_min [weight units]",
        ylabel="measured / bound",
        xscale="log",
        yscale="log",
    )
    for panel in axes.flat:
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Compute both parts, print the numbers, write the picture and the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=["closed-form", "pulses"],
        default=["closed-form"],
        help="part (a): by the closed form, by aihwkit's C++ pulses (minutes), or by both",
    )
    parser.add_argument("--size", type=int, default=512, help="rows and columns of the array")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the output")
    args = parser.parse_args()

    torch.set_num_threads(1)
    device = SoftBoundsReferenceDevice(w_min=-1.0, w_max=1.0)
    settings = {
        "size": args.size,
        "seed": SEED,
        "sp_mean": SP_MEAN,
        "sp_std": SP_STD,
        "start_weight": 0.0,
        "device": {
            "class": type(device).__name__,
            **{
                name: getattr(device, name)
                for name in (
                    *("w_min", "w_max", "w_min_dtod", "w_max_dtod"),
                    *("dw_min_dtod", "dw_min_std", "up_down_dtod"),
                )
            },
        },
        "tolerance": TOLERANCE,
        "n_groups": N_GROUPS,
    }
    results = Results(args.out / "figure1.json", settings)
    offset_rows = part_a(results, args.size, args.methods)
    rows = part_b(results, args.size)
    fits = {schedule: summary(rows[schedule]) for schedule in SCHEDULES}
    for schedule, fit in fits.items():
        results.add(f"b, {schedule}, fit", fit)
    print(table(offset_rows, rows, fits))
    draw(offset_rows, rows, fits, args.out / "figure1.png")
    print(f"written: {args.out / 'figure1.png'}, {args.out / 'figure1.json'}")


if __name__ == "__main__":
    main()
