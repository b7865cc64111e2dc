/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Fuzzes hex frames and dumps: an input is the text. */
#include <stdlib.h>

#include "../../lib/hexframe.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *frame = malloc(100); /* small, so that its end is reached */
	char *text = malloc(size + 1);
	struct ktrxer_err err;
	int n;

	if (!frame || !text)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	n = kt_hexframe_parse(frame, 100, text, "F", &err);
	if (n > 100 || (n >= 0 && n < 14))
		__builtin_trap();
	free(text);
	free(frame);
	return 0;
}
