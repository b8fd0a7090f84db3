"""What the paper does not print for Table 2: a search on a validation split.

    python examples/paper/search.py --data-root mnist --jobs 2

The fully connected network in the cell (0.4, 0.4), trained on 50,000 images and tested on the other
10,000 training images; the test set is not looked at. All three methods get the same effort: four
runs at full length, since what learns fast in ten epochs is not what ends best. For TT-v2 and AGAD,
whose transfers scale with the learning rate, these are four learning rates; E-RIDER's transfers do
not, so two learning rates with two values of ``gamma``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Collection, Dict, List, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.command import make_parser, results_of
from core.run import Run, scaled_steps
from table2 import EPOCHS, LR_STEPS

CELL = (0.4, 0.4)

TRIALS: List[Tuple[str, float, int, Dict[str, Any]]] = [
    ("E-RIDER", 0.05, 512, {}),
    ("E-RIDER", 0.15, 512, {}),
    ("E-RIDER", 0.15, 0, {}),
    ("E-RIDER", 0.05, 0, {"gamma": 0.03}),
    ("AGAD", 0.05, 512, {}),
    ("AGAD", 0.15, 512, {}),
    ("AGAD", 0.15, 0, {}),
    ("AGAD", 0.3, 512, {}),
    *(("TT-v2", lr, 512, {}) for lr in (0.05, 0.15, 0.3, 0.1)),
]
"""Method, learning rate, largest array and fields that differ from the paper's settings."""


METHODS = tuple(dict.fromkeys(method for method, *_ in TRIALS))


def runs(epochs: int = EPOCHS, methods: Collection[str] = METHODS) -> List[Run]:
    """Return the runs of the search, for some of its methods."""
    return [
        Run(
            method,
            "fcn",
            *CELL,
            seed=1,
            epochs=epochs,
            lr=lr,
            lr_steps=scaled_steps(LR_STEPS, epochs, EPOCHS),
            max_input_size=size,
            settings=settings,
            validation=True,
        )
        for method, lr, size, settings in TRIALS
        if method in methods
    ]


def gamma_of(run: Dict[str, Any]) -> str:
    """Return the residual scale of a run, a dash where there is none."""
    return f"{run['settings'].get('gamma', 0.1):g}" if run["method"] == "E-RIDER" else "-"


def table(results: Sequence[Dict[str, Any]]) -> str:
    """Return the results, best first within each method."""
    lines = [f"{'method':<10}{'lr':>8}{'array':>8}{'gamma':>8}{'validation accuracy [%]':>26}"]
    key = lambda r: (r["run"]["method"], -r["accuracy"][-1])  # noqa: E731
    for result in sorted(results, key=key):
        run = result["run"]
        settings = f"{run['method']:<10}{run['lr']:>8g}{run['max_input_size']:>8}{gamma_of(run):>8}"
        lines.append(f"{settings}{result['accuracy'][-1]:>26.2f}")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = make_parser(__doc__, "search.jsonl")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    args = parser.parse_args()
    chosen = runs(args.epochs or EPOCHS, args.methods)
    results = results_of(chosen, args)
    print(table(results))


if __name__ == "__main__":
    main()
