"""A case: configuration, layer and what is done, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, List

from aihwkit.simulator.configs.devices import PiecewiseStepDevice
from aihwkit.simulator.parameters.enums import NoiseManagementType
from aihwkit.simulator.parameters.pre_post import PrePostProcessingParameter

from aihwkit_dspt import (
    PulseMode,
    ReadMode,
    ReferenceSync,
    ReferenceType,
    TrackingRPUConfig,
    TrackingTransferCompound,
)
from tests.fuzz.device_values import WITHOUT_STEPS, draw_any, draw_device
from tests.fuzz.layers import WRONG, Layer
from tests.fuzz.plan import Plan, draw, spoil, use_numpy
from tests.fuzz.quiet import make_quiet
from tests.fuzz.values import COMPOUND, CONFIG, INPUT_RANGE, IO, MAPPING, RUNTIME, UPDATE

ACTIONS = (
    "train",
    "copy twice",
    "interrupt",
    "interrupt by a timer",
    "exception",
    "checkpoint",
    "load in place",
    "pickle",
    "set weights",
    "evaluate",
    "set hidden",
    "decay",
    "remap",
)
"""What is done after the first training, see :mod:`tests.fuzz.life`."""

NONE = NoiseManagementType.NONE
PERHAPS = "perhaps"
"""What C++ AGAD refuses, too, may be refused."""

ALWAYS = ("copy twice", "interrupt", "checkpoint")


@dataclass
class Case:
    """What one seed stands for.

    Args:
        seed: where all is drawn from.
        config: plan of the configuration.
        layer: the layer.
        actions: what is done with it, in order.
        wrong: which value is wrong; empty if none is, so that the layer has to be built.
        is_quiet: whether nothing in the training is random.
    """

    seed: int
    config: Plan
    layer: Layer
    actions: List[str]
    wrong: str
    is_quiet: bool

    def __str__(self) -> str:
        """Return all that is drawn, the configuration as it would stand in a script."""
        return (
            f"seed {self.seed}: {self.layer}\n{self.config!r}\n"
            f"wrong: {self.wrong or 'nothing'}; quiet: {self.is_quiet}; then {self.actions}"
        )


def draw_case(seed: int) -> Case:
    """Return the case of a seed."""
    random = Random(seed)
    config, layer = _draw_config(random), Layer.drawn(random)
    _lengthen(Random(f"chain {seed}"), config)
    is_quiet = random.random() < 0.25
    wrong = _settle(config, layer)
    if is_quiet:
        make_quiet(config)
    if random.random() < 0.2:
        wrong, is_quiet = _spoil(random, config, layer), False
    if random.random() < 0.1:
        use_numpy(random, config)
    actions = [*ALWAYS, *random.choices(ACTIONS, k=random.randrange(4))]
    random.shuffle(actions)
    return Case(seed, config, layer, actions, wrong, is_quiet)


def _lengthen(random: Random, config: Plan) -> None:
    """Make a longer chain of the two arrays, sometimes, and leave all else as it was drawn."""
    if random.random() < 0.25:
        settings = config.settings["device"].settings
        more = [draw_any(random) for _ in range(random.choice([1, 2]))]
        settings["unit_cell_devices"][1:1] = more
        settings.setdefault("join_sweeps", random.choice([0.0, 1.0, None]))


def _draw_config(random: Random) -> Plan:
    share = random.choice([0.1, 0.3, 0.6])
    compound = draw(random, TrackingTransferCompound, COMPOUND, share)
    compound.settings["unit_cell_devices"] = [draw_any(random), draw_any(random)]
    if random.random() < 0.3:
        compound.settings["unit_cell_devices"] = [draw_any(random)] * 2
    if random.random() < 0.25:
        compound.settings["reference_device"] = draw_device(random)
    for name, (make, table) in (("transfer_forward", IO), ("transfer_update", UPDATE)):
        if random.random() < 0.6:
            compound.settings[name] = draw(random, make, table, share)
    config = Plan(TrackingRPUConfig, {"device": compound}, CONFIG)
    for name, (make, table) in (
        ("forward", IO),
        ("backward", IO),
        ("update", UPDATE),
        ("mapping", MAPPING),
        ("runtime", RUNTIME),
    ):
        if random.random() < 0.6:
            config.settings[name] = draw(random, make, table, share)
    if random.random() < 0.3:
        input_range = draw(random, *INPUT_RANGE, 0.5)
        config.settings["pre_post"] = Plan(PrePostProcessingParameter, {"input_range": input_range})
    return config


def _settle(config: Plan, layer: Layer) -> str:
    """Take contradictions out of the compound; return what may be refused nevertheless."""
    compound = config.settings["device"].settings
    if compound.get("reference", ReferenceType.DYNAMIC) is ReferenceType.DYNAMIC:
        if compound.get("in_chop_prob") == 0.0:
            compound["reference_sync"] = ReferenceSync.EVERY_READ
            compound.setdefault("eta", 0.05)
    else:
        names = "eta", "estimator", "reference_sync", "experimental_correct_accumulation"
        for name in names:
            compound.pop(name, None)
        if compound["reference"] is ReferenceType.ZERO:
            compound.pop("reference_device", None)
    if compound.get("sweep_every"):
        compound.pop("transfer_every", None)
    for part in config.parts():
        if part.make is PiecewiseStepDevice:
            # Both have the same number of nodes.
            part.settings.update(piecewise_up=[0.8, 1.0, 1.2], piecewise_down=[1.1, 1.0, 0.9])
        if part.table is IO[1] and part.settings.get("noise_management") is not NONE:
            part.settings.pop("inp_bound", None)
    cells: List[Any] = [part.make.__name__ for part in config.parts()]
    if layer.name.startswith("AnalogConv"):
        # A tile has to have room for a kernel. aihwkit has no mapped convolutions that are indexed
        # and none with analog bias.
        mapping = config.settings.setdefault("mapping", Plan(*MAPPING[:1])).settings
        if layer.name.endswith("Mapped"):
            mapping["max_input_size"] = 64
            mapping["digital_bias"] = True
        elif layer.name != "AnalogConv2d":
            mapping["max_input_size"] = mapping["max_output_size"] = 512
    doubtful = [name for name in cells if name.endswith(("Cell", "Compound"))][1:]
    # aihwkit manages clipped outputs of bare reads only, plain torch reads what its law covers.
    asked = (part.settings.get("manage_output_clipping") for part in config.parts())
    doubtful += ["manage_output_clipping"] if any(asked) else []
    doubtful += ["pulse_mode"] if compound.get("pulse_mode") is PulseMode.BATCHED else []
    doubtful += ["read_mode"] if compound.get("read_mode") is ReadMode.TORCH else []
    return f"{PERHAPS} {doubtful}" if doubtful else ""


def _spoil(random: Random, config: Plan, layer: Layer) -> str:
    """Make one thing wrong; return which."""
    if random.random() < 0.85:
        return spoil(random, config)
    if random.random() < 0.3:
        layer.name = random.choice(sorted(WRONG))
        return layer.name
    devices: List[Any] = config.settings["device"].settings["unit_cell_devices"]
    wrong = random.choice([*WITHOUT_STEPS, None, int])
    wrong_plan = wrong if wrong in (None, int) else Plan(wrong)
    kept = random.choice([[], devices[:1], devices])
    config.settings["device"].settings["unit_cell_devices"] = [*kept, wrong_plan][-2:]
    return f"unit_cell_devices: {wrong}"
