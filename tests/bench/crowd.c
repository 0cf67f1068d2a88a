/*
 * crowd NAMESPACES PROCESSES: so many processes, the first NAMESPACES of them each in a network namespace of its own. Prints
 * "ready" when all are there; all end with standard input. For tests/bench/run.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int namespaces, processes, ready[2];
	char byte = 0;

	if (argc != 3 || pipe(ready) < 0)
		return 125;
	namespaces = atoi(argv[1]);
	processes = atoi(argv[2]);
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
