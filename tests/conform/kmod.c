/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The conformance suite on engine kmod: where the module is loaded, which is in the guests (tests/kernel). */
#include <unistd.h>

#include "suite/suite.h"

int main(int argc, char **argv)
{
	if (access("/dev/ktx", F_OK)) {
		printf("1..0 # SKIP the module ktrxer.ko is not loaded on this machine; \"make test-kernel\" runs this "
		       "in "
		       "guests\n");
		return 0;
	}
	return suite_main((struct suite_engine){ "kmod", KTRXER_XDP_AUTO, true }, argc, argv);
}
