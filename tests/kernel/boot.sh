# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Boots guests and judges what became of them. Sourced by guest.sh.
#
# Per guest a directory with:
#   run.cpio initrd    what it boots
#   console            the kernel log, and nothing else
#   output             what its job wrote
#   end                "up" when the job starts, "exit N" when it has ended
#   out.img            a tar of the guest's /out, if --out was given
#   stop               a pipe; a line into it asks the job to end
#   status             of QEMU itself

# stage_programs FROM TO: what can be run there. Of the core's and the library's own tests this machine sees to, unless it is another's.
stage_programs() {
	local not=(! -path "$1/tests/unit/*" ! -path "$1/tests/core/*")
	[ -d "$1" ] || return 0
	! is_foreign "$flavour" || not=()
	find "$1" -maxdepth 3 -type f -perm -100 \( -path "$1/tests/*" -o -path "$1/bench/*" -o -path "$1/examples/*" -o -path "$1/ktrxer" \) \
		! -name '*.so*' "${not[@]}" -printf '%P\0' | (cd "$1" && xargs -0r cp -a --parents -t "$2/")
	# Debuggers are not there, and memory may be short.
	[ ${#not[@]} -gt 0 ] || find "$2" -type f -exec "$(cross_of "$(elf_machine "$(find "$2" -type f -print -quit)")")strip" {} +
}

# stage DIRECTORY COMMAND: this guest's own segment of the initramfs.
stage() {
	local dir=$1 command=$2 s=$1/stage kernel
	kernel=$(kernel_of "$flavour")
	mkdir -p "$s"/{job,ko,etc,src/build}
	cp tests/kernel/init.sh "$s/init" && chmod 755 "$s/init" || return 1
	cp -a tests scripts "$s/src/"
	stage_programs "${programs:-$(programs_of "$(machine_of "$flavour")" "$build")}" "$s/src/build"
	# Not one that another test is making just now.
	[ ! -d "$build/kmod/$kernel" ] || flock "$build/kmod/$kernel/lock" \
		find "$build/kmod/$kernel" -name '*.ko' -exec cp -t "$s/ko" {} +
	# Nobody debugs there, and with it a guest has 25 times as much of them to unpack.
	find "$s/ko" -name '*.ko' -exec "$(cross_of "$(machine_of "$flavour")")strip" --strip-debug {} +
	echo 'root:x:0:0:root:/root:/bin/bash' > "$s/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' > "$s/etc/group"
	# tcpdump becomes this user when it reads files.
	echo 'tcpdump:x:100:65534::/nonexistent:/bin/false' >> "$s/etc/passwd"
	echo 'nobody:x:65534:65534:nobody:/nonexistent:/bin/false' >> "$s/etc/passwd"
	echo '127.0.0.1 localhost' > "$s/etc/hosts"
	echo 'hosts: files' > "$s/etc/nsswitch.conf"
	[ -z "$overlay" ] || cp -a "$overlay/." "$s/" || return 1
	printf '%s\n' "KT_MODULES='${modules[*]}'" "KT_LINES=$(is_foreign "$flavour" && echo virtio)" > "$s/job/env"
	{
		printf 'export %s\n' KT_BUILD=/src/build KT_SRC=/src KT_FLAVOUR="$flavour" KT_OUT=/out \
			KT_ROLE="${dir##*/}" KT_SLOW="${KT_SLOW:-1}" TMPDIR=/tmp
		echo 'cd /src || exit 125'
		echo "$command"
	} > "$s/job/run"
	find "$s" -exec touch -hd @0 {} +
	(cd "$s" && find . -mindepth 1 -printf '%P\n' | pack) > "$dir/run.cpio"
	rm -rf "$s"
	# Malta's kernel has 256 MB, of which an initramfs takes what it is and what is in it.
	cat "$cache/$kernel/modules.cpio" "${userlands[@]}" "$dir/run.cpio" | if [ "$flavour" = mipsel ]; then gzip -n1; else cat; fi > "$dir/initrd"
	rm "$dir/run.cpio"
}

# nic_options DIRECTORY: the network cards; links between guests are sockets in the directory above.
nic_options() {
	local dir=$1 other=far card=0 model
	[ "${dir##*/}" = near ] || other=near
	case $net in
	none) return ;;
	pair)
		for model in "${!cards[@]}"; do
			echo "-netdev dgram,id=n$model,local.type=unix,local.path=$dir.$model,remote.type=unix,remote.path=${dir%/*}/$other.$model"
		done
		;;
	# QEMU's hub would do, but one that has been full lets the next frame overtake those that it holds.
	*:*)
		echo "-netdev dgram,id=n0,local.type=unix,local.path=$dir.0,remote.type=unix,remote.path=$dir.1"
		echo "-netdev dgram,id=n1,local.type=unix,local.path=$dir.1,remote.type=unix,remote.path=$dir.0"
		;;
	# Nobody is at the other end, and what is sent there is gone; a hub of one would never take it from virtio-net.
	*) echo "-netdev dgram,id=n0,local.type=unix,local.path=$dir.sock,remote.type=unix,remote.path=$dir.nobody" ;;
	esac
	for model in "${cards[@]}"; do
		[ "$model" != virtio ] || model=$(virtio_of "$flavour" net)
		echo "-device $model,netdev=n$card,mac=52:54:00:77:$([ "$other" = far ] && echo 01 || echo 02):0$card"
		card=$((card + 1))
	done
	[ -z "$pcap" ] || echo "-object filter-dump,id=dump,netdev=n0,file=$dir/wire.pcap,maxlen=65536"
}

# boot DIRECTORY: returns when the guest is gone.
boot() {
	if is_um "$flavour"; then um_boot "$1"; else boot_qemu "$1"; fi
}

# lines_options FLAVOUR DIRECTORY: the log, then the job's output, its end and the pipe that stops it: serial ports; where a machine has
# too few of them, virtio's.
lines_options() {
	local dir=$2 n=1 line
	echo "-serial file:$dir/console"
	if ! is_foreign "$1"; then
		echo "-serial file:$dir/output -serial file:$dir/end -chardev pipe,id=stop,path=$dir/stop -serial chardev:stop"
		return
	fi
	echo "-device $(virtio_of "$1" serial)"
	for line in output end; do
		echo "-chardev file,id=$line,path=$dir/$line -device virtserialport,chardev=$line,nr=$n"
		n=$((n + 1))
	done
	echo "-chardev pipe,id=stop,path=$dir/stop -device virtserialport,chardev=stop,nr=$n"
}

boot_qemu() {
	local dir=$1 smp=$cpus args=() lines=() machine=() time=() append
	append="console=$(console_of "$flavour") panic=-1 oops=panic loglevel=7 rdinit=/init rootfstype=ramfs"
	# A guest's TSC is this machine's. When the guest finds out its rate on a busy one it may believe a clock that was kept
	# waiting, and live forty times too fast ever after.
	if ! is_foreign "$flavour"; then
		append+=" tsc=reliable"
		[ -n "$icount" ] || append+=$(awk '/^bogomips/ { printf " tsc_early_khz=%d", $3 * 500; exit }' /proc/cpuinfo)
	fi
	if [ -n "$icount" ]; then
		# One virtual CPU: with two, amd64 6.1 does not come up under -icount.
		smp=1
		time=(-icount "shift=$icount,sleep=off" -seed 42 -rtc "base=2024-01-01T00:00:00,clock=vm")
		append+=" nokaslr norandmaps"
		# An idle 24Kf waits for what never comes.
		[ "$flavour" != mipsel ] || append+=" nowait"
	fi
	: > "$dir/end"
	mkfifo "$dir/stop" || return 1
	mapfile -t machine < <(hardware "$flavour" "$smp")
	read -r -a args <<< "$(nic_options "$dir" | tr '\n' ' ')"
	read -r -a lines <<< "$(lines_options "$flavour" "$dir" | tr '\n' ' ')"
	# Only where it is wanted: a disk's answers come when the host has them, which -icount does not like.
	if [ -n "$out" ]; then
		truncate -s "${out_mb}M" "$dir/out.img"
		args+=(-drive "file=$dir/out.img,format=raw,if=none,id=out,cache=unsafe" -device "$(virtio_of "$flavour" blk),drive=out")
	fi
	# QEMU under -icount may ignore SIGTERM: timeout kills it two seconds later.
	timeout -k 2 "$limit" "${machine[@]}" -accel tcg -m "$mem" -nodefaults -display none -no-reboot \
		-kernel "$(kernel_image "$cache/$flavour/root/boot" "$(cat "$cache/$flavour/release")")" -initrd "$dir/initrd" \
		-append "$append $extra_append" "${time[@]}" "${lines[@]}" "${args[@]}" < /dev/null > "$dir/qemu" 2>&1 &
	echo $! > "$dir/pid"
	wait $!
	echo $? > "$dir/status"
}

# complaints CONSOLE: what the kernel has to say against the job. What it said before that began, before any module of ours
# was there, it says of itself: Debian's 6.12-rt warns of its own serial ports now and then, when they are opened.
complaints() {
	if grep -q 'kt-guest: job starts' "$1" 2> /dev/null; then sed '1,/kt-guest: job starts/d' "$1"; else cat "$1" 2> /dev/null; fi |
		awk -v since=-1 -f tests/complaints.awk
}

# verdict DIRECTORY: shows output and complaints; its status is the job's, or
# 124 time ran out, 125 the guest could not be started, 70 it died, 71 its kernel complained.
verdict() {
	local dir=$1 role=${1##*/} said status end
	said=$(complaints "$dir/console")
	end=$(sed -n 's/^exit \([0-9]*\)$/\1/p' "$dir/end")
	status=$(cat "$dir/status")
	if [ "$role" = far ]; then
		sed 's/^/# far: /' "$dir/output"
	else
		cat "$dir/output"
	fi
	grep -vxE 'up|exit [0-9]+' "$dir/end" | sed "s/^/# guest $role: /"
	tr -d '\r' < "$dir/console" | grep -E 'kt-guest: module' | sed "s/^/# guest $role: /"
	if [ -z "$end" ]; then
		if [ "$status" = 124 ] || [ "$status" = 137 ]; then
			echo "# guest $role: time ran out after $limit s"
			status=124
		elif [ ! -s "$dir/console" ]; then
			sed "s/^/# qemu: /" "$dir/qemu"
			status=125
		else
			echo "# guest $role: its kernel died"
			status=70
		fi
		[ -n "$said" ] || said=$(tr -d '\r' < "$dir/console" | tail -n 30)
	else
		status=$end
		[ "$status" != 0 ] || [ -z "$said" ] || status=71
		grep -q 'cannot bring back' "$dir/end" && [ "$status" = 0 ] && status=125
	fi
	[ -z "$said" ] || sed 's/^/# kernel: /' <<< "$said"
	return "$status"
}

# stale_breakpoint CONSOLE: the function of the kernel's where QEMU has run a breakpoint that is not there, if that is what
# the guest died of. Kernels that patch their code put one there for a moment, and QEMU 7.2, without KVM, can go on
# executing it on another CPU: the kernel's first complaint is int3, not in a module, and the byte in memory is another.
stale_breakpoint() {
	complaints "$1" | awk '
		{ sub(/^\[[^]]*\] */, "") }
		NR == 1 && !/int3: 0000 \[#1\]/ { exit }
		$1 == "RIP:" && !at { if (NF > 2) exit; at = $2 }
		$1 == "Code:" && at { for (i = 3; i <= NF; i++) if ($i ~ /^</) { if ($(i - 1) != "cc") print at; exit } }'
}

# why_again DIRECTORY: why what became of that guest says nothing of us, if so.
why_again() {
	local at
	if ! grep -q up "$1/end"; then
		echo "died before its job began"
	elif ! grep -q '^exit ' "$1/end"; then
		at=$(stale_breakpoint "$1/console")
		[ -z "$at" ] || echo "QEMU ran a breakpoint that is not there, at $at"
	fi
}

# results DIRECTORY: what the guest put into /out.
results() {
	[ -z "$out" ] || { mkdir -p "$out" && tar -xf "$1/out.img" -C "$out" 2> /dev/null; }
	[ -z "$console" ] || tr -d '\r' < "$1/console" > "$console"
	[ -z "$pcap" ] || cp "$1/wire.pcap" "$pcap"
}

run() {
	local work=$1 command=$2 status far=0 again
	mkdir "$work/near"
	stage "$work/near" "$command" || die "cannot stage"
	if [ -n "$peer" ]; then
		mkdir "$work/far"
		stage "$work/far" "$peer" || die "cannot stage"
		pcap='' boot "$work/far" &
	fi
	boot "$work/near" &
	wait $!
	again=$(why_again "$work/near")
	if [ -z "$peer" ] && [ -n "$again" ]; then
		echo "# guest: $again; booted once more" >&2
		rm -f "$work/near/stop"
		boot "$work/near" &
		wait $!
	fi
	if [ -n "$peer" ]; then
		# Without a reader there is nobody to stop.
		[ -e "$work/far/status" ] || timeout 2 sh -c 'echo end > "$1"' sh "$work/far/stop"
		wait
		verdict "$work/far" || far=$?
	fi
	verdict "$work/near"
	status=$?
	results "$work/near"
	[ $status != 0 ] || status=$far
	return $status
}
