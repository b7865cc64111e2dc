# The second half of what bench/kernel.sh measured: launches and sizes.
def pad($n): tostring | . + (" " * ([$n - length, 0] | max));
def lpad($n): tostring | (" " * ([$n - length, 0] | max)) + .;
.lines as $lines
| def rows($bench; $guest): [$lines[] | select(.bench == $bench and .guest == $guest)];
def named: {"kmod:0": "module", "kmod:50": "module, FIFO thread", "packet:50": "user space, FIFO", "packet:0": "user space"}[.];
"",
"Launches, ns: clock before the driver call less scheduled time; wire: us, QEMU's dump less scheduled time, beyond the quickest",
"",
("beside" | pad(8)) + ("sender" | pad(21)) + ("every" | lpad(9)) + ("p50" | lpad(10)) + ("p99" | lpad(10)) + ("max" | lpad(11)) + ("early" | lpad(6)) +
	("sent" | lpad(6)) + ("wire p50" | lpad(11)) + ("p99" | lpad(9)),
(("idle", "busy") as $g | rows("wire"; $g) as $wire | rows("launch"; $g) | to_entries[] | . as {key: $i, value: $r} | $r
	| (.condition | pad(8)) + (.sender | named | pad(21)) + ("\(.interval_ns / 1000) us" | lpad(9)) + (.error_ns.p50 | lpad(10)) + (.error_ns.p99 | lpad(10)) +
		(.error_ns.max | lpad(11)) + (.early | lpad(6)) + (.sent | lpad(6)) +
		(if ($wire | length) == (rows("launch"; $g) | length) then ($wire[$i].error_us | (.p50 | lpad(11)) + (.p99 | lpad(9))) else "" end)),
(rows("cross"; "busy")[] | "busy: a hog on the CPU, \(.pps) packets a second arrived (\(.asked_pps) were asked for) and passed 100 rules"),
"",
($lines[] | select(.bench == "size") | "module: \(.text_bytes) bytes of code, \(.text_and_constants_bytes) with constants and what runs once"),
(rows("held"; "dummy")[] | "a sender of \(.probes) probes of \(.frame_bytes) bytes holds \(.held_bytes) bytes, \(.mapped_bytes) of them mapped")
