"""Recipes as others published them, by name.

What belongs here: values of `ClassifierRecipe`, and where they are from. What does not: what the settings mean
(`classifier_settings.py`, `model_settings.py`, `text_model_settings.py`).

Both of the first kind train pooler and head of a frozen encoder by squared error with AdamW, the rate falling linearly
to 0, without weight decay or dropout, and keep the epoch with the best macro-F1. They are the published recipes where
`encoder` has `pooling: cls` and `normalize: false`. What differs here: float32 in place of bfloat16; the pooler starts
from random values, also where the encoder's files hold one; the best epoch is chosen after each epoch, not each 1000 or
600 steps; and what it is measured on is held out of both training and choosing.
"""

from collections.abc import Mapping
from typing import Any, Literal

from datashop_assets.encoder_settings import EncoderSettings

PresetName = Literal["fineweb_edu", "llm_data_eval", "medu"]

_POOLER: Mapping[str, Any] = {
    "kind": "pooler",
    "learning_rate": 3e-4,
    "schedule": "linear",
    "warmup_share": 0.0,
    "patience": None,
    "best_by": "macro_f1",
    "weight_decay": 0.0,
    "dropout": 0.0,
    "standardize": False,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Penedo et al. 2024 (arXiv:2406.17557) and the training script of HuggingFaceFW/fineweb-edu-classifier.
    "fineweb_edu": {
        "validation_share": 0.1,
        "seed": 0,
        "split_seed": 42,
        "model": {**_POOLER, "epochs": 20, "batch_size": 256},
    },
    # The script of latam-gpt/llm-data-eval.
    "llm_data_eval": {
        "validation_share": 0.05,
        "seed": 0,
        "split_seed": 42,
        "model": {**_POOLER, "epochs": 60, "batch_size": 2800},
    },
    # The encoder of DataShop in marin-community/marin, which implements MEDU (arXiv:2501.11747).
    "medu": {
        "validation_share": 0.1,
        "split_seed": 42,
        "model": {
            "kind": "fine_tune",
            "learning_rate": 5e-5,
            "schedule": "cosine",
            "warmup_share": 0.1,
            "epochs": 3.0,
            "max_tokens": 512,
            "batch_size": 128,
            "evaluate_steps": 100,
            "best_by": "macro_f1",
        },
    },
}


def with_preset(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, over what the preset in it says; a `model` of another kind replaces the preset's whole."""
    preset = PRESETS.get(str(given.get("preset")), {})
    values = {**preset, **given}
    if isinstance(model := given.get("model"), Mapping) and "model" in preset:
        same = model.get("kind", preset["model"]["kind"]) == preset["model"]["kind"]
        values["model"] = {**(preset["model"] if same else {}), **model}
    return values


def deviations(preset: str | None, encoder: EncoderSettings) -> tuple[str, ...]:
    """Why training by a preset is not the published recipe with this encoder, in words; nothing where it is."""
    if preset == "medu":
        return (
            "the preset medu is published on gte-base-en-v1.5, which is code of its own and is not run here; "
            "gte-modernbert-base is its native substitute, where `model` names no other",
        )
    if preset is None or PRESETS[preset].get("model", {}).get("kind") != "pooler":
        return ()
    if encoder.pooling == "cls" and not encoder.normalize:
        return ()
    made = f"{encoder.pooling} vectors{' of unit length' if encoder.normalize else ''}"
    return (
        f"the preset {preset} is the published recipe on CLS states that are not normalised (encoder: pooling: cls, "
        f"normalize: false); here it trains the same layers on {made}",
    )
