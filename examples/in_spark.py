"""Count the words of a log in Spark, copy it with many tasks, and keep another copy up to date with a stream.

It requires the extra `spark` and Java 17. Run it as it is: it makes its own files in a temporary
folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile
from pyspark.sql import DataFrame, SparkSession


def start() -> SparkSession:
    """Starts a session on this machine, with two tasks at a time."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", "2").getOrCreate()


def count_words(spark: SparkSession, log: Path) -> DataFrame:
    """Counts how often each word is in the log."""
    lines = spark.read.format("capturefile").option("encoding", "utf-8").load(str(log))
    words = lines.selectExpr("explode(split(record, ' ')) AS word")
    return words.groupBy("word").count().orderBy("word")


def copy(spark: SparkSession, log: Path, folder: Path) -> None:
    """Copies the log into a folder, with a task and a file for each 25,000 records."""
    records = spark.read.format("capturefile").option("recordsPerPartition", 25_000).load(str(log))
    records.write.format("capturefile").mode("append").save(str(folder))


def keep_up(spark: SparkSession, log: Path, target: Path, checkpoint: Path) -> None:
    """Adds new records of the log to another file, and returns when there are no more."""
    records = spark.readStream.format("capturefile").load(str(log))
    query = (
        records.writeStream.format("capturefile")
        .option("checkpointLocation", str(checkpoint))
        .trigger(availableNow=True)
        .start(str(target))
    )
    query.awaitTermination()


def add_lines(log: Path, count: int) -> None:
    """Adds lines to the log."""
    with capturefile.open(log, "a", sync="none") as cf:
        cf.add_records(f"line {number % 3}" for number in range(count))
        cf.commit()


def main(spark: SparkSession) -> None:
    """Runs all parts of the example, the stream twice."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        log, target = folder / "log.capture", folder / "target.capture"
        add_lines(log, 90_000)
        print({row["word"]: row["count"] for row in count_words(spark, log).collect()})

        copy(spark, log, folder / "copy")
        copied = capturefile.concat(sorted((folder / "copy").glob("*.capture")))
        print(len(copied), "records in", len(list((folder / "copy").glob("*.capture"))), "files")

        for _ in range(2):
            keep_up(spark, log, target, folder / "checkpoint")
            add_lines(log, 1000)
            with capturefile.open(target) as cf:
                print(len(cf), "records through the stream")


if __name__ == "__main__":
    main(start())
