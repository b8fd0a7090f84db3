"""Has imported and compiled, once it is imported, what all trainings need."""

from __future__ import annotations

from tests.parallel.models import CASES

CASES["E-RIDER"].run()
