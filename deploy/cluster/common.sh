# shellcheck shell=bash disable=SC2034
# What the scripts of this folder share: where things are, and how processes are started and awaited.
CLUSTER_HOME=${CLUSTER_HOME:-$HOME/.cache/datashop-cluster}
BIN=$CLUSTER_HOME/bin
STATE=$CLUSTER_HOME/run # of the running cluster; down.sh removes it
export KUBECONFIG=$CLUSTER_HOME/kubeconfig
export PATH=$BIN:$PATH

# One cluster a machine: these are fixed.
API_PORT=16443
DNS_PORT=16053
BRIDGE=dsc0
BRIDGE_IP=10.244.0.1
POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/16
API_SERVICE=10.96.0.1
DNS_SERVICE=10.96.0.10
PAUSE=localhost/datashop-pause:1

containers() { ctr --address "$STATE/containerd.sock" --namespace k8s.io "$@"; }

# install PACKAGE=FILE...: of these Debian packages those whose file is not there.
install_missing() {
  local each missing=()
  for each in "$@"; do
    [ -e "${each#*=}" ] || missing+=("${each%%=*}")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# running NAME: whether the process that `launch NAME` started is alive, and not another with its number.
running() {
  local pid
  pid=$(cat "$STATE/$1.pid" 2>/dev/null) && grep -qsaF -- "$CLUSTER_HOME/" "/proc/$pid/cmdline"
}

# launch NAME COMMAND...: in the background, logging to $STATE/NAME.log, unless it runs.
launch() {
  local name=$1
  shift
  running "$name" && return
  setsid "$@" >"$STATE/$name.log" 2>&1 </dev/null &
  echo $! >"$STATE/$name.pid"
}

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "$what: not there in time; see $STATE/*.log" >&2
      return 1
    fi
    sleep 0.5
  done
}
