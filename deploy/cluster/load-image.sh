#!/usr/bin/env bash
# load-image.sh IMAGE...: from buildah's store into the running cluster.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

for image in "$@"; do
  archive=$(mktemp -u "$CLUSTER_HOME/image.XXXXXX.tar")
  trap 'rm -f "$archive"' EXIT
  buildah push -q "$image" "docker-archive:$archive:$image" >/dev/null
  containers images import "$archive" >/dev/null
  rm -f "$archive"
  echo "$image is in the cluster"
done
