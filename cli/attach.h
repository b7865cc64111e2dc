/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Reaching a receiver that another process shares, which may still be starting. */
#ifndef KT_ATTACH_H
#define KT_ATTACH_H

#include "cli.h"

/* Waits up to wait_ns for an owner. CLI_OK with *rx, or an exit code after having said why. */
int attach(struct krx **rx, const char *path, u64 wait_ns);

#endif
