"""The licence that the header of a dataset card names: the one that all documents have, or `other`.

What belongs here: how licences, as crawl files state them, become the hub's tags. What does not: reading them
(`corpus/documents.py`), counting them (`release.py`), the words of the card (`card.py`).
"""

import re
from collections.abc import Collection

# The hub's identifiers of licences for text, data and code (https://huggingface.co/docs/hub/repositories-licenses).
# One that it does not know stands as `license_name` beside `license: other`.
HUB = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc
    cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 gfdl gpl
    gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 osl-3.0
    pddl postgresql unlicense wtfpl zlib
    """.split()  # noqa: SIM905 - a literal has sixty lines
)
# Values by which a crawl file says that it knows of no licence; SPDX has the first two.
NO_LICENSE = frozenset({"noassertion", "none", "unknown", "other"})


def license_header(licenses: Collection[str | None]) -> dict[str, str]:
    """The licence keys of a card's header, given each different licence of the documents once; null is an unknown one.

    A single licence is named as the hub names it, or as `license_name` of `other` where the hub does not know it.
    Several licences, or a document whose licence is unknown, give `other` and no name: no one licence covers the data.
    """
    known = {licence.lower() for licence in licenses if licence is not None}
    if None in licenses or len(known) != 1 or known <= NO_LICENSE:
        return {"license": "other"}
    (name,) = known
    if name in HUB:
        return {"license": name}
    return {"license": "other", "license_name": re.sub(r"[^\w.]+", "-", name).strip("-")}
