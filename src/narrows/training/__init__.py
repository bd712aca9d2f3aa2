"""One room for training: a network, a method's learner, an optimizer and batches, until the last step.

What is trained, how (`Training`), the loop, checkpoints, early stopping, history, measuring. Knows methods; it knows no
store.
"""

from narrows.training.batch import check_labels
from narrows.training.checkpoint import Checkpoint
from narrows.training.evaluation import accuracy, evaluating, mean_loss
from narrows.training.fits import Fit
from narrows.training.history import History, Point, Schedule, Score, read_history
from narrows.training.loop import Callback, Step, TrainingLog, train
from narrows.training.position import Position
from narrows.training.progress_bar import ProgressBar
from narrows.training.recording import Recorder
from narrows.training.tracking import Tracker, Trackers
from narrows.training.value import Training

__all__ = [
    "Callback",
    "Checkpoint",
    "Fit",
    "History",
    "Point",
    "Position",
    "ProgressBar",
    "Recorder",
    "Schedule",
    "Score",
    "Step",
    "Tracker",
    "Trackers",
    "Training",
    "TrainingLog",
    "accuracy",
    "check_labels",
    "evaluating",
    "mean_loss",
    "read_history",
    "train",
]
