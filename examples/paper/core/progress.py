"""Progress of a sweep with the time left."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Dict, Iterable, Optional, Sequence, Type

from tqdm import tqdm

from core.run import Run


class Progress:
    """A progress bar over the epochs of all runs, as the runs end.

    The time left is the time that the remaining epochs take, at the seconds per epoch of the runs
    seen so far, shared by the workers. That is right from the first result on, where counting the
    finished runs is not: the other workers are in the middle of theirs. Runs that stop early make
    it an upper limit.

    Args:
        runs: what is to be done.
        workers: number of runs at a time.
        known: results from before, from which the seconds per epoch are taken for a start.
    """

    def __init__(
        self, runs: Sequence[Run], workers: int, known: Iterable[Dict[str, Any]] = ()
    ) -> None:
        self.workers = max(1, min(workers, len(runs)))
        self.epochs_left = sum(run.epochs for run in runs)
        self.seconds, self.epochs = 0.0, 0
        networks = {run.network for run in runs}
        for result in known:
            if result["run"]["network"] in networks:
                self._measure(result)
        self.bar = tqdm(
            total=self.epochs_left,
            desc=f"{len(runs)} runs",
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} epochs [{elapsed}{postfix}]",
            ncols=100,
        )
        self._show()

    def _measure(self, result: Dict[str, Any]) -> None:
        self.seconds += sum(result["epoch_seconds"])
        self.epochs += len(result["epoch_seconds"])

    def seconds_left(self) -> Optional[float]:
        """Return the time left, ``None`` before anything is known."""
        if not self.epochs:
            return None
        return self.epochs_left * self.seconds / self.epochs / self.workers

    def _show(self) -> None:
        left = self.seconds_left()
        if left is not None:
            # The bar moves once per run only; a time of day does not get old until then.
            ready = datetime.now() + timedelta(seconds=left)
            text = f"{tqdm.format_interval(left)} left, ready {ready:%d %b %H:%M}"
            self.bar.set_postfix_str(text)

    def finish(self, run: Run, result: Optional[Dict[str, Any]]) -> None:
        """Count a run that has ended, with its result or without one."""
        self.epochs_left -= run.epochs
        if result is None:
            text = "failed"
        else:
            self._measure(result)
            text = f"{result['accuracy'][-1]:.2f} %, loss {result['loss'][-1]:.3f}"
        self.bar.write(f"{run.label}: {text}")
        self.bar.update(run.epochs)
        self._show()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.bar.close()
