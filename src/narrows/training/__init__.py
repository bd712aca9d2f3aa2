"""Training and measuring any model: a loop, evaluation, the field's metrics. Knows no masks and no store."""

from narrows.training.evaluation import accuracy, evaluating, mean_loss
from narrows.training.loop import Callback, Step, TrainingLog, check_labels, train
from narrows.training.position import Observer, Position
from narrows.training.progress import ProgressBar

__all__ = [
    "Callback",
    "Observer",
    "Position",
    "ProgressBar",
    "Step",
    "TrainingLog",
    "accuracy",
    "check_labels",
    "evaluating",
    "mean_loss",
    "train",
]
