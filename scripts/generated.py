"""What the scripts that write pages of the documents have in common."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def publish(page: str, text: str) -> int:
    """Write a page of docs/; with `--check` on the command line compare it instead. The answer is the exit status."""
    path = ROOT / page
    if sys.argv[1:] != ["--check"]:
        path.write_text(text, "utf-8")
        return 0
    if path.exists() and path.read_text("utf-8") == text:
        return 0
    sys.stderr.write(f"{page} is not up to date: run `make docs`.\n")
    return 1
