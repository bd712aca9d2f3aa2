"""What is compared, read from text: one spelling for each variant, and clear words for what is wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from grids import OPTIONS
from narrows import IBM, WSN
from narrows.benchmarks.compare import parse_numbers, parse_seeds, parse_variants
from narrows.benchmarks.compare.grid_checks import check_grid
from narrows.benchmarks.compare.jobs import Job
from narrows.errors import CapacityError, ConfigError, DataError, NarrowsError, UnknownNameError


def labels(text: str) -> list[str]:
    return [variant.label for variant in parse_variants(text)]


def test_a_variant_has_one_label_however_it_is_spelled():
    assert labels("ibm:reuse=3e-2:new=0.01") == labels(" ibm : new=0.010 : reuse=0.03") == ["ibm new=0.01 reuse=0.03"]
    assert labels("ibm:log_alpha_range=[-5, 4],wsn") == ["ibm log_alpha_range=[-5.0,4.0]", "wsn"]
    assert labels("ibm:lr=1e-2:density=0.03") == ["ibm density=0.03 lr=0.01"]


def test_a_variant_makes_the_method_it_says():
    (variant,) = parse_variants("ibm:log_alpha_range=[-5,4]:estimator=variational:prune_every=none")
    assert variant.make() == IBM(log_alpha_range=(-5.0, 4.0), estimator="variational")
    assert parse_variants("wsn:density=0.03")[0].make() == WSN(density=0.03)


def test_the_command_of_a_job_reads_back_as_its_variant(tmp_path):
    (variant,) = parse_variants("ibm:log_alpha_range=[-5,4]")
    command = Job("tuning", variant, 3, 1, {"lr": 0.002}).command(OPTIONS, tmp_path)
    said = dict(itertools.pairwise(command))
    assert said["--set"] == "log_alpha_range=[-5.0,4.0]"
    assert (said["--lr"], said["--epochs"], said["--seed"]) == ("0.002", "3", "0")
    assert (said["--first"], said["--holdout"]) == ("2", "0.2")
    run = Job("runs", variant, 3, 1, {"lr": 0.002}).command(OPTIONS, tmp_path)
    assert "--holdout" not in run  # only trials are measured on held-out data
    assert run[run.index("--seed") + 1] == "1"


def test_a_job_survives_the_storage():
    (variant,) = parse_variants("ibm:density=0.03")
    job = Job("runs", variant, 3, 1, {"lr": 0.002}, ({"values": {"lr": 0.002}, "accuracy": None, "reason": "x"},))
    read = Job.from_json(job.to_json())
    assert (read.key, read.values, read.variant) == (job.key, job.values, variant)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ibm,wns", "did you mean 'wsn'"),
        ("ibm:densty=0.1", "did you mean 'density'"),
        ("ibm:density", "NAME=VALUE"),
        ("ibm:density=1.5", "0 to 1; got 1.5"),
        ("ibm:density=0.1:density=0.2", "density is said twice"),
        ("ibm,wsn,ibm", "ibm is said twice"),
        ("ibm:density=0.03,ibm:density=3e-2", "said twice"),
        ("ibm:lr=-1", "learning rate above 0"),
        (",", "one or more methods"),
    ],
)
def test_what_is_wrong_with_methods_is_said(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_variants(text)


def test_seeds_are_a_count_or_a_list():
    assert parse_seeds("3") == (0, 1, 2)
    assert parse_seeds("0,1,5") == (0, 1, 5)
    for text in ("0", "-1", "x", "1,1"):
        with pytest.raises(ConfigError, match="--seeds"):
            parse_seeds(text)
    with pytest.raises(ConfigError, match="whole numbers"):
        parse_numbers("2,ten", "--epochs")


def test_the_dense_reference_is_added_once():
    grid = check_grid(OPTIONS)
    assert [variant.label for variant in grid.options.variants] == ["ibm", "finetune", "independent"]
    assert grid.added_dense
    assert not check_grid(replace(OPTIONS, variants=parse_variants("independent,ibm"))).added_dense


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"stream": "split-digit"}, UnknownNameError, "did you mean 'split-digits'"),
        ({"tasks": 9}, DataError, "the data have 10"),
        ({"stream": "tiny-imagenet"}, DataError, "say --data FOLDER"),
        ({"network": "lenet"}, ConfigError, "as small as"),
        ({"network": "transformer"}, ConfigError, "no network"),
        ({"epochs": (2, 0)}, ConfigError, "epochs must be a whole number"),
        ({"seeds": (0, -1)}, ConfigError, "a seed is zero or more"),
        ({"jobs": 0}, ConfigError, "jobs must be at least 1"),
        ({"tune": -1}, ConfigError, "tune"),
        ({"holdout": 1.0}, ConfigError, "holdout is a fraction"),
        ({"device": "nonsense"}, ConfigError, "nonsense"),
    ],
)
def test_a_grid_that_cannot_run_is_refused_before_it_begins(changes, error, said):
    with pytest.raises(error, match=said):
        check_grid(replace(OPTIONS, **changes))


def test_a_method_that_does_not_support_the_stream_is_refused_by_name(monkeypatch):
    def refuse(_, tasks, sizes=None):
        assert sizes == [8 * 8 * 512, 512 * 512]
        raise CapacityError(f"it has room for 1 task of {tasks}.")

    monkeypatch.setattr(WSN, "check_tasks", refuse)
    with pytest.raises(NarrowsError, match=r"wsn density=0\.5 cannot learn split-digits: it has room for 1 task of 2"):
        check_grid(replace(OPTIONS, variants=parse_variants("ibm,wsn:density=0.5")))
