/* Keeps a new network namespace by a descriptor that is in flight in a Unix socket, and by nothing else.
 * Prints its inode and its number. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void)
{
	int pair[2], home, there;
	uint64_t number = 0;
	struct stat stat;
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec byte = { "x", 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *record = CMSG_FIRSTHDR(&message);

	home = open("/proc/self/ns/net", O_RDONLY);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) || unshare(CLONE_NEWNET))
		return 1;
	there = open("/proc/self/ns/net", O_RDONLY);
	/* NS_GET_ID */
	ioctl(there, _IOR(0xb7, 13, uint64_t), &number);
	record->cmsg_level = SOL_SOCKET;
	record->cmsg_type = SCM_RIGHTS;
	record->cmsg_len = CMSG_LEN(sizeof there);
	memcpy(CMSG_DATA(record), &there, sizeof there);
	if (fstat(there, &stat) || sendmsg(pair[0], &message, 0) != 1 || setns(home, CLONE_NEWNET))
		return 1;
	close(there);
	printf("%llu %llu\n", (unsigned long long)stat.st_ino, (unsigned long long)number);
	fflush(stdout);
	pause();
	return 0;
}
