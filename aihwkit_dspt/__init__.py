"""Dynamic symmetric-point tracking (RIDER, E-RIDER) for IBM's aihwkit."""

from typing import TYPE_CHECKING, List

from aihwkit_dspt._installation import check_host

check_host()

from aihwkit_dspt._safe_globals import register_safe_globals  # noqa: E402

register_safe_globals()

# pylint: disable=wrong-import-position
from aihwkit_dspt._aihwkit_conversion import watch_conversions  # noqa: E402
from aihwkit_dspt._aihwkit_plots import plot_tracking_tiles  # noqa: E402
from aihwkit_dspt._later import imported_later  # noqa: E402
from aihwkit_dspt.configs.build import PAPER_SETTINGS, build_config  # noqa: E402
from aihwkit_dspt.configs.compound import TrackingTransferCompound  # noqa: E402
from aihwkit_dspt.configs.device_defaults import DeviceDefaults  # noqa: E402
from aihwkit_dspt.configs.enums import (  # noqa: E402
    PulseMode,
    ReadMode,
    ReferenceSync,
    ReferenceType,
    TransferScope,
    TransferStart,
)
from aihwkit_dspt.configs.presets import (  # noqa: E402
    ERIDERCapacitorPreset,
    ERIDEREcRamMOPreset,
    ERIDEREcRamPreset,
    ERIDERGokmenVlasovPreset,
    ERIDERIdealizedPreset,
    ERIDERPCMPreset,
    ERIDERReRamArrayHfO2Preset,
    ERIDERReRamArrayOMPreset,
    ERIDERReRamESPreset,
    ERIDERReRamSBPreset,
    RIDERCapacitorPreset,
    RIDEREcRamMOPreset,
    RIDEREcRamPreset,
    RIDERGokmenVlasovPreset,
    RIDERIdealizedPreset,
    RIDERPCMPreset,
    RIDERReRamArrayHfO2Preset,
    RIDERReRamArrayOMPreset,
    RIDERReRamESPreset,
    RIDERReRamSBPreset,
)
from aihwkit_dspt.configs.rpu_config import TrackingRPUConfig  # noqa: E402
from aihwkit_dspt.devices import (  # noqa: E402
    dw_min_for_states,
    n_states,
    response,
    with_symmetric_point,
)
from aihwkit_dspt.optim.steps import watch_optimizer_steps  # noqa: E402
from aihwkit_dspt.optim.wrappers import refuse_averaging_wrappers  # noqa: E402
from aihwkit_dspt.stages.adaptive import AdaptiveGain  # noqa: E402
from aihwkit_dspt.stages.buffer import TransferBuffer  # noqa: E402
from aihwkit_dspt.stages.chopper import Chopper  # noqa: E402
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator  # noqa: E402
from aihwkit_dspt.stages.estimators import (  # noqa: E402
    ESTIMATORS,
    LowPassFilter,
    RunningMean,
)
from aihwkit_dspt.stages.event import TransferEvent  # noqa: E402
from aihwkit_dspt.stages.listener import Listener  # noqa: E402
from aihwkit_dspt.tiles.assigned import refuse_assigned_parameters  # noqa: E402
from aihwkit_dspt.tiles.tile import TrackingTile  # noqa: E402

if TYPE_CHECKING:
    from aihwkit_dspt.checkpoint import load_checkpoint, save_checkpoint
    from aihwkit_dspt.costs import ModelCounts, OperationCounts, cost_table, estimate_coincidences
    from aihwkit_dspt.costs.operation_counts import operation_counts
    from aihwkit_dspt.drift import SymmetricPointDrift
    from aihwkit_dspt.inference import to_inference
    from aihwkit_dspt.interchange import export_to_aihwkit
    from aihwkit_dspt.models import ConversionReport, conversion_report
    from aihwkit_dspt.models.convert import convert
    from aihwkit_dspt.monitor import RecordedReads, SymmetricPointMonitor, record_reads
    from aihwkit_dspt.monitor.spectrum import FilterSpectra, filter_response, filter_spectra
    from aihwkit_dspt.optim.analog_optimizer import analog_optimizer
    from aihwkit_dspt.optim.average import AveragedWeights
    from aihwkit_dspt.optim.norms import analog_grad_norms
    from aihwkit_dspt.parallel import AnalogDataParallel, RankError, analog_data_parallel
    from aihwkit_dspt.plan import TilePlan
    from aihwkit_dspt.plan.training_plan import TrainingPlan, training_plan
    from aihwkit_dspt.slow_array import at_slow_weights
    from aihwkit_dspt.tensor_states import states_in_tensors
    from aihwkit_dspt.tile_points import TileSymmetricPoints, symmetric_points
    from aihwkit_dspt.tiles.executors import ReadExecutors, read_executors
    from aihwkit_dspt.warm_start import WarmStart, join_next_array
    from aihwkit_dspt.zero_shifting import (
        PulseBudget,
        ZeroShiftResult,
        pulse_budget,
        training_pulses,
        zero_shift,
    )
    from aihwkit_dspt.zero_shifting.calibrate import calibrate
else:  # what a plain conversion does not need
    __getattr__ = imported_later(
        __name__,
        {
            "checkpoint": "load_checkpoint save_checkpoint",
            "costs": "ModelCounts OperationCounts cost_table estimate_coincidences",
            "costs.operation_counts": "operation_counts",
            "drift": "SymmetricPointDrift",
            "inference": "to_inference",
            "interchange": "export_to_aihwkit",
            "models": "ConversionReport conversion_report",
            "models.convert": "convert",
            "monitor": "RecordedReads SymmetricPointMonitor record_reads",
            "monitor.spectrum": "FilterSpectra filter_response filter_spectra",
            "optim.analog_optimizer": "analog_optimizer",
            "optim.average": "AveragedWeights",
            "optim.norms": "analog_grad_norms",
            "parallel": "AnalogDataParallel RankError analog_data_parallel",
            "plan": "TilePlan",
            "plan.training_plan": "TrainingPlan training_plan",
            "tiles.executors": "ReadExecutors read_executors",
            "slow_array": "at_slow_weights",
            "tensor_states": "states_in_tensors",
            "tile_points": "TileSymmetricPoints symmetric_points",
            "warm_start": "WarmStart join_next_array",
            "zero_shifting": "PulseBudget ZeroShiftResult pulse_budget training_pulses zero_shift",
            "zero_shifting.calibrate": "calibrate",
        },
    )


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})


plot_tracking_tiles()
watch_conversions()
watch_optimizer_steps()
refuse_assigned_parameters()
refuse_averaging_wrappers()

__version__ = "0.2.0"

__all__ = [
    "ESTIMATORS",
    "PAPER_SETTINGS",
    "AdaptiveGain",
    "AnalogDataParallel",
    "AveragedWeights",
    "Chopper",
    "ConversionReport",
    "DeviceDefaults",
    "ERIDERCapacitorPreset",
    "ERIDEREcRamMOPreset",
    "ERIDEREcRamPreset",
    "ERIDERGokmenVlasovPreset",
    "ERIDERIdealizedPreset",
    "ERIDERPCMPreset",
    "ERIDERReRamArrayHfO2Preset",
    "ERIDERReRamArrayOMPreset",
    "ERIDERReRamESPreset",
    "ERIDERReRamSBPreset",
    "FilterSpectra",
    "Listener",
    "LowPassFilter",
    "ModelCounts",
    "OperationCounts",
    "PulseBudget",
    "PulseMode",
    "RIDERCapacitorPreset",
    "RIDEREcRamMOPreset",
    "RIDEREcRamPreset",
    "RIDERGokmenVlasovPreset",
    "RIDERIdealizedPreset",
    "RIDERPCMPreset",
    "RIDERReRamArrayHfO2Preset",
    "RIDERReRamArrayOMPreset",
    "RIDERReRamESPreset",
    "RIDERReRamSBPreset",
    "RankError",
    "ReadExecutors",
    "ReadMode",
    "RecordedReads",
    "ReferenceSync",
    "ReferenceType",
    "RunningMean",
    "SymmetricPointDrift",
    "SymmetricPointEstimator",
    "SymmetricPointMonitor",
    "TilePlan",
    "TileSymmetricPoints",
    "TrackingRPUConfig",
    "TrackingTile",
    "TrackingTransferCompound",
    "TrainingPlan",
    "TransferBuffer",
    "TransferEvent",
    "TransferScope",
    "TransferStart",
    "WarmStart",
    "ZeroShiftResult",
    "analog_data_parallel",
    "analog_grad_norms",
    "analog_optimizer",
    "at_slow_weights",
    "build_config",
    "calibrate",
    "conversion_report",
    "convert",
    "cost_table",
    "dw_min_for_states",
    "estimate_coincidences",
    "export_to_aihwkit",
    "filter_response",
    "filter_spectra",
    "join_next_array",
    "load_checkpoint",
    "n_states",
    "operation_counts",
    "pulse_budget",
    "read_executors",
    "record_reads",
    "response",
    "save_checkpoint",
    "states_in_tensors",
    "symmetric_points",
    "to_inference",
    "training_plan",
    "training_pulses",
    "with_symmetric_point",
    "zero_shift",
]
