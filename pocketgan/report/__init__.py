"""The report of a run: one HTML page that needs no network, and the same figures as JSON."""

from pocketgan.deploy.machine import Machine
from pocketgan.report.model import (
    CandidatePoint,
    Example,
    Report,
    Row,
    StageTime,
    TaskSummary,
)
from pocketgan.report.page import ImageRow, write_report

__all__ = [
    "CandidatePoint",
    "Example",
    "ImageRow",
    "Machine",
    "Report",
    "Row",
    "StageTime",
    "TaskSummary",
    "write_report",
]
