"""Fields of JSON records: expressions over them, and their values as text and as times."""
