"""The reference of the project file is the one that the settings give."""

from datashop_assets.project import LensSettings, Project
from datashop_assets.project_reference import DOCUMENT, reference


def test_the_document_is_current() -> None:
    written = DOCUMENT.read_text(encoding="utf-8")
    assert written == reference(), "run `python -m datashop_assets.project_reference`"


def test_every_key_stands_in_it_with_its_bounds() -> None:
    text = reference()
    for settings in (Project, LensSettings):
        for key in settings.model_fields:
            assert f"| `{key}` |" in text
    assert "| `sample_per_shard` | integer >= 0 | `200` |" in text
    assert "[KeepFraction](#keepfraction) or [Quotas](#quotas) or [Threshold](#threshold)" in text
