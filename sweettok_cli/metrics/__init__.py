from sweettok_cli.metrics.metric import Metric, NotMeasured, SetMetric

__all__ = ["Metric", "NotMeasured", "SetMetric"]
