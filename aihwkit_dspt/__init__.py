"""Dynamic symmetric-point tracking (RIDER, E-RIDER) for IBM's aihwkit."""

from aihwkit_dspt._installation import check_host

check_host()

from aihwkit_dspt._safe_globals import register_safe_globals  # noqa: E402

register_safe_globals()

# pylint: disable=wrong-import-position
from aihwkit_dspt._aihwkit_plots import plot_tracking_tiles  # noqa: E402
from aihwkit_dspt.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
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
from aihwkit_dspt.costs import (  # noqa: E402
    ModelCounts,
    OperationCounts,
    cost_table,
    estimate_coincidences,
    operation_counts,
)
from aihwkit_dspt.devices import (  # noqa: E402
    dw_min_for_states,
    n_states,
    response,
    with_symmetric_point,
)
from aihwkit_dspt.drift import SymmetricPointDrift  # noqa: E402
from aihwkit_dspt.inference import to_inference  # noqa: E402
from aihwkit_dspt.interchange import export_to_aihwkit  # noqa: E402
from aihwkit_dspt.models import ConversionReport, conversion_report, convert  # noqa: E402
from aihwkit_dspt.monitor import (  # noqa: E402
    FilterSpectra,
    RecordedReads,
    SymmetricPointMonitor,
    filter_response,
    filter_spectra,
    record_reads,
)
from aihwkit_dspt.optim.analog_optimizer import analog_optimizer  # noqa: E402
from aihwkit_dspt.optim.average import AveragedWeights, refuse_averaged_models  # noqa: E402
from aihwkit_dspt.optim.norms import analog_grad_norms  # noqa: E402
from aihwkit_dspt.optim.steps import watch_optimizer_steps  # noqa: E402
from aihwkit_dspt.parallel import (  # noqa: E402
    AnalogDataParallel,
    RankError,
    analog_data_parallel,
)
from aihwkit_dspt.parallel.refuse import refuse_averaged_gradients  # noqa: E402
from aihwkit_dspt.plan import TilePlan, TrainingPlan, training_plan  # noqa: E402
from aihwkit_dspt.reads.executors import ReadExecutors, read_executors  # noqa: E402
from aihwkit_dspt.slow_array import at_slow_weights  # noqa: E402
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
from aihwkit_dspt.tensor_states import states_in_tensors  # noqa: E402
from aihwkit_dspt.tile_points import TileSymmetricPoints, symmetric_points  # noqa: E402
from aihwkit_dspt.tiles.tile import TrackingTile  # noqa: E402
from aihwkit_dspt.warm_start import WarmStart, join_next_array  # noqa: E402
from aihwkit_dspt.zero_shifting import (  # noqa: E402
    PulseBudget,
    ZeroShiftResult,
    calibrate,
    pulse_budget,
    training_pulses,
    zero_shift,
)

plot_tracking_tiles()
watch_optimizer_steps()
refuse_averaged_models()
refuse_averaged_gradients()

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
