#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The source is laid out as CONTRIBUTING.md says.
set -u
. "$(dirname "$0")/lib.sh"

mapfile -t c < <(git ls-files '*.c' '*.h')
mapfile -t sh < <(git ls-files '*.sh' .ci/run)
check "clang-format has nothing to say" clang-format --dry-run -Werror "${c[@]}"
check "shellcheck has nothing to say" shellcheck "${sh[@]}"
same "every file starts with its licence" \
	"$(for f in "${c[@]}" "${sh[@]}"; do head -n 3 "$f" | grep -q SPDX-License-Identifier || echo "$f"; done)" ""
same "no file is over 800 lines" "$(wc -l "${c[@]}" | awk '$1 > 800 && $2 != "total" { print $2 }')" ""
same "examples have under 80 lines" "$(wc -l examples/*.c | awk '$1 >= 80 && $2 != "total" { print $2 }')" ""
# But for the tests of the module, which are the far side of its shared memory, and scribble in it.
same "atomics and barriers are in core/ring.h only" \
	"$(grep -lE '__atomic_|__sync_|stdatomic|smp_(load|store|mb|rmb|wmb)' "${c[@]}" | grep -vE '^core/ring.h$|\.bpf\.c$|^tests/kernel/')" ""
same "core and lib print nothing" "$(grep -nE '\b(printf|puts|fprintf|perror|exit)\(' core/*.c lib/*.c)" ""
same "core/ is arithmetic: no clock, allocator or system call" "$(grep -nE '(^|[^>.a-z_])(malloc|free|calloc|clock_gettime|time)\(' core/*.c)" ""
check "make help explains the targets" grep -q 'sudo make run' <(make help)
done_testing
