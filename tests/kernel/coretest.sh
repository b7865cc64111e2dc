#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 900
# The core's suites inside the kernels of guests; and the module's size and stack, with each kernel's headers.
set -u
. "$(dirname "$0")/lib.sh"
cache=${KT_GUEST_CACHE:-$PWD/build/guest}
limit=$((100 * 1024)) # bytes of text, the core's included

# In the guest: loads what --overlay put there, and tells the kernel log's cases as TAP.
cat > "$T/run" <<'EOF'
insmod /coretest/ktrxer_coretest.ko
status=$?
dmesg | sed -n 's/^\[[^]]*\] \( *\(not \)\{0,1\}ok .*\| *# .*\)/\1/p' | awk '
	$1 == "#" && $2 == "Subtest:" { suite = $3; next }
	/^    #/ { note = $0; next }
	/^    / { ok = $1 == "ok"; sub(/^ *(not )?ok [0-9]+ /, ""); print (ok ? "ok " : "not ok ") ++n " - " suite ": " $0
		  if (!ok) print note }
	END { print "1.." n + 0 }'
[ $status != 0 ] || rmmod ktrxer_coretest
exit $status
EOF

for f in $KT_FLAVOURS; do
	module "$f"
	case $f in
	uml*) release=$(cat "$cache/uml/release") kdir=$cache/uml/o arch=(ARCH=um) ;;
	*) release=$(cat "$cache/$f/release") kdir=$cache/$f/root/usr/src/linux-headers-$release arch=("CROSS_COMPILE=$(cross_of "$(machine_of "$f")")") ;;
	esac
	if make --no-print-directory -s BUILD="$KT_BUILD" KDIR="$kdir" "${arch[@]}" coretest-module > "$T/log" 2>&1 && ! grep -q 'warning:' "$T/log"; then
		ok "$f: coretest-module builds without a warning"
	else
		not_ok "$f: coretest-module builds without a warning" "$(tail -n 20 "$T/log")"
	fi
	# Code by its sections; size's own sum would count the unwinder's and modversions' tables.
	text=$(size -A "${kt_paths[0]}" | awk '$1 ~ /text/ { n += $2 } END { print n + 0 }')
	# The limit is for amd64's code; other machines' instructions are longer, and checkers put theirs in between.
	if is_um "$f" || is_foreign "$f"; then
		echo "# $f: $text bytes of text"
	elif [ "$text" -gt 0 ] && [ "$text" -lt $limit ]; then
		ok "$f: $text bytes of text, below $limit"
	else
		not_ok "$f: text below $limit bytes" "it has $text"
	fi
	mkdir -p "$T/$f/coretest"
	cp "$KT_BUILD/coretest/$release/ktrxer_coretest.ko" "$T/run" "$T/$f/coretest/"
	$guest run "$f" --overlay "$T/$f" --timeout 280 bash /coretest/run > "$T/out" 2>&1
	status=$?
	mapfile -t lines < "$T/out"
	for ((i = 0; i < ${#lines[@]}; i++)); do
		case ${lines[i]} in
		"ok "*) ok "$f: ${lines[i]#ok * - }" ;;
		"not ok "*) not_ok "$f: ${lines[i]#not ok * - }" "${lines[i + 1]-}" ;;
		esac
	done
	if [ $status = 0 ] && grep -qE '^1\.\.[1-9]' "$T/out"; then
		ok "$f: all cases, and nothing in the kernel log"
	else
		not_ok "$f: all cases, and nothing in the kernel log" "status $status: $(grep -v '^ok ' "$T/out" | tail -n 20)"
	fi
done
done_testing
