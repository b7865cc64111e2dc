/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Launch times from a file, or of a given number of trains. */
#include "probe_times.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "value.h"

#define MAX_TIMES 16000000ull

static int add_time(struct probe_run *r, u64 *cap, u64 ns)
{
	if (r->o.n_times == *cap) {
		u64 larger = *cap ? 2 * *cap : 1024;
		u64 *v = larger <= 2 * MAX_TIMES ? realloc(r->times, larger * sizeof(*v)) : NULL;

		if (!v)
			return cli_fail(CLI_USAGE, "more than %llu launch times", MAX_TIMES);
		r->times = v;
		*cap = larger;
	}
	r->times[r->o.n_times++] = ns;
	r->o.times = r->times;
	return CLI_OK;
}

/* One line; blanks and comments around the time are cut. */
static int read_line(struct probe_run *r, char *line, const char *path, unsigned long n, u64 *cap)
{
	char *text = line + strspn(line, " \t");
	u64 ns;

	text[strcspn(text, "#\r\n \t")] = 0;
	if (!*text)
		return CLI_OK;
	if (value_duration(text, &ns))
		return cli_fail(CLI_USAGE, "%s:%lu: \"%s\" is no time from the start; write 0, 1.5ms or 3s", path, n,
				text);
	if (r->o.n_times && ns < r->times[r->o.n_times - 1])
		return cli_fail(CLI_USAGE, "%s:%lu: \"%s\" is earlier than the time before it", path, n, text);
	return add_time(r, cap, ns);
}

int probe_times_read(struct probe_run *r, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	int code = CLI_OK;
	char line[256];
	u64 cap = 0;

	if (!f)
		return cli_fail(CLI_USAGE, "%s: %s", path, strerror(errno));
	for (unsigned long n = 1; !code && fgets(line, sizeof(line), f); n++)
		code = read_line(r, line, path, n, &cap);
	if (f != stdin)
		fclose(f);
	if (!code && !r->o.n_times)
		code = cli_fail(CLI_USAGE, "%s: it holds no launch times", path);
	if (!code && !opt_given(r->set, "count"))
		r->o.rounds = 0; /* the times say how many */
	return code;
}

int probe_times_trains(struct probe_run *r, u64 n_trains, u64 pkts, u64 interval_ns, u64 gap_ns)
{
	int code = CLI_OK;
	u64 cap = 0;

	for (u64 i = 0; !code && i < n_trains; i++)
		for (u64 k = 0; !code && k < pkts; k++)
			code = add_time(r, &cap, i * interval_ns + k * gap_ns);
	return code;
}
