#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# table.sh [BUILD]
#
# Which engine keeps the contract where, from what the conformance tests in guests have left (kernel/conform, arch/conform): a
# line for each machine and kernel, a column for each engine: passed/failed/skipped. Below, why cases were skipped. Exit 1 if a cell
# has a failure or nobody has tested it.
set -u
build=${1:-build}
shopt -s nullglob
files=("$build"/test-results/{kernel,arch}_conform/out)
[ ${#files[@]} -gt 0 ] || { echo "table.sh: no results in $build/test-results: run tests/run.sh kernel/conform arch/conform" >&2; exit 1; }
cat "${files[@]}" | awk '
	/^(not )?ok / {
		failed = /^not/
		line = $0
		sub(/^(not )?ok [0-9]+ - /, "", line)
		n = split(line, part, ": ")
		if (n < 3 || part[2] !~ /^(mem|packet|xdp_generic|xdp_native|kmod)$/)
			next
		cell = part[1] SUBSEP part[2]
		if (!(part[1] in known)) { known[part[1]]; flavour[++flavours] = part[1] }
		if (!(part[2] in engines)) { engines[part[2]]; engine[++n_engines] = part[2] }
		if (failed) bad[cell]++
		else if (match(line, /# SKIP .*/)) { skipped[cell]++; why[substr(line, RSTART + 7)]++ }
		else good[cell]++
	}
	# Flavours of amd64 are kernels; those of machines have Debian 12s own.
	function machine(f) { return f ~ /^(arm64|armhf|mipsel|s390x)/ ? f : f ~ /^uml/ ? "User Mode Linux" : "amd64" }
	function kernel(f) { return machine(f) == f ? "6.1" : f == "uml" ? "6.1, all checkers" : f == "uml-tt" ? "6.1, virtual time" : f }
	END {
		printf "%-16s %-18s", "machine", "kernel"
		for (i = 1; i <= n_engines; i++) printf " %12s", engine[i]
		print ""
		for (i = 1; i <= flavours; i++) {
			f = flavour[i]
			printf "%-16s %-18s", machine(f), kernel(f)
			for (k = 1; k <= n_engines; k++) {
				c = f SUBSEP engine[k]
				if (!good[c] && !bad[c] && !skipped[c]) { printf " %12s", "-"; worst = 1; continue }
				printf " %12s", good[c] + 0 "/" bad[c] + 0 "/" skipped[c] + 0
				worst = worst || bad[c]
			}
			print ""
		}
		print "passed/failed/skipped; skipped is what is not there:"
		for (w in why) print "  " why[w] " times: " w | "sort"
		exit worst
	}'
