#!/usr/bin/env bash
# Installs the programs that tests need beyond npm, from Debian's packages.
#
#   scripts/install-test-tools.sh            all of them
#   scripts/install-test-tools.sh chromium   only the named ones
#
# Some of them are services as well (nginx, apache2, caddy, redis-server, nats-server). Installing starts none: no test
# uses those, each starts its own, on a free port.
#
# Exit codes: 0 everything is there; 2 misuse; 3 something is missing and this is not root on Debian;
# anything else is apt-get's.
set -euo pipefail

# name | variable that may name the program | Debian packages, the program first
tools=(
  'chromium|APERTO_CHROMIUM|chromium fonts-dejavu-core'
  'firefox-esr|APERTO_FIREFOX|firefox-esr fonts-dejavu-core'
  'squid|APERTO_SQUID|squid'
  'haproxy|APERTO_HAPROXY|haproxy'
  'nghttpx|APERTO_NGHTTPX|nghttp2-proxy'
  'curl|APERTO_CURL|curl'
  'nghttp|APERTO_NGHTTP|nghttp2-client'
  'nginx|APERTO_NGINX|nginx'
  'apache2|APERTO_APACHE|apache2'
  'caddy|APERTO_CADDY|caddy'
  'dumpcap|APERTO_DUMPCAP|wireshark-common'
  'tshark|APERTO_TSHARK|tshark'
  'ndpiReader|APERTO_NDPI_READER|libndpi-bin'
  'redis-server|APERTO_REDIS_SERVER|redis-server'
  'nats-server|APERTO_NATS_SERVER|nats-server'
  'ip|APERTO_IP|iproute2'
)

row_of() {
  local row
  for row in "${tools[@]}"; do
    if [[ "${row%%|*}" == "$1" ]]; then
      printf '%s\n' "$row"
      return
    fi
  done
  printf 'install-test-tools: no tool is named %s\n' "$1" >&2
  exit 2
}

is_there() {
  local name=$1 variable=$2
  if [[ -n "${!variable:-}" ]]; then
    if [[ ! -x "${!variable}" ]]; then
      printf 'install-test-tools: %s is %s, which is no program\n' "$variable" "${!variable}" >&2
      exit 2
    fi
  else
    # Debian puts servers where a user's PATH does not look.
    PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$name" >/dev/null
  fi
}

is_root_on_debian() {
  [[ "$(id -u)" == 0 && -r /etc/os-release ]] || return 1
  [[ "$(. /etc/os-release && printf '%s' "${ID:-}")" == debian ]] && command -v apt-get >/dev/null
}

if (($# == 0)); then
  set -- "${tools[@]%%|*}"
fi

missing=()
packages=()
for wanted in "$@"; do
  row=$(row_of "$wanted") || exit 2
  IFS='|' read -r name variable debian <<<"$row"
  if ! is_there "$name" "$variable"; then
    missing+=("$name")
    read -ra names <<<"$debian"
    packages+=("${names[@]}")
  fi
done

if ((${#missing[@]} == 0)); then
  exit 0
fi

if ! is_root_on_debian; then
  printf 'missing: %s (Debian: apt-get install %s)\n' "${missing[*]}" "${packages[*]}" >&2
  exit 3
fi

printf 'installing %s\n' "${packages[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Where there is a policy about starting services already, it stays.
policy=/usr/sbin/policy-rc.d
if [[ ! -e "$policy" ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get update -qq
apt-get install -qq --yes -o DPkg::Lock::Timeout=120 --no-install-recommends "${packages[@]}"
