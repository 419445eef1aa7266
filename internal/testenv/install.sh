#!/usr/bin/env bash
# install.sh [FOLDER ...] [mail] [dns] [plugins] installs the Debian packages whose programs the tests run, and what they run from npm; that
# of each FOLDER beside this file, the servers of mail and of names and the plugins of Nagios too. It does nothing, and does it fast, when all are there. It leaves no service running or
# enabled: the tests start their own, on ports of their own.
set -euo pipefail

# Servers live where an ordinary user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
find_postgres() {
  local bin
  for bin in /usr/lib/postgresql/*/bin; do PATH=$PATH:$bin; done
}
find_postgres

# What cannot be installed without removing something else is unpacked beside the system.
"$(dirname "$0")/unpack.sh" chrony chronyd

# program=package
needs=(
  promtool=prometheus
  prometheus=prometheus
  prometheus-alertmanager=prometheus-alertmanager
  nginx=nginx-light
  haproxy=haproxy
  apache2=apache2-bin # the server without a service that starts it
  faketime=faketime # a clock that is wrong, for a program
  gcc=build-essential # for the race detector
  git=git
  node=nodejs # an OpenID provider, and senders of webhooks
  npm=npm
  chromium=chromium # looks at the status page
  script=bsdutils # a terminal for a test
  postgres=postgresql
  pgbouncer=pgbouncer
  redis-server=redis-server
  redis-cli=redis-tools
  curl=curl
  systemd-analyze=systemd
  ip=iproute2 # networks of their own, for icmp
  sysctl=procps
)
# Beside the engine of a current ClickHouse the tests ask Debian's, which is old, and has the real HTTP interface.
[[ " $* " != *" chdb "* ]] || needs+=(clickhouse-server=clickhouse-server)
# The servers of mail, files and logins that tcp and tls are run against, and the proxy that http asks through.
[[ " $* " != *" mail "* ]] || needs+=(
  sshd=openssh-server
  postfix=postfix
  /usr/lib/dovecot/imap-login=dovecot-imapd
  /usr/lib/dovecot/pop3-login=dovecot-pop3d
  vsftpd=vsftpd
  tinyproxy=tinyproxy-bin
  openssl=openssl
)
# The plugins of Nagios that exec runs.
[[ " $* " != *" plugins "* ]] || needs+=(/usr/lib/nagios/plugins/check_dummy=monitoring-plugins-basic)
# The name servers that dns is run against.
[[ " $* " != *" dns "* ]] || needs+=(
  named=bind9
  dnssec-signzone=bind9-utils
  unbound=unbound
)

programs=() packages=()
for need in "${needs[@]}"; do
  program=${need%%=*} package=${need#*=}
  command -v "$program" >/dev/null && continue
  programs+=("$program")
  [[ " ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
done

# The modules from npm, exactly those of a lock file, in a folder of their own outside of the repository. The folder
# gets its name when it is whole.
modules() {
  local source lock folder new
  source=$(dirname "$(readlink -f "$0")")/$1
  lock=$(sha256sum "$source/package-lock.json")
  folder=${XDG_CACHE_HOME:-$HOME/.cache}/prober-test/npm-${lock:0:12}
  [ ! -d "$folder" ] || return 0
  echo "testenv: installing the modules from npm to $folder"
  mkdir -p "${folder%/*}"
  new=$(mktemp -d "$folder.XXXXXX")
  cp "$source/package.json" "$source/package-lock.json" "$new"
  if (cd "$new" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error); then
    mv -T "$new" "$folder" 2>/dev/null || [ -d "$folder" ] # somebody else was faster
    rm -rf "$new"
    return 0
  fi
  rm -rf "$new"
  if [ "${PROBER_TEST_SHORT:-}" = 1 ]; then
    echo "testenv: npm ci failed; PROBER_TEST_SHORT=1, so the tests that need its modules will be skipped and counted" >&2
    return 0
  fi
  echo "testenv: npm ci failed in a copy of $source; PROBER_TEST_SHORT=1 make test goes without" >&2
  return 1
}

all_modules() {
  local name
  for name in npm verifiers postgraphile "$@"; do
    [[ $name == mail || $name == dns || $name == plugins ]] || modules "$name"
  done
}

if [ ${#packages[@]} -eq 0 ]; then
  all_modules "$@"
  exit
fi

give_up() {
  if [ "${PROBER_TEST_SHORT:-}" = 1 ]; then
    echo "testenv: $1; PROBER_TEST_SHORT=1, so the tests that need ${programs[*]} will be skipped and counted" >&2
    exit 0
  fi
  cat >&2 <<TEXT
testenv: the tests need ${programs[*]}, and $1.
Install these packages and run it again:  apt-get install ${packages[*]}
Or run what needs none of them:           PROBER_TEST_SHORT=1 make test
TEXT
  exit 1
}

command -v apt-get >/dev/null || give_up "this machine has no apt-get"
root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || give_up "you are not root and there is no sudo"
  # Somebody at a terminal can type a password; a script cannot.
  [ -t 0 ] || sudo -n true 2>/dev/null || give_up "you are not root and sudo asks for a password"
  root=(sudo)
fi

# Debian starts a server when it installs it, unless policy-rc.d says no. One that is there already is an
# administrator's, and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap '"${root[@]}" rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
  "${root[@]}" chmod 755 $policy
fi

enabled() {
  command -v systemctl >/dev/null || return 0
  systemctl --root=/ list-unit-files --type=service,timer --state=enabled --no-legend | awk '{ print $1 }' | sort
}
before=$(enabled)

echo "testenv: installing ${packages[*]}"
apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
"${apt[@]}" update || echo "testenv: apt-get update failed; trying with the lists that are here" >&2
"${apt[@]}" install --no-install-recommends --no-remove "${packages[@]}" || give_up "apt-get install failed"

# What was not enabled before shall not start with the machine either.
comm -13 <(echo "$before") <(enabled) | while read -r unit; do
  "${root[@]}" systemctl --root=/ --quiet disable "$unit"
done

find_postgres
for program in "${programs[@]}"; do
  command -v "$program" >/dev/null || give_up "installing ${packages[*]} did not bring $program"
done

all_modules "$@"
