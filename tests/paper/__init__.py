"""The experiments on the paper's tables and figures."""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
PAPER = EXAMPLES / "paper"
sys.path[:0] = [str(EXAMPLES), str(PAPER)]
