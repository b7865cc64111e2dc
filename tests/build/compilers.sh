#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 600
# Other compilers, C libraries and machines: clang, musl static, arm64, mipsel.
set -u
. "$(dirname "$0")/lib.sh"

check "clang builds everything" make_quiet clang
check "musl builds library, command and tests" make_quiet musl
matches "the musl command is static" "$(file -b "$KT_BUILD/musl/ktrxer" 2> /dev/null || readelf -h "$KT_BUILD/musl/ktrxer")" \
	'static|ELF Header'
check "without any shared library" test -z "$(readelf -d "$KT_BUILD/musl/ktrxer" 2> /dev/null | grep NEEDED)"
matches "and runs" "$("$KT_BUILD/musl/ktrxer" --version)" 'ktrxer'
echo "# static and stripped: $(stat -c %s "$KT_BUILD/musl/ktrxer.stripped") bytes"
for m in aarch64 mipsel; do
	check "builds for $m" make_quiet "cross-$m-linux-gnu"
done
matches "arm64 it is" "$(readelf -h "$KT_BUILD/aarch64-linux-gnu/ktrxer")" 'AArch64'
matches "mips it is" "$(readelf -h "$KT_BUILD/mipsel-linux-gnu/ktrxer")" 'MIPS'
done_testing
