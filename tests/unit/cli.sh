#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The command line without root and without packets: help, exit codes, sentences
# for bad input, config files, --dump-config, completion, closed and full outputs.
set -u
cd "$(dirname "$0")/../.." || exit 1
kt=${KT_BUILD:-$PWD/build}/ktrxer
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
export KTRXER_CONF='' COLUMNS=100
. tests/tap.sh

# says CODE TEXT ARGUMENT...: exit code and stderr, which must be one line that holds TEXT.
says() {
	local code=$1 text=$2 err got
	shift 2
	err=$("$kt" "$@" 2>&1 > "$tmp/out" < /dev/null)
	got=$?
	if [ "$got" = "$code" ] && [[ $err == *"$text"* ]] && [ "$(wc -l <<< "$err")" = 1 ]; then
		ok "ktrxer $*"
	else
		not_ok "ktrxer $*" "exit $got, not $code; said: $err"
	fi
}

# is NAME EXPECTED ACTUAL
is() { same "$1" "$3" "$2"; }

# shows TEXT ARGUMENT...: exit 0 and stdout holds TEXT.
shows() {
	local text=$1 out
	shift
	if out=$("$kt" "$@" 2>&1) && [[ $out == *"$text"* ]]; then ok "ktrxer $* shows $text"; else not_ok "ktrxer $*" "$out"; fi
}

commands=$("$kt" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
is "some commands" 1 "$(($(wc -w <<< "$commands") > 2))"

shows "Commands:" --help
shows "Commands:" help
shows "ktrxer 0" --version
for c in $commands; do
	shows "--dump-config" "$c" --help
	is "ktrxer help $c is its --help" "$("$kt" "$c" --help)" "$("$kt" help "$c")"
	over=$("$kt" "$c" --help | awk 'length > 100')
	is "help of $c fits" "" "$over"
done

# Usage errors: one sentence, code 2.
says 2 "a command is missing"
says 2 'unknown command "sned"; did you mean "send"?' sned
says 2 'unknown command "xyzzy"' xyzzy
says 2 "the command comes first" --json info
says 2 "unknown option --jsno; did you mean --json?" info --jsno
says 2 "unknown option -Z" info -Z
says 2 "--interface needs a value" info -i
says 2 "is not an interface" info -i "a b"
says 2 "one word too many" info eth0
says 2 '--rate: "10x" is not a rate; allowed: packets per second such as 500' send --rate 10x f
says 2 "--rate and --fast cannot be given together" send --rate 5 --fast f
says 2 '--vlan: "4095" is out of range; allowed: 1 to 4094' send --vlan 4095 f
says 2 "is not one of its words; allowed: auto, kmod, xdp, packet, mem" send --engine netmap f
says 2 "the file is missing" send
says 2 "--interface is needed" send f
says 2 "one file too many" send a b -i lo
: > "$tmp/empty.pcap"
head -c 100 /dev/zero > "$tmp/zeros.pcap"
if [[ $("$kt" info --json) == *'"libpcap":null'* ]]; then
	says 3 "made without libpcap" send -i lo "$tmp/empty.pcap"
	says 3 "made without libpcap" capture -i lo port 5
else
	says 2 "No such file" send -i lo "$tmp/none.pcap"
	says 2 "empty.pcap" send -i lo "$tmp/empty.pcap"
	says 2 "zeros.pcap" send -i lo "$tmp/zeros.pcap"
	says 2 'filter "porrt 5"' capture -i lo 'porrt 5'
fi
says 2 "not a MAC address" send --dry-run --src-mac 1:2:3 "$tmp/zeros.pcap"
says 2 "not a mapping" send --dry-run --src-ip 10.0.0.0/8=::/8 "$tmp/zeros.pcap"
says 2 "--each is for --json" send -i lo --each f
says 3 'no interface "nope0"' info -i nope0
says 2 "the shell is missing" completion
if grep -qw capture <<< "$commands"; then
	says 2 "--interface is needed" capture
	says 2 "--attach and --interface cannot be given together" capture -i lo --attach lo
	says 2 'unknown key "flie"; did you mean "file"?' capture -i lo -L flie=x
	says 2 "is not a duration" capture -i lo -d soon
	says 2 "only files can be rotated" capture -i lo --rotate-count 5
	says 2 "cannot both write" capture -i lo -w a -w a
	says 3 "/nonexistent/x.sock" capture --attach /nonexistent/x.sock
	says 2 "--wait goes with --attach" capture -i lo --wait 1s
	says 3 "nobody shared a receiver at /nonexistent/x.sock within 30.0 ms" capture --attach /nonexistent/x.sock --wait 30ms
fi
if grep -qw rule <<< "$commands"; then
	says 2 "what to do is missing" rule
	says 2 "nothing to do with rules" rule lsit
	says 2 "which receiver" rule list
	says 3 "nobody shares a receiver" rule list --to "$tmp/none.sock"
	says 3 "nobody shared a receiver" rule list --to "$tmp/none.sock" --wait 30ms
	printf '# rules\n\ncapture\nnonsense here\n' > "$tmp/rules"
	says 2 "rules:4: " rule check "$tmp/rules"
fi

# Config files.
cat > "$tmp/conf" << 'END'
# for all
json = yes
rate = 10k
[send]
loop = 3
src-ip = 10.0.0.0/8=11.0.0.0/8
src-ip = 1.2.3.4
[info]
all = yes
END
dump=$("$kt" send --config "$tmp/conf" --loop 5 --dump-config)
is "file and command line" "rate = 10k loop = 5 src-ip = 10.0.0.0/8=11.0.0.0/8 src-ip = 1.2.3.4 json = yes" \
	"$(grep -E '^(rate|loop|src-ip|json) ' <<< "$dump" | tr '\n' ' ' | sed 's/ $//')"
for c in $commands; do
	"$kt" "$c" --dump-config > "$tmp/dump1" && "$kt" "$c" --config "$tmp/dump1" --dump-config > "$tmp/dump2"
	is "the dump of $c read back is the same" "$(cat "$tmp/dump1")" "$(cat "$tmp/dump2")"
done
is "an exclusive option of the command line outdoes a file's" "# rate =" \
	"$("$kt" send --config "$tmp/conf" --fast --dump-config | grep -E '^#? ?rate =')"
KTRXER_CONF=$tmp/conf shows "loop = 3" send --dump-config
is "--config outdoes the system's file" "loop = 4" \
	"$(printf '[send]\nloop=4\n' > "$tmp/c2"; KTRXER_CONF=$tmp/conf "$kt" send --config "$tmp/c2" --dump-config | grep ^loop\ )"
printf 'rtae = 5\n' > "$tmp/bad"
says 2 'bad:1: unknown option "rtae"; did you mean "rate"?' send --config "$tmp/bad"
printf '\n[sned]\n' > "$tmp/bad"
says 2 'bad:2: no command is called "sned"; did you mean "send"?' send --config "$tmp/bad"
printf '[send]\nrate = fast\n' > "$tmp/bad"
says 2 'bad:2: --rate: "fast" is not a rate' send --config "$tmp/bad"
printf 'help = yes\n' > "$tmp/bad"
says 2 "has no place in a file" info --config "$tmp/bad"
printf 'a\0b' > "$tmp/bad"
says 2 "not a text file" info --config "$tmp/bad"
says 2 "No such file" info --config "$tmp/nothing"
says 2 "Is a directory" info --config "$tmp"

# Output that cannot be written.
for c in "info" "info --json" "--help" "probe -i mem:cli/0 -W 1ms 10.0.0.1" "completion bash" "send --dump-config"; do
	# shellcheck disable=SC2086
	err=$("$kt" $c 2>&1 > /dev/full)
	is "full disk: ktrxer $c" "4 cannot write to standard output: No space left on device" "$? ${err#*: }"
	# shellcheck disable=SC2086
	err=$("$kt" $c 2>&1 >&-)
	is "closed output: ktrxer $c" "4 cannot write to standard output: it is closed" "$? ${err#*: }"
done
(ulimit -f 5000; "$kt" probe -i mem:cli/0 -q -v -c 50000 -I 1ms -W 1ms -o "$tmp/cut" 10.0.0.1 2> "$tmp/err"; echo $? > "$tmp/code")
is "no room for the file: exit code and sentence" "4 cannot write to $tmp/cut: File too large" "$(cat "$tmp/code") $(cut -d' ' -f3- "$tmp/err")"
is "and it ends behind a whole line" "$(wc -l < "$tmp/cut")" "$(grep -c '}$' "$tmp/cut")"
is "of many" 1 "$(($(wc -l < "$tmp/cut") > 10000 && $(wc -c < "$tmp/cut") > 5110000))"
(trap '' PIPE; "$kt" completion bash 2> "$tmp/err"; echo $? > "$tmp/code") | true
code=$(cat "$tmp/code")
if [ "$code" = 0 ] || grep -q "Broken pipe" "$tmp/err"; then ok "reader gone: $code"; else not_ok "reader gone" "$code" "$(cat "$tmp/err")"; fi

# JSON is JSON.
if command -v jq > /dev/null; then
	if "$kt" info --json -a | jq -e '.engines[0].name and (.interfaces | type == "array")' > /dev/null; then
		ok "info --json parses"
	else
		not_ok "info --json parses" "$("$kt" info --json -a)"
	fi
fi

# Completion.
"$kt" completion bash > "$tmp/complete"
complete_words() { # WORD...: what bash would offer
	bash -c '
		. "$0"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_ktrxer
		printf "%s\n" "${COMPREPLY[@]}" | sort | tr "\n" " "' "$tmp/complete" "$@"
}
is "the script parses" "" "$(bash -n "$tmp/complete" 2>&1)"
is "commands complete" "send " "$(complete_words ktrxer se)"
is "options complete" "--rate --retries --retry-pause " "$(complete_words ktrxer send --r)"
is "words complete" "mem " "$(complete_words ktrxer send --engine me)"
is "words complete behind =" "monotonic " "$(complete_words ktrxer send --clock = mo)"
is "interfaces complete" "lo " "$(complete_words ktrxer info -i lo)"
is "files complete" "$tmp/conf " "$(complete_words ktrxer send "$tmp/con")"
is "values without words complete to nothing" " " "$(complete_words ktrxer send --rate 1)"
is "help completes" "info " "$(complete_words ktrxer help in)"
for c in $commands; do
	missing=$(comm -23 <("$kt" __options "$c" | sed 's/^/--/' | sort) <(complete_words ktrxer "$c" - | tr ' ' '\n' | sort))
	is "all options of $c complete" "" "$missing"
done
if command -v shellcheck > /dev/null; then
	is "shellcheck likes the script" "" "$(shellcheck -s bash "$tmp/complete")"
fi

done_testing
