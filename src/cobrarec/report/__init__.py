"""The report of a run: one HTML file that asks nothing of the network and runs no script."""

from cobrarec.report.page import write_report

__all__ = ["write_report"]
