"""What the environment says of object storage, refused where a client would be unsafe or would fail late and unclearly.

What belongs here: the refusals. What does not: reading settings (`profiles.py`), the clients (`object_store.py`,
`lake.py`, `landing.py`), which read credentials and certificates from the environment by themselves.
"""

import ssl
from collections.abc import Mapping

from datashop_assets.project import ProjectError

# Of all clients, and of the landings' alone.
ENDPOINTS = ("AWS_ENDPOINT_URL", "FSSPEC_S3_ENDPOINT_URL")
# boto3 and s3fs read the first, Delta Lake, Polars and the raters' client the second.
BUNDLES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")


def refuse_unsafe_storage(environment: Mapping[str, str]) -> None:
    """Raises ProjectError for a plain-http endpoint without AWS_ALLOW_HTTP=true, half a key, a file that is named and
    not there, and authorities that only some of the clients would trust. No message holds a secret."""
    for name in ENDPOINTS:
        url = environment.get(name, "")
        if url.startswith("http://") and environment.get("AWS_ALLOW_HTTP", "").lower() != "true":
            raise ProjectError(
                f"{name} is {url}, which is not encrypted; use https://, or set AWS_ALLOW_HTTP=true if that is meant"
            )
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if bool(key) != bool(secret):
        raise ProjectError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together; set both, or neither for a role")
    if bool(environment.get("AWS_ROLE_ARN")) != bool(environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")):
        raise ProjectError("AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE go together; set both, or neither")
    _refuse_bundles(environment)


def _refuse_bundles(environment: Mapping[str, str]) -> None:
    for name in BUNDLES:
        if file := environment.get(name):
            try:
                ssl.create_default_context(cafile=file)
            except (OSError, ssl.SSLError) as error:
                raise ProjectError(f"{name} is {file}, which is no file of PEM certificates ({error})") from None
    if environment.get("AWS_CA_BUNDLE") and not environment.get("SSL_CERT_FILE"):
        raise ProjectError(
            "AWS_CA_BUNDLE is set and SSL_CERT_FILE is not: Delta Lake and Polars read the second alone. Set both to "
            "one file with every authority that is needed, the public ones too where public services are reached"
        )
