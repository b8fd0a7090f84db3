"""A pytest plugin that selects the tests on the tile under test and counts their results."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List

from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.tiles.analog import AnalogTile
from not_applicable import reason

from aihwkit_dspt import TrackingTransferCompound


class Recorder:
    """Selects and counts.

    Args:
        tile: ``"tracking"`` or ``"agad"``.
        everything: whether to run also what does not apply.
    """

    def __init__(self, tile: str, everything: bool) -> None:
        self.tile = tile
        self.everything = everything
        self.outcomes: Dict[str, str] = {}
        self.reasons: Dict[str, str] = {}
        self.on_tile: Dict[str, bool] = {}
        self.not_applicable: List[str] = []
        self._count_tiles()

    def _count_tiles(self) -> None:
        """Count the tiles under test that are built."""
        self.built = 0
        original = AnalogTile.__init__
        compound = TrackingTransferCompound if self.tile == "tracking" else DynamicTransferCompound

        def counted(tile: Any, *arguments: Any, **named: Any) -> None:
            original(tile, *arguments, **named)
            self.built += type(getattr(tile.rpu_config, "device", None)) is compound

        AnalogTile.__init__ = counted

    def name(self, node: str) -> str:
        """Return a test's name without what depends on the tile."""
        return node.removeprefix("tests/").replace("Tracking", "Tile").replace("Agad", "Tile")

    def pytest_collection_modifyitems(self, config: Any, items: List[Any]) -> None:
        """Leave out other tiles and what does not apply."""
        kept, dropped = [], []
        for item in items:
            other = "rpu_cls" in getattr(getattr(item, "callspec", None), "params", {}) and (
                "Substitute" not in item.callspec.params["rpu_cls"].__name__
            )
            skip = not self.everything and reason(self.name(item.nodeid), self.tile)
            # Variants on a GPU are skipped where there is none, not left out.
            if skip and not other and not getattr(item.cls, "use_cuda", False):
                self.not_applicable.append(self.name(item.nodeid))
            (dropped if other or skip else kept).append(item)
        items[:] = kept
        config.hook.pytest_deselected(items=dropped)

    def pytest_runtest_setup(self, item: Any) -> None:
        """Start counting tiles."""
        del item
        self.built = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the outcome of a test; an error in set-up or tear-down is a failure."""
        name = self.name(report.nodeid)
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[name] = report.outcome
            self.on_tile[name] = self.built > 0
            if report.failed:
                self.reasons[name] = str(report.longrepr).strip().splitlines()[-1][:200]
            elif report.skipped:
                self.reasons[name] = str(report.longrepr[2])

    def result(self) -> Dict[str, Any]:
        """Return the counts and the names of what failed."""
        counts = Counter(self.outcomes.values())
        skipped = Counter(self.reasons[k] for k, v in self.outcomes.items() if v == "skipped")
        return {
            **{key: counts[key] for key in ("passed", "failed", "skipped")},
            "passed_without_the_tile": [
                name
                for name, outcome in self.outcomes.items()
                if outcome == "passed" and not self.on_tile[name]
            ],
            "not_applicable": len(self.not_applicable),
            "skip_reasons": dict(skipped),
            "failures": {k: self.reasons[k] for k, v in self.outcomes.items() if v == "failed"},
            "results": self.outcomes,
        }
