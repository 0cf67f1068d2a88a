/*
 * race ROUNDS COMMAND... [:: COMMAND...]...: runs the commands in turn, ROUNDS times each, and prints for each
 * its median wall time in microseconds, page faults, and peak resident memory in KiB.
 * race steps COMMAND...: prints the instructions that COMMAND executes in user mode until it becomes another program, or ends.
 *
 * In turn, so that whatever else the machine does meets all of them alike; small, because what a child had of its parent's memory
 * before exec counts as its own. For tests/bench/run.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 16

struct entrant {
	char **argv;
	double *micros;
	long faults, peak;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(char **argv, int status)
{
	fprintf(stderr, "race: %s ended with status %#x\n", argv[0], status);
	exit(1);
}

static void run(struct entrant *e, int round, int null)
{
	struct rusage usage;
	double start;
	int status, tries = 3;
	pid_t pid;

	/* lsns ends with 1 where a process ends while it looks. */
	do {
		start = now();
		pid = vfork();
		if (pid == 0) {
			dup2(null, 1);
			execvp(e->argv[0], e->argv);
			_exit(127);
		}
		if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
			fail(e->argv, 0);
	} while (status && --tries);
	if (status)
		fail(e->argv, status);
	e->micros[round] = now() - start;
	e->faults = usage.ru_minflt + usage.ru_majflt;
	e->peak = usage.ru_maxrss;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int steps(char **argv)
{
	unsigned long count = 0;
	int status, execs = 0;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC);
	ptrace(PTRACE_CONT, pid, 0, 0);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8) && ++execs == 2)
			break;
		count += execs;
		ptrace(execs ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, 0, 0);
	}
	printf("%lu\n", count);
	kill(pid, SIGKILL);
	return 0;
}

int main(int argc, char **argv)
{
	struct entrant all[MOST];
	int rounds, warm, count = 0, null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (argc > 2 && strcmp(argv[1], "steps") == 0)
		return steps(argv + 2);
	rounds = argc > 2 ? atoi(argv[1]) : 0;
	if (rounds < 1 || null < 0)
		return 125;
	warm = rounds / 10 + 1;
	for (int i = 2; i < argc && count < MOST; count++) {
		all[count].argv = argv + i;
		all[count].micros = calloc(warm + rounds, sizeof(double));
		while (i < argc && strcmp(argv[i], "::"))
			i++;
		argv[i++] = NULL;
	}
	for (int round = 0; round < warm + rounds; round++)
		for (int i = 0; i < count; i++)
			run(&all[(i + round) % count], round, null);
	for (int i = 0; i < count; i++) {
		qsort(all[i].micros + warm, rounds, sizeof(double), order);
		printf("%.1f %ld %ld\n", all[i].micros[warm + rounds / 2], all[i].faults, all[i].peak);
	}
	return 0;
}
