#!/usr/bin/env bash
# Start a one-node Kubernetes on this machine, without Docker and without systemd; the last line of its output is to be
# evaluated: eval "$(deploy/cluster/up.sh | tail -1)". As root, on Debian bookworm. For tests of deploy/, never for work.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

[ "$(id -u)" = 0 ] || { echo "up.sh has to be run as root" >&2; exit 1; }
install_missing etcd-server=/usr/bin/etcd containerd=/usr/bin/containerd runc=/usr/sbin/runc \
  containernetworking-plugins=/usr/lib/cni/bridge iptables=/usr/sbin/iptables \
  conntrack=/usr/sbin/conntrack iproute2=/usr/sbin/ip openssl=/usr/bin/openssl \
  curl=/usr/bin/curl buildah=/usr/bin/buildah
"$here/build.sh" >&2

pki=$STATE/pki
mkdir -p "$STATE/cni" "$pki"
chmod 700 "$STATE"

make_keys() {
  local token names=IP:127.0.0.1,IP:$API_SERVICE,DNS:localhost name
  for name in kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local; do
    names+=,DNS:$name
  done
  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=datashop-cluster-ca \
    -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -subj /CN=kube-apiserver -keyout "$pki/api.key" -out "$pki/api.csr" 2>/dev/null
  openssl x509 -req -in "$pki/api.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 365 \
    -out "$pki/api.crt" -extfile <(echo "subjectAltName=$names") 2>/dev/null
  openssl genrsa -out "$pki/accounts.key" 2048 2>/dev/null
  openssl rsa -in "$pki/accounts.key" -pubout -out "$pki/accounts.pub" 2>/dev/null
  token=$(openssl rand -hex 16)
  echo "$token,admin,admin,system:masters" >"$pki/tokens.csv"
  (umask 077 && cat >"$KUBECONFIG") <<END
apiVersion: v1
kind: Config
clusters:
- {name: datashop, cluster: {server: "https://127.0.0.1:$API_PORT", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}}
users:
- {name: admin, user: {token: $token}}
contexts:
- {name: datashop, context: {cluster: datashop, user: admin, namespace: default}}
current-context: datashop
END
}

# Pods have a bridge. They reach API server and DNS, which listen on the loopback alone, by their Services' addresses.
make_network() {
  if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
    ip link add "$BRIDGE" type bridge
    ip addr add "$BRIDGE_IP/24" dev "$BRIDGE"
    ip link set "$BRIDGE" up
  fi
  iptables -w -t nat -L DATASHOP -n >/dev/null 2>&1 && return
  sysctl -n net.ipv4.conf.all.route_localnet >"$STATE/route_localnet" # kube-proxy sets it, down.sh puts it back
  sysctl -qw net.ipv4.ip_forward=1 "net.ipv4.conf.$BRIDGE.route_localnet=1"
  iptables -w -t raw -I PREROUTING ! -i lo -d 127.0.0.0/8 -j DROP
  local nat=(iptables -w -t nat)
  "${nat[@]}" -N DATASHOP
  "${nat[@]}" -A DATASHOP -d "$API_SERVICE" -p tcp --dport 443 -j DNAT --to "127.0.0.1:$API_PORT"
  "${nat[@]}" -A DATASHOP -d "$DNS_SERVICE" -p tcp --dport 53 -j DNAT --to "127.0.0.1:$DNS_PORT"
  "${nat[@]}" -A DATASHOP -d "$DNS_SERVICE" -p udp --dport 53 -j DNAT --to "127.0.0.1:$DNS_PORT"
  "${nat[@]}" -A PREROUTING -i "$BRIDGE" -j DATASHOP
  "${nat[@]}" -A OUTPUT -d "$SERVICE_CIDR" -j DATASHOP
  "${nat[@]}" -A POSTROUTING -s "$POD_CIDR" ! -d "$POD_CIDR" -j MASQUERADE
}

if [ ! -e "$KUBECONFIG" ] || [ ! -e "$pki/tokens.csv" ]; then make_keys; fi
make_network

launch etcd etcd --data-dir "$STATE/etcd" --log-level warn --initial-cluster default=http://127.0.0.1:23800 \
  --listen-client-urls http://127.0.0.1:23790 --advertise-client-urls http://127.0.0.1:23790 \
  --listen-peer-urls http://127.0.0.1:23800 --initial-advertise-peer-urls http://127.0.0.1:23800
launch apiserver "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:23790 \
  --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$API_PORT" --endpoint-reconciler-type=none \
  --tls-cert-file="$pki/api.crt" --tls-private-key-file="$pki/api.key" --token-auth-file="$pki/tokens.csv" \
  --service-account-key-file="$pki/accounts.pub" --service-account-signing-key-file="$pki/accounts.key" \
  --service-account-issuer=https://kubernetes.default.svc --authorization-mode=RBAC --allow-privileged \
  --service-cluster-ip-range="$SERVICE_CIDR" --kubelet-preferred-address-types=Hostname
await 120 "API server" curl -fs --cacert "$pki/ca.crt" "https://127.0.0.1:$API_PORT/readyz"
launch controller-manager "$BIN/kube-controller-manager" --kubeconfig="$KUBECONFIG" --leader-elect=false \
  --bind-address=127.0.0.1 --port=0 --secure-port=16257 --cert-dir="$STATE/controllers" \
  --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/accounts.key" \
  --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key"
launch scheduler "$BIN/kube-scheduler" --kubeconfig="$KUBECONFIG" --leader-elect=false \
  --bind-address=127.0.0.1 --port=0 --secure-port=16259 --cert-dir="$STATE/scheduler"

# The oom_score settings: without CAP_SYS_RESOURCE none can be lowered.
cat >"$STATE/containerd.toml" <<END
version = 2
root = "$CLUSTER_HOME/containerd"
state = "$STATE/containerd"
oom_score = 0
[grpc]
  address = "$STATE/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/cni"
END
cat >"$STATE/cni/10-bridge.conflist" <<END
{"cniVersion": "0.4.0", "name": "datashop", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$POD_CIDR"}]], "dataDir": "$STATE/addresses",
            "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
cat >"$STATE/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: 16250
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
healthzPort: 16248
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
enforceNodeAllocatable: []
failSwapOn: false
makeIPTablesUtilChains: false
hairpinMode: none
oomScoreAdj: 0
maxOpenFiles: 20000
clusterDomain: cluster.local
clusterDNS: ["$DNS_SERVICE"]
evictionHard: {memory.available: "100Mi"}
imageGCHighThresholdPercent: 100
END
launch containerd containerd --config "$STATE/containerd.toml"
await 60 containerd containers version

# An image of one program, made in a store of its own.
if ! containers images ls -q | grep -qxF "$PAUSE"; then
  store=(--root "$STATE/store" --runroot "$STATE/store-run")
  container=$(buildah "${store[@]}" from scratch)
  buildah "${store[@]}" copy -q "$container" "$BIN/pause" /pause >/dev/null
  buildah "${store[@]}" config --entrypoint '["/pause"]' --cmd '' "$container"
  buildah "${store[@]}" commit -q --rm "$container" "$PAUSE" >/dev/null
  buildah "${store[@]}" push -q "$PAUSE" "docker-archive:$STATE/pause.tar:$PAUSE"
  containers images import "$STATE/pause.tar" >/dev/null
  rm -rf "$STATE/pause.tar" "$STATE/store" "$STATE/store-run"
fi

launch kubelet "$BIN/kubelet" --config="$STATE/kubelet.yaml" --kubeconfig="$KUBECONFIG" \
  --root-dir="$STATE/kubelet" --cert-dir="$STATE/kubelet/pki" --volume-plugin-dir="$STATE/kubelet/volumeplugins" \
  --container-runtime=remote --container-runtime-endpoint="unix://$STATE/containerd.sock" \
  --hostname-override=localhost
launch proxy "$BIN/kube-proxy" --kubeconfig="$KUBECONFIG" --hostname-override=localhost --proxy-mode=iptables \
  --cluster-cidr="$POD_CIDR" --nodeport-addresses=127.0.0.0/8 --conntrack-max-per-core=0 \
  --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 \
  --metrics-bind-address=127.0.0.1:16249 --healthz-bind-address=127.0.0.1:16256
upstream=$(awk '$1 == "nameserver" {print $2; exit}' /etc/resolv.conf)
launch dns "$BIN/cluster-dns" --kubeconfig="$KUBECONFIG" --listen="127.0.0.1:$DNS_PORT" \
  ${upstream:+--upstream="$upstream:53"}

await 120 "a ready node" kubectl wait --for=condition=Ready node/localhost --timeout=2s
await 60 "the default service account" kubectl get serviceaccount default
for name in controller-manager scheduler proxy dns; do
  running "$name" || { echo "$name does not run; see $STATE/$name.log" >&2; exit 1; }
done
echo "export KUBECONFIG=$KUBECONFIG PATH=$BIN:\$PATH"
