/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Errors as values: a code and one sentence, carried to whoever speaks with
 * the user. Also the words for the public enumerations that senders use.
 */
#include <stdio.h>

#include "engine.h"

int kt_err(struct ktrxer_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		err->code = code;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return -code;
}

KTRXER_API const char *ktrxer_version(void)
{
	return KTRXER_VERSION;
}

KTRXER_API const char *ktrxer_clock_name(enum ktrxer_clock clock)
{
	static const char *const names[] = {
		[KTRXER_CLOCK_MONOTONIC] = "monotonic", [KTRXER_CLOCK_TAI] = "tai",
		[KTRXER_CLOCK_REALTIME] = "realtime",	[KTRXER_CLOCK_VIRTUAL] = "virtual",
		[KTRXER_CLOCK_HARDWARE] = "hardware",
	};

	return (unsigned int)clock < KT_ARRAY_LEN(names) ? names[clock] : "unknown";
}

KTRXER_API const char *ktx_status_name(enum ktx_status status)
{
	static const char *const names[] = {
		[KTX_SENT] = "sent",
		[KTX_FAILED] = "failed",
		[KTX_LATE] = "late",
		[KTX_CANCELLED] = "cancelled",
	};

	return (unsigned int)status < KT_ARRAY_LEN(names) ? names[status] : "unknown";
}
