"""S3-compatible object stores: a client from delta-rs's storage options, and the probe that a store is safe for Delta.

What belongs here: what is true of a store whatever lies in it. What does not: models (`model_store.py`), tables
(`lake.py`). boto3 comes with the extra `s3` and is imported when a client is made.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from datashop_assets.seams import PermanentError

# boto3's own default waits for a minute, five times over, where nothing answers.
CONNECT_TIMEOUT_S = 5
ATTEMPTS = 3
# Of the statuses that refuse a request: too slow, in conflict with another writer, too many at once.
PASSING = (408, 409, 429)
# Between the attempts at one file: two minutes in all, on top of the client's own.
PAUSES_S = (1, 2, 4, 8, 15, 15, 15, 15, 15, 15, 15)

T = TypeVar("T")
log = logging.getLogger(__name__)


class ObjectStoreError(RuntimeError):
    """A store that cannot be used; the message names the URL and the cause, never a credential."""


class ObjectStoreRefusedError(ObjectStoreError, PermanentError):
    """A store that will go on refusing: a wrong URL, key or setting, a bucket that is not there."""


class UnsafeObjectStoreError(ObjectStoreRefusedError):
    """A store on which concurrent Delta commits would vanish."""


def split_url(url: str) -> tuple[str, str]:
    """Bucket and prefix (without slashes at its ends) of an s3:// URL. Raises ObjectStoreRefusedError for others."""
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme not in ("s3", "s3a") or not bucket:
        raise ObjectStoreRefusedError(f"{url} is not an object store URL; write s3://bucket/prefix")
    return bucket, prefix.strip("/")


def s3_client(storage_options: Mapping[str, str]) -> Any:
    """A boto3 client from delta-rs's options; what they leave out comes from boto3's own chain (variables, roles).

    Read are AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ALLOW_HTTP.
    Raises ObjectStoreRefusedError where boto3 is not installed, or for a plain-http endpoint without
    AWS_ALLOW_HTTP=true, which delta-rs would refuse as well.
    """
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise ObjectStoreRefusedError("s3:// needs boto3; install datashop with the extra `s3`") from error
    endpoint = storage_options.get("AWS_ENDPOINT_URL")
    if endpoint and endpoint.startswith("http://") and storage_options.get("AWS_ALLOW_HTTP", "").lower() != "true":
        raise ObjectStoreRefusedError(
            f"the endpoint {endpoint} is not encrypted; set AWS_ALLOW_HTTP=true if that is meant"
        )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=storage_options.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=storage_options.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=storage_options.get("AWS_SESSION_TOKEN"),
        region_name=storage_options.get("AWS_REGION", "us-east-1" if endpoint else None),
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            retries={"max_attempts": ATTEMPTS, "mode": "standard"},
            request_checksum_calculation="when_required",  # stores other than S3 do not all know the newer ones
            s3={"addressing_style": "path"} if endpoint else {},
        ),
    )


@contextmanager
def clear_errors(url: str, storage_options: Mapping[str, str]) -> Iterator[None]:
    """Turn what boto3 raises inside the block into an ObjectStoreError that names the URL and the cause.

    One that the store refused (a 4xx status not among PASSING) is an ObjectStoreRefusedError.
    """
    from boto3.exceptions import Boto3Error, S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        cause = str(error)
        for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"):
            if secret := storage_options.get(name):
                cause = cause.replace(secret, "***")
        endpoint = storage_options.get("AWS_ENDPOINT_URL", "the default endpoint")
        told = error.__context__ if isinstance(error, S3UploadFailedError) else error
        refused = isinstance(told, ClientError) and 400 <= status_of(told) < 500 and status_of(told) not in PASSING
        raise (ObjectStoreRefusedError if refused else ObjectStoreError)(
            f"{url} at {endpoint}: {cause}. {_hint(error)}"
        ) from None


def _hint(error: Exception) -> str:
    from botocore.exceptions import NoCredentialsError, SSLError

    if isinstance(error, NoCredentialsError):
        return (
            "Give the process a role (AWS_ROLE_ARN with AWS_WEB_IDENTITY_TOKEN_FILE, or "
            "AWS_CONTAINER_CREDENTIALS_FULL_URI with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, or the machine's own), or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if isinstance(error, SSLError):
        return (
            "Let AWS_CA_BUNDLE and SSL_CERT_FILE name a file with the authority that signed the endpoint's certificate."
        )
    return "Check the bucket, the AWS_* variables and the network."


def patiently(transfer: Callable[[], T], url: str, storage_options: Mapping[str, str]) -> T:
    """What the transfer returns. A failure that may pass is tried again after each of PAUSES_S; what the store refuses,
    and the last failure, raise as in `clear_errors`."""
    for pause in PAUSES_S:
        try:
            with clear_errors(url, storage_options):
                return transfer()
        except ObjectStoreRefusedError:
            raise
        except ObjectStoreError as error:
            log.warning("%s Tried again in %d s.", error, pause)
            time.sleep(pause)
    with clear_errors(url, storage_options):
        return transfer()


def objects_below(url: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Every object below the URL, as S3 lists it."""
    bucket, prefix = split_url(url)
    pages = s3_client(options).get_paginator("list_objects_v2")
    with clear_errors(url, options):
        for page in pages.paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            yield from page.get("Contents", ())


def status_of(error: Any) -> int:
    """The HTTP status of a botocore ClientError."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def probe_conditional_put(url: str, storage_options: Mapping[str, str]) -> None:
    """Write one small object twice below `url`, the second time "only if absent", which the store must refuse.

    Delta commits are such writes: on a store that ignores the condition two writers both believe that they have
    committed, and one commit is gone (15 of 39 acknowledged rows survived in such a store).
    Raises UnsafeObjectStoreError where the store does not refuse with 412, ObjectStoreError where it cannot be
    reached or written to. The object is removed again.
    """
    from botocore.exceptions import ClientError

    bucket, prefix = split_url(url)
    client = s3_client(storage_options)
    key = f"{prefix}/_datashop_probe_{uuid.uuid4().hex}".lstrip("/")
    with clear_errors(url, storage_options):
        try:
            client.put_object(Bucket=bucket, Key=key, Body=b"first", IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) == 501:
                raise _unsafe(url, "does not know conditional writes") from None
            raise
        try:
            client.put_object(Bucket=bucket, Key=key, Body=b"second", IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) != 412:
                raise
        else:
            raise _unsafe(url, "wrote an object over although told to write only if absent")
        finally:
            client.delete_object(Bucket=bucket, Key=key)


def _unsafe(url: str, what: str) -> UnsafeObjectStoreError:
    return UnsafeObjectStoreError(
        f"the object store of {url} {what} (If-None-Match: *). Concurrent commits would vanish silently on it. Use a "
        "store that honours conditional writes (S3, MinIO, SeaweedFS, Ceph; recent versions), or a local path."
    )
