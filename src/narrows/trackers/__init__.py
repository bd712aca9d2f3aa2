"""Who may follow training while it goes on: TensorBoard, MLflow, and a file of lines that is read by another process.

Each is told what a task's history keeps (`narrows.training.Tracker`), no more. Knows no task, store or data set.

>>> class Printing:
...     def begin(self, task, about): print(task, about["method"]["name"])
...     def log(self, point): pass
...     def score(self, epoch, value): pass
...     def end(self, figures): print("committed" if figures else "not committed")
>>> import tempfile, torch, narrows
>>> store = narrows.TaskStore.create(tempfile.mkdtemp() + "/store", torch.nn.Linear(4, 2))
>>> with store.begin("first", narrows.IBM(density=0.5)) as task:
...     _ = task.fit([(torch.randn(16, 4), torch.arange(16) % 2)], narrows.Training(20), trackers=[Printing()])
...     _ = task.commit()
first ibm
committed
"""

from narrows.trackers.live import LiveFile
from narrows.trackers.live_reader import Heard, LiveTask, hear, read_live
from narrows.trackers.mlflow import MLflow
from narrows.trackers.names import TRACKERS, make_tracker
from narrows.trackers.tensorboard import TensorBoard
from narrows.training.tracking import Tracker, Trackers

__all__ = [
    "TRACKERS",
    "Heard",
    "LiveFile",
    "LiveTask",
    "MLflow",
    "TensorBoard",
    "Tracker",
    "Trackers",
    "hear",
    "make_tracker",
    "read_live",
]
