"""Reuse of test sets: from how many looks on an evaluation warns of the next.

Who keeps the best of many looks at the same rows keeps the luck, too. Source: Dwork et al. 2015,
doi:10.1126/science.aaa9375.
"""

from tunery.types import EvaluationFinding, Split

CODE = "reused-test-set"
FREE_USES = 5


def worn(split: Split, uses: int) -> list[EvaluationFinding]:
    """Return the finding that a test split has been used often, this time included, or none."""
    if split != "test" or uses <= FREE_USES:
        return []
    found = EvaluationFinding(
        type=CODE,
        label=None,
        message=f"these test rows have been evaluated {uses:,} times",
        numbers={"uses": uses},
        advice="Choose between versions on validation rows, and register rows that nobody has "
        "seen before the next claim: the best of many looks flatters.",
    )
    return [found]
