"""Streams of tasks: one table of data set x transformation x split, and one function that makes any of them."""

from typing import TYPE_CHECKING

from narrows.lazy import lazily

if TYPE_CHECKING:
    from narrows.benchmarks.streams.make import Stream, make_stream
    from narrows.benchmarks.streams.table import StreamSpec, stream_names
    from narrows.benchmarks.task_data import TaskData
else:
    __getattr__, __dir__ = lazily(__name__, ".table", ".make")

__all__ = ["Stream", "StreamSpec", "TaskData", "make_stream", "stream_names"]
