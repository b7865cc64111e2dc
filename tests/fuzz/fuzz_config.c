/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Config files of every command, and what --dump-config makes of them: it must
 * be read back to the same. The first byte picks the command.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cli/config.h"

#define BYTES_MAX 65536

static struct out out;

/* Reads text into a configuration of cmd and dumps it into buf; false if it was refused. */
static bool read_and_dump(const struct command *cmd, char *text, size_t len, char *buf, size_t cap)
{
	static struct optset set;
	struct common *config = calloc(1, cmd->config_bytes);
	ssize_t n = -1;

	if (!config)
		abort();
	cli_optset_init(&set, cmd, config);
	if (!config_read(&set, cmd, "fuzz", text, len, OPT_FROM_FILE)) {
		if (opt_defaults(&set))
			abort(); /* a default in a table does not parse */
		ftruncate(out.fd, 0);
		lseek(out.fd, 0, SEEK_SET);
		config_dump(&out, &set, cmd);
		if (out_flush(&out))
			abort();
		n = pread(out.fd, buf, cap - 1, 0);
		buf[n < 0 ? 0 : n] = 0;
	} else if (!set.why[0]) {
		abort(); /* refused without a sentence */
	}
	opt_free(&set);
	free(config);
	return n >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char first[4 * BYTES_MAX], again[4 * BYTES_MAX], input[4 * BYTES_MAX];
	const struct command *cmd;
	unsigned int n = 0;
	char *text;

	if (size < 1 || size > BYTES_MAX / 4)
		return 0;
	if (!out.name) {
		out_open(&out, NULL);
		out.fd = memfd_create("out", MFD_CLOEXEC);
	}
	while (cli_commands[n])
		n++;
	cmd = cli_commands[data[0] % n];
	/* A heap copy of the exact length, so that reading behind it shows. */
	text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	if (read_and_dump(cmd, text, size - 1, first, sizeof(first))) {
		memcpy(input, first, strlen(first) + 1);
		if (!read_and_dump(cmd, input, strlen(input), again, sizeof(again)) || strcmp(first, again))
			abort(); /* the dump is not the same configuration */
	}
	free(text);
	return 0;
}
