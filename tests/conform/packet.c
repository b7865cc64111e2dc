/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The conformance suite on engine packet. */
#include "suite/suite.h"

int main(int argc, char **argv)
{
	return suite_main((struct suite_engine){ "packet", KTRXER_XDP_AUTO, true }, argc, argv);
}
