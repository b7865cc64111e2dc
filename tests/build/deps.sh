#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Every package that scripts/deps.sh would install exists in this Debian.
set -u
. "$(dirname "$0")/lib.sh"

for what in build run kernel test bench; do
	check "$what has packages" test "$(scripts/deps.sh list $what | wc -l)" -gt 5
	if command -v apt-cache > /dev/null; then
		mapfile -t list < <(scripts/deps.sh list $what)
		check "$what: all known to apt" diff <(apt-cache policy "${list[@]}" 2> /dev/null | sed -n 's/^\([^ ].*\):$/\1/p' |
			sort -u) <(printf '%s\n' "${list[@]}" | sort -u)
	fi
done
check "nothing is missing for tests" scripts/deps.sh test
matches "an unknown word is refused" "$(scripts/deps.sh nonsense 2>&1)" '^usage: deps.sh'
done_testing
