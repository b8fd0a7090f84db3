"""Table 1 of the paper: LeNet-5 on MNIST, HfO2 ReRAM with shifted references.

    python examples/paper/table1.py --data-root mnist --jobs 2
    python examples/paper/table1.py --data-root mnist --cells all --seeds 1 2 3     # the full table
    python examples/paper/table1.py --data-root mnist --methods RIDER residual      # other methods

Every run is one line of ``results/table1.jsonl``; runs that are there are skipped. Prints the table
beside the paper's and draws the accuracy by epoch.

Learning rates, batch size and the fields of the methods are the paper's, the learning rate is
constant, because the paper prints no schedule. Chosen here, because the paper does not print it:
``desired_bl=5`` as for Table 2, and learned column-wise output scales (omega 0.3, as Table 2 had
before its search).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, Tuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.paper_numbers import TABLE1, Cell
from core.paper_table import PaperTable

EPOCHS = 20
CELLS: Tuple[Cell, ...] = ((0.4, 0.4), (0.0, 0.05))
METHODS: Dict[str, Dict[str, Any]] = {"E-RIDER": {}, "AGAD": {}, "TT-v2": {}}
"""Method -> fields that differ from the paper's settings."""

TABLE = PaperTable(
    "Table 1: LeNet-5 on MNIST",
    "table1.jsonl",
    TABLE1,
    "lenet5",
    batch_size=8,
    epochs=EPOCHS,
    lr=0.05,
    own_lr={"TT-v2": 0.005},
    methods=METHODS,
    cells=CELLS,
)

if __name__ == "__main__":
    TABLE.main(__doc__)
