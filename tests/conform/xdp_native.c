/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The conformance suite on engine xdp, native. */
#include "suite/suite.h"

int main(int argc, char **argv)
{
	return suite_main((struct suite_engine){ "xdp", KTRXER_XDP_NATIVE, true }, argc, argv);
}
