// Sends the ARP frame on its standard input, at so many a second, until it is
// killed. After each second it prints how many that were.
// Usage: flood INTERFACE-INDEX RATE
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
	static unsigned char f[2048];
	enum { BURST = 32 };
	struct mmsghdr batch[BURST] = {0};
	ssize_t n = read(0, f, sizeof f);
	if (argc != 3 || n <= 0) {
		fprintf(stderr, "usage: flood INDEX RATE <FRAME\n");
		return 2;
	}
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = atoi(argv[1])};
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		perror("flood");
		return 1;
	}
	struct iovec v = {.iov_base = f, .iov_len = (size_t)n};
	for (int i = 0; i < BURST; i++) {
		batch[i].msg_hdr.msg_iov = &v;
		batch[i].msg_hdr.msg_iovlen = 1;
	}
	double rate = atof(argv[2]), begin = now();
	long sent = 0, told = 0;
	for (;;) {
		double t = now() - begin;
		if (t >= 1) {
			printf("%ld\n", sent - told);
			fflush(stdout);
			begin += 1;
			told = sent;
			t -= 1;
		}
		if ((double)(sent - told) < rate * t) {
			int done = sendmmsg(fd, batch, BURST, 0);
			sent += done > 0 ? done : 0;
		} else {
			struct timespec pause = {.tv_nsec = 50000};
			nanosleep(&pause, NULL);
		}
	}
}
