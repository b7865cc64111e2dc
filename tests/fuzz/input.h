/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A fuzzer's input as a tape of decisions; behind its end there are zeros. */
#ifndef KT_FUZZ_INPUT_H
#define KT_FUZZ_INPUT_H

#include "../../core/env.h"

static const u8 *input, *input_end;

static inline u32 byte(void)
{
	return input < input_end ? *input++ : 0;
}

static inline u32 word(void)
{
	u32 v = byte();

	v = v << 8 | byte();
	v = v << 8 | byte();
	return v << 8 | byte();
}

#endif
