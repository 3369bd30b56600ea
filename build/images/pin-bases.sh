#!/usr/bin/env bash
# Pins the base images of both Dockerfiles by digest: asks their registries, through skopeo, for the digest of each tag
# and writes NAME:TAG@sha256:... into the Dockerfiles. Run it before a release and for each new version of Node, and
# commit the result. Usage: build/images/pin-bases.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

for argument in NODE_IMAGE BASE_IMAGE; do
  image=$(sed -n "s/^ARG $argument=\([^@]*\).*/\1/p" Dockerfile.wrapper)
  digest=$(skopeo inspect --raw "docker://$image" | sha256sum | cut -d ' ' -f 1)
  sed -i "s|^ARG $argument=.*|ARG $argument=$image@sha256:$digest|" Dockerfile.agent Dockerfile.wrapper
  echo "$argument=$image@sha256:$digest"
done
