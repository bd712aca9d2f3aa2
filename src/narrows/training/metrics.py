"""The field's measures of a matrix R, R[i][j] being the accuracy on task j after learning task i.

R is a list of rows; an entry that was not measured is None. Entries above the diagonal are None, but for
R[i-1][i], the accuracy of the network that task i starts from, where it was measured. All values are
fractions in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

Matrix = Sequence[Sequence[float | None]]


def average_accuracy(matrix: Matrix) -> float:
    """ACC: mean of the last row over the tasks learned.

    >>> average_accuracy([[0.9, None], [0.8, 1.0]])
    0.9
    """
    return _mean([_at(matrix, len(matrix) - 1, task) for task in range(len(matrix))])


def backward_transfer(matrix: Matrix) -> float | None:
    """BWT: mean over all but the last task of R[T][i] - R[i][i] (Lopez-Paz and Ranzato 2017, eq. 3).

    >>> round(backward_transfer([[0.9, None], [0.8, 1.0]]), 6)
    -0.1
    """
    last = len(matrix) - 1
    if last < 1:
        return None
    return _mean([_at(matrix, last, task) - _at(matrix, task, task) for task in range(last)])


def forgetting(matrix: Matrix) -> float | None:
    """Mean over all but the last task of max_k R[k][i] - R[T][i], k from i to T-1 (Chaudhry et al. 2018).

    >>> round(forgetting([[0.9, None], [0.8, 1.0]]), 6)
    0.1
    """
    last = len(matrix) - 1
    if last < 1:
        return None
    worst = [max(_at(matrix, row, task) for row in range(task, last)) - _at(matrix, last, task) for task in range(last)]
    return _mean(worst)


def forward_transfer_gem(matrix: Matrix, untrained: Sequence[float]) -> float | None:
    """FWT as GEM defines it: mean over all but the first task of R[i-1][i] - b[i] (same source, eq. 4).

    R[i-1][i] is the accuracy of the network that task i starts from, with its own untrained head; b[i] that
    of an untrained network. With a fresh head a task both are near chance, and so is their difference.
    """
    if len(matrix) < 2:
        return None
    return _mean([_at(matrix, task - 1, task) - untrained[task] for task in range(1, len(matrix))])


def forward_transfer_independent(matrix: Matrix, independent: Sequence[float]) -> float:
    """FWT against separate training: mean of R[i][i] - S[i], S[i] a fresh dense network trained on task i alone."""
    return _mean([_at(matrix, task, task) - independent[task] for task in range(len(matrix))])


def _at(matrix: Matrix, row: int, column: int) -> float:
    value = matrix[row][column]
    if value is None:
        raise ValueError(f"R[{row}][{column}] was not measured")
    return value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
