"""Reports made from the cells of a study."""

from ponder.evals.report.files import write_report
from ponder.evals.report.study import Study, analyse

__all__ = ["Study", "analyse", "write_report"]
