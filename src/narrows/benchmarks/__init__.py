"""Benchmarks: streams of tasks, the runner that learns them, and its results."""
