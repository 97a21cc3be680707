"""The page that ``sweettok eval --report`` writes: one file, for a browser, without a network."""

from sweettok_cli.evaluation.report.page import make_page, write_report

__all__ = ["make_page", "write_report"]
