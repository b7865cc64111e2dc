#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1500
# The conformance suite on engine kmod between network cards, in guests. Every frame crosses from one guest to another
# and back on virtio-net: the suite wants both ends in one process, so the second guest bridges them. Two e1000e
# are wired to each other. KT_CARDS_ON says which on which kernel: "CARD:FLAVOUR ...".
set -u
if [ -n "${KT_ROLE:-}" ]; then
	status=0
	KT_CARDS="eth0 eth1" build/tests/conform/kmod > /tmp/tap || status=$?
	sed -E "s/^((not )?ok [0-9]+ - )/\1$1: /" /tmp/tap
	exit $status
fi
. "$(dirname "$0")/lib.sh"
first=${KT_FLAVOURS%% *} last=${KT_FLAVOURS##* }
for on in ${KT_CARDS_ON:-e1000e:$first virtio:$last}; do
	card=${on%%:*} f=${on#*:}
	wire=(--net "$card:$card")
	[ "$card" != virtio ] || wire=(--net pair:virtio:virtio --peer "exec bash tests/kernel/far_bridge.sh")
	module "$f"
	in_guest "$f" --timeout 480 "${wire[@]}" -- tests/kernel/conform_cards.sh "$card"
done
done_testing
