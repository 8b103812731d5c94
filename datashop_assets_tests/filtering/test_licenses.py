"""What the header of a card may say of a release's licence: never more than holds for every document."""

import pytest

from datashop_assets.filtering.licenses import license_header

OTHER = {"license": "other"}


@pytest.mark.parametrize(
    ("licenses", "header"),
    [
        pytest.param({"MIT"}, {"license": "mit"}, id="one, as the hub spells it"),
        pytest.param({"CC-BY-SA-4.0", "cc-by-sa-4.0"}, {"license": "cc-by-sa-4.0"}, id="one in two spellings"),
        pytest.param({"PSF-2.0"}, OTHER | {"license_name": "psf-2.0"}, id="one that the hub does not know"),
        pytest.param({"MIT OR 0BSD"}, OTHER | {"license_name": "mit-or-0bsd"}, id="a choice is none of its parts"),
        pytest.param({"MIT", "Apache-2.0"}, OTHER, id="two"),
        pytest.param({"MIT", None}, OTHER, id="one, and unknown for some documents"),
        pytest.param({None}, OTHER, id="unknown for all"),
        pytest.param({"NOASSERTION"}, OTHER, id="stated to be unknown"),
        pytest.param({"MIT", "NONE"}, OTHER, id="one, and stated to be none for some documents"),
    ],
)
def test_the_header_names_a_licence_only_where_every_document_has_it(
    licenses: set[str | None], header: dict[str, str]
) -> None:
    assert license_header(licenses) == header
