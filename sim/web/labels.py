"""The page's labels, from the settings models: run ``python -m sim.web.labels`` after a change.

The page cannot import Python, and on mhttpd there is nobody to ask; so what a setting means stands
in ``web/settings.js``, and a test says when it is stale.
"""

import importlib.resources
import json
import sys
from pathlib import Path

from experiment.settings import describe
from frontend.settings import Configurations

SHOWN = ("path", "unit", "allowed", "description")


def page_labels() -> str:
    """Return the text of ``web/settings.js``."""
    rows = [
        {key: row[key].replace("`", "") for key in SHOWN if row[key]}
        for row in describe(Configurations, Configurations.odb_path)
    ]
    body = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
    return (
        "// Made by python -m sim.web.labels from frontend/settings.py; change that, not this.\n"
        f'"use strict";\n\nconst SETTINGS = [\n{body},\n];\n'
    )


def page_file() -> Path:
    """Return where the labels stand."""
    return Path(str(importlib.resources.files("web"))) / "settings.js"


if __name__ == "__main__":
    page_file().write_text(page_labels(), encoding="utf-8")
    sys.stderr.write(f"wrote {page_file()}\n")
