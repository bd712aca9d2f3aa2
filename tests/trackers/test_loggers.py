"""What TensorBoard and MLflow have of a task, read back with their own readers; how the command line names them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import narrows as nw
from checkpoints import Memory, stop_at
from narrows.errors import ConfigError, Interrupted, UnknownNameError
from narrows.tasks import TaskStore
from narrows.trackers import MLflow, TensorBoard, make_tracker
from narrows.training import History, read_history
from toys import MLP
from trainings import training

METHOD = nw.IBM(density=0.4, prune_every=2)
BATCHES = [MLP.batch(8, 3, seed) for seed in range(5)]


@pytest.fixture
def store(tmp_path: Path) -> TaskStore:
    return TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)


def train(store: TaskStore, name: str, tracker: Any, **options: Any) -> History:
    torch.manual_seed(3)
    with store.begin(name, METHOD, head=MLP.head(3)) as task:
        task.fit(BATCHES, training(4, options), trackers=[tracker], valid=BATCHES, **options)
        found = read_history(task.commit(metrics={"validation": {"accuracy": 0.5}}).history)
        assert found is not None
        return found


def tensorboard(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_has_the_curves_and_the_figures(store: TaskStore, tmp_path: Path) -> None:
    history = train(store, "a/b", TensorBoard(tmp_path / "logs"))
    found = tensorboard(tmp_path / "logs" / "a%2Fb")
    for name in ("loss", "lr", "new", "reused", "density"):
        expected = [(point.step, getattr(point, name)) for point in history.points]
        assert [step for step, _ in found[name]] == [step for step, _ in expected]
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in expected], rel=1e-3)
    assert len(found["log_alpha/50"]) == 5
    assert [step for step, _ in found["validation"]] == [1, 2, 3, 4]
    assert found["committed/validation.accuracy"] == [(20, 0.5)]


def test_in_tensorboard_a_task_that_went_on_goes_on_in_its_curves(store: TaskStore, tmp_path: Path) -> None:
    memory = Memory()
    with pytest.raises(Interrupted):
        train(
            store,
            "first",
            TensorBoard(tmp_path / "logs"),
            checkpoint=memory,
            callbacks=[stop_at(7, Interrupted)],
        )
    train(store, "first", TensorBoard(tmp_path / "logs"), checkpoint=memory)
    found = tensorboard(tmp_path / "logs" / "first")
    assert [step for step, _ in found["loss"]] == list(range(1, 21))


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of MLflow's, which is made in less time than a database; its telemetry is off."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shop")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return (tmp_path / "mlflow").as_uri()


def test_mlflow_has_a_run_for_each_task(store: TaskStore, uri: str) -> None:
    tracker = MLflow(uri)
    history = train(store, "first", tracker)
    with store.begin("second", METHOD, head=MLP.head(3)) as task:
        task.fit(BATCHES, nw.Training(4), trackers=[tracker])
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("shop")
    assert experiment is not None
    second, first = client.search_runs([experiment.experiment_id])
    assert (first.info.run_name, first.info.status) == ("first", "FINISHED")
    assert (second.info.run_name, second.info.status) == ("second", "FAILED")
    params = first.data.params
    assert (params["ibm.density"], params["schedule.epochs"], params["schedule.optimizer"]) == ("0.4", "4", "Adam")
    assert first.data.tags["narrows.method"] == "ibm"
    losses = client.get_metric_history(first.info.run_id, "loss")
    assert [loss.step for loss in losses] == [point.step for point in history.points]
    assert [loss.value for loss in losses] == pytest.approx([point.loss for point in history.points], rel=1e-3)
    assert len(client.get_metric_history(first.info.run_id, "validation")) == 4
    assert first.data.metrics["committed/validation.accuracy"] == 0.5


@pytest.mark.usefixtures("uri")
def test_a_server_that_is_not_there_costs_a_warning(store: TaskStore) -> None:
    with pytest.warns(UserWarning, match="MLflow failed and is told no more"):
        train(store, "first", MLflow("http://127.0.0.1:9"))
    assert [record.name for record in store.tasks()] == ["first"]


def test_names_are_those_of_the_command_line(tmp_path: Path) -> None:
    assert isinstance(make_tracker("tensorboard", tmp_path), TensorBoard)
    assert isinstance(make_tracker("tensorboard=x=y", tmp_path), TensorBoard)
    with pytest.raises(UnknownNameError, match="did you mean 'tensorboard'"):
        make_tracker("tensorbord", tmp_path)
    with pytest.raises(ConfigError, match="nothing after '='"):
        make_tracker("mlflow=", tmp_path)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_named_with_its_extra(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("torch.utils.tensorboard", "mlflow"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf'pip install "narrows\[{name}\]"'):
        make_tracker(name, tmp_path)
