#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 300
# Where the kernel loads only signed modules: what it says of ours, what ktrxer info says, and the ways to sign in ktrxer.4.
set -u
. "$(dirname "$0")/lib.sh"
f=${KT_FLAVOURS%% *}
module "$f"

cat > "$T/inner" <<'INNER'
insmod /ko/ktrxer.ko 2>&1
ktrxer=build/ktrxer
[ -x $ktrxer ] || ktrxer=$KT_BUILD/ktrxer
$ktrxer info
$ktrxer info --json | jq -r '"json: \(.signed_modules)"'
INNER
out=$($guest run "$f" --append module.sig_enforce=1 --timeout 120 bash -c "$(cat "$T/inner")" 2>&1)
matches "$f: an unsigned module is refused" "$out" 'insmod: .*Key was rejected by service'
matches "info tells that only signed ones are loaded" "$out" 'modules +only those signed'
matches "in JSON, too" "$out" '^json: true'
matches "and how to have ours loaded" "$out" 'mokutil --import /var/lib/dkms/mok.pub'
out=$($guest run "$f" --timeout 120 bash -c "$(cat "$T/inner")" 2>&1)
matches "$f: elsewhere it says nothing of it" "$out" '^json: false'
same "and gives no such advice" "$(grep -c mokutil <<< "$out")" 0

# As ktrxer.4 says: a key, and the kernel's own program.
ko=$T/ktrxer.ko
cp "$KT_BUILD/kmod/$f/ktrxer.ko" "$ko"
sign=$(realpath "${KT_GUEST_CACHE:-$PWD/build/guest}/$f"/root/usr/lib/linux-kbuild-*/scripts/sign-file)
check "a key is made" openssl req -new -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=modules/ -outform DER \
	-keyout "$T/mok.key" -out "$T/mok.der"
check "sign-file signs the module with it" "$sign" sha256 "$T/mok.key" "$T/mok.der" "$ko"
same "and it says by whom" "$(modinfo -F signer "$ko")" modules
done_testing
