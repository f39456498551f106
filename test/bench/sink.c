/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading end of the throughput measurement: reads stdin (or the FIFO named) to its end in
 * blocks of 64 KiB and prints the bytes and the seconds from the first one to the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static char block[64 << 10];
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : 0;
	unsigned long long bytes = 0;
	double first = 0;
	ssize_t n;

	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	while ((n = read(fd, block, sizeof(block))) > 0) {
		if (bytes == 0)
			first = now();
		bytes += (unsigned long long)n;
	}
	if (n < 0 || bytes == 0) {
		perror("read");
		return 1;
	}
	printf("%llu %.6f\n", bytes, now() - first);
	return 0;
}
