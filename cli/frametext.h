/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A frame in one line: addresses, ports, flags, length. */
#ifndef KT_FRAMETEXT_H
#define KT_FRAMETEXT_H

#include <string.h>

#include "../core/packet.h"
#include "json.h"

#define FRAME_TEXT 256

/* buf of at least FRAME_TEXT; returns it. */
const char *frame_text(char *buf, const u8 *frame, u32 caplen, u32 wirelen);
/* Adds the same as keys to the object that is open. */
void frame_json(struct json *j, const u8 *frame, u32 caplen, u32 wirelen);

#endif
