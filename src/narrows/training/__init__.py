"""Training and measuring any model: a loop, evaluation, the field's metrics. Knows no masks and no store."""

from narrows.training.batch import check_labels
from narrows.training.evaluation import accuracy, evaluating, mean_loss
from narrows.training.history import History, Point, Schedule, Score, read_history
from narrows.training.loop import Callback, Step, TrainingLog, train
from narrows.training.position import Observer, Position
from narrows.training.progress_bar import ProgressBar
from narrows.training.recording import Recorder
from narrows.training.tracking import Tracker, Trackers

__all__ = [
    "Callback",
    "History",
    "Observer",
    "Point",
    "Position",
    "ProgressBar",
    "Recorder",
    "Schedule",
    "Score",
    "Step",
    "Tracker",
    "Trackers",
    "TrainingLog",
    "accuracy",
    "check_labels",
    "evaluating",
    "mean_loss",
    "read_history",
    "train",
]
