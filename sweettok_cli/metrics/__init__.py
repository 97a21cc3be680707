from sweettok_cli.metrics.metric import Metric, NotMeasured, Scores, SetMetric, measure_clip

__all__ = ["Metric", "NotMeasured", "Scores", "SetMetric", "measure_clip"]
