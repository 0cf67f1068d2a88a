/*
 * crowd NAMESPACES PROCESSES [SOCKETS]: so many processes, the first NAMESPACES of them each in a network namespace of its own.
 * Each has SOCKETS sockets of that, and as many descriptors of /dev/null. Prints "ready" when all are there; all end with standard
 * input. For tests/bench/run.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int namespaces, processes, sockets, ready[2];
	char byte = 0;

	if (argc < 3 || pipe(ready) < 0)
		return 125;
	namespaces = atoi(argv[1]);
	processes = atoi(argv[2]);
	sockets = argc > 3 ? atoi(argv[3]) : 0;
	for (int i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("crowd: fork");
			return 1;
		}
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (i < namespaces && unshare(CLONE_NEWNET) < 0) {
				perror("crowd: unshare");
				return 1;
			}
			for (int j = 0; j < sockets; j++) {
				if (socket(AF_UNIX, SOCK_STREAM, 0) < 0 || open("/dev/null", O_RDONLY) < 0) {
					perror("crowd: socket, open");
					return 1;
				}
			}
			if (write(ready[1], &byte, 1) != 1)
				return 1;
			for (;;)
				pause();
		}
		if (read(ready[0], &byte, 1) != 1)
			return 1;
	}
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
