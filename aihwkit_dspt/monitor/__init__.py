"""Watching the symmetric points being tracked."""

from aihwkit_dspt.monitor.columns import COLUMNS
from aihwkit_dspt.monitor.reads import RecordedReads, record_reads
from aihwkit_dspt.monitor.spectrum import FilterSpectra, filter_response, filter_spectra
from aihwkit_dspt.monitor.symmetric_point_monitor import SymmetricPointMonitor

__all__ = [
    "COLUMNS",
    "FilterSpectra",
    "RecordedReads",
    "SymmetricPointMonitor",
    "filter_response",
    "filter_spectra",
    "record_reads",
]
