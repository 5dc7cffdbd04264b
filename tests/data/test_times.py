"""Times of every kind: read where one reading is possible, refused with a remedy that works where several are."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isrf.core.config import DataSettings, validated
from isrf.core.errors import IsrfError
from isrf.data.dataset import Columns, Dataset
from isrf.data.describe import told_of
from isrf.data.readers.registry import read_dataset
from isrf.data.readers.times import families_of

MOMENT = datetime(2017, 7, 14, 2, 40, 7, 250_000, tzinfo=UTC)


def read(folder: Path, times: list[object] | pl.Series, **changes: object) -> Dataset:
    """A log of one user, with a time a row, from CSV or, where they are a Series, from Parquet."""
    file = folder / ("log.parquet" if isinstance(times, pl.Series) else "log.csv")
    items = [f"i{n}" for n in range(len(times))]
    if isinstance(times, pl.Series):
        pl.DataFrame({"user": ["u"] * len(items), "item": items, "time": times}).write_parquet(file)
    else:
        rows = [f'u,{item},"{time}"' for item, time in zip(items, times, strict=True)]
        file.write_text("\n".join(["user,item,time", *rows]), encoding="utf-8")
    return read_dataset(str(file), None, DataSettings(min_interactions=0, **changes))  # type: ignore[arg-type]


def times_of(dataset: Dataset) -> list[int]:
    return dataset.interactions.sort(Columns.ITEM)[Columns.TIME].to_list()


def refused(folder: Path, times: list[object] | pl.Series, **changes: object) -> str:
    with pytest.raises(IsrfError) as caught:
        read(folder, times, **changes)
    return str(caught.value)


def epoch_ms(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


SECONDS, DAYS, MINUTES, HOURS = 1000, 86_400_000, 60_000, 3_600_000
EASTERN = timezone(timedelta(hours=-3, minutes=-30))
FORMS: dict[str, tuple[int, Callable[[datetime], object]]] = {
    "seconds": (SECONDS, lambda t: int(t.timestamp())),
    "seconds with a fraction": (1, lambda t: f"{epoch_ms(t) // 1000}.{epoch_ms(t) % 1000:03}"),
    "milliseconds": (1, epoch_ms),
    "microseconds": (1, lambda t: epoch_ms(t) * 1000),
    "nanoseconds": (1, lambda t: epoch_ms(t) * 1_000_000),
    "yyyymmdd": (DAYS, lambda t: f"{t:%Y%m%d}"),
    "yyyymmdd of a float": (DAYS, lambda t: f"{t:%Y%m%d}.0"),
    "yyyymmddhhmm": (MINUTES, lambda t: f"{t:%Y%m%d%H%M}"),
    "yyyymmddhhmmss": (SECONDS, lambda t: f"{t:%Y%m%d%H%M%S}"),
    "yyyymmddhhmmssfff": (1, lambda t: f"{t:%Y%m%d%H%M%S}{t.microsecond // 1000:03}"),
    "ISO basic": (SECONDS, lambda t: f"{t:%Y%m%dT%H%M%SZ}"),
    "ISO": (1, lambda t: t.isoformat(timespec="milliseconds")),
    "ISO with another offset": (1, lambda t: t.astimezone(EASTERN).isoformat(timespec="milliseconds")),
    "PostgreSQL": (1, lambda t: re.sub(r":00$", "", str(t.replace(microsecond=t.microsecond // 1000 * 1000)))),
    "offset without a colon": (SECONDS, lambda t: f"{t.astimezone(EASTERN):%Y-%m-%d %H:%M:%S%z}"),
    "year/month/day": (MINUTES, lambda t: f"{t:%Y/%m/%d %H:%M}"),
    "year.month.day": (DAYS, lambda t: f"{t.year}.{t.month}.{t.day}"),
    "Chinese": (DAYS, lambda t: f"{t.year}年{t.month}月{t.day}日"),
    "RFC 2822": (SECONDS, format_datetime),
    "ctime": (SECONDS, lambda t: t.strftime("%a %b %e %H:%M:%S %Y")),
    "web log": (SECONDS, lambda t: f"{t:%d/%b/%Y:%H:%M:%S +0000}"),
    "day and name": (DAYS, lambda t: f"{t.day} {t:%b %Y}"),
    "name and day": (MINUTES, lambda t: f"{t:%B} {t.day}, {t:%Y %I:%M %p}"),
    "no blanks": (DAYS, lambda t: f"{t:%d%b%Y}".upper()),
    "JavaScript": (SECONDS, lambda t: f"{t.astimezone(EASTERN):%a %b %d %Y %H:%M:%S GMT%z} (somewhere)"),
    "Go": (SECONDS, lambda t: f"{t.astimezone(EASTERN):%Y-%m-%d %H:%M:%S %z} -0330"),
    "Go in UTC": (1, lambda t: f"{t:%Y-%m-%d %H:%M:%S}.{t.microsecond // 1000:03}000000 +0000 UTC"),
    "days of a spreadsheet": (1, lambda t: f"{epoch_ms(t) / DAYS + 25_569:.10f}"),
}
"""Form -> its coarseness in milliseconds, and how it is written; each of one reading, whatever the day."""
of_logs = st.datetimes(datetime(1990, 1, 2), datetime(2099, 12, 30), timezones=st.just(UTC))


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None)
@given(times=st.lists(of_logs, min_size=1, max_size=5))
def test_every_form_comes_back_as_the_same_milliseconds(form: str, times: list[datetime]) -> None:
    coarse, written = FORMS[form]
    texts = pl.Series([str(written(time)) for time in times], dtype=pl.String)
    readings = [r for family in families_of(texts) for r in family.readings]
    expected = [epoch_ms(time) // coarse * coarse for time in times]
    found = [[r.times[n] for r in readings if r.times[n] is not None] for n in range(len(times))]
    assert found == [[value] for value in expected]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_from_a_log_and_told_of(form: str, tmp_path: Path) -> None:
    coarse, written = FORMS[form]
    dataset = read(tmp_path, [written(MOMENT + timedelta(days=n)) for n in range(9)])
    assert times_of(dataset) == [epoch_ms(MOMENT + timedelta(days=n)) // coarse * coarse for n in range(9)]
    told = [line for line in dataset.warnings if "was read as" in line]
    assert not any("1970-" in line for line in told)


def test_a_reading_that_is_not_the_plainest_is_told_of(tmp_path: Path) -> None:
    for times, words in (
        (["20170714", "20170716"], "digits yyyymmdd: 2017-07-14 to 2017-07-16"),
        (["42930", "42932.5"], "days of a spreadsheet (1 = 1900-01-01): 2017-07-14 to 2017-07-16"),
        (["14/07/2017", "01/08/2017"], "day/month/year: 2017-07-14 to 2017-08-01"),
        (["1500000000000000"], "microseconds since 1970: 2017-07-14 to 2017-07-14"),
    ):
        (line,) = read(tmp_path, times).warnings  # type: ignore[arg-type]
        assert line == f"column 'time' of log.csv was read as {words}"
    assert not read(tmp_path, ["1500000000", "1500000001"]).warnings
    assert not read(tmp_path, ["2017-07-14", "2017-07-15 12:00"]).warnings


@pytest.mark.parametrize(
    "times", [["5", "7"], ["2017", "2018"], ["201707", "201708"], ["99999999", "88888888"], ["-4", "9e9"]]
)
def test_times_that_no_log_has_are_never_silent(times: list[str], tmp_path: Path) -> None:
    told = told_of(read(tmp_path, times))  # type: ignore[arg-type]
    (line,) = [line for line in told if line.startswith("warning: column 'time'")]
    assert "outside the years 1990 to 2100" in line and "--set data.time_format=" in line


def test_ten_digits_that_are_all_dates_are_refused(tmp_path: Path) -> None:
    times = [f"{MOMENT + timedelta(hours=7 * n):%y%m%d%H%M}" for n in range(40)]
    said = refused(tmp_path, times)  # type: ignore[arg-type]
    assert "times like '1707140240' can be read as seconds since 1970 and as digits yymmddhhmm" in said
    assert "--set data.time_format=seconds or --set data.time_format=%y%m%d%H%M" in said
    assert times_of(read(tmp_path, times, time_format="%y%m%d%H%M"))[0] == epoch_ms(MOMENT) // MINUTES * MINUTES  # type: ignore[arg-type]
    assert times_of(read(tmp_path, times, time_format="seconds"))[0] == 1_707_140_240_000  # type: ignore[arg-type]
    for start, step in ((1_707_140_240, 1), (1_500_000_000, 60), (1_707_140_240, 3600), (1_111_111_111, 86_400)):
        assert not read(tmp_path, [start + n * step for n in range(40)]).warnings, "epochs"


@pytest.mark.parametrize("since", [datetime(1, 1, 1, tzinfo=UTC), datetime(1601, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("year", [1991, 2017, 2090])
def test_ticks_and_file_times_are_refused(since: datetime, year: int, tmp_path: Path) -> None:
    first = (MOMENT.replace(year=year) - since) // timedelta(microseconds=1) * 10
    ticks = [first + n * 10_000_000 for n in range(5)]
    for times in (ticks, pl.Series(ticks)):
        said = refused(tmp_path, times)  # type: ignore[arg-type]
        assert f"times like '{first}' look like " in said and ("ticks" if since.year == 1 else "file times") in said
    assert read(tmp_path, list(ticks), time_format="nanoseconds").warnings


@pytest.mark.parametrize("form", ["%d%m%Y%H%M", "%m%d%Y%H%M", "%d%m%Y%H%M%S", "%m%d%Y"])
def test_digits_with_the_year_in_the_middle(form: str, tmp_path: Path) -> None:
    moments = [MOMENT + timedelta(days=n, hours=n) for n in range(9)]
    dataset = read(tmp_path, [f"{t:{form}}" for t in moments])
    expected = [datetime.strptime(f"{t:{form}}", form).replace(tzinfo=UTC) for t in moments]
    assert times_of(dataset) == [epoch_ms(t) for t in expected]
    assert any("was read as digits" in line for line in dataset.warnings)
    both = refused(tmp_path, [f"{t:{form}}" for t in (MOMENT.replace(day=3), MOMENT.replace(day=4))])
    assert "can be read as" in both and f"--set data.time_format={form}" in both


def test_one_day_above_twelve_decides_for_the_column(tmp_path: Path) -> None:
    fourth = epoch_ms(datetime(2014, 2, 4, tzinfo=UTC))
    assert times_of(read(tmp_path, ["04/02/2014", "31/12/2014"]))[0] == fourth
    assert times_of(read(tmp_path, ["02-04-2014 10:00 AM", "12-31-2014 12:30 am"]))[0] == fourth + 10 * HOURS
    assert times_of(read(tmp_path, ["02/04/14", "12/31/14"]))[0] == fourth
    assert "as day/month/year and as year/month/day" in refused(tmp_path, ["04.02.14", "31.12.14"]), "2031-12-14"
    assert times_of(read(tmp_path, ["99-02-04", "14-12-31"]))[0] == fourth - 15 * 365 * DAYS - 4 * DAYS
    assert times_of(read(tmp_path, ["02 04, 2014", "02 14, 2014"]))[0] == fourth
    assert times_of(read(tmp_path, ["4.2.2014", "4.2.2014", "31.12.2014"]))[0] == fourth
    assert times_of(read(tmp_path, ["05/05/2014", "06/06/2014"])), "the same either way"


def test_dates_that_both_orders_fit_are_refused_and_a_setting_says_which(tmp_path: Path) -> None:
    times = ["04/02/2014", "05/03/2014"]
    said = refused(tmp_path, times)
    assert "can be read as day/month/year and as month/day/year" in said and "skip" not in said
    for order, first in (
        ("day-first", datetime(2014, 2, 4, tzinfo=UTC)),
        ("month-first", datetime(2014, 4, 2, tzinfo=UTC)),
    ):
        assert f"--set data.time_format={order}" in said
        assert times_of(read(tmp_path, times, time_format=order))[0] == epoch_ms(first)


def test_two_kinds_of_dates_in_one_column_are_refused(tmp_path: Path) -> None:
    for policy in ("fail", "skip"):
        said = refused(tmp_path, ["04/02/2014", "31/12/2014", "12/31/2014"], on_bad_row=policy)
        assert "row 3 ('31/12/2014') is day/month/year alone, row 4 ('12/31/2014') is month/day/year alone" in said
        assert "--set data.time_format=day-first or --set data.time_format=month-first" in said
    dataset = read(tmp_path, ["04/02/2014", "31/12/2014", "12/31/2014"], on_bad_row="skip", time_format="day-first")
    assert dataset.counts["rows rejected"] == 1
    assert "row 3, column time: time '31/04/2014' is not day/month/year" in refused(
        tmp_path, ["30/04/2014", "31/04/2014"]
    )


def test_zones_by_name_are_named_and_not_read(tmp_path: Path) -> None:
    for zone in ("CEST", "Europe/Berlin"):
        said = refused(tmp_path, [f"2017-07-14 02:40 {zone}", f"2017-07-15 02:40 {zone}"])
        assert f"times like '2017-07-14 02:40 {zone}' name a zone" in said and "+02:00" in said and "skip" not in said
    assert times_of(read(tmp_path, ["2017-07-14T04:40:07.250+02:00[Europe/Berlin]"])) == [epoch_ms(MOMENT)]


def test_types_of_parquet(tmp_path: Path) -> None:
    whole = epoch_ms(MOMENT)
    for times, expected in (
        (pl.Series([whole, whole + 1]).cast(pl.Datetime("ms", "Asia/Tokyo")), whole),
        (pl.Series([whole * 1_000_000, None], dtype=pl.Float64), whole),
        (pl.Series([20_170_714, None], dtype=pl.Float32).cast(pl.Int32), whole // DAYS * DAYS),
        (pl.Series([20_170_714_024_007], dtype=pl.UInt64), whole // 1000 * 1000),
        (pl.Series(["20170714"]).cast(pl.Categorical), whole // DAYS * DAYS),
    ):
        assert times_of(read(tmp_path, times, on_bad_row="skip"))[0] == expected, times
    for times, words in (
        (pl.Series([whole]).cast(pl.Duration("ms")), "durations"),
        (pl.Series([5], dtype=pl.Int64).cast(pl.Time), "times of day without a date"),
        (pl.Series([[whole]]), "lists"),
        (pl.Series([True]), "truth values"),
    ):
        said = refused(tmp_path, times)
        assert "log.parquet: column time: holds " in said and words in said and "data.time_column=NAME" in said


@pytest.mark.parametrize(
    ("time", "time_format", "expected"),
    [
        ("20170714", "seconds", 20_170_714_000),
        ("42930", "seconds", 42_930_000),
        ("1500000000", "milliseconds", 1_500_000_000),
        ("1500000000123999", "microseconds", 1_500_000_000_123),
        ("1500000000123456789", "nanoseconds", 1_500_000_000_123),
        ("2017-07-14T04:40:00.5+02:00", "iso", 1_500_000_000_500),
        ("1", "spreadsheet", -2_209_075_200_000),
        ("02/04/2014", "day-first", 1_396_396_800_000),
        ("02/04/2014", "month-first", 1_391_472_000_000),
        ("14-02-04", "year-first", 1_391_472_000_000),
        ("2017-07-14", "iso", 1_499_990_400_000),
        ("2017-07", "%Y-%m", 1_498_867_200_000),
        ("14072017", "%d%m%Y", 1_499_990_400_000),
        ("20170714.0", "%Y%m%d", 1_499_990_400_000),
        ("14|07|17 2h40", "%d|%m|%y %Hh%M", 1_500_000_000_000),
        ("14.07.2017 04:40 +0200", "%d.%m.%Y %H:%M %z", 1_500_000_000_000),
    ],
)
def test_a_setting_says_how_times_are_written(time: str, time_format: str, expected: int, tmp_path: Path) -> None:
    assert times_of(read(tmp_path, [time], time_format=time_format)) == [expected]
    said = refused(tmp_path, [time, "soon"], time_format=time_format)
    assert "row 3, column time: time 'soon' is not" in said and "skip" in said
    assert "no row holds a time: row 2 has 'soon'" in refused(tmp_path, ["soon"], time_format=time_format)


def test_a_setting_of_no_format_is_refused() -> None:
    for wrong in ("dd/mm/yyyy", "%Q", "day"):
        with pytest.raises(IsrfError, match=r"data\.time_format"):
            validated({"data": {"time_format": wrong}})
    assert validated({"data": {"time_format": "%d/%m/%Y"}}).data.time_format == "%d/%m/%Y"


@pytest.mark.parametrize("at", ["20170720", "2017/07/20", "20 Jul 2017", "42936", "1500508800000000", "20.07.2017"])
def test_the_date_of_a_split_may_be_of_any_kind(at: str, tmp_path: Path) -> None:
    times = [f"2017-07-{day:02}" for day in range(1, 31)]
    dataset = read(tmp_path, times, split="temporal", split_at=at)  # type: ignore[arg-type]
    assert "test from then on" in (dataset.protocol or "") and "before 2017-07-20, test" in (dataset.protocol or "")


def test_the_date_of_a_split_of_two_readings(tmp_path: Path) -> None:
    times = [f"{day:02}/07/2017" for day in range(1, 31)]
    said = refused(tmp_path, times, split="temporal", split_at="07/08/2017")  # type: ignore[arg-type]
    assert "can be read as 2017-08-07 or 2017-07-08" in said
    dataset = read(tmp_path, times, split="temporal", split_at="12/07/2017", time_format="day-first")  # type: ignore[arg-type]
    assert "before 2017-07-12, test" in (dataset.protocol or "")


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=25), st.from_regex(r"[0-9]{1,4}[-/. ][0-9]{1,4}[-/. ][0-9]{1,4}", fullmatch=True)),
        max_size=6,
    )
)
def test_any_texts_are_times_or_none(texts: list[str]) -> None:
    for family in families_of(pl.Series(texts, dtype=pl.String)):
        assert all(len(reading.times) == len(texts) for reading in family.readings)


@pytest.mark.parametrize("text", ["２０２４-０１-０１", "２０２４年１月１日", "٢٠٢٤-٠١-٠١"])
def test_digits_of_other_scripts_are_refused_in_one_line(text: str, tmp_path: Path) -> None:
    rows = [f"u{n % 3},i{n % 4},{text}" for n in range(12)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(IsrfError, match="time"):
        read_dataset(str(tmp_path / "log.csv"), None, DataSettings(min_interactions=0))
