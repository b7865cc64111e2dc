#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1800
# The core's tests on a big-endian machine (s390x) and on a 32-bit one (mipsel), emulated.
set -u
. "$(dirname "$0")/lib.sh"

# A build of its own: compilers.sh may be making its own for the same machine.
sources=(tests/core/*.c)
for m in s390x mipsel; do
	dir=$KT_BUILD/foreign/$m
	programs=("${sources[@]/#/$dir/}")
	check "builds for $m" make --no-print-directory -s CC="$m-linux-gnu-gcc" AR="$m-linux-gnu-ar" BARE=1 O=1 \
		BUILD="$dir" "${programs[@]%.c}"
	for p in "${programs[@]%.c}"; do
		check "$m: $(basename "$p")" timeout 400 "qemu-$m" -L "/usr/$m-linux-gnu" "$p"
	done
done
done_testing
