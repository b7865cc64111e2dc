# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Reads a kernel log and prints it from its first complaint on, 60 lines at
# most: what a kernel says when it, or a module in it, has done wrong.
#
#   awk -v since=SECONDS -f complaints.awk
#
# Complaints before that stamp do not count.
{
	sub(/\r$/, "")
	stamp = text = $0
	sub(/^\[ */, "", stamp)
	sub(/^\[[^]]*\] */, "", text)
}
stamp + 0 <= since + 0 { next }
# How many it suspects; of which of them one is told by itself (tests/kernel/init.sh).
text ~ /^kmemleak: [0-9]+ new suspected memory leaks/ { next }
text ~ /^(BUG|WARNING):|kernel BUG at|^=+$|Oops|: [0-9a-f]+ \[#[0-9]+\]|Call Trace|Kernel panic|general protection|soft lockup|hard LOCKUP/ ||
text ~ /INFO: (possible|suspicious|task|rcu|trying|inconsistent)|rcu: INFO|rcu_.*detected (stalls|expedited stalls)|self-detected stall/ ||
text ~ /lockdep|scheduling while atomic|sleeping function called|refcount_t|use-after-free|double free|unregister_netdevice: waiting/ ||
text ~ /page allocation failure|Out of memory|list_(add|del) corruption|still has objects|Objects remaining|memory leak|unreferenced object 0x|UBSAN|ODEBUG|ref_tracker|Bad page|Bad rss/ {
	bad = 1
}
bad && n++ < 60
