# The results as a table for people.
def pad($n): tostring | . + (" " * ([$n - length, 0] | max));
def lpad($n): tostring | (" " * ([$n - length, 0] | max)) + .;
def fix($d): if . == null then "-" else (. * pow(10; $d) | round / pow(10; $d) | tostring) end;
"Packets per second over veth, one sending CPU, far end drops in XDP (medians; \(.kernel), \(.cpu))",
"",
("sender" | pad(24)) + ("bytes" | lpad(6)) + ("Mpps" | lpad(9)) + ("min-max" | lpad(16)) + ("of its limit" | lpad(14)) + ("x fastest peer" | lpad(16)) + ("MiB" | lpad(8)),
(.tx | sort_by([(.bytes > 64), -(.mpps // 0)])[] |
	(.name | pad(24)) + (.bytes | lpad(6)) + (.mpps | fix(3) | lpad(9)) +
	("\(.min_mpps | fix(2))-\(.max_mpps | fix(2))" | lpad(16)) +
	((if .of_limit then "\(.of_limit * 100 | fix(0)) %" else "-" end) | lpad(14)) +
	((if .times_fastest_peer then "\(.times_fastest_peer | fix(2))" else "-" end) | lpad(16)) +
	(.max_rss_kib / 1024 | fix(1) | lpad(8)) + (if .said then "  (\(.said | .[0:60]))" else "" end)),
"",
"Launch error in ns: clock before the driver call less scheduled time (SCHED_FIFO, sleep then spin)",
"",
("engine" | pad(8)) + ("beside" | pad(8)) + ("every" | lpad(8)) + ("p50" | lpad(9)) + ("p90" | lpad(9)) + ("p99" | lpad(10)) + ("p99.9" | lpad(10)) + ("max" | lpad(11)) + ("early" | lpad(7)),
(.launch[] | (.engine | pad(8)) + (.condition | pad(8)) + ("\(.interval_ns / 1000 | round) us" | lpad(8)) +
	(.error_ns.p50 | lpad(9)) + (.error_ns.p90 | lpad(9)) + (.error_ns.p99 | lpad(10)) + (.error_ns.p999 | lpad(10)) +
	(.error_ns.max | lpad(11)) + (.early | lpad(7)))
