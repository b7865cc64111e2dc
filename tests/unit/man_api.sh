#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# ktrxer(3) names every public function, and its example compiles and links.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${KT_BUILD:-build}
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
n=0 status=0

result() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; status=1; fi
}

grep -oE '\b(ktrxer|ktx|krx)_[a-z_]+\(' include/ktrxer.h | tr -d '(' | sort -u > "$tmp/public"
grep -oE '^\.Fn (ktrxer|ktx|krx)_[a-z_]+' man/ktrxer.3 | cut -d' ' -f2 | sort -u > "$tmp/named"
missing=$(comm -23 "$tmp/public" "$tmp/named")
unknown=$(comm -13 "$tmp/public" "$tmp/named")
[ -z "$missing$unknown" ]
result $? "every public function is in ktrxer(3)"
[ -z "$missing" ] || echo "# missing: ${missing//$'\n'/ }"
[ -z "$unknown" ] || echo "# not in the header: ${unknown//$'\n'/ }"

sed -n '/^\.Bd -literal/,/^\.Ed/p' man/ktrxer.3 | sed -e '/^\.[BE]d/d' -e 's/\\e/\\/g' > "$tmp/example.c"
# The library may be built with a sanitizer, or without the optional libraries: its own symbols tell.
nm "$build/libktrxer.a" > "$tmp/symbols" 2>/dev/null
flags=()
if grep -q ' U __tsan_' "$tmp/symbols"; then flags+=(-fsanitize=thread)
elif grep -q ' U __asan_' "$tmp/symbols"; then flags+=("-fsanitize=address,undefined"); fi
if grep -q ' U bpf_object__' "$tmp/symbols"; then flags+=(-lbpf); fi
if grep -q ' U pcap_' "$tmp/symbols"; then flags+=(-lpcap); fi
${CC:-gcc} -Wall -Wextra -Werror -Iinclude -o "$tmp/example" "$tmp/example.c" "$build/libktrxer.a" "${flags[@]}" -lpthread > "$tmp/log" 2>&1
result $? "the example of ktrxer(3) compiles and links"
sed 's/^/# /' "$tmp/log"
echo "1..$n"
exit $status
