"""Which networks are measured, on what, and which of them one chooses."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from benchmarks import inner_loop
from benchmarks.cases import all_cases, choose
from benchmarks.random_data import random_dataset
from ganno_env.datasets.catalogue import DATASETS
from ganno_env.networks import NETWORKS
from ganno_env.types import InputSpec, Network

NEW = Path(__file__).parents[1] / "new_members" / "network.py"


def takes_tokens(input_spec: InputSpec, num_outputs: int, width: float = 1.0) -> Network:
    return NETWORKS["transformer"](input_spec, num_outputs, width=width)


def names(cases):
    return [case.name for case in cases]


@pytest.fixture
def more_networks(monkeypatch):
    monkeypatch.setattr(NETWORKS, "_members", dict(NETWORKS._members))
    runpy.run_path(str(NEW))
    NETWORKS.add("takes_tokens", takes_tokens)


def test_every_network_is_measured_at_a_batch_of_64():
    cases = {case.name: case for case in all_cases()}
    assert [case.network for case in cases.values() if case.batch_size == 64] == list(NETWORKS)
    assert {name for name in cases if not name.endswith("/64")} == {
        "cnn2/128",
        "cnn5/128",
        "resnet18/128",
    }


def test_networks_are_given_what_comparisons_give_them():
    expected = {
        "mlp": "cifar10",
        "cnn2": "fashion_mnist",
        "cnn3": "cifar10",
        "cnn5": "cifar10",
        "resnet9": "fashion_mnist",
        "resnet18": "cifar10",
        "vit": "cifar10",
        "transformer": "text",
    }
    assert expected.items() <= {case.network: case.dataset for case in all_cases()}.items()


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_validation_has_the_share_of_a_step_that_it_has_in_training(case):
    assert case.validation_size / case.updates_per_step == 5


@pytest.mark.usefixtures("more_networks")
def test_a_new_network_comes_in_by_what_it_takes():
    *_, images, tokens = all_cases()
    assert (images.name, images.dataset) == ("softmax_regression/64", "cifar10")
    assert (tokens.name, tokens.dataset) == ("takes_tokens/64", "text")


@pytest.mark.parametrize("dataset", ["fashion_mnist", "cifar10", "text"])
def test_random_examples_have_the_shapes_and_range_of_a_datasets(dataset):
    spec = DATASETS[dataset]
    data = random_dataset(spec, 300, 20)
    for split, size in ((data.train, 300), (data.validation, 20), (data.test, 20)):
        assert split.inputs.shape == (size, *spec.input_shape)
        assert split.targets.shape == (size, *spec.target_shape)
    assert data.task == spec.task
    assert np.unique(data.train.inputs).tolist() == list(range(spec.num_tokens or 256))
    assert np.unique(data.train.targets).tolist() == list(range(spec.num_classes))


def test_networks_and_names_choose():
    assert choose([], []) == list(all_cases())
    assert names(choose(["cnn2", "mlp"], [])) == ["mlp/64", "cnn2/64", "cnn2/128"]
    assert names(choose([], ["vit/64", "cnn2/128"])) == ["vit/64", "cnn2/128"]
    assert names(choose(["vit"], ["vit/64", "cnn2/128"])) == ["vit/64"]


@pytest.mark.parametrize(
    ("networks", "cases", "message"),
    [
        (["cnn9"], [], "unknown network 'cnn9'.*known: mlp"),
        ([], ["cnn2/32"], "unknown case 'cnn2/32'.*known: mlp/64"),
        (["mlp"], ["cnn2/64"], "--case cnn2/64 has no case of networks=.mlp."),
    ],
)
def test_what_there_is_not_is_refused(networks, cases, message):
    with pytest.raises(ValueError, match=message):
        choose(networks, cases)


@pytest.mark.parametrize(
    "arguments",
    [["networks=[cnn2,mlp]"], ["networks=cnn2, mlp"], ["--networks", "cnn2", "mlp"],
     ["networks=cnn2", "--json", "networks=mlp"], ["--networks", "cnn2", "--", "networks=mlp"]],
)  # fmt: skip
def test_networks_are_chosen_on_the_command_line(arguments, monkeypatch, capsys):
    measured = []
    monkeypatch.setattr("sys.argv", ["inner_loop", "--json", *arguments])
    monkeypatch.setattr(inner_loop, "run_case", lambda case, *_: measured.append(case.name))
    inner_loop.main()
    assert measured == ["mlp/64", "cnn2/64", "cnn2/128"]
    assert '"cnn2/128": null' in capsys.readouterr().out


@pytest.mark.parametrize("argument", ["cnn2", "network=cnn2", "networks=cnn9", "networks="])
def test_a_bad_argument_is_refused(argument, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["inner_loop", argument])
    with pytest.raises(SystemExit, match="2"):
        inner_loop.main()
    assert argument.removeprefix("networks=") in capsys.readouterr().err
