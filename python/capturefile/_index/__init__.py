"""Indexes of the fields of JSON records, which exclude records that cannot have a value; see docs/indexing.md."""
