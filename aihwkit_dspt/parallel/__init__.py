"""One training in several processes whose arrays are the same physical devices."""

from aihwkit_dspt.parallel.errors import RankError
from aihwkit_dspt.parallel.wrapper import AnalogDataParallel, analog_data_parallel

__all__ = ["AnalogDataParallel", "RankError", "analog_data_parallel"]
