"""What a served model's endpoint can do wrong to all questions alike.

What belongs here: the errors that end a rating run. What does not: one question's failure (`QuestionError`).
"""

from datashop_assets.seams import PermanentError


class RaterEndpointError(RuntimeError):
    """No document can be rated; the message names the endpoint and what to do. This kind may pass: nothing answered."""


class RaterRefusedError(RaterEndpointError, PermanentError):
    """The endpoint answers, and will go on refusing: a wrong key, a model that it does not serve, no probabilities."""
