"""What a lens's filter asks, as a cut-off record keeps it, and what its documents are ranked by.

What belongs here: the policy and the population as one text and back, and the identity of a ranking. What does not:
the settings (`filter_settings.py`), deciding bounds (`cutoff.py`), reading documents (`candidates.py`).
"""

import json
from dataclasses import dataclass
from functools import cached_property

from pydantic import TypeAdapter

from datashop_assets.conditions import Condition, parse
from datashop_assets.filter_settings import CutoffPolicy, Draw, Filtered, KeepFraction, Quotas, Threshold
from datashop_assets.lineage import content_id

Policy = KeepFraction | Quotas | Threshold
POLICY: TypeAdapter[Policy] = TypeAdapter(CutoffPolicy)

# They decide when a record is made and how well its share is known, not which documents it keeps.
NOT_DECIDING = {"tolerance", "share_error"}
# Left out of a record where they are not used, as records made before there were any leave them out.
OPTIONAL = ("condition", "draw")

RANKING_RECIPE = 1


@dataclass(frozen=True)
class Rule:
    """A policy over the corpus, or over the documents that another lens keeps."""

    policy: Policy
    population: str | None = None

    @classmethod
    def of(cls, settings: Filtered) -> "Rule":
        """What the project file asks of a lens."""
        return cls(settings.cutoff, settings.population)

    @classmethod
    def from_text(cls, text: str) -> "Rule":
        """What a record asked for; what does not decide is at its default."""
        content = json.loads(text)
        population = content.pop("population", None)
        return cls(POLICY.validate_python(content), population)

    @property
    def text(self) -> str:
        """JSON of all that decides which documents are kept: equal texts, equal rules."""
        content = self.policy.model_dump(mode="json", exclude=NOT_DECIDING)
        content = {key: value for key, value in content.items() if key not in OPTIONAL or value is not None}
        return json.dumps(content | ({"population": self.population} if self.population else {}), sort_keys=True)

    @cached_property
    def condition(self) -> Condition | None:
        return parse(self.policy.condition) if self.policy.condition else None

    @property
    def draw(self) -> Draw | None:
        return None if isinstance(self.policy, Threshold) else self.policy.draw

    @property
    def sources(self) -> tuple[str, ...]:
        """The groups that have a bound of their own; none where all documents have one."""
        return tuple(sorted(self.policy.quotas)) if isinstance(self.policy, Quotas) else ()


@dataclass(frozen=True)
class Ranking:
    """Which documents of a lens are ranked, and by which classifier's scores."""

    lens: str
    classifier: str
    rule: Rule

    @property
    def names(self) -> tuple[str, ...]:
        """The lenses and attributes whose scores are compared: its own, then those of the condition."""
        condition = self.rule.condition
        return tuple(dict.fromkeys((self.lens, *(condition.names if condition else ()))))

    @property
    def id(self) -> str:
        """Identity of a summary of this ranking beside the documents: not of the bounds that are asked for."""
        rule = self.rule
        condition = rule.condition.text if rule.condition else None
        draw = rule.draw.model_dump() if rule.draw else None
        asked = (rule.population, condition, draw, rule.sources, rule.policy.share_error)
        return content_id("ranking", RANKING_RECIPE, self.classifier, asked)
