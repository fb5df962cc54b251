"""Waveforms: banks ``DIG0`` (samples, TID_WORD) and ``DGH0`` (header, TID_DWORD).

DIG0 nests board, trigger, channel, sample. DGH0 in its generations (CYGNUS-RD/daq
``online/cygnus_fe.cxx``; generation A is what CYGNO's library and recopp decode)::

    C only: 1000 (DAQ version)
    number of boards
    per board: model (1742, 1720), samples, channels, triggers, vertical resolution (4096),
               sampling (1742: period in ps; 1720: MS/s), then
               DC offset of each channel, fraction * 65536 + 32768
               trigger time tag of each trigger
               B and C: second trigger time tag word of each trigger
               1742 only: start index cell of each trigger, 0 to 1023
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from rawdata.build import EventBuilder
from rawdata.errors import LayoutError
from rawdata.event import Event
from rawdata.tid import Tid

Generation = Literal["A", "B", "C"]

HEADER_BANK: Final = "DGH0"
SAMPLES_BANK: Final = "DIG0"
DAQ_VERSION: Final = 1000
"""First word of a generation C header."""
DRS4_MODEL: Final = 1742
DRS4_CELLS: Final = 1024
MODELS: Final = (1000, 9999)
MAX_BOARDS: Final = 8
MAX_CHANNELS: Final = 64
MAX_TRIGGERS: Final = 1024
"""Bounds for detection only: CYGNO's frontend stores up to 128 triggers a board and event."""

_FIXED_WORDS: Final = 6
_OFFSET_SCALE: Final = 65536
_OFFSET_ZERO: Final = 32768
_HIGH_TAG_MASK: Final = 0x3FFFFFFF

Words = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class BoardHeader:
    """What DGH0 says of one board in one event."""

    model: int
    """1742 (V1742, DRS4) or 1720 (V1720E); 1761 in history."""
    samples: int
    """Samples a waveform."""
    channels: int
    resolution: int
    """2 to the ADC's bits: 4096."""
    sampling: int
    """1742: sample period in ps; other models: MS/s."""
    dc_offsets: Words
    """(channels,) uint32: fraction of the range * 65536 + 32768."""
    time_tags: Words
    """(triggers,) uint32: trigger time tags, in the board's own ticks."""
    high_time_tags: Words | None = None
    """(triggers,) uint32, generations B and C: 1742 the upper 30 bits of the extended tag, 1720 its
    upper 16 bits."""
    start_cells: Words | None = None
    """(triggers,) uint32, 1742 only: DRS4 start index cells, 0 to 1023."""

    @property
    def triggers(self) -> int:
        """Number of triggers (waveforms of each channel) in the event."""
        return len(self.time_tags)

    @property
    def sample_period_ns(self) -> float:
        """Time between two samples in ns."""
        if self.sampling == 0:
            raise LayoutError(f"board {self.model}: sampling word is 0")
        return self.sampling / 1000 if self.model == DRS4_MODEL else 1000 / self.sampling

    @property
    def dc_offset_fractions(self) -> npt.NDArray[np.float64]:
        """(channels,) DC offsets as fraction of the range, -0.5 to 0.5, as in the ODB."""
        return dc_offset_fractions(self.dc_offsets)

    @property
    def extended_time_tags(self) -> npt.NDArray[np.uint64]:
        """(triggers,) time tags with the upper bits of generations B and C, else as they are."""
        low = self.time_tags.astype(np.uint64)
        if self.high_time_tags is None:
            return low
        high = self.high_time_tags.astype(np.uint64)
        if self.model == DRS4_MODEL:
            mask = np.uint64(_HIGH_TAG_MASK)
            return ((high & mask) << np.uint64(30)) | (low & mask)
        return ((high & np.uint64(0xFFFF)) << np.uint64(32)) | low


@dataclass(frozen=True, eq=False)
class DigitizerHeader:
    """The content of DGH0."""

    generation: Generation
    boards: tuple[BoardHeader, ...]

    @property
    def waveform_words(self) -> int:
        """Number of uint16 words in the DIG0 bank that belongs to this header."""
        return sum(board.triggers * board.channels * board.samples for board in self.boards)


def dc_offset_words(fractions: Sequence[float] | npt.NDArray[Any]) -> Words:
    """Return DGH0's words for DC offsets given as fraction of the range; clamps at -0.5 and 0.5.

    >>> dc_offset_words([-0.5, -0.3, 0.0]).tolist()
    [0, 13107, 32768]
    """
    clamped = np.clip(np.asarray(fractions, np.float64), -0.5, 0.5)
    return (clamped * _OFFSET_SCALE + _OFFSET_ZERO).astype(np.uint32)


def dc_offset_fractions(words: Words) -> npt.NDArray[np.float64]:
    """Return DC offsets as fraction of the range, from DGH0's words.

    >>> dc_offset_fractions(dc_offset_words([-0.5, 0.25])).tolist()
    [-0.5, 0.25]
    """
    return (words.astype(np.float64) - _OFFSET_ZERO) / _OFFSET_SCALE


def decode_header(words: npt.NDArray[Any], sample_words: int | None = None) -> DigitizerHeader:
    """Return the content of a DGH0 bank; its generation is found from the words.

    :param words: (n,) uint32, the bank; the result holds views on it.
    :param sample_words: size of the DIG0 bank beside it, which decides where the words could be
        read as A and as B.
    :raises LayoutError: if the words close in none of the generations A, B, C.
    """
    if words.dtype != np.dtype("<u4"):
        raise LayoutError(f"{HEADER_BANK} is of type {words.dtype}, wanted TID_DWORD (uint32)")
    if not len(words):
        raise LayoutError(f"{HEADER_BANK} is empty")
    generations: tuple[Generation, ...] = ("C",) if words[0] == DAQ_VERSION else ("A", "B")
    readings: list[DigitizerHeader] = []
    failures = []
    for generation in generations:
        try:
            readings.append(DigitizerHeader(generation, _decode_boards(words, generation)))
        except LayoutError as error:
            failures.append(f"generation {generation}: {error}")
    if not readings:
        raise LayoutError(f"{HEADER_BANK} of {len(words)} words: {'; '.join(failures)}")
    fitting = [reading for reading in readings if reading.waveform_words == sample_words]
    return (fitting or readings)[0]


def encode_header(header: DigitizerHeader, generation: Generation | None = None) -> Words:
    """Return the words of DGH0.

    :param generation: A, B or C; default the header's own. A drops the second time tags; B and C
        have zeros where they are missing.
    """
    generation = generation or header.generation
    if generation not in get_args(Generation):
        raise LayoutError(f"generation {generation!r} is none of A, B, C")
    parts: list[npt.NDArray[Any] | list[int]] = []
    if generation == "C":
        parts.append([DAQ_VERSION])
    parts.append([len(header.boards)])
    for board in header.boards:
        _check_board(board)
        parts.append([board.model, board.samples, board.channels, board.triggers])
        parts.append([board.resolution, board.sampling])
        parts.append(board.dc_offsets)
        parts.append(board.time_tags)
        if generation != "A":
            high = board.high_time_tags
            parts.append(np.zeros(board.triggers, np.uint32) if high is None else high)
        if board.start_cells is not None:
            parts.append(board.start_cells)
    return np.concatenate([np.asarray(part, dtype="<u4") for part in parts])


def decode_waveforms(
    samples: npt.NDArray[np.uint16], header: DigitizerHeader
) -> list[npt.NDArray[np.uint16]]:
    """Return the waveforms of each board as views.

    :param samples: (n,) uint16, the bank DIG0.
    :returns: for each board (triggers, channels, samples) uint16 [ADC counts].
    :raises LayoutError: if the bank's size is not what the header says.
    """
    if samples.dtype != np.dtype("<u2"):
        raise LayoutError(f"{SAMPLES_BANK} is of type {samples.dtype}, wanted TID_WORD (uint16)")
    if len(samples) != header.waveform_words:
        raise LayoutError(
            f"{SAMPLES_BANK} holds {len(samples)} samples, {HEADER_BANK} speaks of "
            f"{header.waveform_words}"
        )
    waveforms = []
    begin = 0
    for board in header.boards:
        shape = (board.triggers, board.channels, board.samples)
        end = begin + shape[0] * shape[1] * shape[2]
        waveforms.append(samples[begin:end].reshape(shape))
        begin = end
    return waveforms


def decode(event: Event) -> tuple[DigitizerHeader, list[npt.NDArray[np.uint16]]]:
    """Return header and waveforms of an event.

    :raises BankMissingError: if it has none, as in free-running mode.
    """
    samples = event[SAMPLES_BANK]
    header = decode_header(event[HEADER_BANK], len(samples))
    return header, decode_waveforms(samples, header)


def decode_whole(event: Event) -> tuple[DigitizerHeader, list[npt.NDArray[np.uint16]], str]:
    """Return header and waveforms of the boards whose samples are all there.

    :returns: as `decode`, for these boards alone, and what is missing; empty if nothing is.
    :raises BankMissingError: if a bank is missing.
    :raises LayoutError: if the header cannot be read, or the samples of no board are there.
    """
    samples = event[SAMPLES_BANK]
    header = decode_header(event[HEADER_BANK], len(samples))
    if samples.dtype != np.dtype("<u2") or len(samples) == header.waveform_words:
        return header, decode_waveforms(samples, header), ""
    boards: list[BoardHeader] = []
    end = 0
    for board in header.boards:
        end += board.triggers * board.channels * board.samples
        if end > len(samples):
            break
        boards.append(board)
    whole = DigitizerHeader(header.generation, tuple(boards))
    text = (
        f"{SAMPLES_BANK} holds {len(samples)} samples, {HEADER_BANK} speaks of "
        f"{header.waveform_words}"
    )
    if not whole.waveform_words:
        raise LayoutError(text)
    left_out = ", ".join(
        f"{index} (model {board.model})"
        for index, board in enumerate(header.boards)
        if index >= len(boards)
    )
    end = whole.waveform_words
    text += f": boards left out: {left_out}" if left_out else ": the rest is left out"
    return whole, decode_waveforms(samples[:end], whole), text


def encode(
    builder: EventBuilder,
    header: DigitizerHeader,
    waveforms: Sequence[npt.NDArray[np.uint16]],
    generation: Generation | None = None,
) -> None:
    """Append DIG0, then DGH0.

    :param waveforms: for each board (triggers, channels, samples) uint16.
    """
    views = reserve_waveforms(builder, header)
    if len(views) != len(waveforms):
        raise LayoutError(f"{len(waveforms)} boards of waveforms, {len(views)} in the header")
    for number, (view, waveform) in enumerate(zip(views, waveforms, strict=True)):
        if waveform.shape != view.shape or waveform.dtype != view.dtype:
            raise LayoutError(
                f"board {number}: waveforms {waveform.dtype} {waveform.shape}, "
                f"the header says uint16 {view.shape}"
            )
        view[...] = waveform
    builder.add(HEADER_BANK, Tid.DWORD, encode_header(header, generation))


def reserve_waveforms(
    builder: EventBuilder, header: DigitizerHeader
) -> list[npt.NDArray[np.uint16]]:
    """Append DIG0; return each board's (triggers, channels, samples) uint16, to be filled."""
    return decode_waveforms(builder.reserve(SAMPLES_BANK, Tid.WORD, header.waveform_words), header)


def _decode_boards(words: Words, generation: Generation) -> tuple[BoardHeader, ...]:
    reader = _Words(words, 1 if generation == "C" else 0)
    board_count = int(reader.take(1, "number of boards")[0])
    if board_count > MAX_BOARDS:
        raise LayoutError(f"{board_count} boards, at most {MAX_BOARDS} are believed")
    boards = []
    for number in range(board_count):
        where = f"board {number}"
        fixed = [int(word) for word in reader.take(_FIXED_WORDS, where)]
        model, samples, channels, triggers, resolution, sampling = fixed
        if not 1 <= channels <= MAX_CHANNELS or triggers > MAX_TRIGGERS:
            raise LayoutError(f"{where}: {channels} channels and {triggers} triggers")
        if not (MODELS[0] <= model <= MODELS[1] and samples and resolution and sampling):
            raise LayoutError(
                f"{where}: model {model}, {samples} samples, resolution {resolution}, "
                f"sampling {sampling}"
            )
        offsets = reader.take(channels, f"{where}, DC offsets")
        tags = reader.take(triggers, f"{where}, time tags")
        high = reader.take(triggers, f"{where}, high tags") if generation != "A" else None
        is_drs4 = model == DRS4_MODEL
        cells = reader.take(triggers, f"{where}, start cells") if is_drs4 else None
        if cells is not None and triggers and cells.max() >= DRS4_CELLS:
            raise LayoutError(f"{where}: start cell {cells.max()}, there are {DRS4_CELLS}")
        boards.append(
            BoardHeader(model, samples, channels, resolution, sampling, offsets, tags, high, cells)
        )
    if reader.left:
        raise LayoutError(f"{reader.left} words are left over")
    return tuple(boards)


class _Words:
    """Takes words one group after the other."""

    def __init__(self, words: Words, position: int) -> None:
        self._words = words
        self._position = position

    @property
    def left(self) -> int:
        return len(self._words) - self._position

    def take(self, count: int, what: str) -> Words:
        if count > self.left:
            raise LayoutError(f"{what}: {count} words wanted, {self.left} are left")
        self._position += count
        return self._words[self._position - count : self._position]


def _check_board(board: BoardHeader) -> None:
    if not board.samples:
        raise LayoutError(f"board {board.model}: waveforms of no samples")
    if len(board.dc_offsets) != board.channels:
        raise LayoutError(
            f"board {board.model}: {len(board.dc_offsets)} DC offsets, {board.channels} channels"
        )
    if (board.start_cells is not None) != (board.model == DRS4_MODEL):
        raise LayoutError(f"board {board.model}: start cells belong to model {DRS4_MODEL} alone")
    for name, words in (("high tags", board.high_time_tags), ("start cells", board.start_cells)):
        if words is not None and len(words) != board.triggers:
            raise LayoutError(
                f"board {board.model}: {len(words)} {name}, {board.triggers} triggers"
            )
