"""Languages: told with confidence or not at all."""

import sys

import pytest

from datashop_assets import languages


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("The cell divides when its two copies have moved to opposite ends.", "en", id="English"),
        pytest.param("Die Zelle teilt sich, sobald ihre beiden Kopien auseinandergerückt sind.", "de", id="German"),
        pytest.param("細胞は二つの複製が両端に移動したときに分裂します。", "ja", id="Japanese"),
        pytest.param("12345 67890 3.14159", languages.UNKNOWN, id="numbers only"),
        pytest.param("", languages.UNKNOWN, id="nothing"),
        pytest.param("!function(e,t){var n=e[t]=e[t]||[];n.x=1}(0,1)", languages.UNKNOWN, id="minified code"),
    ],
)
def test_a_language_is_told_from_its_text_and_never_guessed(text: str, code: str) -> None:
    pytest.importorskip("py3langid")
    assert languages.language(text) == code


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    languages._identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(ImportError, match=r"datashop\[languages\]"):
        languages.language("some text")
