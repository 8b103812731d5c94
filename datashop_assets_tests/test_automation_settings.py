"""What a project file may say of automation."""

import pytest

from datashop_assets.automation_settings import BackfillSettings


@pytest.mark.parametrize("cron", ["0 2 * * *", "*/5 1-3 * * mon-fri", "@daily"])
def test_times_that_come_round_are_taken(cron: str) -> None:
    assert BackfillSettings(cron=cron).cron == cron


@pytest.mark.parametrize(
    ("cron", "fault"),
    [
        pytest.param("99 2 * * *", "the minute of .* cannot be '99'", id="no such minute"),
        pytest.param("0 2 * * someday", "the day of the week of .* cannot be 'someday'", id="no such day"),
        pytest.param("0 0 31 2 *", "no month has that day", id="the end of February"),
        pytest.param("0 0 2 * * *", "five fields", id="with seconds"),
        pytest.param("@reboot", "no time that comes round", id="once"),
    ],
)
def test_a_time_that_is_none_is_refused_naming_its_field(cron: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        BackfillSettings(cron=cron)
