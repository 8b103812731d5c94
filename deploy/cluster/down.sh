#!/usr/bin/env bash
# Stop the cluster: its processes and pods, and what up.sh and the node made on this machine (mounts, bridge, rules,
# state). Programs and loaded images stay in $CLUSTER_HOME.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

[ -d "$STATE" ] || exit 0

stop() {
  local pid
  if running "$1"; then
    pid=$(cat "$STATE/$1.pid")
    kill "$pid"
    for _ in $(seq 50); do running "$1" || break; sleep 0.2; done
    if running "$1"; then kill -9 "$pid"; sleep 0.5; fi
  fi
  rm -f "$STATE/$1.pid"
}
without() { iptables -w "$@" 2>/dev/null || true; }

for name in dns proxy kubelet scheduler controller-manager; do stop "$name"; done
if running containerd; then
  for container in $(containers containers ls -q); do
    network=$(containers containers info "$container" | grep -om1 '/run/netns/cni-[0-9a-f-]*' || true)
    containers tasks rm -f "$container" >/dev/null 2>&1 || true
    containers containers rm "$container" >/dev/null 2>&1 || true
    rm -f /var/lib/cni/results/*"$container"*
    [ -z "$network" ] || ip netns del "${network##*/}" 2>/dev/null || true
  done
fi
for name in containerd apiserver etcd; do stop "$name"; done

for pod in "$STATE"/kubelet/pods/*; do rm -rf /var/log/pods/*_"${pod##*/}"; done
find /var/log/containers -xtype l -delete 2>/dev/null || true
awk -v folder="$STATE/" 'index($2, folder) == 1 {print $2}' /proc/mounts | sort -r |
  while read -r mount; do umount "$mount"; done
find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true

"$BIN/kube-proxy" --cleanup >/dev/null 2>&1 || true
for table in nat filter mangle; do
  for operation in -F -X; do # what kube-proxy leaves
    for chain in $(iptables -w -t "$table" -S | awk '$1 == "-N" && $2 ~ /^KUBE-/ {print $2}'); do
      without -t "$table" "$operation" "$chain"
    done
  done
done
without -t nat -D POSTROUTING -s "$POD_CIDR" ! -d "$POD_CIDR" -j MASQUERADE
without -t nat -D OUTPUT -d "$SERVICE_CIDR" -j DATASHOP
without -t nat -D PREROUTING -i "$BRIDGE" -j DATASHOP
without -t nat -F DATASHOP
without -t nat -X DATASHOP
without -t raw -D PREROUTING ! -i lo -d 127.0.0.0/8 -j DROP
if [ -s "$STATE/route_localnet" ]; then
  sysctl -qw "net.ipv4.conf.all.route_localnet=$(cat "$STATE/route_localnet")"
fi
ip link del "$BRIDGE" 2>/dev/null || true
rm -rf --one-file-system "$STATE" "$KUBECONFIG"
