#!/bin/sh
# Usage: write-dockerfile.sh CONTEXT > CONTEXT/Dockerfile One layer for each folder in CONTEXT/assets, in the order of
# their names. An image has at most 127 layers, so at most 110 packs: put small ones together, and those that change
# together as well.
set -eu
context=$1
cat "$(dirname "$0")/Dockerfile"
set -- "$context"/assets/*/
if [ ! -d "$1" ] || [ $# -gt 110 ]; then
  echo "write-dockerfile.sh: expected 1 to 110 folders in $context/assets" >&2
  exit 64
fi
for pack in "$@"; do
  name=$(basename "$pack")
  echo "COPY assets/$name /game/assets/$name"
done
