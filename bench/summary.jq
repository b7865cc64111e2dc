# Medians and ratios of what bench/tx.sh and bench/launch.sh measured.
def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def medians: group_by([.bytes, .name]) | map({
	name: .[0].name, kind: .[0].kind, bytes: .[0].bytes,
	mpps: (map(.pps // empty) | median | if . then . / 1e6 else null end),
	min_mpps: ((map(.pps // empty) | min // 0) / 1e6), max_mpps: ((map(.pps // empty) | max // 0) / 1e6),
	max_rss_kib: (map(.max_rss_kib) | max), said: (map(.said // empty) | first // null) });
def best($rows; $kind; $small): [$rows[] | select(.kind == $kind and ((.bytes <= 64) == $small)) | .mpps // empty] | max;
def limit($rows; $row): [$rows[] | select(.kind == "limit" and .bytes == $row.bytes and
	(.name == (if $row.name == "ktrxer-packet-trains" then "bare-send"
		elif $row.name | test("packet") then "bare-packet"
		elif $row.name == "ktrxer-xdp-flood" then "bare-live"
		elif $row.name | test("xdp") then "bare-xsk" else "none" end))) | .mpps] | first;
($tx | medians) as $rows
| { date: $date, commit: $commit, kernel: $kernel, cpu: $cpu,
    tx: [ $rows[] | . as $row | . + {
	of_limit: (limit($rows; $row) as $l | if $row.kind == "ours" and $l and $row.mpps then $row.mpps / $l else null end),
	times_fastest_peer: (best($rows; "peer"; $row.bytes <= 64) as $p | if $row.kind == "ours" and $p and $row.mpps then $row.mpps / $p else null end) } ],
    launch: $launch }
