"""Training and measuring any model: a loop, evaluation, the field's metrics. Knows no masks and no store."""

from narrows.training.evaluation import accuracy
from narrows.training.loop import Callback, Step, TrainingLog, check_labels, train
from narrows.training.progress import ProgressBar

__all__ = ["Callback", "ProgressBar", "Step", "TrainingLog", "accuracy", "check_labels", "train"]
