"""What the paper does not print for Table 2: a search on a validation split.

    python examples/paper/search.py --data-root mnist --jobs 2

The fully connected network in the cell (0.4, 0.4), trained on 50,000 images and tested on the other
10,000 training images; the test set is not looked at. All three methods get the same effort: eight
runs at full length, since what learns fast in ten epochs is not what ends best. First each is tried
with twice, half and a quarter of the ``weight_scaling_omega`` of 0.3 that related scripts of the
authors have, then, with the best of these, on other schedules of the learning rate. The other two
are learning rates for TT-v2 (0.005 is that of Table 1) and AGAD, whose transfers scale with it;
E-RIDER's do not, so they are a learning rate and a ``gamma``, with layers that are not cut.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Collection, Dict, List, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.command import make_parser, results_of
from core.run import Run, scaled_steps
from table2 import EPOCHS, LR

CELL = (0.4, 0.4)

SCHEDULES: Dict[str, Dict[str, float]] = {
    "20, 30": {"20": 0.5, "30": 0.25},
    "10, 20, 30": {"10": 0.5, "20": 0.25, "30": 0.125},
    "constant": {},
}
"""Epochs after which the learning rate is halved. The second one is that of aihwkit's
``03_mnist_training.py``, which has this network."""

TRIALS: List[Tuple[str, Dict[str, Any]]] = [
    *(
        (method, {"weight_scaling_omega": omega})
        for omega in (0.3, 0.6, 0.15, 0.075)
        for method in ("E-RIDER", "AGAD", "TT-v2")
    ),
    *(
        (method, {"weight_scaling_omega": 0.15, "lr_steps": SCHEDULES[schedule]})
        for schedule in ("10, 20, 30", "constant")
        for method in ("E-RIDER", "AGAD", "TT-v2")
    ),
    ("E-RIDER", {"lr": 0.15, "max_input_size": 0}),
    ("E-RIDER", {"max_input_size": 0, "settings": {"gamma": 0.03}}),
    ("AGAD", {"lr": 0.15, "max_input_size": 0}),
    ("AGAD", {"lr": 0.3}),
    ("TT-v2", {"lr": 0.005}),
    ("TT-v2", {"lr": 0.15}),
]
"""Method and what differs from the learning rate of ``table2.py``, the first schedule, omega 0.3
and aihwkit's default mapping."""

METHODS = tuple(dict.fromkeys(method for method, _ in TRIALS))


def runs(
    epochs: int = EPOCHS,
    methods: Collection[str] = METHODS,
    omega: Optional[float] = None,
    schedule: Optional[str] = None,
) -> List[Run]:
    """Return the runs of the search, or only those of some methods, an omega or a schedule."""
    chosen = []
    for method, trial in TRIALS:
        settings = {"weight_scaling_omega": 0.3, "lr": LR, "lr_steps": SCHEDULES["20, 30"], **trial}
        if (
            method in methods
            and omega in (None, settings["weight_scaling_omega"])
            and schedule in (None, schedule_of(settings["lr_steps"]))
        ):
            settings["lr_steps"] = scaled_steps(settings["lr_steps"], epochs, EPOCHS)
            run = Run(method, "fcn", *CELL, seed=1, epochs=epochs, validation=True, **settings)
            chosen.append(run)
    return chosen


def schedule_of(lr_steps: Dict[str, float]) -> str:
    """Return the epochs after which the learning rate is lowered."""
    return ", ".join(lr_steps) or "constant"


def gamma_of(run: Dict[str, Any]) -> str:
    """Return the residual scale of a run, a dash where there is none."""
    return f"{run['settings'].get('gamma', 0.1):g}" if run["method"] == "E-RIDER" else "-"


def table(results: Sequence[Dict[str, Any]]) -> str:
    """Return the results, best first within each method."""
    head = f"{'method':<10}{'lr':>8}{'halved after':>14}{'array':>8}{'gamma':>8}{'omega':>8}"
    lines = [f"{head}{'validation accuracy [%]':>26}"]
    key = lambda r: (r["run"]["method"], -r["accuracy"][-1])  # noqa: E731
    for result in sorted(results, key=key):
        run = result["run"]
        rate = f"{run['lr']:>8g}{schedule_of(run['lr_steps']):>14}"
        rest = f"{run['max_input_size']:>8}{gamma_of(run):>8}{run['weight_scaling_omega']:>8g}"
        lines.append(f"{run['method']:<10}{rate}{rest}{result['accuracy'][-1]:>26.2f}")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = make_parser(__doc__, "search.jsonl")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--omega", type=float, help="only runs with this weight_scaling_omega")
    parser.add_argument("--schedule", choices=SCHEDULES, help="only runs with this schedule")
    args = parser.parse_args()
    chosen = runs(args.epochs or EPOCHS, args.methods, args.omega, args.schedule)
    results = results_of(chosen, args)
    print(table(results))


if __name__ == "__main__":
    main()
