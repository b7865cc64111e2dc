/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The conformance suite on engine xdp, generic. */
#include "suite/suite.h"

int main(int argc, char **argv)
{
	return suite_main((struct suite_engine){ "xdp", KTRXER_XDP_GENERIC, true }, argc, argv);
}
