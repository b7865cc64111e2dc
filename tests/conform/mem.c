/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The conformance suite on engine mem. */
#include "suite/suite.h"

int main(int argc, char **argv)
{
	return suite_main((struct suite_engine){ "mem", KTRXER_XDP_AUTO, false }, argc, argv);
}
