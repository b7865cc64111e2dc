#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The public names are stated once, in include/ktrxer.h; map and library agree with it.
set -u
. "$(dirname "$0")/lib.sh"

gcc -E -P include/ktrxer.h | grep -oE '\b(ktrxer|ktx|krx)_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u > "$T/header"
sed -n 's/^\t\t\([a-z0-9_]*\);$/\1/p' lib/libktrxer.map | sort -u > "$T/map"
nm -D --defined-only "$KT_BUILD/libktrxer.so" | awk '$2 ~ /[TD]/ { sub(/@.*/, "", $3); print $3 }' | sort -u > "$T/shared"
nm --defined-only --extern-only "$KT_BUILD/libktrxer.a" 2> /dev/null | awk 'NF == 3 { print $3 }' |
	grep -vE '^(ktrxer|ktx|krx|kt)_' | sort -u > "$T/strange"

check "the header declares functions" test "$(wc -l < "$T/header")" -gt 40
check "lib/libktrxer.map lists the header's functions" diff "$T/header" "$T/map"
check "libktrxer.so exports them and nothing else" diff "$T/header" "$T/shared"
check "libktrxer.a defines only names with our prefixes" diff /dev/null "$T/strange"
check "the header compiles as C++" clang -x c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only include/ktrxer.h
check "the header compiles as C11 without extensions" \
	gcc -x c -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only include/ktrxer.h
# Each device's abuse has a row for each of its ioctls; both have INFO.
{
	sed -n 's/^#define \(K[A-Z]*_IOC_[A-Z]*\) .*/\1/p' include/uapi/ktrxer.h
	echo KTRXER_IOC_INFO
} | sort > "$T/ioctls"
grep -oE '^	\{ "[^"]*", (true|false), K[A-Z]*_IOC_[A-Z]*' tests/kernel/abuse_calls.h | sed 's/.* //' | sort > "$T/abused"
check "the contract has ioctls" test "$(wc -l < "$T/ioctls")" -gt 10
check "every ioctl is abused" diff "$T/ioctls" "$T/abused"
check "core/ is freestanding" make_quiet freestanding
done_testing
