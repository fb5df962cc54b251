import subprocess
import sys

_MODULES = """
import pkgutil, sys
import rawdata
for module in pkgutil.walk_packages(rawdata.__path__, "rawdata."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
ours = {"experiment", "hardware", "frontend", "analyzer", "stager", "sim", "web"}
print(sorted(name for name in sys.modules if name.partition(".")[0] in ours))
print("midas" in sys.modules)
"""


def test_rawdata_stands_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MODULES], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[]\nFalse\n", "")
