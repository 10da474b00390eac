"""The task and query that a writer belongs to."""

from __future__ import annotations

from typing import NamedTuple

from pyspark import TaskContext


class Task(NamedTuple):
    """One attempt at one partition."""

    partition: int
    attempt: int
    query: str | None
    """The ID of the streaming query, which is part of its checkpoint."""


def this_task() -> Task:
    """Returns the current task.

    Raises:
        RuntimeError: There is no current task.
    """
    context = TaskContext.get()
    if context is None:
        raise RuntimeError("this is not a task of Spark")
    query = context.getLocalProperty("sql.streaming.queryId")
    return Task(context.partitionId(), context.taskAttemptId(), query)
