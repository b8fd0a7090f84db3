"""Table and picture of methods side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from common.comparison import RATES, Result, Watch, best_of, compare
from common.competitors import DIGITAL, FROZEN, OURS
from common.markdown import markdown
from common.report import pyplot, save_picture
from common.runs import Run
from common.tasks import Task

COLOURS = {
    DIGITAL: "black",
    OURS: "#009E73",
    "AGAD": "#56B4E9",
    "TT-v2": "#E69F00",
    FROZEN: "#999999",
}

Place = Tuple[str, int, str, float]
"""Network, steps, device and shift."""


def _place(result: Result) -> Place:
    run = result["run"]
    return run["network"], run["steps"], run["device"], run["shift"]


def by_place(results: Sequence[Result]) -> Dict[Place, List[Result]]:
    """Return the best runs of each method at each place; those without device or shift at all."""
    best = best_of(results)
    needs_place = [r for r in best if r["run"]["competitor"] not in (DIGITAL, FROZEN)]
    found: Dict[Place, List[Result]] = {_place(result): [] for result in needs_place or best}
    for place, members in found.items():
        for method in RATES:
            members += [r for r in best if r["run"]["competitor"] == method and _fits(r, place)]
    return found


def _fits(result: Result, place: Place) -> bool:
    """Return whether a run is of this place; no shift matters to frozen arrays."""
    network, steps, device, shift = _place(result)
    if (network, steps) != place[:2]:
        return False
    method = result["run"]["competitor"]
    return method == DIGITAL or (device == place[2] and (method == FROZEN or shift == place[3]))


def _number(value: Any, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def _row(place: Place, result: Result, members: Sequence[Result]) -> List[str]:
    digits = 3 if result["is_loss"] else 1
    run, scores = result["run"], result["scores"]
    end = scores[-1]
    digital = [m["scores"][-1] for m in members if m["run"]["competitor"] == DIGITAL]
    ahead = None if end is None or not digital or digital[0] is None else end - digital[0]
    network, steps, device, shift = place
    error = result.get("sp_error")
    return [
        *(network, str(steps), device, f"{shift:g}", Run(**run).method, f"{run['lr']:g}"),
        *(_number(scores[mark], digits) for mark in _marks(scores)),
        "" if run["competitor"] == DIGITAL else _number(ahead, digits, "+"),
        _number(result["at_slow_weights"], digits) if "at_slow_weights" in result else "",
        f"{error[0]:+.3f}, {error[1]:.3f}" if error else "",
        f"{result['cpu_seconds']:.0f}",
    ]


def _marks(scores: Sequence[Any]) -> List[int]:
    """Return the places of the scores after a tenth, three tenths and all of the steps."""
    last = len(scores) - 1
    return [min(1, last), round(0.3 * last), last]


def table(results: Sequence[Result]) -> str:
    """Return one row for each method at each place, with its best learning rate."""
    rows = [
        _row(place, result, members)
        for place, members in by_place(results).items()
        for result in members
    ]
    head = ["task", "steps", "device", "SP", "method", "lr", "10 %", "30 %", "100 %", "- digital"]
    return markdown([*head, "W alone", "Q - SP: mean, rms", "CPU s"], rows)


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw scores over steps: a panel for each place."""
    places = by_place(results)
    n_columns = min(len(places), 4)
    n_rows = -(-len(places) // n_columns)
    figure, axes = pyplot().subplots(
        n_rows,
        n_columns,
        figsize=(3.6 * n_columns + 0.4, 3.3 * n_rows),
        layout="constrained",
        squeeze=False,
    )
    for ax, ((network, _, device, shift), members) in zip(axes.flat, places.items()):
        for result in members:
            run = Run(**result["run"])
            style = {"color": COLOURS[run.competitor], "linestyle": "--" if run.changes else "-"}
            ax.plot(result["steps"], _plotted(result), label=run.method, **style)
        spread = f"{shift:g} ± {shift / 2:g}" if shift else "as they come"
        ax.set(title=f"{network}\n{device}, SP {spread}", xlabel="step")
        ax.set_ylabel("validation loss" if members[0]["is_loss"] else "test accuracy [%]")
        ax.grid(alpha=0.3)
        if members[0]["is_loss"]:
            ax.set_ylim(top=5.0)
    for ax in axes.flat[len(places) :]:
        ax.remove()
    axes[0][0].legend(fontsize="small")
    save_picture(figure, path)


def _plotted(result: Result) -> List[float]:
    return [float("nan") if score is None else score for score in result["scores"]]


def side_by_side(
    name: str,
    tasks: Dict[str, Task],
    args: argparse.Namespace,
    settings: Dict[str, Any],
    watch: Optional[Watch] = None,
) -> None:
    """Run what is missing, print the table, draw the picture.

    Args:
        name: of the files in the folder ``args.out``.
        tasks: name -> what is learned.
        args: see :func:`~common.comparison.add_arguments`.
        settings: what the numbers depend on beside the runs.
        watch: around each training.
    """
    path = args.out / f"{name}.json"
    results = compare(tasks, args, path, settings, watch)
    print(table(results))
    draw(results, path.with_suffix(".png"))
    print(f"\nwritten: {path}, {path.with_suffix('.png')}")
