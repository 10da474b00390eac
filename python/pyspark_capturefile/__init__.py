"""What Spark looks for to find the format `capturefile` by itself: a package `pyspark_...` with a `DefaultSource`."""

from capturefile.spark import CaptureDataSource as DefaultSource

__all__ = ["DefaultSource"]
