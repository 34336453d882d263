"""Operators that write to disk."""

from ..similarity.options import ExportOptions, FoldersOptions, ReportOptions
from ..similarity.steps.export import export
from ..similarity.steps.folders import folders
from ..similarity.steps.report import report
from .base import StepOperator


class ExportDeduplicated(StepOperator):
    """Write the kept samples in a format that annotation tools read, with a manifest of what was left out."""

    name = "export_deduplicated"
    label = "Export deduplicated"
    icon = "file_download"
    options = ExportOptions
    step = staticmethod(export)
    risk = "medium"


class GroupIntoFolders(StepOperator):
    """Write one folder per cluster, with copies or links of its pictures."""

    name = "group_into_folders"
    label = "Group into folders"
    icon = "create_new_folder"
    options = FoldersOptions
    step = staticmethod(folders)
    risk = "medium"


class WriteReport(StepOperator):
    """Write a report to hand on: one page with numbers, clusters and the worst pairs, beside its manifest."""

    name = "write_report"
    label = "Write report"
    icon = "summarize"
    options = ReportOptions
    step = staticmethod(report)
    risk = "medium"
