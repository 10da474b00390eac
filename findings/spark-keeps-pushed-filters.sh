#!/bin/sh
# pyspark 4.3.0 (also 4.1.4), a batch data source in Python whose reader has `pushFilters`, with the setting
# spark.sql.python.filterPushdown.enabled: Spark reuses the reader to which it pushed filters for all queries of the frame. Rows
# that one query filtered out are missing in the next one, and in both halves of a union. Nothing raises an error. The script
# requires Java 17.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyspark==4.3.0 pyarrow==26.0.1
cat > program.py <<'PYTHON'
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, GreaterThan, InputPartition, LessThanOrEqual


class Numbers(DataSource):
    @classmethod
    def name(cls):
        return "numbers"

    def schema(self):
        return "n bigint not null"

    def reader(self, schema):
        return Reader()


class Reader(DataSourceReader):
    first, last = 1, 1000

    def pushFilters(self, filters):
        for filter in filters:
            if isinstance(filter, GreaterThan):
                self.first = max(self.first, filter.value + 1)
            elif isinstance(filter, LessThanOrEqual):
                self.last = min(self.last, filter.value)
            else:
                yield filter

    def partitions(self):
        return [InputPartition((self.first, self.last))]

    def read(self, partition):
        first, last = partition.value
        return ((n,) for n in range(first, last + 1))


spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.python.filterPushdown.enabled", "true")
    .getOrCreate()
)
spark.dataSource.register(Numbers)
frame = spark.read.format("numbers").load()
print("n <= 3:", frame.where("n <= 3").count(), "rows of 3; then all:", frame.count(), "rows of 1000")
frame = spark.read.format("numbers").load()
both = frame.where("n <= 3").union(frame.where("n > 995"))
print("union of n <= 3 and n > 995:", both.count(), "rows of 8")
spark.stop()
PYTHON
SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON="$folder/venv/bin/python" venv/bin/python program.py > seen 2> log || { cat log >&2; exit 1; }
cat > expected <<'TEXT'
n <= 3: 3 rows of 3; then all: 3 rows of 1000
union of n <= 3 and n > 995: 10 rows of 8
TEXT
diff expected seen
