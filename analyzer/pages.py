"""Pages of the reference that are made from the code: stream of results, questions, ROOT files."""

import ast
import inspect
import json
from collections.abc import Iterable, Mapping
from enum import IntFlag
from itertools import pairwise
from typing import Any

from analyzer.cygno_branches import (
    AVERAGES,
    CLUSTERS,
    EVENTS,
    PEAKS,
    REDPIXELS,
    TIMES,
    WAVES,
)
from analyzer.dtypes import DATASETS, EVENT, ClusterFlag, EventFlag, WaveformFlag, untitled
from analyzer.questions import QUESTIONS, Question
from analyzer.spectra import AXES
from analyzer.stream import HEADER, RUN_HEADER, RUN_TOPIC, SCHEMA, WAITING_MESSAGES

_STREAM = """# Stream of results

Made by `python docs/generate.py` from `analyzer/stream.py`; change that, not this page.

`cygno-analyzer online` publishes every event's results as soon as they are there, on a ZeroMQ PUB
socket of this machine. Its address stands in the ODB at `/Equipment/Analyzer/Stream/Address`; the
setting `Stream port` fixes its port. Subscribe to the topics that you want; each message has three
parts: topic, header, rows.

**Who is too slow loses messages and never holds anybody up**: {waiting} messages wait for a
subscriber, the next ones are dropped for it. `sequence` shows the gap. Who subscribes in mid-run
gets what comes from then on. The results file has everything.

This is schema {schema}. New keys of the header, new datasets and new columns at the end of a row do
not change it; other changes do. Read the rows by the dtype in the header and none will break you.

## Topics

`{topics}`: one message for each event that has such rows; `events` comes for every event. Their
rows are those of the [results file](results.md), packed, little-endian.

`{run}`: a run begins, or its results are closed; no rows.

## Header

A JSON object in UTF-8.

{header}

For example, shortened:

```json
{example}
```

## Header of topic `{run}`

`schema`, `dataset`, `sequence`, `sent_s` and `run` as above, and

{run_header}

## Read it in Python

```python
from analyzer.subscribe import subscribe

for message in subscribe("tcp://127.0.0.1:5678", ["clusters", "run"]):
    if message.topic == "run":
        print(message.run, message.header["state"])
    else:
        print(message.run, message.event, message.rows["sc_integral"], message.lost)
```

`analyzer/subscribe.py` needs NumPy and pyzmq only and may be copied. Without it:

```python
import json, numpy as np, zmq

socket = zmq.Context().socket(zmq.SUB)
socket.subscribe("clusters")
socket.connect("tcp://127.0.0.1:5678")
topic, header, rows = socket.recv_multipart()
header = json.loads(header)
clusters = np.frombuffer(rows, [tuple(field) for field in header["dtype"]])
```

From another machine, through a tunnel: `ssh -L 5678:127.0.0.1:5678 daq`.
"""


def stream_page() -> str:
    """Return ``docs/reference/stream.md``."""
    example = {
        "schema": SCHEMA,
        "dataset": "events",
        "sequence": 41,
        "sent_s": 1700000000.25,
        "run": 1104,
        "event": 41,
        "rows": 1,
        "dtype": [list(field) for field in untitled(EVENT).descr[:3]],
    }
    return _STREAM.format(
        waiting=WAITING_MESSAGES,
        schema=SCHEMA,
        topics="`, `".join(DATASETS),
        run=RUN_TOPIC,
        header=_table(HEADER),
        run_header=_table(RUN_HEADER),
        example=json.dumps(example),
    )


def _table(rows: Mapping[str, tuple[str, str]]) -> str:
    lines = ["| key | type | meaning |", "|---|---|---|"]
    lines += [f"| `{key}` | {kind} | {text} |" for key, (kind, text) in rows.items()]
    return "\n".join(lines)


_QUESTIONS = """# Questions to the analyzer

Made by `python docs/generate.py` from `analyzer/questions.py`; change that, not this page.

The client `cygno-analyzer` answers remote calls (JRPC), so that a page of mhttpd or of the
standalone experiment can show what it sees:

```js
mjsonrpc_call("jrpc", { client_name: "cygno-analyzer", cmd: "image",
  args: JSON.stringify({ camera: 0, side: 400 }), max_reply_length: 300000 })
  .then((rpc) => JSON.parse(rpc.result.reply));
```

`args` is a JSON object or empty. The reply is a JSON object with `ok`, `message` (why not; empty if
ok) and what the table says. An answer that is longer than `max_reply_length` (1024 if not given) is
made to fit: a smaller image, fewer clusters, fewer points. The latest event is renewed twice a
second; `run` and `event` in an answer say which it is.

In Python:

```python
analyzer = client.connect_to_other_client("cygno-analyzer")
answer = json.loads(client.jrpc_client_call(analyzer, "status", "", 4096))
```
"""


def questions_page() -> str:
    """Return ``docs/reference/questions.md``."""
    lines = [_QUESTIONS]
    for verb, question in QUESTIONS.items():
        lines += [f"## {verb}\n", f"{inspect.getdoc(question)}\n", *_arguments(question)]
        if verb == "spectra":
            lines += [*_spectra(), ""]
    return "\n".join(lines)


def _arguments(question: type[Question]) -> Iterable[str]:
    if not question.model_fields:
        yield "No arguments.\n"
        return
    properties: dict[str, Any] = question.model_json_schema()["properties"]
    yield "| argument | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, schema in properties.items():
        default = json.dumps(schema.get("default"))
        yield f"| `{name}` | {_kind(schema)} | {default} | {schema['description']} |"
    yield ""


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if schema["type"] == "array":
        return f"array of {_kind(schema['items'])}s"
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None:
        return f"{schema['type']}, {low} to {high}"
    return f"{schema['type']}, at least {low}" if low is not None else str(schema["type"])


def _spectra() -> Iterable[str]:
    yield "| spectrum | of | unit | from | to | bins |"
    yield "|---|---|---|---|---|---|"
    for name, axis in AXES.items():
        scale = ", logarithmic" if axis.is_log else ""
        edges = f"{axis.low:g} | {axis.high:g}"
        yield f"| `{name}` | {axis.title} | {axis.unit} | {edges} | {axis.bins}{scale} |"


_ROOT = """# ROOT files

Made by `python docs/generate.py` from `analyzer/cygno_branches.py`; change that, not this page.

`cygno-analyzer file RUN --format root` writes `reco_run%05d.root` with the trees of CYGNO's
reconstruction (CYGNUS-RD/reconstruction, branch winter23), under its names and types, so that plots
made for that read it. It needs the extra `root`: `pip install 'cygno-daq[root]'`.

**x and y are CYGNO's**, which turns a frame before it measures in it: its x is our row, and its y
counts our columns from the other side: `x = row`, `y = columns - 1 - column`. The HDF5 file has
columns and rows of the raw frame, see [results](results.md).

**What is not in it**, as with CYGNO: frames that are sparks; clusters whose centre is outside of
the acceptance; events without a camera, and frames that could not be read. The HDF5 file has all
of them, flagged.

**Times** (`t_*`) are those of the analysis and differ each time; all else is the same however
often a run is analyzed, with any number of threads.

The string `Reco_attributes` is a JSON object with what the HDF5 file has as attributes: settings,
pedestals, counts. `gitHash` is the version of this software.
"""


def root_page() -> str:
    """Return ``docs/reference/root.md``."""
    lines = [_ROOT, "## Events\n", "One entry for each frame.\n", *_branches(EVENTS, "")]
    lines += ["", "For each cluster, brightest first:\n", *_branches(CLUSTERS, "nSc")]
    lines += ["", "For each pixel of the clusters (`Keep from`):\n"]
    lines += _branches(REDPIXELS, "nRedpix")
    lines += ["", "## PMT_Events\n"]
    lines += [
        "One entry for each waveform of the channels that the setting `PMT channels` names.\n"
    ]
    lines += [*_branches(WAVES | TIMES, ""), "", "For each pulse:\n"]
    lines += _branches(PEAKS, "pmt_wf_nPeaks")
    lines += ["", "## PMT_Avg_Events\n"]
    lines += [
        "One entry for each trigger of a board with two or more PMTs: the average of their "
        "waveforms, each with the weight of its amplitude over its noise. Its pulses have the "
        "branches of those of `PMT_Events`.\n"
    ]
    lines += _branches(AVERAGES | TIMES, "")
    lines += ["", "## GEM_Events\n"]
    lines += [
        "One entry for each waveform of a V1742 of the channels that the setting `GEM channels` "
        "names, with the branches of `PMT_Events` but for `t_waveforms`."
    ]
    return "\n".join(lines) + "\n"


def _branches(branches: Mapping[str, tuple[str, str]], counter: str) -> list[str]:
    """Return a table of branches, with the branch that counts them."""
    index = f"[{counter}]" if counter else ""
    letters = {"int32": "I", "float32": "F"}
    lines = ["| branch | holds |", "|---|---|"]
    lines += [
        f"| `{name}{index}/{letters[kind]}` | {text} |" for name, (kind, text) in branches.items()
    ]
    return lines


def flag_tables() -> str:
    """Return the flags of events, clusters and waveforms, for ``docs/reference/results.md``."""
    lines = ["## Flags", "", "Bits of the columns `flags`; they add up."]
    for kind in (EventFlag, ClusterFlag, WaveformFlag):
        meanings = _meanings(kind)
        lines += [
            "",
            f"### {kind.__name__}",
            "",
            "| bit | value | name | meaning |",
            "|---|---|---|---|",
        ]
        for flag in kind:
            bit = flag.value.bit_length() - 1
            lines.append(f"| {bit} | {flag.value} | `{flag.name}` | {meanings[flag.name]} |")
    return "\n".join([*lines, ""])


def _meanings(kind: type[IntFlag]) -> dict[str | None, str]:
    """Return the text that stands below each member of an enumeration in its source."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    meanings: dict[str | None, str] = {}
    for member, text in pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
            name = member.targets[0]
            if isinstance(name, ast.Name) and isinstance(text.value, ast.Constant):
                meanings[name.id] = " ".join(str(text.value.value).split())
    return meanings
