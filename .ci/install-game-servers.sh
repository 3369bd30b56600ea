#!/usr/bin/env bash
# Installs Debian's game servers for test/integration/wrapper/real-games.long.ts, which names them; without them its
# tests are skipped. Needs root, apt-get and the network. Only a missing network is forgiven, and said aloud.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly tests=test/integration/wrapper/real-games.long.ts
readonly min_servers=8

skip() {
  echo "Game servers not installed, their tests are skipped: $*" >&2
  if [ -n "${CI:-}" ]; then printf '\n*** WARNING: this run tests no real game servers: %s ***\n\n' "$*" >&2; fi
  exit 0
}

read -ra packages <<< "$(sed -n "s/^ *debianPackages: '\(.*\)',$/\1/p" "$tests" | tr '\n' ' ')"
command -v apt-get > /dev/null || skip 'no apt-get'
[ "$(id -u)" = 0 ] || skip 'not root'
if dpkg-query --show "${packages[@]}" > /dev/null 2>&1; then exit 0; fi
timeout 120 apt-get --option APT::Update::Error-Mode=any update --quiet=2 || skip 'no package index; is there a network?'

# A Debian of another year has some of them under other names.
available=()
for package in "${packages[@]}"; do
  if apt-cache show "$package" > /dev/null 2>&1; then available+=("$package"); fi
done
DEBIAN_FRONTEND=noninteractive timeout 900 apt-get install --yes --no-install-recommends --quiet=2 "${available[@]}"

installed=0
for server in $(sed -n "s/^ *needs: \['\([^']*\)'.*/\1/p" "$tests"); do
  if [ -x "$server" ]; then installed=$((installed + 1)); fi
done
if [ "$installed" -lt "$min_servers" ]; then
  echo "Only $installed game servers are there, expected at least $min_servers" >&2
  exit 1
fi
