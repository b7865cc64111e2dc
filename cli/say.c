/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Sentences on stderr and the exit codes that belong to them; see cli.h. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "status.h"

static const char *command;

void cli_name(const char *name)
{
	command = name;
}

static void say(const char *fmt, va_list ap)
{
	char text[1024];

	/* One write, so that sentences of several processes do not mix. */
	vsnprintf(text, sizeof(text), fmt, ap);
	status_clear();
	fprintf(stderr, "ktrxer%s%s: %s\n", command ? " " : "", command ? command : "", text);
}

void cli_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

int cli_fail(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return code;
}

int cli_exit_for(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return CLI_OK;
	case EINVAL:
	case EMSGSIZE:
	case E2BIG:
	case ERANGE:
	case EEXIST:
		return CLI_USAGE;
	case EPERM:
	case EACCES:
	case ENODEV:
	case ENXIO:
	case ENOENT:
	case EOPNOTSUPP:
	case ENOSYS:
	case EBUSY:
	case ECONNREFUSED:
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
		return CLI_ENVIRONMENT;
	default:
		return CLI_FAILURE;
	}
}

int cli_fail_err(const struct ktrxer_err *err, const char *what)
{
	return cli_fail(cli_exit_for(err->code), "%s%s%s", what ? what : "", what ? ": " : "",
			err->text[0] ? err->text : strerror(err->code));
}
