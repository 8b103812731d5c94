"""What a served model's endpoint can do wrong to all questions alike.

What belongs here: the errors that end a rating run, and why nothing was reached. What does not: one question's failure
(`QuestionError`).
"""

import ssl

from datashop_assets.seams import PermanentError


class RaterEndpointError(RuntimeError):
    """No document can be rated; the message names the endpoint and what to do. This kind may pass: nothing answered."""


class RaterRefusedError(RaterEndpointError, PermanentError):
    """The endpoint answers, and will go on refusing: a wrong key, a model that it does not serve, no probabilities."""


def mend_of(error: BaseException) -> str:
    """What a lost or refused connection was, and what to do, from the error and what it was raised for."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return (
                f"(TLS: {cause}); let SSL_CERT_FILE name a file with the authority that signed its certificate, or "
                "correct base_url"
            )
        cause = cause.__cause__ or cause.__context__
    return f"({type(error).__name__}); start the server, or correct base_url or the lens's rater in the project file"
