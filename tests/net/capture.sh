#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 240
# ktrxer capture and rule: files that tcpdump and tshark read, several
# listeners, rotation, sharing, full disks, interrupts, interfaces that go.
#
#   a a0 ---- b0 b
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns a
ns b
wire a a0 b b0
for x in a b; do in_ns $x sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done
mkdir -p /run/ktrxer

# 1000 UDP datagrams from ports 1000 to 1009 in turn, 100 us apart, to 10.9.0.2:9.
awk 'BEGIN {
	for (i = 0; i < 1000; i++) {
		printf "1 %d 02000000000b02000000000a08004500002e%04x0000401100000a0900010a090002", i * 100000, i
		printf "%04x0009001a0000%036d\n", 1000 + i % 10, i
	}
}' | pcap_write "$T/thousand.pcap"

# begin ARGUMENT...: captures in b, in the background; returns when it listens. $cap is its pid.
begin() {
	in_ns_bg cap b "$KT" capture -i b0 --status yes "$@" > "$T/out" 2> "$T/err"
	wait_for 10 grep -q '^seen' "$T/err" # its first status line
}
finish() { wait "$cap"; code=$?; }
send() { in_ns a "$KT" send -q -i a0 --engine packet "$@" "$T/thousand.pcap"; }
count() { tcpdump --count -r "$1" 2> /dev/null | cut -d' ' -f1; }

for engine in packet xdp; do
	begin --engine $engine -c 1000 --json
	send
	finish
	same "$engine, JSON: exit code" "$code" 0
	same "$engine, JSON: packets" "$(jq -r 'select(.type == "packet") | .sport' "$T/out" | sort | uniq -c | xargs)" \
		"100 1000 100 1001 100 1002 100 1003 100 1004 100 1005 100 1006 100 1007 100 1008 100 1009"
	same "$engine, JSON: in order without a gap" "$(jq -r 'select(.type == "packet") | .seq' "$T/out" | awk '$1 != NR - 1' | head -n 1)" ""
	same "$engine, JSON: counters add up" \
		"$(jq -r 'select(.type == "summary") | .seen - .delivered - .dropped - .passed - .lost_ring - .lost_engine - .lost_error' "$T/out")" 0
	between "$engine, JSON: time of day (s from now)" "$(jq -r 'select(.type == "packet") | .time_ns / 1e9 | floor' "$T/out" | awk -v now="$(date +%s)" '{ print now - $1; exit }')" 0 60
done

begin -c 3
send --count 3
finish
matches "lines" "$(cat "$T/out")" '^[0-9:]{8}\.[0-9]{9} > 10\.9\.0\.1:1002 > 10\.9\.0\.2:9 udp 18 bytes, ttl 64, length 60$'

begin --engine packet -c 1000 -w "$T/all.pcapng" -L "file=$T/odd.pcap,lossless,filter=udp src port 1001 or udp src port 1003" \
	-L "file=$T/tagged.pcapng,tag=7" -R <(printf '%s\n' '# sorted by port' 'capture proto udp sport 1005 tag 7' 'capture proto udp')
send
finish
same "three listeners: exit code" "$code" 0
same "three listeners: all, a filter, a tag" "$(count "$T/all.pcapng") $(count "$T/odd.pcap") $(count "$T/tagged.pcapng")" "1000 200 100"
same "three listeners: tshark finds no fault in the file" "$(tshark -n -r "$T/all.pcapng" 2>&1 > /dev/null | grep -v '^Running as')" ""
same "three listeners: the tag's packets" "$(tshark -n -r "$T/tagged.pcapng" -T fields -e udp.srcport 2> /dev/null | sort -u)" 1005
same "pcap has ns" "$(od -An -tx4 -N4 "$T/odd.pcap" | tr -d ' ')" a1b23c4d

for engine in packet xdp; do
	begin --engine $engine -c 100 --json 'udp src port 1001'
	send
	finish
	same "$engine, a filter: what it matches" "$(jq -r 'select(.type == "packet") | .sport' "$T/out" | sort | uniq -c | xargs)" "100 1001"
	same "$engine, a filter: the ring has nothing else, and the rest passed" \
		"$(jq -r 'select(.type == "summary") | "\(.delivered) \(.seen - .delivered - .passed) \(.passed >= 891)"' "$T/out")" "100 0 true"
done

begin -c 5 -w - 'udp port 1004'
send
finish
same "a capture on standard output" "$(tcpdump --count -r - < "$T/out" 2> /dev/null)" "5 packets"

begin -c 1000 -s 40 -w "$T/short.pcapng"
send
finish
same "snaplen" "$(tshark -n -r "$T/short.pcapng" -T fields -e frame.cap_len -e frame.len 2> /dev/null | sort -u)" $'40\t60'

begin -c 1000 -w "$T/r.pcapng" --rotate-count 150 --files 3
send
finish
same "rotation keeps the last files" "$(cd "$T" && for f in r_*; do echo "$f" "$(count "$f")"; done | xargs)" \
	"r_00005.pcapng 150 r_00006.pcapng 150 r_00007.pcapng 100"
begin -c 1000 -w "$T/s.pcapng" --rotate-size 20k
send
finish
same "rotation by size loses nothing" "$(cat "$T"/s_*.pcapng > "$T/s-all.pcapng"; tshark -n -r "$T/s-all.pcapng" 2> /dev/null | wc -l)" 1000

# Sharing: another process listens, and rules change.
begin --engine packet -w "$T/owner.pcapng" --share-path "$T/sock"
in_ns_bg other b "$KT" capture --attach "$T/sock" -c 100 -w "$T/attached.pcapng" --status yes 2> "$T/err2"
wait_for 10 grep -q '^seen' "$T/err2"
same "one rule at first" "$(in_ns b "$KT" rule list --to "$T/sock" --json | jq -r '"\(.id) \(.packets)"')" "1 0"
same "an added rule gets an id" "$(in_ns b "$KT" rule add --to "$T/sock" 'capture proto udp sport 1008 tag 9')" 2
same "rules are replaced" "$(printf 'capture proto udp sport 1000 id 5\nforward id 6\n' > "$T/rules"; in_ns b "$KT" rule replace --to "$T/sock" "$T/rules")" "2 rules"
send
wait "$other"
same "the other process ends by its count" "$?" 0
same "it has what the new rules deliver" "$(tshark -n -r "$T/attached.pcapng" -T fields -e udp.srcport 2> /dev/null | sort | uniq -c | xargs)" "100 1000"
same "matches by rule" "$(in_ns b "$KT" rule list --to "$T/sock" --json | jq -r '"\(.id) \(.packets)"' | xargs)" "5 100 6 900"
check "a rule is deleted" in_ns b "$KT" rule delete --to "$T/sock" 6
in_ns b "$KT" rule delete --to "$T/sock" 6 2> "$T/err2"
same "but once only" "$? $(cat "$T/err2")" "2 ktrxer rule: no rule has the id 6"
printf 'capture proto udp\ncapture prot udp\n' > "$T/rules"
in_ns b "$KT" rule replace --to "$T/sock" "$T/rules" 2> "$T/err2"
same "a bad file changes nothing" "$? $(in_ns b "$KT" rule list --to "$T/sock" --json | jq -r .id)" "2 5"
matches "and its line is named" "$(cat "$T/err2")" 'rules:2: '
stop "$cap" TERM
same "an interrupt ends a capture without an end" "$?" 0
same "with its files complete" "$(count "$T/owner.pcapng")" 100
in_ns b "$KT" rule list --to "$T/sock" 2> "$T/err2"
matches "nobody shares any more" "$? $(cat "$T/err2")" '^3 .*nobody shares a receiver'

# Whoever comes before the owner waits for it. Its own rules are in force by then, and do not undo what comes.
in_ns_bg other b "$KT" capture --attach "$T/early/sock" --wait 60s -c 100 -w "$T/early.pcapng" --status yes 2> "$T/err2"
in_ns_bg adding b "$KT" rule add --to "$T/early/sock" --wait 60s 'capture proto udp sport 1003 tag 3' > "$T/out2" 2>&1
begin --rule 'forward proto udp sport 1004' -w "$T/owner.pcapng" --share-path "$T/early/sock"
wait "$adding"
same "a rule added before there is an owner" "$? $(cat "$T/out2")" "0 2"
same "beside those of the owner" "$(in_ns b "$KT" rule list --to "$T/early/sock" --json | jq -r .rule | xargs)" \
	"forward proto udp sport 1004 id 1 capture proto udp sport 1003 tag 3 id 2"
wait_for 10 grep -q '^seen' "$T/err2"
send
wait "$other"
same "who attached before there was an owner gets its packets" "$? $(count "$T/early.pcapng")" "0 100"
stop "$cap" TERM
begin --rule 'forward proto udp sport 1004' -w "$T/owner.pcapng" --share-path "$T/early/sock"
kill -KILL "$cap"
wait "$cap" 2> /dev/null
in_ns_bg adding b "$KT" rule list --to "$T/early/sock" --wait 60s > "$T/out2" 2>&1
begin --share-path "$T/early/sock"
wait "$adding"
same "an owner that left its socket behind is not taken for one that shares" "$? $(tail -n 1 "$T/out2" | awk '{ print $1 }')" "0 1"
stop "$cap" TERM
in_ns_bg adding b "$KT" rule list --to "$T/early/sock" --wait 60s > "$T/out2" 2>&1
wait_for 10 grep -qi '^SigCgt:.*4...$' "/proc/$adding/status" # it is ours by now, and does not die of it
stop "$adding" TERM
same "waiting can be interrupted" "$? $(cat "$T/out2")" "143 "

# A full disk.
mkdir "$T/small"
mount -t tmpfs -o size=64k tmpfs "$T/small"
begin -w "$T/small/full.pcapng"
send
finish
same "disk full: exit code" "$code" 4
matches "disk full: a sentence" "$(cat "$T/err")" 'No space left on device'
between "disk full: what fit can be read" "$(count "$T/small/full.pcapng")" 100 999
same "disk full: the file ends with a whole packet" "$(tshark -n -r "$T/small/full.pcapng" 2>&1 > /dev/null | grep -v '^Running as')" ""
umount "$T/small"

# Outputs that close.
in_ns_bg cap b "$KT" capture -i b0 --status yes --json -d 20s > /dev/full 2> "$T/err"
finish
same "output full: exit code" "$code" 4

# Interrupted before the end that was asked for.
begin -c 1000000 -w "$T/cut.pcapng"
send
wait_for 10 grep -q '^seen 1000,' "$T/err" # the receiving thread has them, files may not
stop "$cap" TERM
same "interrupted: exit code" "$?" 143
same "interrupted: nothing is lost" "$(count "$T/cut.pcapng")" 1000

# Errors of the surroundings.
in_ns b "$KT" capture -i nope 2> "$T/err"
matches "no interface" "$? $(cat "$T/err")" '^3 ktrxer capture: no interface "nope"'
in_ns b "$KT" capture -i b0 -w "$T/none/x.pcap" 2> "$T/err"
matches "no directory" "$? $(cat "$T/err")" '^4 .*No such file or directory'
in_ns b "$KT" capture -i b0 --engine packet --rule drop 2> "$T/err"
matches "a drop that the engine cannot do" "$? $(cat "$T/err")" '^3 .*drop'
in_ns b setpriv --bounding-set=-net_raw,-net_admin --inh-caps=-net_raw,-net_admin "$KT" capture -i b0 -c 1 2> "$T/err"
matches "no rights" "$? $(cat "$T/err")" '^3 ktrxer capture: packet sockets need CAP_NET_RAW'

# Down at the start, up, and down again: each change is said once.
ip -n "$(name_of b)" link set b0 down
begin --engine packet -c 1000 --json
wait_for 10 grep -q 'interface b0 is down' "$T/err"
ip -n "$(name_of b)" link set b0 up
wait_for 10 grep -q 'interface b0 is up again' "$T/err"
ip -n "$(name_of b)" link set b0 down
wait_for 10 sh -c "[ \"\$(grep -c 'interface b0 is down' $T/err)\" = 2 ]"
ip -n "$(name_of b)" link set b0 up
wait_for 10 sh -c "[ \"\$(grep -c 'interface b0 is up again' $T/err)\" = 2 ]"
send
finish
same "down: goes on when it is up" "$code" 0
same "down: said and counted" \
	"$(grep -c 'is down' "$T/err") $(jq -r 'select(.type == "summary") | .times_down' "$T/out")" "2 2"

begin -w "$T/gone.pcapng" --engine packet
send
wait_for 5 sh -c "[ \"\$(tcpdump --count -r $T/gone.pcapng 2>/dev/null | cut -d' ' -f1)\" = 1000 ]"
ip -n "$(name_of b)" link del b0
finish
same "gone: exit code" "$code" 4
matches "gone: a sentence" "$(cat "$T/err")" 'the interface b0 is gone'
same "gone: what came before is there" "$(count "$T/gone.pcapng")" 1000
done_testing
