#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# ktrxer probe without root: sentences for wrong input, dry runs, and whole runs on a wire in memory.
set -u
cd "$(dirname "$0")/../.." || exit 1
kt=${KT_BUILD:-$PWD/build}/ktrxer
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
export KTRXER_CONF='' COLUMNS=100
. tests/tap.sh

# is NAME EXPECTED ACTUAL
is() { same "$1" "$3" "$2"; }

# says CODE TEXT ARGUMENT...: exit code and stderr, which must be one line that holds TEXT.
says() {
	local code=$1 text=$2 err got
	shift 2
	err=$(timeout 20 "$kt" probe "$@" 2>&1 > "$tmp/out" < /dev/null)
	got=$?
	if [ "$got" = "$code" ] && [[ $err == *"$text"* ]] && [ "$(wc -l <<< "$err")" = 1 ]; then
		ok "ktrxer probe $*"
	else
		not_ok "ktrxer probe $*" "exit $got, not $code; said: $err"
	fi
}

dry() { "$kt" probe --dry-run --json "$@"; }

printf '10.0.0.1\n\n10.0.0.0/33 # no\n' > "$tmp/targets"
printf '0\n5ms\n3ms\n' > "$tmp/times"
printf 'x\n' > "$tmp/nottimes"
: > "$tmp/empty"
printf '%s' 'this is no capture, and it never was one' > "$tmp/text"
printf 'order = random\nseed = 1\nshard = 0/1\nlast = 3\ntargets = 5\ngiven = 1\n' > "$tmp/state"

says 2 'no targets are named' --dry-run
says 2 '"10.0.0.0/33": prefix length must be 0 to 32' --dry-run 10.0.0.0/33
says 2 "$tmp/targets:3: \"10.0.0.0/33\": prefix length" --dry-run -t "$tmp/targets"
says 2 'No such file or directory' --dry-run -t "$tmp/absent"
says 2 'all targets are denied' --dry-run 224.0.0.1
says 2 'names are not looked up' --dry-run example.org
says 2 '--port is needed' --dry-run -k syn 10.0.0.1
says 2 '--port means nothing to icmp' --dry-run -p 80 10.0.0.1
says 2 'ports "80-70": the range 80-70 ends before it begins' --dry-run -k udp -p 80-70 10.0.0.1
says 2 'shards are numbered 0 to 3' --dry-run --shard 4/4 10.0.0.1
says 2 'write I/N' --dry-run --shard 4 10.0.0.1
says 2 'each from 0 to 4094' --dry-run --vlan 5000 10.0.0.1
says 2 'write A or A-B' --dry-run -k udp -p 1 --source-port 9-8 10.0.0.1
says 2 'only ICMP and UDP probes take a payload' --dry-run -k syn -p 1 -s 9 10.0.0.1
says 2 'the DNS name has an empty label' --dry-run -k dns --dns-name a..b 10.0.0.1
says 2 'is earlier than the time before it' --dry-run --times "$tmp/times" 10.0.0.1
says 2 'is no time from the start' --dry-run --times "$tmp/nottimes" 10.0.0.1
says 2 'it holds no launch times' --dry-run --times "$tmp/empty" 10.0.0.1
if [[ $("$kt" info --json) == *'"libpcap":null'* ]]; then
	says 3 'made without libpcap' --dry-run --pcap "$tmp/empty"
else
	says 2 'the file is empty, not a capture' --dry-run --pcap "$tmp/empty"
	says 2 'not a capture that can be read' --dry-run --pcap "$tmp/text"
fi
says 2 'odd number of hex digits' --dry-run --hex fff
says 2 'frames of your own have their addresses in them' --dry-run --hex ffffffffffff0200000000010806 10.0.0.1
says 2 '--interval is needed' --dry-run --train 3 10.0.0.1
says 2 '--train is needed' --dry-run --trains 3 10.0.0.1
says 2 'do not fit into --interval' --dry-run --train 3 --gap 1s --interval 1s 10.0.0.1
says 2 'saved over other targets' --dry-run --resume "$tmp/state" 10.0.0.1
says 2 'only with --count 1' --dry-run --resume "$tmp/new" -c 2 10.0.0.1
says 2 'not with --track no' --dry-run -R 1 --track no 10.0.0.1
says 2 '--interface is needed' 10.0.0.1
says 2 '--source is needed' -i mem:cli/0 --gateway-mac 02:00:00:00:00:01 10.0.0.1
says 2 'write six bytes' -i mem:cli/0 --gateway-mac 02 --source 10.0.0.9 10.0.0.1
says 2 'only one kind of results' -i mem:cli/0 --json --csv - 10.0.0.1
says 2 'no more than 1G probes a second' -i mem:cli/0 -r 10T 10.0.0.1
says 4 'No space left on device' -i mem:cli/0 -c 3 -q -w /dev/full 10.0.0.1
says 4 'No space left on device' -i mem:cli/0 -c 3 -q -o /dev/full 10.0.0.1

is "sequential order, by address then port" "10.0.0.1:80 10.0.0.1:81 10.0.0.2:80 10.0.0.2:81" \
	"$(dry -k syn -p 80-81 10.0.0.2 10.0.0.1 | jq -r '"\(.target):\(.port)"' | xargs)"
is "a random order visits all, once" 4096 "$(dry --order random 10.0.0.0/20 | jq -r .target | sort -u | wc -l)"
is "the same seed gives the same order" "$(dry --order random --seed 4 10.0.0.0/24 | md5sum)" \
	"$(dry --order random --seed 4 10.0.0.0/24 | md5sum)"
is "three shards are the whole" 1000 \
	"$(for i in 0 1 2; do dry --order random --shard $i/3 -k udp -p 1-10 10.0.0.1-100; done | jq -r '"\(.target) \(.port)"' | sort -u | wc -l)"
is "launch times of a rate" "0 333333333 666666666 1000000000" "$(dry -r 3 -c 4 10.0.0.1 | jq .at_ns | xargs)"
is "launch times of trains" "0 0 100 100" "$(dry --train 2 --interval 100ns --trains 2 10.0.0.1 | jq .at_ns | xargs)"
printf '0\n1.5ms # two\n\n3s\n' > "$tmp/times"
is "launch times of a file" "0 1500000 3000000000" "$(dry --times "$tmp/times" 10.0.0.1 | jq .at_ns | xargs)"
is "deny wins" "10.0.0.1 10.0.0.4" "$(dry --deny 10.0.0.2-3 --allow 10.0.0.0/29 10.0.0.1-4 10.1.0.0/24 | jq -r .target | xargs)"
is "a dry run shows the frame" "0800" "$(dry 10.0.0.1 | jq -r '.frame[24:28]')"
is "frames of one's own in turn" "ffffffffffff0200000000010806 ffffffffffff0200000000010807 ffffffffffff0200000000010806 ffffffffffff0200000000010807" \
	"$(dry -c 2 --hex ffffffffffff0200000000010806 --hex ffffffffffff0200000000010807 | jq -r .frame | xargs)"
is "frames of one's own in words" "would send 2 frames, one every 10.0 ms" \
	"$("$kt" probe --dry-run --hex ffffffffffff0200000000010806 --hex ffffffffffff0200000000010807 | head -1)"

# On a wire in memory nobody answers: all counts and exit codes without root.
"$kt" probe -i mem:cli/0 --json -c 3 -I 10ms --csv "$tmp/csv" --meta "$tmp/meta" -w "$tmp/w.pcapng" 192.0.2.7 > "$tmp/out"
is "nobody answers: exit code" 1 $?
is "nobody answers: told of each" "run lost lost lost summary" "$(jq -r .type "$tmp/out" | xargs)"
is "nobody answers: counted" "3 0 3 0 1" "$(jq -r 'select(.type == "summary") | "\(.sent) \(.answered) \(.lost) \(.lost_by_ourselves) \(.loss_ratio)"' "$tmp/out")"
is "nobody answers: launched exactly" "0 0 0" "$(jq -r 'select(.type == "lost") | .launch_ns - .scheduled_ns' "$tmp/out" | xargs)"
is "nobody answers: as CSV" "4 lines of 20 fields" "$(awk -F, '{ f[NF]++ } END { for (i in f) printf "%d lines of %d fields", f[i], i }' "$tmp/csv")"
is "nobody answers: the metadata" '"probe" 3' "$(jq -r '"\"\(.command)\" \(.summary.sent)"' "$tmp/meta")"
done_testing
