from sweettok_cli.evaluation.metrics.base import Metric, NotMeasured, Scores, SetMetric, measure_clip

__all__ = ["Metric", "NotMeasured", "Scores", "SetMetric", "measure_clip"]
