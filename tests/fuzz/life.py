"""The life of a layer: training, copies, interrupts, checkpoints."""

from __future__ import annotations

import pickle
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, List

import torch
from aihwkit.exceptions import AihwkitException
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.parameters.enums import PulseType
from torch import nn

from aihwkit_dspt import load_checkpoint, save_checkpoint
from tests.fuzz.case import PERHAPS, Case
from tests.fuzz.checks import (
    Fault,
    NotFinite,
    check,
    check_same,
    differ,
    shortened,
    states,
    tiles,
    without_persistent,
)
from tests.fuzz.instants import run_until_line, run_until_timer
from tests.fuzz.twin import agad_builds, agad_stays_finite

DENSE = (PulseType.MEAN_COUNT, PulseType.DETERMINISTIC_IMPLICIT)
N_STEPS = 4
"""Steps of one training."""

MOST_LINES = 400
"""Interrupts come before one of so many first lines of a step."""


class RaisedByTest(Exception):
    """An error in the middle of a step that is not an interrupt."""


class Training:
    """A layer with its optimizer."""

    def __init__(self, case: Case, layer: nn.Module) -> None:
        self.case = case
        self.layer = layer
        self.optimizer = AnalogSGD(layer.parameters(), lr=0.1)

    def step(self) -> None:
        """One step; the gradient of the output does not depend on it, so that nothing diverges."""
        self.optimizer.zero_grad()
        output = self.layer(self.case.layer.batch())
        output = output[0] if isinstance(output, tuple) else output
        (output * torch.randn(output.shape) * 0.3).sum().backward()
        self.optimizer.step()

    def forget_step(self) -> None:
        """Drop what an unfinished step left for the next update."""
        for tile in tiles(self.layer):
            tile.analog_ctx.reset()

    def train(self) -> None:
        """Some steps, each checked."""
        for _ in range(N_STEPS):
            self.step()
            check(self.layer)


class Life:
    """Does the actions of a case, in order.

    Args:
        case: what is done.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.random = Random(case.seed)
        self.training = Training(case, case.layer.make(case.config.build()))
        self.is_remapped = False
        # Tiles with these pulses are copied as they are saved and loaded. Those of a reference
        # device are implicit.
        self.copies_exactly = not any(
            part.settings.get("pulse_type") in DENSE or "reference_device" in part.settings
            for part in case.config.parts()
        )

    def run(self) -> None:
        """Train, then do one action after the other."""
        self._do("first training", self.training.train)
        for action in self.case.actions:
            self._do(action, self.actions()[action])

    def _do(self, action: str, call: Callable[[], object]) -> None:
        try:
            call()
        except NotFinite as fault:
            if agad_stays_finite(self.case):
                raise Fault(f"{action}: {fault} is not finite, C++ AGAD is") from None
        except Fault as fault:
            raise Fault(f"{action}: {fault}") from None
        except Exception as error:
            raise Fault(f"{action}: {type(error).__name__}: {shortened(str(error))}") from error

    def actions(self) -> Dict[str, Callable[[], object]]:
        """Return the actions by name."""
        return {
            "train": self.training.train,
            "copy twice": self.copy_twice,
            "interrupt": self.interrupt,
            "interrupt by a timer": self.interrupt_by_timer,
            "exception": self.exception,
            "checkpoint": self.checkpoint,
            "load in place": self.load_in_place,
            "pickle": self.pickle,
            "set weights": self.set_weights,
            "evaluate": self.evaluate,
            "set hidden": self.set_hidden,
            "decay": self.decay,
            "remap": self.remap,
        }

    def _check_same(self, what: str, before: List[Any], layer: nn.Module, exact: bool) -> None:
        after = states(layer)
        if not exact:
            before, after = without_persistent(before), without_persistent(after)
        check_same(what, before, after)

    def _go_on(self, other: Training) -> None:
        """Train both; without randomness they stay equal."""
        seed = self.random.randrange(2**31)
        stays_equal = self.case.is_quiet and not differ(
            states(self.training.layer), states(other.layer)
        )
        for training in (self.training, other):
            torch.manual_seed(seed)
            training.train()
        if stays_equal:
            check_same("trained on", states(self.training.layer), states(other.layer))

    def copy_twice(self) -> None:
        """Copy the copy; all three are equal and independent, and train."""
        first = deepcopy(self.training.layer)
        second = deepcopy(first)
        before = states(self.training.layer)
        for copied in (first, second):
            check(copied)
            self._check_same("copy", before, copied, self.copies_exactly)
        kept = states(second)
        Training(self.case, first).train()
        check_same("after the copy has been trained", before, states(self.training.layer))
        check_same("copy of a copy after the copy has been trained", kept, states(second))
        self._go_on(Training(self.case, second))

    def interrupt(self) -> None:
        """Interrupt some steps before one of their lines; the step after is right."""
        for _ in range(3):
            self._raise_in_step(KeyboardInterrupt)

    def exception(self) -> None:
        """As an interrupt, with an error."""
        self._raise_in_step(RaisedByTest)

    def _raise_in_step(self, error: Any) -> None:
        run_until_line(self.training.step, self.random.randrange(MOST_LINES), error)
        self.training.forget_step()
        self.training.step()
        check(self.training.layer)

    def interrupt_by_timer(self) -> None:
        """Interrupt a training by a signal; the step after is right."""
        run_until_timer(self.training.step, self.random.uniform(1e-4, 5e-3))
        self.training.forget_step()
        self.training.step()
        check(self.training.layer)

    def checkpoint(self) -> None:
        """Save, load into a new layer and go on."""
        layer = self.case.layer.make(self.case.config.build())
        if self.is_remapped:
            # aihwkit's state dict has the scales; without scales of its own no layer takes them.
            layer.remap_analog_weights()
        loaded = Training(self.case, layer)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.pt"
            save_checkpoint(path, self.training.layer, self.training.optimizer, epoch=3)
            load_checkpoint(path, loaded.layer, loaded.optimizer)
        check(layer)
        self._check_same("loaded", states(self.training.layer), layer, exact=False)
        self._go_on(loaded)

    def load_in_place(self) -> None:
        """Go back to an older state."""
        before = states(self.training.layer)
        file = BytesIO()
        torch.save(self.training.layer.state_dict(), file)
        file.seek(0)
        self.training.train()
        self.training.layer.load_state_dict(torch.load(file, weights_only=True))
        check(self.training.layer)
        self._check_same("loaded in place", before, self.training.layer, exact=False)
        self.training.train()

    def pickle(self) -> None:
        """Go through pickle."""
        layer = pickle.loads(pickle.dumps(self.training.layer))
        check(layer)
        self._check_same("pickled", states(self.training.layer), layer, exact=False)
        self._go_on(Training(self.case, layer))

    def set_weights(self) -> None:
        """Set other weights."""
        for tile in tiles(self.training.layer):
            weight, bias = tile.get_weights()
            tile.set_weights(0.5 * weight, bias)
        check(self.training.layer)
        self.training.train()

    def evaluate(self) -> None:
        """Evaluate, which changes nothing."""
        self.training.layer.eval()
        with torch.no_grad():
            self.training.layer(self.case.layer.batch())
        self.training.layer.train()
        check(self.training.layer)
        self.training.train()

    def set_hidden(self) -> None:
        """Set the hidden parameters to what they are."""
        for tile in tiles(self.training.layer):
            tile.set_hidden_parameters(tile.get_hidden_parameters())
        check(self.training.layer)
        self.training.train()

    def decay(self) -> None:
        """Decay and diffuse."""
        for tile in tiles(self.training.layer):
            tile.tile.decay_weights()
            tile.tile.diffuse_weights()
        check(self.training.layer)
        self.training.train()

    def remap(self) -> None:
        """Map the weights anew."""
        self.training.layer.remap_analog_weights()
        self.is_remapped = True
        check(self.training.layer)
        self.training.train()


def live(case: Case) -> str:
    """Live a case.

    Returns:
        ``"trained"``, or why the configuration was refused.

    Raises:
        Fault: what went wrong.
    """
    torch.manual_seed(case.seed)
    try:
        life = Life(case)
    except AihwkitException as error:
        doubted = case.wrong.startswith(PERHAPS)
        asked = (("read_mode", "ReadMode.TORCH"), ("pulse_mode", "PulseMode.BATCHED"))
        may_refuse = any(name in case.wrong and mode in str(error) for name, mode in asked)
        if not case.wrong or (doubted and not may_refuse and agad_builds(case)):
            text = f"{type(error).__name__}: {shortened(str(error))}"
            raise Fault(f"refused though nothing is wrong: {text}") from error
        return f"refused: {shortened(str(error))}"
    except Exception as error:
        text = f"{type(error).__name__}: {shortened(str(error))}"
        raise Fault(f"foreign error at construction: {text}") from error
    life.run()
    return "trained"
