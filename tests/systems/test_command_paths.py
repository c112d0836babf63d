"""Any path that the file system takes, in every place that takes a path."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from systems import evaluate, learning, reproduce, train
from systems.command_line.arguments import literal, quote_paths, value_of
from systems.options.commands import LearningOptions
from systems.policy.policy import policy_file

TINY = ["env.train_size=200", "env.validation_size=40", "env.test_size=40", "env.epochs=4"]
ODD = [
    "[8,8]", "a=b", "back\\slash", "a space", "it's", '"quoted"', "a,b", "{a: 1}", "a#b: c", "é λ",
    "2026", "1e3", "007", "-m", "~a", "+a=1", "a'b\"c\\", "x(1)", "$a", "a\nb", "'q'", "%", " a ",
    "${x}", "a${b", "\\${x}", "true", "@a", "a;b|c&d>e*?!",
]  # fmt: skip
NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..", "null", "NULL", "Null", "nuLl") and "${" not in name)


def read(path: str, **options) -> str:
    """What Hydra and OmegaConf make of a path, as the commands give it to them."""
    return value_of(f"output_dir={literal(path, **options)}")


@given(NAMES)
def test_a_path_is_read_as_it_is_written(name):
    quoted = len(name) > 1 and name[0] in "'\"" and name[-1] == name[0]
    path = f"./{name}" if quoted else name
    assert read(path) == path
    (once,) = quote_paths([f"resume={path}"])
    assert quote_paths([once]) == [once], "what is quoted stays as it is"


@pytest.mark.parametrize("name", ODD)
def test_what_is_there_is_meant_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    assert read(name) == name
    assert read(name, sweeps=True) == name


def test_hydras_own_ways_are_left_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert literal("null") == "null"
    assert literal("'a[b'") == "'a[b'"
    assert literal("runs/${seed}") == "runs/${seed}"
    assert literal("a,b", sweeps=True) == "a,b"
    assert read("a,b") == "a,b"


@pytest.mark.parametrize("name", [name for name in ODD if len(name) > 3])
def test_a_run_is_saved_and_resumed(work, name):
    # A new folder's name may not be an interpolation, nor quoted as a whole.
    folder = f"./{name}" if name == '"quoted"' else name
    if "${" in folder:
        Path(folder).mkdir()
    train.main([*TINY, f"output_dir={folder}", "seed=3"])
    assert work[0]["output_dir"] == Path(folder)
    train.main(["keep=4", f"resume={folder}"])
    assert work[1]["output_dir"] == Path(folder)
    assert (work[1]["resume"], work[1]["seed"], work[1]["keep"]) == (True, 3, 4)


@pytest.mark.parametrize("name", ["a=[8,8]", "it's {a, b}", "back\\", "007"])
def test_a_sweep_is_gone_on_with_in_any_folder(work, name):
    for resumes in (False, True):
        train.main(["-m", f"hydra.sweep.dir={name}", "seed=1", *TINY])
        run = work[-1]
        assert run["output_dir"] == Path(name).absolute() / "digits_cnn2-rec_ippo-0"
        assert run["resume"] == resumes


@pytest.mark.parametrize("name", ["a=[8,8]", "it's {a, b}", "back\\", "007", "${x}"])
def test_policies_and_results_are_in_any_folder(work, name):
    Path(name).mkdir()
    shutil.copy(policy_file("pretrained"), Path(name) / "policy.npz")
    for given_path in (f"{name}/policy.npz", os.path.abspath(name)):
        evaluate.main([*TINY, f"checkpoint={given_path}", f"output_dir={name}/{len(work)}"])
        assert work[-1]["store"].folder == Path(name) / str(len(work) - 1)
    figure = ["experiment=figure2", *TINY, "env.dataset=digits"]
    reproduce.main([*figure, f"checkpoint={name}", f"output_dir={name}"])
    assert work[-1]["store"].folder == Path(name)
    assert [method.name for method in work[-1]["methods"]] == ["GANNO"]


@pytest.mark.usefixtures("work")
def test_runs_are_compared_in_any_folder(capsys):
    for text, folders in {
        "{a: [007, runs/b]}": ("007", "runs/b"),
        "{a: 1e3}": ("1e3",),
        """{a: ["x=[8,8]", 'it''s', "q\\\\"]}""": ("x=[8,8]", "it's", "q\\"),
    }.items():
        assert LearningOptions.parse({"runs": text}).runs == {"a": tuple(map(Path, folders))}
        with pytest.raises(SystemExit):
            learning.main([f"runs={text}"])
        assert f"error: {folders[0]} is no run's folder" in capsys.readouterr().err


def test_options_are_kept_beside_a_run_as_they_were_given(work):
    train.main([*TINY, "env.data_dir=a=[b", "output_dir=run", "seed=3", "distributed.timeout=9"])
    kept = json.loads(Path("run/overrides.json").read_text())
    assert kept == [*(f"++{a}" for a in TINY), "++env.data_dir='a=[b'", "seed=3"]
    assert work[0]["environment"]["data_dir"] == "a=[b"
    train.main(["keep=5", "resume=run"])
    assert (work[1]["seed"], work[1]["keep"], work[1]["resume"]) == (3, 5, True)
    assert work[1]["environment"] == work[0]["environment"]
