#!/usr/bin/env bash
# Build the images of site and coordinator with buildah, which needs no Docker daemon.
#
#   scripts/build_images.sh [cpu|cuda]
#   scripts/build_images.sh --check       exit code 0: both are there, and of this checkout's code
#
# BUILD_OPTIONS   more options for buildah, for instance a mirror's certificate and wheels:
#                 "-v /ca.crt:/ca.crt:ro --build-arg PIP_CERT=/ca.crt"
# TORCH_INDEX     package index to take PyTorch from; none: pip's own
#
# Where no registry is in reach the base image is made with debootstrap.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VARIANT=${1:-cpu}
readonly BASE=docker.io/library/debian:bookworm-slim
readonly STORE=(--storage-driver=vfs)
readonly VERSION=0.1.0

fail() {
  printf 'build_images.sh: %s\n' "$@" >&2
  exit 1
}

for tool in buildah podman; do
  command -v "$tool" >/dev/null ||
    fail "no $tool here. Debian and Ubuntu: apt-get install buildah podman runc netavark aardvark-dns debootstrap"
done

has() { podman "${STORE[@]}" image exists "$1" 2>/dev/null; }

base() {
  has "$BASE" && return
  timeout 60 buildah "${STORE[@]}" pull -q "$BASE" >/dev/null 2>&1 && return
  command -v debootstrap >/dev/null || fail "$BASE is out of reach, and there is no debootstrap"
  local root
  root=$(mktemp -d)
  trap 'rm -rf "$root"' RETURN
  printf 'build_images.sh: no registry in reach; making %s with debootstrap\n' "$BASE"
  debootstrap --variant=minbase bookworm "$root" >/dev/null
  tar -C "$root" -c . | podman "${STORE[@]}" import -q - "$BASE" >/dev/null
}

# What of this checkout goes into the images, as one line.
code() {
  find common client server studies docker constraints.txt pyproject.toml -type f \
    ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum | cut -d' ' -f1
}

is_current() {
  has "localhost/consortium-$1:$VERSION" &&
    [[ $(podman "${STORE[@]}" image inspect --format '{{index .Labels "consortium.code"}}' \
      "localhost/consortium-$1:$VERSION" 2>/dev/null) == "$(code)" ]]
}

if [[ $VARIANT == --check ]]; then
  is_current site && is_current coordinator
  exit
fi
[[ $VARIANT == cpu || $VARIANT == cuda ]] || fail "expected cpu, cuda or --check, got $VARIANT"

build() {
  local name=$1
  shift
  printf 'build_images.sh: building consortium-%s:%s\n' "$name" "$VERSION"
  # shellcheck disable=SC2086  # options are words
  buildah "${STORE[@]}" bud -q --isolation chroot ${BUILD_OPTIONS:-} "$@" \
    --label "consortium.code=$(code)" -f "docker/Dockerfile.$name" -t "localhost/consortium-$name:$VERSION" . >/dev/null
}

base
build site --build-arg "VARIANT=$VARIANT" --build-arg "TORCH_INDEX=${TORCH_INDEX:-}"
build coordinator --build-arg "SITE=localhost/consortium-site:$VERSION"
