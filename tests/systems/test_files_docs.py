"""`docs/files.md` names every key of every JSON file, and no key that none has."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from systems import learning
from systems.experiments.reports import write_report
from tests.systems import test_cells
from tests.systems.short_runs import train_for
from tests.systems.test_reports import outcome

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("compiled_once")


def documented() -> dict[str, list[str]]:
    """The keys of each section's table, by its heading."""
    sections = re.split(
        r"^## ", (ROOT / "docs" / "files.md").read_text(encoding="utf-8"), flags=re.M
    )
    found = {}
    for section in sections[1:]:
        heading, _, text = section.partition("\n")
        rows = re.findall(r"^\| (`.*?) \|", text, flags=re.M)
        found[heading] = [key for row in rows for key in re.findall(r"`([^`]+)`", row)]
    return found


DOCUMENTED = documented()


def keys_of(value, prefix=""):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from keys_of(item, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and value:
        for item in value:
            yield from keys_of(item, f"{prefix}[]")
    else:
        yield prefix


def check(heading, contents, beside=()):
    """Keys and rows fit each other; `beside` need not be in what is looked at here."""
    patterns = {key: re.escape(key).replace(r"\*", ".+") for key in DOCUMENTED[heading]}
    keys = {key for content in contents for key in keys_of(content)}
    for key in keys:
        assert any(re.fullmatch(pattern, key) for pattern in patterns.values()), key
    for name, pattern in patterns.items():
        seen = any(re.fullmatch(pattern, key) for key in keys)
        assert seen or name in beside, f"{name} is not written"


def strict(text):
    return json.loads(text, parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def run(tmp_path_factory, compiled_once):
    folder = tmp_path_factory.mktemp("documented")
    train_for(1, folder, loggers={"jsonl": None, "marl_eval": None})
    return folder


def test_what_a_training_writes(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    check("`metrics.jsonl`", map(strict, lines), beside=["episode_*"])
    check("`marl_eval.json`", [strict((run / "marl_eval.json").read_text())])
    (manifest,) = (run / "checkpoints").glob("*/manifest.json")
    check("`checkpoints/*/manifest.json`", [strict(manifest.read_text())])
    header = strict(str(np.load(run / "policy.npz")["header"]))
    check("`policy.npz`", [header])


def test_the_documents_code_reads_what_is_written(run, tmp_path, monkeypatch, capsys):
    write_report(outcome("table5"), tmp_path / "results" / "table1", {}, Console(quiet=True))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "FOLDER").symlink_to(run)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "docs/files.md", "exec"), {})
    assert "learning_rate" in capsys.readouterr().out


def test_what_a_table_writes(tmp_path):
    made = outcome("table5")
    write_report(made, tmp_path, {"options": {"seeds": [0]}}, Console(quiet=True))
    content = strict((tmp_path / "records.json").read_text())
    assert None in content["runs"][0]["validation_loss"], "as of a diverged run"
    given = ["unavailable.*", "environment.*", "policy.*", "options.*", "training_seconds"]
    given.append("runs[].others.*[]")  # of a task that has more metrics than accuracy
    content.pop("unavailable")
    check("`records.json` of tables", [content], beside=given)


def test_what_a_folder_of_runs_has(tmp_path):
    test_cells.filled(tmp_path)
    manifest = strict((tmp_path / "manifest.json").read_text())
    (path,) = (tmp_path / "runs").iterdir()
    header = strict(str(np.load(path)["header"]))
    heading = "`manifest.json` of tables"
    beside = [key for key in DOCUMENTED[heading] if key.startswith(("cell", "listed", "prov"))]
    check(heading, [manifest, header], beside=beside)
    assert {key.partition(".")[0].partition("[")[0] for key in beside} == set(header)


def test_what_a_comparison_of_trainings_writes(tmp_path):
    record = {"env_steps": 1, "seconds": 1.0, "episode_return": None}
    record["episode_validation_accuracy"] = 0.5
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        lines = [json.dumps(record | {"update": update}) for update in range(12)]
        (tmp_path / run / "metrics.jsonl").write_text("\n".join(lines))
    groups = {"group": [tmp_path / "a", tmp_path / "b"]}
    folder = learning.compare(groups, tmp_path / "compared")
    check("`records.json` of `systems.learning`", [strict((folder / "records.json").read_text())])
