/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Messages with descriptors over a Unix socket, and memory files for what is too long for one. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "share.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(KT_SHARE_MAX_FDS * sizeof(int))];
};

int kt_share_send(int sock, const void *msg, size_t bytes, const int *fds, unsigned int n_fds)
{
	union {
		const void *in;
		void *out;
	} m = { .in = msg }; /* iovec is not const; sendmsg does not write */
	struct iovec iov = { .iov_base = m.out, .iov_len = bytes };
	union control c = { 0 };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds) {
		struct cmsghdr *cm;

		h.msg_control = c.bytes;
		h.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&h);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &h, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Padding leaves room for more descriptors than anybody should send: those are closed. */
static void take_fds(struct cmsghdr *cm, int fds[KT_SHARE_MAX_FDS])
{
	size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cm) + i * sizeof(fd), sizeof(fd));
		if (i < KT_SHARE_MAX_FDS && fds[i] < 0)
			fds[i] = fd;
		else
			close(fd);
	}
}

int kt_share_recv(int sock, void *msg, size_t bytes, int fds[KT_SHARE_MAX_FDS])
{
	struct iovec iov = { .iov_base = msg, .iov_len = bytes };
	union control c = { 0 };
	struct msghdr h = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof(c.bytes)
	};
	ssize_t n;

	for (int i = 0; i < KT_SHARE_MAX_FDS; i++)
		fds[i] = -1;
	do {
		n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&h); cm; cm = CMSG_NXTHDR(&h, cm))
		if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS)
			take_fds(cm, fds);
	return h.msg_flags & MSG_TRUNC ? (int)bytes + 1 : (int)n;
}

int kt_share_file(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	const struct {
		const u8 *data;
		size_t bytes;
	} part[2] = { { a, a_bytes }, { b, b_bytes } };
	int fd = memfd_create("ktrxer-message", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		for (size_t done = 0; done < part[i].bytes;) {
			ssize_t n = write(fd, part[i].data + done, part[i].bytes - done);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0) {
				int ret = -errno;

				close(fd);
				return ret;
			}
			done += (size_t)n;
		}
	}
	return fd;
}

int kt_share_read(int fd, void *buf, size_t bytes, size_t offset)
{
	/* Only files in memory have seals; reading anything else could wait for ever. */
	if (fcntl(fd, F_GET_SEALS) < 0)
		return -EPROTO;
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pread(fd, (u8 *)buf + done, bytes - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EPROTO; /* shorter than was said */
		done += (size_t)n;
	}
	return 0;
}
