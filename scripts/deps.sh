#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Installs what is missing from Debian 12, quietly, without starting services.
#
#   deps.sh build|run|test|bench    each includes the ones before it
#   deps.sh kernel                  build, run and the guests of tests/kernel; part of test
#   deps.sh arch                    test, and guests of other machines
#   deps.sh list WHAT               prints the packages only
set -eu

build=(gcc libc6-dev make pkg-config clang libbpf-dev libpcap-dev linux-libc-dev)
run=(iproute2 iptables nftables ethtool jq tcpdump tshark unbound iputils-ping procps util-linux)
# The kernels themselves are unpacked by tests/kernel/prepare.sh, not installed.
kernel=(qemu-system-x86 gcc-12 libelf1 libssl3 busybox-static cpio kmod xz-utils zstd iperf3 dkms openssl
	flex bison bc libelf-dev patch)
test=(git clang-format shellcheck mandoc musl-tools gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	gcc-mipsel-linux-gnu libc6-dev-mipsel-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user
	libclang-rt-14-dev llvm nmap scamper socat time tcpreplay debhelper dh-dkms lintian mmdebstrap)
arch=(qemu-system-arm qemu-system-mips qemu-system-misc gcc-arm-linux-gnueabihf libc6-dev-armhf-cross musl)
bench=(zmap masscan netsniff-ng stress-ng iperf3)

usage() {
	echo "usage: deps.sh [list] build|run|kernel|test|arch|bench" >&2
	exit 2
}

list=no
if [ "${1:-}" = list ]; then
	list=yes
	shift
fi
packages=("${build[@]}")
case ${1:-} in
build) ;;
run) packages+=("${run[@]}") ;;
kernel) packages+=("${run[@]}" "${kernel[@]}") ;;
test) packages+=("${run[@]}" "${kernel[@]}" "${test[@]}") ;;
arch) packages+=("${run[@]}" "${kernel[@]}" "${test[@]}" "${arch[@]}") ;;
bench) packages+=("${run[@]}" "${kernel[@]}" "${test[@]}" "${bench[@]}") ;;
*) usage ;;
esac
if [ $list = yes ]; then
	printf '%s\n' "${packages[@]}"
	exit 0
fi

if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
	echo "deps.sh: not a Debian system; needed is what these packages contain: ${packages[*]}" >&2
	exit 0
fi

missing=()
for p in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2> /dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps.sh: packages are missing; install them with:" >&2
	echo "  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made_policy=no
cleanup() {
	rm -f "$log"
	[ $made_policy = no ] || rm -f $policy
}
trap cleanup EXIT
trap 'exit 130' INT TERM
# While we install, no package starts a service, unless the machine has a policy of its own.
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' > $policy
	chmod 755 $policy
	made_policy=yes
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get -qq update && apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}"; } \
	> "$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "deps.sh: could not install: ${missing[*]}" >&2
	exit 1
fi
