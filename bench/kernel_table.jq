# What bench/kernel.sh measured, as tables for people.
def pad($n): tostring | . + (" " * ([$n - length, 0] | max));
def lpad($n): tostring | (" " * ([$n - length, 0] | max)) + .;
def fix($d): if . == null then "-" else (. * pow(10; $d) | round / pow(10; $d) | tostring) end;
def way($rows; $w): [$rows[] | select(.way == $w) | .all_ns] | first;
# Theirs by ours, and in brackets with the preparation.
def times($row; $theirs): if $theirs == null then "-"
	elif $row.train_ns then "\($theirs / $row.train_ns | fix(1)) (\($theirs / $row.all_ns | fix(1)))"
	else ($theirs / $row.all_ns | fix(1)) end;
# How many times as long as ours, and whether that is what we aim at.
def aim($theirs; $ours; $times): if $theirs == null then "-"
	else "\($theirs / $ours | fix(1))" + (if $theirs >= $times * $ours then "" else " (aim: \($times))" end) end;
.lines as $lines
| def rows($bench; $guest): [$lines[] | select(.bench == $bench and .guest == $guest)];
def seen($row): if $row.guest == "dummy" then "" elif $row.mark == null then "-" else
	([rows("wire"; $row.guest)[] | select(.mark == $row.mark)] | first
		| if . == null then "not seen" elif .complete_in_order then "\(.frames) in order" else "\(.frames), not all in order" end) end;
"Linux \(.kernel) under \(.qemu), -icount shift=0: an instruction takes 1 ns",
"",
"Trains of 100 and floods, ns per packet. launch: prepared before; whole: preparation included, which for all but",
"the engines is all there is. How many times as long others take: by launch, in brackets by whole.",
("dummy", "virtio", "e1000") as $guest | (70, 1470) as $bytes
| [rows("train"; $guest)[] | select(.bytes == $bytes)] as $rows
| select($rows | length > 0)
| "",
  ("\($guest), \($bytes) bytes" | pad(22)) + ("launch" | lpad(7)) + ("whole" | lpad(7)) + ("UDP" | lpad(13)) + ("raw" | lpad(13)) +
	("bypass" | lpad(13)) + ("pktgen" | lpad(11)) + "  in the dump",
  ($rows[] | . as $r | (.way | pad(22)) + ((.train_ns // "-") | lpad(7)) + (.all_ns | lpad(7)) +
	(times($r; way($rows; "udp")) | lpad(13)) + (times($r; way($rows; "raw")) | lpad(13)) +
	(times($r; way($rows; "bypass")) | lpad(13)) + (times($r; way($rows; "pktgen")) | lpad(11)) +
	"  " + seen($r) + (if .failed > 0 then "  \(.failed) failed" else "" end)),
  ([$rows[] | select(.way == "engine:kmod")] | first | select(.) |
	"  launch: UDP takes \(aim(way($rows; "udp"); .train_ns; 10)), raw \(aim(way($rows; "raw"); .train_ns; 10)), " +
	"bypass \(aim(way($rows; "bypass"); .train_ns; 6))"),
  ($rows[] | select(.way | test("^(flood:.*:kmod|template(-done)?:.*)$")) |
	"  \(.way): pktgen takes \(aim(way($rows; "pktgen"); .all_ns; 2)); the limit, its bursts of one packet, " +
	"\(way($rows; "pktgen-burst") / .all_ns | fix(2))")
