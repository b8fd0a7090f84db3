"""What the paper does not print for Table 2: a search on a validation split.

    python examples/paper/search.py --data-root mnist --jobs 2

The fully connected network in the cell (0.4, 0.4), trained on 50,000 images and tested on the other
10,000 training images; the test set is not looked at. All three methods get the same effort: three
learning rates with learned output scales and one run without scales, at full length, since what
learns fast in ten epochs is not what ends best.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.command import make_parser, results_of
from core.run import Run, scaled_steps
from table2 import EPOCHS, LR_STEPS

CELL = (0.4, 0.4)

METHODS = ("AGAD", "E-RIDER", "TT-v2")
TRIALS = ((0.15, 0.3), (0.05, 0.3), (0.1, 0.3), (0.05, 0.0))
"""Learning rate and ``weight_scaling_omega`` (0: no output scales)."""


def runs(epochs: int = EPOCHS) -> List[Run]:
    """Return the runs of the search."""
    return [
        Run(
            method,
            "fcn",
            *CELL,
            seed=1,
            epochs=epochs,
            lr=lr,
            lr_steps=scaled_steps(LR_STEPS, epochs, EPOCHS),
            weight_scaling_omega=omega,
            max_input_size=0,
            validation=True,
        )
        for lr, omega in TRIALS
        for method in METHODS
    ]


def table(results: Sequence[Dict[str, Any]]) -> str:
    """Return the results, best first within each method."""
    lines = [f"{'method':<10}{'lr':>8}{'omega':>8}{'validation accuracy [%]':>26}"]
    key = lambda r: (r["run"]["method"], -r["accuracy"][-1])  # noqa: E731
    for result in sorted(results, key=key):
        run = result["run"]
        omega = run["weight_scaling_omega"]
        lines.append(
            f"{run['method']:<10}{run['lr']:>8g}{omega:>8g}{result['accuracy'][-1]:>26.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    args = make_parser(__doc__, "search.jsonl").parse_args()
    chosen = runs(args.epochs or EPOCHS)
    results = results_of(chosen, args)
    print(table(results))


if __name__ == "__main__":
    main()
