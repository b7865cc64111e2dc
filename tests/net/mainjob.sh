#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 180
# The main job meets its expectations, its files can be read by tcpdump,
# tshark and jq, and Ctrl-C in the middle leaves nothing running.
set -u
. "$(dirname "$0")/lib.sh"
need_root
cd "$KT_SRC" || exit 1

things() {
	ip netns list
	ip -o link | awk -F': ' '{ print $2 }'
	ps -e -o args= | grep -E 'unbound -d|tcpdump|ktrxer (probe|emulate)|tests/tools/service' | grep -v grep
}
before=$(things)

scripts/mainjob.sh --build "$KT_BUILD" --out "$T/run" > "$T/report" 2>&1
status=$?
if [ $status = 0 ]; then ok "every expectation is met"; else not_ok "every expectation is met" "$(cat "$T/report")"; fi
same "nothing is left behind" "$(things)" "$before"
for f in "$T"/run/*.pcapng "$T"/run/far.pcap; do
	check "tcpdump reads ${f##*/}" tcpdump --count -nr "$f"
	same "tshark has no complaint about ${f##*/}" "$(tshark_complaints "$f")" ""
done
for f in "$T"/run/*.jsonl "$T"/run/*.json; do check "jq reads ${f##*/}" jq -e . "$f"; done
same "CSV lines have one number of fields" "$(awk -F, '{ print NF }' "$T"/run/icmp4.csv | sort -u | wc -l)" 1
check "the report is in a file, without colours" grep -q 'as expected' "$T/run/report.txt"

# In a session of its own, as a terminal's foreground job; SIGINT to all of it.
env --default-signal=INT setsid scripts/mainjob.sh --build "$KT_BUILD" --out "$T/cut" > "$T/cut.txt" 2>&1 &
job=$!
wait_for 30 test -s "$T/cut/icmp4.jsonl"
kill -INT -- -"$job"
wait "$job"
same "interrupted: exit status" $? 130
matches "interrupted: says so" "$(cat "$T/cut.txt")" 'interrupted; what was measured is in'
same "interrupted: nothing is left behind" "$(things)" "$before"
done_testing
