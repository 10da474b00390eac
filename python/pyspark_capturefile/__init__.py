"""Lets Spark discover the format `capturefile`: Spark looks for a package `pyspark_...` with a `DefaultSource`."""

from capturefile.spark import CaptureDataSource as DefaultSource

__all__ = ["DefaultSource"]
