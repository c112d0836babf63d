"""The Python in the documents runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What reads files runs in tests/systems/test_files_docs.py, where there are such.
READS_FILES = ("files.md",)
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    if path.name not in READS_FILES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.S))
]


# What some documents are about, and is an extra.
OPTIONAL = ("mava", "torch")


@pytest.mark.parametrize("code", BLOCKS)
def test_code_in_documents_runs(code, capsys):
    for package in OPTIONAL:
        if re.search(rf"^(from|import) {package}\b", code, re.M):
            pytest.importorskip(package)
    with jax.numpy_dtype_promotion("standard"):  # as users have it: optax mixes types
        exec(compile(code, "document", "exec"), {})
    assert capsys.readouterr().out or "print" not in code


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / target).exists(), target
