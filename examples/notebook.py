"""Make quickstart.ipynb from quickstart.py, with what it prints: `python examples/notebook.py`.

A cell begins at a line `# %%`, and one of text at `# %% [markdown]`.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SCRIPT, NOTEBOOK = HERE / "quickstart.py", HERE / "quickstart.ipynb"


def notebook_of(script: str) -> nbformat.NotebookNode:
    """The notebook of a script, not run."""
    made = nbformat.v4.new_notebook()
    made.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for number, part in enumerate(re.split(r"^# %%", script, flags=re.MULTILINE)[1:]):
        head, _, body = part.partition("\n")
        text = "markdown" in head
        source = re.sub(r"^# ?", "", body, flags=re.MULTILINE).strip() if text else body.strip()
        cell = nbformat.v4.new_markdown_cell(source) if text else nbformat.v4.new_code_cell(source)
        cell["id"] = f"cell-{number}"
        made.cells.append(cell)
    return made


def is_picture(output: nbformat.NotebookNode) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def run(made: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """The notebook with what its cells print, but for progress. Raises CellExecutionError where one fails."""
    NotebookClient(made, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell["outputs"] = [
                out for out in cell["outputs"] if out["output_type"] == "execute_result" or is_picture(out)
            ]
    made.metadata.pop("language_info", None)
    return made


if __name__ == "__main__":
    nbformat.write(run(notebook_of(SCRIPT.read_text(encoding="utf-8")), HERE), NOTEBOOK)
