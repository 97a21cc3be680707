"""What can be measured: published data sets in their official layouts, and any folder."""

from sweettok_cli.data.datasets.choice import DATA_SETS, open_dataset
from sweettok_cli.data.datasets.dataset import DataSet, Item

__all__ = ["DATA_SETS", "DataSet", "Item", "open_dataset"]
