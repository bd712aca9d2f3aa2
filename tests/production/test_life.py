"""The life of a model in Python: learned on users' own data, asked, measured, forgotten, and never changed."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
from torch import nn

import shop_data
from checkpoints import stop_at
from narrows.data import DataOptions
from narrows.errors import (
    ConfigError,
    DataError,
    ModelMismatchError,
    NonFiniteError,
    TaskExistsError,
    UnknownNameError,
)
from narrows.methods import IBM, make_method
from narrows.production import (
    describe,
    evaluate,
    evaluate_all,
    init,
    learn,
    open_store,
    predict,
    probe,
    route,
    verify_outputs,
)
from narrows.production.learning import LearnedTask
from narrows.production.network import require_finite
from narrows.tasks import TaskStore
from narrows.training import Training

MLP = {"input_shape": [1, 6, 6], "classes": 2, "hidden": [24]}
QUICK = {"epochs": 6, "batch_size": 8, "lr": 0.02, "method": IBM(density=0.3)}


@pytest.fixture
def store(tmp_path: Path) -> TaskStore:
    return init(tmp_path / "store", "narrows.networks:mlp", MLP, head="head")


def learned(store: TaskStore, name: str, data: Path, **options: object) -> LearnedTask:
    return learn(store, name, data, **(QUICK | options))


def test_a_task_from_a_folder_of_images_keeps_all_that_is_needed_to_use_it(store, tmp_path):
    data = shop_data.images(tmp_path / "photos")
    made = learned(store, "light", data, options=DataOptions(holdout=0.25))
    assert made.record.metrics["validation"]["accuracy"] == 1
    assert made.fit.best_epoch is not None
    kept = made.record.data
    assert (kept["examples"], kept["validation_examples"], kept["skipped"]) == (18, 6, 0)
    assert kept["schema"]["target"]["names"] == ["bright", "dark"]
    assert len(kept["fingerprint"]) == 64
    again = open_store(store.path)  # a later process has the path alone
    said = predict(again, "light", shop_data.images(tmp_path / "new", seed=1))
    assert [name.split("/")[0] for name in said.ids] == said.labels
    assert torch.allclose(said.probabilities.sum(1), torch.ones(24, dtype=torch.float64))


def test_an_older_task_answers_the_same_to_the_last_bit_after_others(store, tmp_path):
    images = shop_data.images(tmp_path / "photos")
    learned(store, "light", images)
    before = predict(store, "light", images).outputs
    learned(store, "level", shop_data.arrays(tmp_path / "x.npz"))
    learned(store, "table", shop_data.table(tmp_path / "t.csv"))
    assert torch.equal(predict(store, "light", images).outputs, before)
    store.forget("level")
    store.compact()
    assert torch.equal(predict(store, "light", images).outputs, before)
    assert [check.verdict for check in verify_outputs(store)] == ["same", "same"]
    assert not store.verify(deep=True)


def test_a_table_is_padded_to_the_network_and_unseen_rows_are_read_alike(store, tmp_path):
    made = learned(store, "t", shop_data.table(tmp_path / "t.csv"), epochs=20)
    assert made.record.data["schema"]["inputs"]["padded_to"] == 36
    found = evaluate(store, "t", shop_data.table(tmp_path / "new.csv", seed=5))
    assert found.scores["accuracy"] > 0.8
    assert sum(map(sum, found.scores["confusion"])) == found.scores["examples"] == 60


def test_a_regression_speaks_in_the_users_units(store, tmp_path):
    data = shop_data.table(tmp_path / "t.csv", keep=("price", "area"))
    options = DataOptions(target=("price", "area"), kind="regression", holdout=0.2)
    made = learned(store, "r", data, options=options, epochs=40)
    assert made.record.metrics["validation"]["targets"]["price"]["r2"] > 0.8
    said = predict(store, "r", data)
    prices = [float(row["price"]) for row in shop_data.read(data)]
    mean_error = sum(abs(a - b) for a, b in zip(prices, said.values[:, 0].tolist(), strict=True)) / len(prices)
    assert evaluate(store, "r", data).scores["targets"]["price"]["mae"] == pytest.approx(mean_error, abs=1e-4)
    assert list(said.columns()) == ["id", "predicted_price", "predicted_area"]
    with pytest.raises(ConfigError, match="predicts numbers"):
        _ = said.probabilities


def test_labels_of_which_several_hold(store, tmp_path):
    data = shop_data.table(tmp_path / "t.csv", keep=("tags",))
    made = learned(store, "m", data, options=DataOptions(target="tags", kind="multilabel", holdout=0.2), epochs=40)
    assert made.record.metrics["validation"]["micro_f1"] > 0.8
    said = predict(store, "m", data)
    assert said.columns()["labels"][:5] == ["|".join(labels) for labels in said.labels[:5]]
    assert ((said.probabilities > 0.5) == torch.tensor([["big" in x, "tall" in x] for x in said.labels])).all()


def test_predictions_are_written_whole_as_csv_and_parquet(store, tmp_path):
    data = shop_data.table(tmp_path / "t.csv")
    learned(store, "t", data)
    said = predict(store, "t", data)
    said.write(tmp_path / "p.csv")
    said.write(tmp_path / "p.parquet")
    rows = shop_data.read(tmp_path / "p.csv")
    columns = pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pydict()
    assert [row["prediction"] for row in rows] == columns["prediction"] == said.labels
    assert columns["p_yes"] == said.probabilities[:, 1].tolist()
    assert float(rows[3]["p_yes"]) == columns["p_yes"][3]
    with pytest.raises(DataError, match="cannot be written"):
        said.write(tmp_path / "nowhere" / "p.csv")
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet"):
        said.write(tmp_path / "p.xlsx")


def test_all_tasks_that_the_data_fit_are_measured_and_the_others_named(store, tmp_path):
    images = shop_data.images(tmp_path / "photos")
    learned(store, "light", images)
    learned(store, "table", shop_data.table(tmp_path / "t.csv"))
    found = evaluate_all(store, images)
    assert [evaluation.task for evaluation in found.done] == ["light"]
    assert "photos holds images; the task was learned from a table" in found.left_out["table"]
    with pytest.raises(DataError, match="fit no task of the store"):
        evaluate_all(store, shop_data.arrays(tmp_path / "x.npz"))


def test_a_batch_goes_to_the_task_whose_preprocessing_it_fits(store, tmp_path):
    light = shop_data.images(tmp_path / "photos", each=20)
    learned(store, "light", light, epochs=10)
    learned(store, "three", shop_data.images(tmp_path / "three", classes=("a", "b", "c")), epochs=10)
    learned(store, "table", shop_data.table(tmp_path / "t.csv"))
    ranked = route(store, light)
    assert {name for name, _ in ranked.ranking} == {"light", "three"}
    assert "table" in ranked.left_out
    assert len(ranked.examples) == 40


def test_describe_tells_what_builds_on_what(store, tmp_path):
    learned(store, "light", shop_data.images(tmp_path / "photos"))
    learned(store, "table", shop_data.table(tmp_path / "t.csv"))
    first, second = describe(store, "light"), describe(store, "table")
    assert (first["parents"], first["children"]) == ([], ["table"])
    assert second["parents"] == ["light"]
    assert second["used"] == second["claimed"] + second["reused"]
    assert second["bytes"] == store.directory.bytes_of("table")
    with pytest.raises(UnknownNameError, match="did you mean 'light'"):
        describe(store, "lihgt")


def test_the_network_and_the_data_must_fit_before_anything_is_learned(tmp_path):
    store = init(tmp_path / "store", "narrows.networks:lenet", {"input_shape": [1, 16, 16], "classes": 2})
    with pytest.raises(DataError, match=r"shape \(1, 6, 6\).*'features\.0', takes 1 channels"):
        learned(store, "light", shop_data.images(tmp_path / "photos"))
    with pytest.raises(DataError, match=r"a table with columns.*'features\.0', takes 1 channels"):
        learned(store, "table", shop_data.table(tmp_path / "t.csv"))
    learned(store, "light", tmp_path / "photos", options=DataOptions(image_size=16), epochs=1)
    with pytest.raises(DataError, match="images"):
        predict(store, "light", shop_data.table(tmp_path / "new.csv"))


def test_nothing_is_lost_where_learning_is_refused(store, tmp_path):
    images = shop_data.images(tmp_path / "photos")
    learned(store, "light", images)
    before = {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}
    with pytest.raises(TaskExistsError):
        learned(store, "light", images)
    with pytest.raises(ConfigError, match="patience is about validation data"):
        learned(store, "other", images, patience=2)
    with pytest.raises(ConfigError, match="say one of them"):
        learned(store, "other", images, valid=images, options=DataOptions(holdout=0.5))
    with pytest.raises(ConfigError, match="mean and std are those of images"):
        learned(store, "other", shop_data.table(tmp_path / "t.csv"), scale=((0.5,), (0.5,)))
    with pytest.raises(ConfigError, match="device"):
        learned(store, "other", images, device="cuda:77")
    after = {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file() and "lock" not in path.name}
    assert after == {path: data for path, data in before.items() if "lock" not in path.name}


def test_training_leaves_the_callers_random_numbers_alone(store, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    learned(store, "light", shop_data.images(tmp_path / "photos"))
    assert torch.equal(torch.rand(3), expected)


def test_the_same_seed_gives_the_same_task(tmp_path):
    data = shop_data.images(tmp_path / "photos")
    digests = []
    for folder in ("one", "two"):
        store = init(tmp_path / folder, "narrows.networks:mlp", MLP, head="head")
        digests.append(learned(store, "light", data).record.weights_sha256)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("method", ["ibm", "wsn", "independent"])
def test_an_interrupted_task_goes_on_to_the_same_weights(method, tmp_path):
    data = shop_data.images(tmp_path / "photos")
    options = {"method": make_method(method, {}), "options": DataOptions(holdout=0.25)}
    whole = init(tmp_path / "whole", "narrows.networks:mlp", MLP, head="head")
    expected = learned(whole, "light", data, **options).record.weights_sha256
    parts = init(tmp_path / "parts", "narrows.networks:mlp", MLP, head="head")
    for step in (4, 9):
        with pytest.raises(KeyboardInterrupt):
            learned(parts, "light", data, **options, callbacks=[stop_at(step)])
        assert not parts.tasks()
        parts = open_store(parts.path)
    made = learned(parts, "light", data, **options)
    assert made.resumed
    assert made.record.weights_sha256 == expected
    assert not list((parts.path / "progress").iterdir())


def test_another_training_does_not_go_on_with_the_checkpoint_and_restart_does_without(store, tmp_path):
    data = shop_data.images(tmp_path / "photos")
    other = shop_data.images(tmp_path / "other", seed=3)
    with pytest.raises(KeyboardInterrupt):
        learned(store, "light", data, callbacks=[stop_at(4)])
    for said, options in (("data: then", {}), ("seed: then 0, now 1", {"seed": 1}), ("epochs: then 6", {"epochs": 7})):
        with pytest.raises(ConfigError, match=said) as refused:
            learned(store, "light", data if options else other, **options)
        assert "--restart" in str(refused.value)
    assert not learned(store, "light", other, restart=True).resumed


def test_a_task_half_learned_upon_others_says_so(store, tmp_path):
    data = shop_data.images(tmp_path / "photos")
    with pytest.raises(KeyboardInterrupt):
        learned(store, "light", data, callbacks=[stop_at(4)])
    learned(store, "table", shop_data.table(tmp_path / "t.csv"))
    with pytest.raises(ConfigError, match=r"upon other tasks than the store has now \(then: none; now: table\)"):
        learned(store, "light", data)


def test_a_task_of_a_program_of_the_users_own_is_no_task_for_predict(store, tmp_path):
    with store.begin("own", IBM(density=0.5), head=nn.Linear(24, 2)) as task:
        task.fit([(torch.randn(8, 36), torch.arange(8) % 2)], Training(3), progress=False)
        task.commit()
    with pytest.raises(DataError, match=r"store\.load\('own'\)"):
        predict(store, "own", shop_data.images(tmp_path / "photos"))
    assert verify_outputs(store)[0].verdict == "unknown"


def test_code_that_has_changed_shows_in_the_outputs(tmp_path, monkeypatch):
    source = (
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(36, 9), nn.ReLU(), nn.Linear(9, 2))\n"
    )
    (tmp_path / "changing.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    store = init(tmp_path / "store", "changing:net")
    learned(store, "light", shop_data.images(tmp_path / "photos"))
    assert verify_outputs(open_store(store.path))[0].verdict == "same"
    (tmp_path / "changing.py").write_text(source.replace("ReLU", "Tanh") + "# changed\n")
    monkeypatch.delitem(sys.modules, "changing")
    check = verify_outputs(open_store(store.path, trust=True))[0]
    assert check.verdict == "differs"
    assert "the code that builds or runs the model has changed" in check.what


def test_another_processor_is_no_damage(store, tmp_path, monkeypatch):
    learned(store, "light", shop_data.images(tmp_path / "photos"))
    answer = probe.answer

    def elsewhere(*asked):
        said = answer(*asked)
        close = [value * (1 + 1e-5) if math.isfinite(value) else value for value in said["outputs"]]
        return said | {"sha256": "0" * 64, "outputs": close, "engine": said["engine"] | {"cpu": "another"}}

    monkeypatch.setattr(probe, "answer", elsewhere)
    check = verify_outputs(store)[0]
    assert (check.verdict, check.harmless) == ("agrees", True)
    assert "cpu was" in check.what


def test_a_head_that_is_no_linear_layer_is_said(tmp_path):
    store = init(tmp_path / "store", "narrows.networks:mlp", MLP, head="hidden")
    with pytest.raises(ModelMismatchError, match=r"is a Sequential: a number of outputs is enough for an nn\.Linear"):
        learned(store, "light", shop_data.images(tmp_path / "photos"))


@pytest.mark.parametrize("method", ["finetune", "ewc", "joint"])
def test_a_method_that_changes_older_tasks_is_refused(store, method, tmp_path):
    with pytest.raises(ConfigError, match="changes the tasks that were learned with it before"):
        learned(store, "light", shop_data.images(tmp_path / "photos"), method=make_method(method, {}))


@pytest.mark.parametrize(("said", "options"), [("epochs", {"epochs": 0}), ("batch_size", {"batch_size": 0})])
def test_numbers_out_of_range_are_refused_before_data_are_read(store, said, options, tmp_path):
    with pytest.raises(ConfigError, match=f"{said} must be a whole number, at least 1; got 0"):
        learned(store, "light", tmp_path / "nothing", **options)
    for lr in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="must be a number above 0"):
            learned(store, "light", tmp_path / "nothing", lr=lr)


def test_a_network_that_diverged_is_said():
    network = nn.Linear(2, 2)
    require_finite(network, torch.ones(3, 2))
    nn.init.constant_(network.weight, math.nan)
    with pytest.raises(NonFiniteError, match=r"diverged.*--lr"):
        require_finite(network, torch.ones(3, 2))


WORDS = """
import torch
from torch import nn

class Words(nn.Module):
    def __init__(self, picky=False):
        super().__init__()
        self.picky, self.words, self.head = picky, nn.Embedding(50, 8), nn.Linear(8, 2)

    def forward(self, x):
        if self.picky and not bool((x[:, 1:] >= x[:, :-1]).all()):
            raise ValueError("sorted ids only")
        return self.head(self.words(x.long()).mean(1))

def data():
    x = torch.randint(50, (60, 5), generator=torch.Generator().manual_seed(1)).sort(1).values
    return x, (x[:, 0] > 8).long()
"""


@pytest.mark.parametrize("picky", [False, True])
def test_a_network_of_token_ids_is_asked_in_token_ids(tmp_path, monkeypatch, picky):
    (tmp_path / "token_ids.py").write_text(WORDS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "token_ids", raising=False)
    store = init(tmp_path / "store", "token_ids:Words", {"picky": picky}, head="head")
    told = []
    made = learned(store, "mail", "hook:token_ids:data", begun=lambda material, _: told.append(material.notes))
    kept = made.record.data["probe"]
    check = verify_outputs(open_store(store.path, trust=True))[0]
    if picky:  # what is made up cannot be sorted: said before training, and the task is learned all the same
        assert kept is None
        assert "fails on made-up inputs" in told[0][-1]
        assert (check.verdict, check.harmless) == ("unknown", True)
        return
    assert all(0 <= low <= high < 50 for low, high in kept["whole"])
    assert check.verdict == "same"
    assert told == [()]


def test_a_probe_recorded_without_ranges_is_asked_as_it_was(store, tmp_path):
    made = learned(store, "light", shop_data.images(tmp_path / "photos"))
    assert made.record.data["probe"].keys() == {"shape", "sha256", "engine", "outputs"}
    assert verify_outputs(store)[0].verdict == "same"
