#!/usr/bin/env bash
# The whole cluster test, from a bare machine to a compared release: `make cluster-test`, as root on Debian bookworm.
#   DAGSTER_CHART   a folder with the official dagster chart (it is not kept in this repository)
#   KEEP=1          leave the cluster up at the end
# and those of ../images/build.sh. What was said is in $DATASHOP_CLUSTER_TEST/transcript.txt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
# shellcheck source=common.sh
. "$here/common.sh"

python=.venv/bin/python
export DATASHOP_CLUSTER_TEST=${DATASHOP_CLUSTER_TEST:-/var/tmp/datashop-cluster-test}
[ -e "${DAGSTER_CHART:-}/Chart.yaml" ] || { echo "set DAGSTER_CHART to a folder with the official dagster chart" >&2; exit 2; }

end() {
  if [ -n "${stores:-}" ]; then kill "$stores"; wait "$stores" || true; fi
  [ -n "${KEEP:-}" ] || "$here/down.sh"
}
trap end EXIT

install_missing debootstrap=/usr/sbin/debootstrap buildah=/usr/bin/buildah
rm -rf "$DATASHOP_CLUSTER_TEST"
mkdir -p "$DATASHOP_CLUSTER_TEST"
"$here/up.sh" >/dev/null
for image in datashop worker vllm-cpu; do
  "$here/load-image.sh" "$(deploy/images/build.sh "$image")"
done
$python -m datashop_assets_tests.cluster.stores "$DATASHOP_CLUSTER_TEST" 2>"$DATASHOP_CLUSTER_TEST/stores.log" &
stores=$!
await 120 "the stores" test -e "$DATASHOP_CLUSTER_TEST/stores.json"
$python -m datashop_assets_tests.cluster.install
$python -m datashop_assets_tests.cluster
