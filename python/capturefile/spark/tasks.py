"""What a writer knows of the task and the query that it is part of."""

from __future__ import annotations

from typing import NamedTuple

from pyspark import TaskContext


class Task(NamedTuple):
    """One attempt at one partition."""

    partition: int
    attempt: int
    query: str | None
    """The id of the streaming query, which its checkpoint keeps."""


def this_task() -> Task:
    """The task that is being done. Raises RuntimeError outside of one."""
    context = TaskContext.get()
    if context is None:
        raise RuntimeError("this is no task of Spark")
    query = context.getLocalProperty("sql.streaming.queryId")
    return Task(context.partitionId(), context.taskAttemptId(), query)
