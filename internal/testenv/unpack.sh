#!/usr/bin/env bash
# unpack.sh PACKAGE PROGRAM gets a program for the tests without installing its Debian package: to install chrony would
# remove systemd-timesyncd, which may keep this machine's clock. The package is unpacked into a folder of its own outside
# of the repository, where internal/testenv finds the program; nothing of it is ever started but by a test. The folder
# gets its name when it is whole.
set -euo pipefail

package=$1 program=$2
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
folder=${XDG_CACHE_HOME:-$HOME/.cache}/prober-test/$package
! command -v "$program" >/dev/null || exit 0
[ ! -d "$folder" ] || exit 0

give_up() {
  if [ "${PROBER_TEST_SHORT:-}" = 1 ]; then
    echo "testenv: $1; PROBER_TEST_SHORT=1, so the tests that need $program will be skipped and counted" >&2
    exit 0
  fi
  echo "testenv: the tests need $program, and $1. PROBER_TEST_SHORT=1 make test runs what needs none." >&2
  exit 1
}

command -v apt-get >/dev/null || give_up "this machine has no apt-get"
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
as_root() {
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

echo "testenv: unpacking $package to $folder"
mkdir -p "${folder%/*}"
new=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$new"' EXIT
download() { (cd "$new" && apt-get -q download "$package" 2>/dev/null); }
download || { as_root update && download; } || give_up "apt-get download $package failed"
dpkg-deb -x "$new"/*.deb "$new/root"
binary=$(find "$new/root" -path "*/bin/$program" -o -path "*/sbin/$program" | head -n 1)
[ -n "$binary" ] || give_up "$package does not hold it"

# Its libraries are in the way of nothing, and are installed as usual.
if ldd "$binary" | grep -q 'not found'; then
  mapfile -t libraries < <(dpkg-deb -f "$new"/*.deb Depends | tr ',' '\n' | grep -oE '^ *lib[a-z0-9.+-]+' | tr -d ' ')
  as_root install --no-install-recommends --no-remove "${libraries[@]}" || give_up "its libraries could not be installed"
fi
mv -T "$new/root" "$folder" 2>/dev/null || [ -d "$folder" ] # somebody else was faster
