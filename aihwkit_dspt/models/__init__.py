"""Whole models: conversion, and what became of it."""

from aihwkit_dspt.models.convert import convert
from aihwkit_dspt.models.report import ConversionReport, conversion_report
from aihwkit_dspt.models.rows import AnalogRow, DigitalRow

__all__ = ["AnalogRow", "ConversionReport", "DigitalRow", "conversion_report", "convert"]
