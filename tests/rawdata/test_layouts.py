from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawdata.build import EventBuilder
from rawdata.errors import BankMissingError, LayoutError
from rawdata.event import Event, parse_event
from rawdata.layouts import camera, digitizer, high_voltage, slow, times
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader, Generation
from rawdata.tid import Tid


def _builder(event_id: int = 1, size: int = 1 << 20) -> EventBuilder:
    return EventBuilder(np.empty(size, np.uint8), event_id)


def _event(builder: EventBuilder) -> Event:
    return parse_event(builder.finish(3, 1_700_000_000))


# camera -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_bytes", "shape"),
    [
        (10_616_832, (2304, 2304)),
        (8_388_608, (2048, 2048)),
        (18_874_368, (2304, 4096)),
        (524_288, (512, 512)),
        (2, (1, 1)),
    ],
)
def test_shapes_are_inferred_as_cygno_does(size_bytes: int, shape: tuple[int, int]) -> None:
    assert camera.infer_shape(size_bytes) == shape


@pytest.mark.parametrize("size_bytes", [0, 1, 4, 6, 524_290, 18_874_366, 2 * 10_616_832])
def test_other_sizes_need_a_shape(size_bytes: int) -> None:
    with pytest.raises(LayoutError, match=f"{size_bytes} bytes is neither square nor"):
        camera.infer_shape(size_bytes)


def test_frames_of_several_cameras() -> None:
    builder = _builder()
    first = np.arange(16, dtype=np.uint16).reshape(4, 4)
    camera.encode_frame(builder, first)
    camera.reserve_frame(builder, (2, 3), 2)[...] = [[1, 2, 3], [4, 5, 6]]
    event = _event(builder)
    assert list(event) == ["CAM0", "CAM2"]
    assert camera.camera_indices(event) == [0, 2]
    assert camera.decode_frame(event).tolist() == first.tolist()
    assert camera.decode_frame(event, 2, (2, 3)).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert np.shares_memory(camera.decode_frame(event), event["CAM0"])
    with pytest.raises(LayoutError, match="CAM2 holds 6 pixels, not 3x3"):
        camera.decode_frame(event, 2, (3, 3))
    with pytest.raises(BankMissingError, match="no bank CAM1; it has: CAM0 CAM2"):
        camera.decode_frame(event, 1)


def test_frames_that_are_none_are_refused() -> None:
    builder = _builder()
    builder.add("CAM0", Tid.DWORD, [1])
    with pytest.raises(LayoutError, match="CAM0 is TID_DWORD, wanted TID_WORD"):
        camera.decode_frame(_event(builder))
    with pytest.raises(LayoutError, match="two dimensions, not 1"):
        camera.encode_frame(builder, np.zeros(4, np.uint16))
    for index in (-1, 6):
        with pytest.raises(LayoutError, match="cameras are 0 to 5"):
            camera.bank_name(index)


# digitizer ----------------------------------------------------------------------------------------

LIME_TRIGGERS = 2
LIME_A = [
    2,  # boards
    *(1742, 1024, 32, LIME_TRIGGERS, 4096, 1333),
    *([0] + [13107] * 7 + [32768] * 24),
    *(34465480, 34465999),  # time tags
    *(944, 17),  # start cells
    *(1720, 4000, 8, 1, 4096, 250),
    *([3276] + [32768] * 7),
    34465485,
]
LIME_B = [*LIME_A[:41], 5, 6, *LIME_A[41:], 7]
LIME_C = [1000, *LIME_B]


def _words(values: list[int]) -> Any:
    return np.array(values, "<u4")


@pytest.mark.parametrize(
    ("generation", "words"), [("A", LIME_A), ("B", LIME_B), ("C", LIME_C)], ids="ABC"
)
def test_headers_of_each_generation(generation: Generation, words: list[int]) -> None:
    header = digitizer.decode_header(_words(words))
    assert header.generation == generation
    fast, slow_board = header.boards
    assert (fast.model, fast.samples, fast.channels, fast.triggers) == (1742, 1024, 32, 2)
    assert (fast.resolution, fast.sampling, fast.sample_period_ns) == (4096, 1333, 1.333)
    assert fast.time_tags.tolist() == [34465480, 34465999]
    assert fast.start_cells is not None and fast.start_cells.tolist() == [944, 17]
    assert fast.dc_offset_fractions[:2].round(3).tolist() == [-0.5, -0.3]
    assert (slow_board.model, slow_board.samples, slow_board.triggers) == (1720, 4000, 1)
    assert slow_board.sample_period_ns == 4.0
    assert slow_board.start_cells is None
    assert slow_board.time_tags.tolist() == [34465485]
    if generation == "A":
        assert fast.high_time_tags is None
        assert fast.extended_time_tags.tolist() == [34465480, 34465999]
    else:
        assert fast.high_time_tags is not None and fast.high_time_tags.tolist() == [5, 6]
        assert fast.extended_time_tags[0] == (5 << 30) | 34465480
        assert slow_board.extended_time_tags[0] == (7 << 32) | 34465485
    assert header.waveform_words == 2 * 32 * 1024 + 8 * 4000
    assert digitizer.encode_header(header).tolist() == words


def test_a_header_can_be_written_in_another_generation() -> None:
    header = digitizer.decode_header(_words(LIME_C))
    assert digitizer.encode_header(header, "A").tolist() == LIME_A
    assert digitizer.encode_header(header, "B").tolist() == LIME_B
    without = digitizer.decode_header(_words(LIME_A))
    assert digitizer.decode_header(digitizer.encode_header(without, "C")).generation == "C"


@st.composite
def headers(draw: st.DrawFn) -> DigitizerHeader:
    generation = draw(st.sampled_from(get_args(Generation)))
    words = st.integers(0, 2**32 - 1)
    boards = []
    for _ in range(draw(st.integers(1, 3))):
        channels, triggers = draw(st.integers(1, 4)), draw(st.integers(0, 5))
        model = draw(st.sampled_from([1742, 1720]))

        def some(count: int, values: Any = words) -> Any:
            return _words(draw(st.lists(values, min_size=count, max_size=count)))

        boards.append(
            BoardHeader(
                model=model,
                samples=draw(st.integers(1, 20)),
                channels=channels,
                resolution=4096,
                sampling=1333 if model == 1742 else 250,
                dc_offsets=some(channels),
                time_tags=some(triggers),
                high_time_tags=None if generation == "A" else some(triggers),
                start_cells=some(triggers, st.integers(0, 1023)) if model == 1742 else None,
            )
        )
    return DigitizerHeader(generation, tuple(boards))


@given(headers(), st.integers(0, 1000))
def test_headers_and_waveforms_come_back(header: DigitizerHeader, seed: int) -> None:
    random = np.random.default_rng(seed)
    waveforms = [
        random.integers(0, 4096, (b.triggers, b.channels, b.samples), np.uint16)
        for b in header.boards
    ]
    builder = _builder()
    digitizer.encode(builder, header, waveforms)
    event = _event(builder)
    assert list(event) == ["DIG0", "DGH0"]
    decoded, views = digitizer.decode(event)
    no_triggers = not any(board.triggers for board in header.boards)
    # without triggers the words of A and B are the same, and mean the same
    assert decoded.generation == header.generation or (no_triggers and decoded.generation == "A")
    again = digitizer.encode_header(decoded, header.generation)
    assert again.tolist() == digitizer.encode_header(header).tolist()
    for waveform, view in zip(waveforms, views, strict=True):
        assert np.array_equal(view, waveform)
        assert not view.size or np.shares_memory(view, event["DIG0"])


def test_words_that_close_as_a_and_as_b_are_told_apart_by_the_samples() -> None:
    one_board = [1720, 1, 1, 1, 4096, 250, 0, 5]
    # as B: 1742 is the first board's upper time tag; as A: it is the second board's model
    words = _words([2, *one_board, 1742, 1720, 2, 1, 1, 4096, 250, 0, 9, 9])
    readings = {size: digitizer.decode_header(words, size).generation for size in (3, 3441)}
    assert readings == {1 + 2: "B", 1 + 2 * 1720: "A"}
    assert digitizer.decode_header(words).generation == "A"


def test_an_event_without_triggers_has_headers_and_no_samples() -> None:
    board = BoardHeader(1720, 4000, 8, 4096, 250, _words([32768] * 8), _words([]))
    builder = _builder()
    digitizer.encode(builder, DigitizerHeader("A", (board,)), [np.empty((0, 8, 4000), np.uint16)])
    header, waveforms = digitizer.decode(_event(builder))
    assert header.boards[0].triggers == 0
    assert waveforms[0].shape == (0, 8, 4000)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "is empty"),
        (LIME_A[:-1], "1 words wanted, 0 are left"),
        ([*LIME_A, 0], "1 words are left over"),
        (LIME_C[:-1], "generation C: board 1"),
        ([9, *LIME_A[1:]], "9 boards, at most 8"),
        ([1, 1742, 1024, 0, 0, 4096, 1333], "0 channels"),
        ([1, 1742, 1024, 4_000_000_000, 0, 4096, 1333], "4000000000 channels"),
        ([1, 1720, 1024, 1, 2000, 4096, 250], "2000 triggers"),
        ([1, 999, 1024, 1, 0, 4096, 250, 0], "model 999"),
        ([1, 1720, 0, 1, 0, 4096, 250, 0], "0 samples"),
        ([1, 1742, 9, 1, 1, 4096, 250, 0, 0, 1024], "start cell 1024, there are 1024"),
    ],
)
def test_damaged_headers_are_named(words: list[int], reason: str) -> None:
    with pytest.raises(LayoutError, match=reason):
        digitizer.decode_header(_words(words))


@given(st.integers(0, len(LIME_C) - 1), st.integers(0, 2**32 - 1))
def test_a_damaged_word_gives_our_error_or_a_header_that_closes(at: int, word: int) -> None:
    words = _words(LIME_C)
    words[at] = word
    try:
        header = digitizer.decode_header(words)
    except LayoutError:
        return
    assert len(digitizer.encode_header(header)) == len(words)


def test_waveforms_must_fit_their_header() -> None:
    header = digitizer.decode_header(_words(LIME_A))
    with pytest.raises(LayoutError, match="DIG0 holds 7 samples, DGH0 speaks of 97536"):
        digitizer.decode_waveforms(np.zeros(7, np.uint16), header)
    with pytest.raises(LayoutError, match="DIG0 is of type int32"):
        digitizer.decode_waveforms(np.zeros(7, np.int32), header)
    with pytest.raises(LayoutError, match="DGH0 is of type uint16"):
        digitizer.decode_header(np.zeros(7, np.uint16))
    with pytest.raises(LayoutError, match="1 boards of waveforms, 2 in the header"):
        digitizer.encode(_builder(), header, [np.zeros((2, 32, 1024), np.uint16)])
    wrong = [np.zeros((1, 32, 1024), np.uint16), np.zeros((1, 8, 4000), np.uint16)]
    with pytest.raises(LayoutError, match=r"board 0: waveforms uint16 \(1, 32, 1024\), the header"):
        digitizer.encode(_builder(), header, wrong)


def test_boards_that_contradict_themselves_are_not_written() -> None:
    one, none = _words([1]), _words([])
    for board, reason in (
        (BoardHeader(1720, 4, 2, 4096, 250, one, none), "1 DC offsets, 2 channels"),
        (BoardHeader(1720, 0, 1, 4096, 250, one, none), "waveforms of no samples"),
        (BoardHeader(1720, 4, 1, 4096, 250, one, one, start_cells=one), "start cells belong to"),
        (BoardHeader(1742, 4, 1, 4096, 1333, one, one), "start cells belong to"),
        (BoardHeader(1742, 4, 1, 4096, 1333, one, one, start_cells=none), "0 start cells, 1"),
        (BoardHeader(1720, 4, 1, 4096, 250, one, one, high_time_tags=none), "0 high tags, 1"),
    ):
        with pytest.raises(LayoutError, match=reason):
            digitizer.encode_header(DigitizerHeader("C", (board,)))


def test_dc_offsets_are_clamped() -> None:
    assert digitizer.dc_offset_words([-0.7, -0.25, 0.7]).tolist() == [0, 16384, 65536]


# times --------------------------------------------------------------------------------------------


def test_frame_counters_and_times() -> None:
    builder = _builder()
    times.encode_time(builder, 1_700_000_000)
    times.encode_fid(builder, 2**32 + 5)
    times.encode_tsp(builder, 12_345_678_901, 1)
    event = _event(builder)
    assert list(event) == ["TIME", "FID0", "TSP1"]
    assert event["TSP1"].tolist() == [12, 345_678]
    assert times.decode_fid(event) == 5
    assert times.decode_tsp(event, 1) == 12_345_678_000
    assert times.decode_time(event) == 1_700_000_000


@given(st.integers(0, 2**32 * 1_000_000 - 1))
def test_frame_times_come_back_in_microseconds(microseconds: int) -> None:
    builder = _builder(size=100)
    times.encode_tsp(builder, microseconds * 1000 + 999)
    assert times.decode_tsp(_event(builder)) == microseconds * 1000


def test_frame_times_that_do_not_fit_are_refused() -> None:
    for time_ns in (-1, 2**32 * 10**9):
        with pytest.raises(LayoutError, match="bank TSP holds 0 to 4294967295 s"):
            times.encode_tsp(_builder(), time_ns)


def test_times_of_another_shape_are_refused() -> None:
    builder = _builder()
    builder.add("FID0", Tid.DWORD, [1, 2])
    builder.add("FID1", Tid.WORD, [1])
    event = _event(builder)
    for index in (0, 1):
        with pytest.raises(LayoutError, match=f"bank FID{index} holds .* wanted 1 TID_DWORD"):
            times.decode_fid(event, index)


def test_the_time_of_an_event_in_each_generation() -> None:
    event = _event(_builder())
    assert times.event_time_s(event) == 1_700_000_000.0
    builder = _builder()
    later = parse_event(builder.finish(1, 2500))
    assert times.event_time_s(later, time_zero_s=1_700_000_000) == 1_700_000_002.5


# slow control -------------------------------------------------------------------------------------


def test_inputs_belong_to_their_equipment() -> None:
    builder = _builder(slow.ENVIRONMENT_ID)
    slow.encode_inputs(builder, [9.5, 13.0])
    event = _event(builder)
    assert slow.decode_inputs(event).tolist() == [9.5, 13.0]
    assert event["INPT"].dtype == np.float32
    builder = _builder(slow.SOURCE_MOTOR_ID)
    slow.encode_inputs(builder, np.arange(12.0))
    motor = _event(builder)
    assert len(slow.decode_inputs(motor, slow.SOURCE_MOTOR_ID)) == 12
    with pytest.raises(LayoutError, match="event id 9 has another INPT; wanted id 5"):
        slow.decode_inputs(motor)


def test_camera_temperatures_and_trigger_rates() -> None:
    builder = _builder(slow.CAMERA_STATUS_ID)
    slow.encode_camera_temperatures(builder, [-18.5])
    assert slow.decode_camera_temperatures(_event(builder)).tolist() == [-18.5]
    builder = _builder(slow.TRIGGER_MODULE_ID)
    slow.encode_trigger_rates(builder, [0.5, 0, 0, 0, 4.5])
    assert slow.decode_trigger_rates(_event(builder)).tolist() == [0.5, 0, 0, 0, 4.5]
    with pytest.raises(LayoutError, match="2 trigger rates, wanted 5"):
        slow.encode_trigger_rates(_builder(), [1, 2])
    builder = _builder(slow.TRIGGER_MODULE_ID)
    builder.add("TMOD", Tid.FLOAT, [1.0])
    with pytest.raises(LayoutError, match="TMOD holds 1 rates, wanted 5"):
        slow.decode_trigger_rates(_event(builder))
    builder = _builder(slow.ENVIRONMENT_ID)
    builder.add("INPT", Tid.DOUBLE, [1.0])
    with pytest.raises(LayoutError, match="INPT is TID_DOUBLE, wanted TID_FLOAT"):
        slow.decode_inputs(_event(builder))


# high voltage -------------------------------------------------------------------------------------


def _reading(channels: int) -> high_voltage.HighVoltage:
    volts = np.linspace(10, 440, channels, dtype=np.float32)
    return high_voltage.HighVoltage(
        demand=volts,
        measured=volts + np.float32(0.25),
        current=np.zeros(channels, np.float32),
        status=np.ones(channels, np.uint32),
        temperature=np.full(channels, 25, np.float32),
    )


def test_high_voltage_comes_back_in_five_banks() -> None:
    builder = _builder(high_voltage.HIGH_VOLTAGE_ID)
    high_voltage.encode_high_voltage(builder, _reading(26))
    event = _event(builder)
    assert list(event) == ["DMND", "MSRD", "CRNT", "STAT", "TPTR"]
    reading = high_voltage.decode_high_voltage(event)
    assert reading.channels == 26
    assert np.array_equal(reading.measured, _reading(26).measured)
    assert reading.status.dtype == np.uint32


def test_high_voltage_banks_must_agree() -> None:
    good = _reading(3)
    bad = high_voltage.HighVoltage(
        good.demand, good.measured[:2], good.current, good.status, good.temperature
    )
    with pytest.raises(LayoutError, match=r"different lengths: .*'MSRD': 2"):
        high_voltage.encode_high_voltage(_builder(), bad)
    builder = _builder(3)
    for name in ("DMND", "MSRD", "CRNT", "STAT", "TPTR"):
        builder.add(name, Tid.FLOAT, [1.0])
    with pytest.raises(LayoutError, match="STAT is TID_FLOAT, wanted TID_DWORD"):
        high_voltage.decode_high_voltage(_event(builder))
    with pytest.raises(BankMissingError, match="no bank DMND"):
        high_voltage.decode_high_voltage(_event(_builder(3)))
