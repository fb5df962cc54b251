"""A tape that is a program: what sites have as gfal-copy or xrdcp, with faults on request."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.stager.staging import Folder

_PROGRAM = '''#!{python}
"""tape put FILE KEY | check KEY | get KEY FILE | delete KEY: a folder, as far as we know."""
import json, os, shutil, sys, time, zlib
from pathlib import Path
root = Path({root!r})
verb, *words = sys.argv[1:]
faults = json.loads((root / "faults.json").read_text()) if (root / "faults.json").exists() else {{}}
with (root / "calls").open("a") as calls:
    calls.write(" ".join([verb, *words]) + "\\n")
if verb in faults.get("fail", []):
    sys.exit("the robot has dropped the cartridge")
if verb in faults.get("hang", []):
    (root / f"pid-{{verb}}").write_text(str(os.getpid()))
    time.sleep(600)
if verb == "put":
    target = root / words[1]
    target.parent.mkdir(parents=True, exist_ok=True)
    content = Path(words[0]).read_bytes()
    target.write_bytes(content[: len(content) // 2] if faults.get("cut") else content)
elif verb == "check":
    target = root / words[0]
    if not target.exists():
        print("No such file or directory")
        sys.exit(2)
    content = target.read_bytes()
    crc = 1 if faults.get("lie") else zlib.adler32(content)
    print(f"{{words[0]}} size: {{len(content)}} adler32: {{crc:08x}}")
elif verb == "get":
    shutil.copy(root / words[0], words[1])
elif verb == "delete":
    (root / words[0]).unlink()
'''


class Tape:
    """The program, and what is on the tape."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tape of cygno"  # a blank, as people have them
        self.root.mkdir()
        self.program = folder / "tape"
        self.program.write_text(_PROGRAM.format(python=sys.executable, root=str(self.root)))
        self.program.chmod(0o755)

    def settings(self, **more: object) -> dict[str, object]:
        """Return a place of kind command that is this tape."""
        return {
            "kind": "command",
            "role": "tape",
            "put": f"{self.program} put {{file}} {{key}}",
            "check": f"{self.program} check {{key}}",
            "get": f"{self.program} get {{key}} {{file}}",
            "pattern": r"size: (?P<size>\d+) adler32: (?P<adler32>\w+)",
            **more,
        }

    def break_(self, **faults: Any) -> None:
        """Let it fail: ``fail`` and ``hang`` name verbs, ``cut`` and ``lie`` are true or not."""
        (self.root / "faults.json").write_text(json.dumps(faults))

    def calls(self, verb: str) -> int:
        """Return how often the program was called with a verb."""
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return sum(line.startswith(f"{verb} ") for line in lines)

    def objects(self) -> dict[str, bytes]:
        """Return what is on the tape, by names without the tag."""
        return {path.name: path.read_bytes() for path in self.root.glob("*/*") if path.is_file()}


def configure_places(folder: Folder, **places: dict[str, object]) -> None:
    """Write the TOML file of a folder."""
    lines = []
    for name, settings in places.items():
        lines.append(f"[places.{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in settings.items()]
    (folder.path / "stager.toml").write_text("\n".join(lines) + "\n")


def _toml(value: object) -> str:
    return json.dumps(value) if not isinstance(value, Path) else json.dumps(str(value))
