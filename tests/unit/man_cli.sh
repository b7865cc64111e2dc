#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Manual pages: mandoc has no complaint, every command has a page, and every
# option is in it or among those of all commands in ktrxer(1).
set -u
cd "$(dirname "$0")/../.." || exit 1
kt=${KT_BUILD:-$PWD/build}/ktrxer
. tests/tap.sh

result() { # STATUS NAME DETAIL
	if [ "$1" = 0 ]; then ok "$2"; else not_ok "$2" "$3"; fi
}

# Long options of a page: "Fl -name", also behind a comma.
options_of() { grep -oE '\bFl -[a-z][a-z-]*' "$1" | cut -c5- | sort -u; }

commands=$("$kt" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
for page in man/*.[1-9]; do
	if command -v mandoc > /dev/null; then
		# References to pages of ours are right only once they are installed.
		complaints=$(mandoc -T lint -W warning "$page" 2>&1)
		result $((${#complaints} > 0)) "mandoc accepts $page" "$complaints"
	else
		n=$((n + 1))
		echo "ok $n - $page # SKIP mandoc is not installed"
	fi
done
for c in $commands; do
	page=man/ktrxer-$c.1
	[ -f "$page" ]
	result $? "$c has a page" "$page"
	[ -f "$page" ] || continue
	missing=$(comm -23 <("$kt" __options "$c" | sort) <({ options_of "$page"; options_of man/ktrxer.1; } | sort -u))
	result $((${#missing} > 0)) "every option of $c is in its page" "missing: $missing"
	unknown=$(comm -13 <("$kt" __options "$c" | sort) <(sed -n '/^\.It/p' "$page" | options_of /dev/stdin))
	result $((${#unknown} > 0)) "every option that $page explains is one" "unknown: $unknown"
	grep -q "ktrxer-$c 1" man/ktrxer.1
	result $? "ktrxer(1) refers to $c" ""
	grep -q '^\.Sh EXAMPLES' "$page"
	result $? "$page has an example" ""
done
done_testing
