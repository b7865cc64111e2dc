/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef KT_CLASSIFY_H
#define KT_CLASSIFY_H
#include "rules.h"
struct kt_image {
	void *cells;
	u32 n_cells;
};
#endif
