"""Indexes of the fields of JSON records: which records cannot have a value; see docs/indexing.md."""
